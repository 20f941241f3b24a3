/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VHDX: naming another parent (FORMAT.md 8, 13.4). The disk's own identity
 * stays: its children do not notice. */
#include <stdlib.h>
#include <string.h>

#include "formats/vhdx/vhdx_int.h"

static const struct guid id_locator = VHDX_ITEM_LOCATOR;

static void keep_paths(const struct vhdx_info *info,
		       struct vhdx_locator_text *text)
{
	for (size_t i = 0; i < info->n_parents; i++) {
		const struct locator *l = &info->parents[i];

		if (l->kind == LOCATOR_RELATIVE)
			text->relative = l->path;
		else if (l->kind == LOCATOR_VOLUME)
			text->volume = l->path;
		else if (l->kind == LOCATOR_ABSOLUTE)
			text->absolute = l->path;
	}
}

int vhdx_relink(struct vhdx *x, const struct vhdx_relink *what,
		struct diag *why)
{
	struct vhdx_locator_text text = {
		.linkage = what->linkage ? what->linkage
					 : &x->info.parent_linkage,
		.linkage2 = what->linkage2,
		.relative = what->relative, .absolute = what->windows,
	};
	uint8_t *data;
	size_t len;
	int ret;

	if (!x->info.has_parent)
		return diag_fail_as(why, EINVAL, OUT_CHAIN,
				    "vhdx: not a differencing disk");
	ret = vhdx_settle(x, why);
	if (ret)
		return ret;
	if (!what->relative)
		keep_paths(&x->info, &text);
	ret = vhdx_locator_encode(&text, &data, &len, why);
	if (ret)
		return ret;
	ret = vhdx_stamp(x);
	if (ret)
		diag_fail(why, ret, "vhdx: cannot be written: %s",
			  strerror(-ret));
	else
		ret = vhdx_items_replace(x, &id_locator, data, len, why);
	free(data);
	return ret;
}
