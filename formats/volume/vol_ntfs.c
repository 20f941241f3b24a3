/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/volume/vol_ntfs.h"

#include "formats/volume/vol_ntfsw.h"

int vol_ntfs_open(struct dev *dev, const struct volume_opts *opts,
		  struct tree **out, struct diag *why)
{
	struct diag reason = DIAG_INIT;
	struct tree *t;
	int ret = vol_ntfsw_open(dev, opts, NULL, &t, why);

	if (ret)
		return ret;
	if (t->writable && tree_check_write(t, &reason)) {
		t->writable = false;
		if (opts->warn)
			opts->warn(opts->warn_ctx, reason.text);
	}
	*out = t;
	return 0;
}
