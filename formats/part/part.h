/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Partition tables: MBR with logical partitions, GPT with its backup, or none.
 * They are only read. Sector size is the disk's (512 or 4096).
 */
#ifndef IMGFS_PART_H
#define IMGFS_PART_H

#include "formats/base/dev.h"
#include "formats/base/guid.h"

enum part_scheme { PART_NONE, PART_MBR, PART_GPT };

struct part {
	unsigned number;	/* as Linux counts: 1.., logical from 5 */
	uint64_t off, len;	/* bytes, inside the disk */
	uint8_t mbr_type;	/* MBR */
	struct guid type, id;	/* GPT; zero for MBR */
	char uuid[40];		/* PARTUUID as blkid shows it; may be empty */
	char label[36 * 3 + 1];	/* GPT name, UTF-8 */
};

struct part_table {
	enum part_scheme scheme;
	bool backup_used;	/* GPT: the first header was damaged */
	struct part *parts;	/* owned, ascending number */
	size_t n;
	char note[200];		/* oddities worth a warning, or empty */
};

/* PART_NONE when there is no table (a bare file system). Entries that lie
 * outside the disk or overlap an earlier one are left out and told in note;
 * the extended partition itself is not listed. ERR_CORRUPT when both GPT
 * headers are damaged and nothing else owns the disk. MBR: the classic layout
 * as Linux reads it; GPT: UEFI specification 5.3. */
int part_load(struct dev *disk, struct part_table *out, struct diag *why);
void part_free(struct part_table *t);

#endif
