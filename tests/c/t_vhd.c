/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VHD without memory: the n-th allocation fails, for every n. Nothing leaks,
 * and what was flushed before is there. And the hot path: a full block is
 * found without reading the file.
 */
#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/base/dev_mem.h"
#include "formats/vhd/vhd.h"
#include "tests/c/check.h"

#define SIZE (8u << 20)

/* A dev that stays when the disk on it is closed. */
struct keeper {
	struct dev dev;
	struct dev *base;
	unsigned reads;
};

static struct keeper *keeper_of(struct dev *dev)
{
	return container_of(dev, struct keeper, dev);
}

static void keeper_close(struct dev *dev)
{
}

static int keeper_read(struct dev *dev, void *buf, size_t len, uint64_t off)
{
	keeper_of(dev)->reads++;
	return dev_read(keeper_of(dev)->base, buf, len, off);
}

static int keeper_write(struct dev *dev, const void *buf, size_t len,
			uint64_t off)
{
	return dev_write(keeper_of(dev)->base, buf, len, off);
}

static int keeper_resize(struct dev *dev, uint64_t size, struct diag *why)
{
	int ret = dev_resize(keeper_of(dev)->base, size, why);

	if (!ret)
		dev_set_size(dev, size);
	return ret;
}

static const struct dev_ops keeper_ops = {
	.name = "keeper",
	.close = keeper_close,
	.read = keeper_read,
	.write = keeper_write,
	.resize = keeper_resize,
};

static void keep(struct keeper *k, struct dev *base)
{
	k->base = base;
	k->reads = 0;
	k->dev = (struct dev) {
		.ops = &keeper_ops, .size = dev_size(base),
		.sector_size = 512, .phys_sector_size = 512,
		.writable = true, .writing = true,
	};
}

static struct dev *new_file(void)
{
	struct dev *file = NULL;

	CHECK_INT(dev_mem_new(NULL, 0, &file), 0);
	return file;
}

/* A dynamic parent with one block, and a child of it. */
static void make_chain(struct dev *parent, struct dev *child)
{
	struct vhd_create what = { .type = VHD_DYNAMIC, .size = SIZE };
	struct diag why = DIAG_INIT;
	struct keeper k;
	struct vhd *v;

	CHECK_INT(vhd_create(parent, &what, &why), 0);
	keep(&k, parent);
	CHECK_INT(vhd_open(&k.dev, NULL, &v, &why), 0);
	what = (struct vhd_create) {
		.type = VHD_DIFFERENCING, .parent = vhd_info(v),
		.parent_relative = "p.vhd",
	};
	CHECK_INT(vhd_create(child, &what, &why), 0);
	CHECK_INT(dev_begin_write(vhd_dev(v), &why), 0);
	CHECK_INT(dev_write(vhd_dev(v), "parent", 6, 3u << 20), 0);
	CHECK_INT(dev_flush(vhd_dev(v)), 0);
	vhd_close(v);
}

/* Everything that can run out of memory; 0 when nothing did. */
static int use(struct dev *parent, struct dev *child, bool *flushed)
{
	struct diag why = DIAG_INIT;
	struct keeper kp, kc;
	struct vhd *p = NULL, *c = NULL;
	char buf[6];
	int ret;

	keep(&kp, parent);
	keep(&kc, child);
	ret = vhd_open(&kp.dev, NULL, &p, &why);
	if (!ret)
		ret = vhd_open(&kc.dev, NULL, &c, &why);
	if (!ret)
		ret = vhd_set_parent(c, vhd_dev(p), &why);
	if (!ret)
		ret = dev_read(vhd_dev(c), buf, sizeof(buf), 3u << 20);
	if (!ret)
		ret = dev_begin_write(vhd_dev(c), &why);
	if (!ret)
		ret = dev_write(vhd_dev(c), "child", 5, (3u << 20) + 100);
	if (!ret)
		ret = dev_flush(vhd_dev(c));
	*flushed = !ret;
	if (!ret)
		ret = dev_zero(vhd_dev(c), 3u << 20, 3, false);
	vhd_close(c);
	vhd_close(p);
	return ret;
}

static void check_content(struct dev *parent, struct dev *child, bool flushed)
{
	struct diag why = DIAG_INIT;
	struct keeper kp, kc;
	struct vhd *p, *c;
	char buf[105];

	keep(&kp, parent);
	keep(&kc, child);
	CHECK_INT(vhd_open(&kp.dev, NULL, &p, &why), 0);
	CHECK_INT(vhd_open(&kc.dev, NULL, &c, &why), 0);
	CHECK_INT(vhd_set_parent(c, vhd_dev(p), &why), 0);
	CHECK_INT(dev_read(vhd_dev(c), buf, sizeof(buf), 3u << 20), 0);
	CHECK(!memcmp(buf, "parent", 6) || !memcmp(buf, "\0\0\0ent", 6));
	if (flushed)
		CHECK(!memcmp(buf + 100, "child", 5));
	CHECK_INT(dev_begin_write(vhd_dev(c), &why), 0);
	vhd_close(c);
	vhd_close(p);
}

/* 1 MiB in a full block is one run, two blocks are two runs. */
static void check_hot_map(void)
{
	struct dev *parent = new_file(), *child = new_file();
	struct diag why = DIAG_INIT;
	struct dev_run runs[4];
	struct keeper k;
	struct vhd *v;
	char byte;

	make_chain(parent, child);
	keep(&k, parent);
	CHECK_INT(vhd_open(&k.dev, NULL, &v, &why), 0);
	CHECK_INT(dev_map(vhd_dev(v), 2u << 20, 4096, runs, 4), 1);
	k.reads = 0;
	CHECK_INT(dev_map(vhd_dev(v), 2u << 20, 1u << 20, runs, 4), 1);
	CHECK_INT(runs[0].len, 1u << 20);
	CHECK(runs[0].kind != DEV_RUN_ZERO);
	CHECK_INT(dev_map(vhd_dev(v), 0, 8u << 20, runs, 4), 3);
	CHECK_INT(runs[0].len, 2u << 20);
	CHECK_INT(runs[1].len, 2u << 20);
	CHECK(runs[0].kind == DEV_RUN_ZERO && runs[2].kind == DEV_RUN_ZERO);
	CHECK_INT(k.reads, 0);
	CHECK_INT(dev_read(vhd_dev(v), &byte, 1, 3u << 20), 0);
	CHECK_INT(k.reads, 1);
	vhd_close(v);
	dev_close(parent);
	dev_close(child);
}

int main(void)
{
	bool flushed = false;
	unsigned long n = 0;
	int ret;

	do {
		struct dev *parent = new_file(), *child = new_file();

		make_chain(parent, child);
		mem_fail_nth(++n);
		ret = use(parent, child, &flushed);
		mem_fail_nth(0);
		CHECK(!ret || ret == -ENOMEM);
		check_content(parent, child, flushed);
		dev_close(parent);
		dev_close(child);
	} while (ret);
	CHECK(n > 10 && flushed);
	check_hot_map();
	return 0;
}
