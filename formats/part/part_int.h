/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the readers of MBR and GPT share. */
#ifndef IMGFS_PART_INT_H
#define IMGFS_PART_INT_H

#include "formats/part/part.h"
#include "formats/part/part_disk.h"

/* The longest chain of logical partitions that is followed: Linux shows no
 * more than 255 partitions of a disk. */
#define PART_LOGICAL_MAX 255u
/* Windows and sgdisk write 128 entries; large tables in the wild have a few
 * hundred. Keeps the array under 16 MiB and the overlap check quick. */
#define PART_ENTRIES_MAX 4096u
/* An entry is 128 * 2^n bytes; nobody has ever used n > 0. */
#define PART_ENTRY_SIZE_MAX 4096u
/* The whole array: 4096 entries of the usual size eight times over. */
#define PART_ARRAY_MAX (4u << 20)

struct part_scan {
	struct dev *disk;
	uint32_t sector;	/* bytes that the table counts in */
	uint64_t sectors;	/* of the disk */
	struct part_table *t;	/* parts are owned by it */
	size_t room;
};

/* Adds to the table's note, cut where it is full. */
void part_note(struct part_scan *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Adds p, whose place is first and count in sectors: 0, also when it is left
 * out with a note (outside the disk, overlapping), or -ENOMEM. */
int part_add(struct part_scan *s, struct part *p, uint64_t first,
	     uint64_t count);

/* What the first sector says as an MBR. */
struct part_mbr {
	struct mbr_disk raw;
	bool table;		/* boot signature, and every boot flag is one */
	bool protective;	/* an entry of type EE */
	unsigned good, bad;	/* other entries: inside the disk, or not */
};

int part_mbr_read(struct part_scan *s, struct part_mbr *out);
int part_mbr_load(struct part_scan *s, const struct part_mbr *mbr);

/* Fills the table from the first header, or from the backup when use_backup
 * and the first is damaged. ERR_CORRUPT: neither is whole; ERR_NOT_THIS: there
 * is no trace of one. Sets s->sector to what the table was made for. */
int part_gpt_load(struct part_scan *s, bool use_backup, struct diag *why);

/* The file system that owns the whole disk by its signature at the start, as
 * a word for people, or NULL. in_first: the signature is in sector 0, where a
 * table would also be. A place that can't be read has no signature: it must
 * not hide a table that can be. */
const char *part_bare_find(struct dev *disk, bool *in_first);
/* Where, outside all partitions of t, a copy of an ext superblock lies whose
 * file system began at the disk's start: in KiB as sb= counts, or 0. */
uint64_t part_bare_ext_copy(struct dev *disk, const struct part_table *t);

#endif
