/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VHDX from hostile bytes. Input: records of {le32 offset, le16 length, bytes}
 * that are laid over a small valid file; then the checksums are mended, so
 * that the bytes get past them.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/base/bounds.h"
#include "formats/base/dev_mem.h"
#include "formats/vhdx/vhdx_int.h"

#define DISK	(8u << 20)
#define LOG_OFF	(1u << 20)

static uint8_t *base;
static size_t base_len;

static void make_base(void)
{
	struct vhdx_create what = {
		.type = VHDX_DYNAMIC, .size = DISK, .block_size = VHDX_MIB,
	};
	struct dev *d;

	if (dev_mem_new(NULL, 0, &d) || vhdx_create(d, &what, NULL))
		abort();
	base_len = dev_size(d) + 2 * VHDX_MIB;
	base = calloc(1, base_len);
	if (!base || dev_read(d, base, dev_size(d), 0))
		abort();
	dev_close(d);
}

static void mend(uint8_t *p, size_t len, size_t at)
{
	le32_t crc = to_le32(vhdx_crc(p, len, at));

	memcpy(p + at, &crc, sizeof(crc));
}

static void mend_log(uint8_t *file)
{
	for (size_t pos = 0; pos < VHDX_MIB; pos += VHDX_PAGE) {
		uint8_t *e = file + LOG_OFF + pos;
		uint32_t len = le32_at(e + 8);

		if (!memcmp(e, "loge", 4) && len >= 64 &&
		    range_within(pos, len, VHDX_MIB))
			mend(e, len, 4);
	}
}

static void lay_over(uint8_t *file, const uint8_t *data, size_t size)
{
	while (size > 6) {
		uint32_t off = le32_at(data) % base_len;
		size_t len = le16_at(data + 4);

		data += 6;
		size -= 6;
		len = min_of(len, min_of(size, base_len - off));
		memcpy(file + off, data, len);
		data += len;
		size -= len;
	}
	for (int i = 0; i < 2; i++) {
		mend(file + VHDX_HEADER_OFF(i), VHDX_PAGE, 4);
		mend(file + VHDX_REGION_OFF(i), VHDX_KIB64, 4);
	}
	mend_log(file);
}

static void read_around(struct dev *d)
{
	static uint8_t buf[64 << 10];
	struct dev_run runs[8];
	uint64_t size = dev_size(d);

	for (int i = 0; i < 16; i++) {
		uint64_t off = size / 16 * (uint64_t)i;
		size_t n = (size_t)min_of((uint64_t)sizeof(buf), size - off);

		dev_read(d, buf, n, off);
		dev_map(d, off, size - off, runs, 8);
	}
}

static void maintain(struct vhdx *x)
{
	struct vhdx_relink to = { .relative = "a/b.vhdx" };
	struct guid id = { "0123456789abcdef" };
	uint64_t size = dev_size(vhdx_dev(x));

	vhdx_set_data_guid(x, &id, NULL);
	if (vhdx_info(x)->has_parent)
		vhdx_relink(x, &to, NULL);
	/* Large ones would only take memory. */
	if (size < 4 * DISK && vhdx_info(x)->block_size < DISK)
		dev_resize(vhdx_dev(x), size + 4096, NULL);
	vhdx_check(x, NULL, NULL, NULL);
}

/* A log may say that the file is 128 TiB long; ours is memory. */
static void write_around(struct vhdx *x)
{
	struct dev *d = vhdx_dev(x);
	uint64_t size = dev_size(d);

	if (dev_size(x->io) > 8 * base_len || dev_check_write(d, NULL) ||
	    dev_begin_write(d, NULL))
		return;
	dev_write(d, "hello", 5, size / 3);
	dev_zero(d, size / 2, min_of((uint64_t)DISK, size / 4), true);
	dev_flush(d);
	dev_write(d, "hello", 5, size - 5);
	read_around(d);
	maintain(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dev *file, *parent;
	struct diag why = DIAG_INIT;
	struct layer_run runs[8];
	struct vhdx *x;
	uint8_t *copy;

	if (!base)
		make_base();
	copy = malloc(base_len);
	memcpy(copy, base, base_len);
	lay_over(copy, data, size);
	if (dev_mem_new(copy, base_len, &file) ||
	    dev_mem_new(NULL, DISK / 2, &parent))
		abort();
	free(copy);
	parent->sector_size = 512;
	if (vhdx_open(file, NULL, &x, &why)) {
		dev_close(file);
	} else {
		vhdx_set_parent(x, parent, NULL);
		read_around(vhdx_dev(x));
		vhdx_layer(x, 0, dev_size(vhdx_dev(x)), runs, 8);
		vhdx_check(x, NULL, NULL, NULL);
		write_around(x);
		vhdx_close(x);
	}
	dev_close(parent);
	return 0;
}
