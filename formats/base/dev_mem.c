/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/base/dev_mem.h"

#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"

struct dev_mem {
	struct dev dev;
	uint8_t *data;		/* owned */
};

static struct dev_mem *mem_of(struct dev *dev)
{
	return container_of(dev, struct dev_mem, dev);
}

static void mem_close(struct dev *dev)
{
	free(mem_of(dev)->data);
	free(mem_of(dev));
}

static int mem_read(struct dev *dev, void *buf, size_t len, uint64_t off)
{
	memcpy(buf, mem_of(dev)->data + off, len);
	return 0;
}

static int mem_write(struct dev *dev, const void *buf, size_t len, uint64_t off)
{
	memcpy(mem_of(dev)->data + off, buf, len);
	return 0;
}

static int mem_resize(struct dev *dev, uint64_t size, struct diag *why)
{
	struct dev_mem *m = mem_of(dev);
	uint8_t *data = mem_realloc(m->data, size, 1);

	if (!data)
		return diag_fail(why, ENOMEM, "memory: out of memory");
	if (size > dev->size)
		memset(data + dev->size, 0, size - dev->size);
	m->data = data;
	dev_set_size(dev, size);
	return 0;
}

static const struct dev_ops mem_ops = {
	.name = "memory",
	.close = mem_close,
	.read = mem_read,
	.write = mem_write,
	.resize = mem_resize,
};

int dev_mem_new(const void *data, size_t len, struct dev **out)
{
	struct dev_mem *m = mem_new(struct dev_mem);

	if (!m || !(m->data = mem_zalloc(1, len))) {
		free(m);
		return -ENOMEM;
	}
	if (data && len)
		memcpy(m->data, data, len);
	m->dev = (struct dev) {
		.ops = &mem_ops, .size = len, .sector_size = 512,
		.phys_sector_size = 512, .writable = true, .writing = true,
	};
	*out = &m->dev;
	return 0;
}
