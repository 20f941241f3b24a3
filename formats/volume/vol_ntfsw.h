/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * NTFS by libntfs-3g: a complete tree, reading and writing, that takes turns.
 * vol_ntfs.c uses it from the first modification on; it also stands alone.
 */
#ifndef IMGFS_VOL_NTFSW_H
#define IMGFS_VOL_NTFSW_H

#include "formats/volume/volume.h"

/*
 * Opens without changing anything. outer is the tree whose handles count for
 * tree_is_open(); NULL: the tree itself. *out->writable tells whether the dev
 * allows writing; whether the volume does is check_write's answer.
 */
int vol_ntfsw_open(struct dev *dev, const struct volume_opts *opts,
		   struct tree *outer, struct tree **out, struct diag *why);

#endif
