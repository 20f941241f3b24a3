/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * imgctl check --repair: only what is provably safe, because it is in the file
 * twice. A VHD's footer and its copy, a VHDX's two headers, and a VHDX's log.
 * The disk's identity stays, so its children stay valid.
 */
#include <errno.h>
#include <string.h>

#include "formats/base/dev_file.h"
#include "formats/base/dev_mem.h"
#include "tools/imgctl_check.h"

/* Nothing of the disk's content is read, so any parent will do; it only must
 * have the sectors of its child. */
static int stand_in(const struct imgctl_leaf *l, struct dev **out,
		    struct diag *why)
{
	const struct dev *dev = imgctl_leaf_dev(l);
	int ret = dev_mem_new(NULL, dev->sector_size, out);

	if (ret)
		return diag_fail(why, ret, "out of memory");
	(*out)->sector_size = dev->sector_size;
	(*out)->phys_sector_size = dev->phys_sector_size;
	return l->vhd ? vhd_set_parent(l->vhd, *out, why)
		      : vhdx_set_parent(l->vhdx, *out, why);
}

static int repair_vhd(struct imgctl_check *k, struct vhd *v, struct diag *why)
{
	struct guid id = vhd_info(v)->id;
	bool differ = vhd_info(v)->footer_damaged || vhd_info(v)->copy_differs;
	int ret = dev_begin_write(vhd_dev(v), why);

	/* The same identity: both footers are written. */
	if (!ret)
		ret = vhd_set_id(v, &id, why);
	if (!ret && differ)
		imgctl_find(k, IMGCTL_NOTE, OUT_OK, "repair",
			    "repaired: the footer and its copy are the same");
	return ret;
}

static int repair_vhdx(struct imgctl_check *k, struct vhdx *x,
		       struct diag *why)
{
	struct guid id = vhdx_info(x)->data_write_guid;
	bool dirty = vhdx_info(x)->log_dirty;
	int ret = dev_begin_write(vhdx_dev(x), why);

	if (!ret)
		ret = vhdx_set_data_guid(x, &id, why);
	if (!ret && dirty)
		imgctl_find(k, IMGCTL_NOTE, OUT_OK, "repair",
			    "repaired: the log is replayed");
	return ret;
}

static bool wants_parent(const struct imgctl_leaf *l)
{
	return l->vhd ? vhd_info(l->vhd)->type == VHD_DIFFERENCING
		      : vhdx_info(l->vhdx)->has_parent;
}

/* A fixed VHD has one footer, and a raw disk none. */
static bool has_twins(const struct imgctl_leaf *l)
{
	return l->vhdx || (l->vhd && vhd_info(l->vhd)->type != VHD_FIXED);
}

int imgctl_repair(struct imgctl_check *k, struct diag *why)
{
	struct dev *parent = NULL;
	struct imgctl_leaf l;
	int ret = imgctl_leaf_open(k->c, k->c->files[0], true, &l, why);

	if (ret)
		return ret;
	if (has_twins(&l) && wants_parent(&l))
		ret = stand_in(&l, &parent, why);
	if (!ret && has_twins(&l)) {
		ret = l.vhd ? repair_vhd(k, l.vhd, why)
			    : repair_vhdx(k, l.vhdx, why);
		if (!ret && dev_flush(imgctl_leaf_dev(&l)))
			ret = diag_fail(why, EIO, "%s: cannot be written",
					k->c->files[0]);
	}
	imgctl_leaf_close(&l);
	dev_close(parent);
	return ret;
}
