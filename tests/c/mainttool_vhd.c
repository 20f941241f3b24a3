/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/vhd/vhd.h"
#include "tests/c/mainttool.h"

#include <stdio.h>

static int m_open(struct dev *file, bool force, void **disk, struct diag *why)
{
	struct vhd_opts opts = { .force = force };

	return vhd_open(file, &opts, (struct vhd **)disk, why);
}

static void m_close(void *disk)
{
	vhd_close(disk);
}

static struct dev *m_dev(void *disk)
{
	return vhd_dev(disk);
}

static int m_set_parent(void *disk, struct dev *parent, struct diag *why)
{
	return vhd_set_parent(disk, parent, why);
}

static int m_layer(void *disk, uint64_t off, uint64_t len,
		   struct layer_run *runs, int max)
{
	return vhd_layer(disk, off, len, runs, max);
}

static int m_set_id(void *disk, const struct guid *id, struct diag *why)
{
	return vhd_set_id(disk, id, why);
}

static int m_relink(void *disk, const struct maint_relink *what,
		    struct diag *why)
{
	struct vhd_relink r = { what->id, what->relative, what->windows };

	return vhd_relink(disk, &r, why);
}

static int m_check(void *disk, finding_fn emit)
{
	struct vhd_stats s;
	int ret = vhd_check(disk, emit, NULL, &s);

	if (!ret)
		printf("blocks %llu allocated %llu full %llu partial %llu "
		       "data %llu unused %llu\n",
		       (unsigned long long)s.blocks,
		       (unsigned long long)s.allocated,
		       (unsigned long long)s.full,
		       (unsigned long long)s.partial,
		       (unsigned long long)s.data_bytes,
		       (unsigned long long)s.unused);
	return ret;
}

const struct maint_ops maint_vhd = {
	.open = m_open, .close = m_close, .dev = m_dev,
	.set_parent = m_set_parent, .layer = m_layer, .set_id = m_set_id,
	.relink = m_relink, .check = m_check,
};
