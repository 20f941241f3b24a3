/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/vhdx/vhdx.h"
#include "tests/c/mainttool.h"

#include <stdio.h>

static int m_open(struct dev *file, bool force, void **disk, struct diag *why)
{
	(void)force;
	return vhdx_open(file, NULL, (struct vhdx **)disk, why);
}

static void m_close(void *disk)
{
	vhdx_close(disk);
}

static struct dev *m_dev(void *disk)
{
	return vhdx_dev(disk);
}

static int m_set_parent(void *disk, struct dev *parent, struct diag *why)
{
	return vhdx_set_parent(disk, parent, why);
}

static int m_layer(void *disk, uint64_t off, uint64_t len,
		   struct layer_run *runs, int max)
{
	return vhdx_layer(disk, off, len, runs, max);
}

static int m_set_id(void *disk, const struct guid *id, struct diag *why)
{
	return vhdx_set_data_guid(disk, id, why);
}

static int m_relink(void *disk, const struct maint_relink *what,
		    struct diag *why)
{
	struct vhdx_relink r = {
		what->id, what->id2, what->relative, what->windows,
	};

	return vhdx_relink(disk, &r, why);
}

static int m_copy_items(void *disk, void *from, struct diag *why)
{
	return vhdx_copy_items(disk, from, why);
}

static int m_check(void *disk, finding_fn emit)
{
	struct vhdx_stats s;
	int ret = vhdx_check(disk, emit, NULL, &s);

	if (ret)
		return ret;
	for (int i = 0; i < 8; i++)
		printf("%llu ", (unsigned long long)s.blocks[i]);
	printf("bitmaps %llu allocated %llu unused %llu\n",
	       (unsigned long long)s.bitmap_blocks,
	       (unsigned long long)s.allocated_bytes,
	       (unsigned long long)s.unused);
	return 0;
}

const struct maint_ops maint_vhdx = {
	.open = m_open, .close = m_close, .dev = m_dev,
	.set_parent = m_set_parent, .layer = m_layer, .set_id = m_set_id,
	.relink = m_relink, .copy_items = m_copy_items,
	.check = m_check,
};
