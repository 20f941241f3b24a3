/* SPDX-License-Identifier: GPL-3.0-or-later */
/* imgctl relink: a child learns where its parent is now. What the parent holds
 * is not looked at: its identity is what counts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/bounds.h"
#include "tools/imgctl.h"

struct relink {
	struct imgctl *c;
	struct imgctl_leaf child, parent;
	const char *parent_path;
	char *relative;			/* owned */
	const char *windows;
	struct diag *why;
};

static int open_both(struct relink *r)
{
	struct imgctl *c = r->c;
	char real[4096];
	int ret;

	if (c->disk.n_parents != 1)
		return diag_fail(r->why, EINVAL, "which parent? --parent NEW");
	if (!realpath(c->parents[0], real))
		return diag_fail(r->why, errno, "%s: %s", c->parents[0],
				 strerror(errno));
	r->parent_path = c->parents[0];
	ret = imgctl_leaf_open(c, real, false, &r->parent, r->why);
	if (!ret)
		ret = imgctl_not_merging(real, r->why);
	if (!ret)
		ret = imgctl_leaf_open(c, c->files[0], true, &r->child,
				       r->why);
	if (ret)
		return ret;
	r->relative = imgctl_relative(c->files[0], real);
	return r->relative ? 0 : diag_fail(r->why, ENOMEM, "out of memory");
}

static int wrong(struct relink *r, const char *has, const char *wants)
{
	return diag_fail_as(r->why, ESTALE, OUT_CHAIN, "%s: has id %s, but %s "
			    "was made from %s (--force takes it nevertheless)",
			    r->parent_path, has, r->c->files[0], wants);
}

/* NULL in *id: it fits. Else what the child has to name from now on. */
static int judge_vhd(struct relink *r, const struct guid **id)
{
	const struct vhd_info *child = vhd_info(r->child.vhd);
	const struct vhd_info *parent = vhd_info(r->parent.vhd);
	char has[GUID_TEXT], wants[GUID_TEXT];

	*id = NULL;
	if (guid_eq(&child->parent_id, &parent->id))
		return 0;
	if (!r->c->force)
		return wrong(r, guid_format_be(&parent->id, has),
			     guid_format_be(&child->parent_id, wants));
	*id = &parent->id;
	return 0;
}

static int judge_vhdx(struct relink *r, const struct guid **id)
{
	const struct vhdx_info *child = vhdx_info(r->child.vhdx);
	const struct guid *has = &vhdx_info(r->parent.vhdx)->data_write_guid;
	char text[2][GUID_TEXT];

	*id = NULL;
	if (guid_eq(&child->parent_linkage, has) ||
	    (!guid_is_zero(&child->parent_linkage2) &&
	     guid_eq(&child->parent_linkage2, has)))
		return 0;
	if (!r->c->force)
		return wrong(r, guid_format(has, text[0]),
			     guid_format(&child->parent_linkage, text[1]));
	*id = has;
	return 0;
}

static int relink_vhd(struct relink *r)
{
	struct vhd_relink what = {
		.relative = r->relative, .windows = r->windows,
	};
	int ret;

	if (!r->parent.vhd || vhd_info(r->child.vhd)->type != VHD_DIFFERENCING)
		return diag_fail(r->why, EINVAL, "%s: %s", r->parent.vhd
				 ? r->c->files[0] : r->parent_path,
				 r->parent.vhd ? "has no parent" : "is no VHD");
	ret = judge_vhd(r, &what.parent_id);
	if (!ret)
		ret = vhd_set_parent(r->child.vhd, vhd_dev(r->parent.vhd),
				     r->why);
	if (!ret)
		ret = dev_begin_write(vhd_dev(r->child.vhd), r->why);
	return ret ? ret : vhd_relink(r->child.vhd, &what, r->why);
}

static int relink_vhdx(struct relink *r)
{
	const struct vhdx_info *child = vhdx_info(r->child.vhdx);
	/* The second linkage stays as long as the first one does. */
	struct vhdx_relink what = {
		.relative = r->relative, .windows = r->windows,
	};
	int ret;

	if (!r->parent.vhdx || !child->has_parent)
		return diag_fail(r->why, EINVAL, "%s: %s", r->parent.vhdx
				 ? r->c->files[0] : r->parent_path,
				 r->parent.vhdx ? "has no parent"
				 : "is no VHDX");
	ret = judge_vhdx(r, &what.linkage);
	if (ret)
		return ret;
	if (!what.linkage && !guid_is_zero(&child->parent_linkage2))
		what.linkage2 = &child->parent_linkage2;
	ret = vhdx_set_parent(r->child.vhdx, vhdx_dev(r->parent.vhdx), r->why);
	if (!ret)
		ret = dev_begin_write(vhdx_dev(r->child.vhdx), r->why);
	return ret ? ret : vhdx_relink(r->child.vhdx, &what, r->why);
}

static int relink(struct relink *r)
{
	int ret;

	if (!r->child.vhd && !r->child.vhdx)
		return diag_fail(r->why, EINVAL, "%s: a raw disk has no parent",
				 r->c->files[0]);
	if (dev_size(imgctl_leaf_dev(&r->parent)) >
	    dev_size(imgctl_leaf_dev(&r->child)) && !r->c->force)
		return diag_fail_as(r->why, ESTALE, OUT_CHAIN, "%s: is larger "
				    "than its child", r->parent_path);
	ret = r->child.vhd ? relink_vhd(r) : relink_vhdx(r);
	if (!ret)
		ret = dev_flush(imgctl_leaf_dev(&r->child));
	return ret;
}

static int run(struct imgctl *c, void *arg)
{
	struct diag why = DIAG_INIT;
	struct relink r = { .c = c, .windows = *(const char **)arg,
			    .why = &why };
	int ret = open_both(&r);

	if (!ret)
		ret = relink(&r);
	free(r.relative);
	imgctl_leaf_close(&r.child);
	imgctl_leaf_close(&r.parent);
	if (!ret)
		return OUT_OK;
	if (!why.code)
		diag_fail(&why, ret, "%s: %s", c->files[0], strerror(-ret));
	return imgctl_fail(c, &why);
}

int imgctl_relink(struct imgctl *c, int argc, char **argv)
{
	static const struct imgctl_form forms[] = { { NULL, run } };
	const char *windows = NULL;
	const struct imgctl_opt own[] = {
		{ "windows", IMGCTL_TEXT, &windows },
		{ NULL, IMGCTL_FLAG, NULL },
	};
	struct diag why = DIAG_INIT;
	int ret = imgctl_args(c, argc, argv, own, 1, 1, &why);

	if (ret == 1)
		return OUT_OK;
	return ret ? imgctl_fail(c, &why)
		   : imgctl_by_content(forms, ARRAY_LEN(forms), c, &windows);
}
