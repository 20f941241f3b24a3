/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ext2, ext3 and ext4 volumes as trees. */
#ifndef IMGFS_VOL_EXT_H
#define IMGFS_VOL_EXT_H

#include "formats/volume/volume.h"

/* As volume_open(): dev outlives the tree. A dirty journal is replayed in
 * memory; nothing on dev changes before the first modification. */
int vol_ext_open(struct dev *dev, const struct volume_opts *opts,
		 struct tree **out, struct diag *why);

/* volume_free_ranges() for ext2, ext3 and ext4. */
int vol_ext_free_ranges(struct dev *dev, volume_free_fn fn, void *ctx,
			struct diag *why);

#endif
