/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One file's own structure: what opening it already told, and its tables. */
#include <errno.h>
#include <string.h>

#include "formats/base/dev_file.h"
#include "tools/imgctl_check.h"

static void check_vhd(struct imgctl_check *k, const struct imgctl_leaf *l)
{
	const struct vhd_info *info = vhd_info(l->vhd);
	const char *path = dev_file_path(l->file);

	if (info->footer_damaged)
		imgctl_find(k, IMGCTL_WARNING, OUT_OK, "footer", "%s: the "
			    "footer at the end is damaged, its copy is used "
			    "(--repair writes it)", path);
	if (info->copy_differs)
		imgctl_find(k, IMGCTL_WARNING, OUT_OK, "footer", "%s: the "
			    "footer and its copy differ (--repair copies the "
			    "footer)", path);
	if (info->saved_state)
		imgctl_find(k, IMGCTL_NOTE, OUT_OK, "footer", "%s: belongs to "
			    "a virtual machine in saved state", path);
}

static void check_vhdx(struct imgctl_check *k, const struct imgctl_leaf *l)
{
	const struct vhdx_info *info = vhdx_info(l->vhdx);

	if (info->log_dirty)
		imgctl_find(k, IMGCTL_WARNING, OUT_OK, "log", "%s: not closed "
			    "cleanly: %u log entries to replay (--repair "
			    "does)", dev_file_path(l->file),
			    info->log_entries);
}

/* Every entry of the tables is decoded once. */
static void walk_tables(struct imgctl_check *k, const struct imgctl_leaf *l)
{
	uint64_t size = dev_size(imgctl_leaf_dev(l));

	for (uint64_t off = 0; off < size;) {
		struct layer_run runs[64];
		int n = l->vhd ? vhd_layer(l->vhd, off, size - off, runs, 64)
			: vhdx_layer(l->vhdx, off, size - off, runs, 64);

		if (n <= 0) {
			imgctl_find(k, IMGCTL_ERROR,
				    outcome_of_errno(n ? n : -EIO), "table",
				    "%s: block at %llu: %s",
				    dev_file_path(l->file),
				    (unsigned long long)off,
				    strerror(n ? -n : EIO));
			return;
		}
		for (int i = 0; i < n; i++)
			off += runs[i].len;
	}
}

void imgctl_check_structure(struct imgctl_check *k, struct imgctl_leaf *l)
{
	if (l->vhd)
		check_vhd(k, l);
	else if (l->vhdx)
		check_vhdx(k, l);
	else
		return;
	walk_tables(k, l);
}
