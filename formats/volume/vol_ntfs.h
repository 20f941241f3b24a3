/* SPDX-License-Identifier: GPL-3.0-or-later */
/* NTFS as a tree. */
#ifndef IMGFS_VOL_NTFS_H
#define IMGFS_VOL_NTFS_H

#include "formats/volume/volume.h"

/* As volume_open(), for a dev that holds NTFS. */
int vol_ntfs_open(struct dev *dev, const struct volume_opts *opts,
		  struct tree **out, struct diag *why);

#endif
