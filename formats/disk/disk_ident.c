/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who is whose parent: VHD FORMAT.md 7.3, VHDX FORMAT.md 8. */
#include <stdio.h>

#include "formats/disk/disk_int.h"

const char *disk_format_name(enum disk_format format)
{
	return format == DISK_VHD ? "VHD" : format == DISK_VHDX ? "VHDX"
	       : "raw disk";
}

bool disk_node_wants_parent(const struct disk_node *node)
{
	if (node->vhd)
		return vhd_info(node->vhd)->type == VHD_DIFFERENCING;
	return node->vhdx && vhdx_info(node->vhdx)->has_parent;
}

static bool linkage_fits(const struct guid *linkage, const struct guid *id)
{
	return !guid_is_zero(linkage) && guid_eq(linkage, id);
}

bool disk_node_fits(const struct disk_node *child,
		    const struct disk_node *parent)
{
	if (child->vhdx) {
		const struct vhdx_info *info = vhdx_info(child->vhdx);
		const struct guid *id;

		if (!parent->vhdx)
			return false;
		id = &vhdx_info(parent->vhdx)->data_write_guid;
		return linkage_fits(&info->parent_linkage, id) ||
		       linkage_fits(&info->parent_linkage2, id);
	}
	/* tapdisk's way to say that the parent is a raw disk. */
	if (guid_is_zero(&vhd_info(child->vhd)->parent_id))
		return parent->pub.format == DISK_RAW;
	return parent->vhd && guid_eq(&vhd_info(child->vhd)->parent_id,
				      &vhd_info(parent->vhd)->id);
}

void disk_node_wanted_id(const struct disk_node *child, char *buf, size_t size)
{
	char one[GUID_TEXT], two[GUID_TEXT];
	const struct vhdx_info *info;

	if (child->vhd) {
		guid_format_be(&vhd_info(child->vhd)->parent_id, one);
		snprintf(buf, size, "%s", one);
		return;
	}
	info = vhdx_info(child->vhdx);
	guid_format(&info->parent_linkage, one);
	guid_format(&info->parent_linkage2, two);
	if (guid_is_zero(&info->parent_linkage2))
		snprintf(buf, size, "%s", one);
	else
		snprintf(buf, size, "%s or %s", one, two);
}

const struct locator *disk_node_locators(const struct disk_node *node,
					 size_t *n)
{
	if (node->vhd) {
		*n = vhd_info(node->vhd)->n_parents;
		return vhd_info(node->vhd)->parents;
	}
	*n = vhdx_info(node->vhdx)->n_parents;
	return vhdx_info(node->vhdx)->parents;
}
