/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which volume of a disk the user means. */
#ifndef IMGFS_VOLUME_SELECT_H
#define IMGFS_VOLUME_SELECT_H

#include "formats/part/part.h"
#include "formats/volume/volume.h"

struct volume_choice {
	unsigned number;	/* of the partition; 0: the whole disk */
	struct dev *dev;	/* a slice of the disk; the caller's to close
				 * before the disk */
	struct volume_info info;
};

/*
 * want is one of
 *	auto (or NULL)	the only mountable volume, or the largest
 *	N		partition N, whatever it holds
 *	label:X		the label of the volume, or the name in the GPT
 *	uuid:X		the id of the volume, or PARTUUID
 *	type:X		ntfs, ext4 ... as volume_probe() calls it
 *	whole		the disk without looking at its table
 * Labels are compared as they are, then without regard to ASCII case. Where
 * several fit, the only mountable one is meant. -ENOENT: none fits, and the
 * sentence lists what there is; -EINVAL: several fit, or want is none of
 * these. N, label:, uuid: and whole may choose what volume_open() refuses.
 */
int volume_select(struct dev *disk, const struct part_table *t,
		  const char *want, struct volume_choice *out,
		  struct diag *why);

/* "1: vfat "EFI" 100.0 MiB, 2: ntfs 59.4 GiB" into text, cut where it is
 * full. */
int volume_list(struct dev *disk, const struct part_table *t, char *text,
		size_t size, struct diag *why);

#endif
