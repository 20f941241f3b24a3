/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How much of one file of a chain is what. */
#include "tools/imgctl_info.h"

/* Each block of a VHD has its bitmap before it: counting those of more than
 * 128 GiB takes longer than anybody wants to wait for a look. */
#define VHD_BLOCKS_MAX (1u << 16)

static void set(json_t *j, const char *key, uint64_t value)
{
	json_object_set_new(j, key, imgctl_json_u64(value));
}

static void vhd_blocks(json_t *j, struct vhd *v)
{
	const struct vhd_info *info = vhd_info(v);
	json_t *blocks = json_object();
	struct vhd_stats st;

	json_object_set_new(j, "blocks", blocks);
	if (!info->block_size ||
	    info->size / info->block_size > VHD_BLOCKS_MAX ||
	    vhd_check(v, NULL, NULL, &st))
		return;
	set(blocks, "full", st.full);
	set(blocks, "partial", st.partial);
	set(blocks, "absent", st.blocks - st.allocated);
	set(j, "unused_bytes", st.unused);
}

static void vhdx_blocks(json_t *j, struct vhdx *x)
{
	/* By state, VHDX FORMAT.md 6.1; 4 and 5 do not exist. */
	static const char *const names[8] = {
		"absent", "undefined", "zero", "unmapped", NULL, NULL, "full",
		"partial",
	};
	json_t *blocks = json_object();
	struct vhdx_stats st;

	json_object_set_new(j, "blocks", blocks);
	if (vhdx_check(x, NULL, NULL, &st))
		return;
	for (int i = 0; i < 8; i++)
		if (names[i])
			set(blocks, names[i], st.blocks[i]);
	set(j, "unused_bytes", st.unused);
}

void imgctl_info_blocks(json_t *j, const struct imgctl_leaf *l)
{
	if (l->vhd)
		vhd_blocks(j, l->vhd);
	else if (l->vhdx)
		vhdx_blocks(j, l->vhdx);
}
