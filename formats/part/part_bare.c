/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * File systems that own a whole disk. The boot sectors of NTFS, FAT and exFAT
 * end in 55AA like an MBR; and whole-disk ext4 (WSL's virtual disks) is what
 * "initialise disk" writes a young table onto.
 */
#include "formats/part/part_int.h"

#include <string.h>

#include "formats/base/bounds.h"

#define LOOK		512u

static const struct bare_magic {
	const char *name;
	uint32_t off;
	uint32_t len;
	const char *bytes;
} magics[] = {
	{ "NTFS", 3, 8, "NTFS    " },
	{ "exFAT", 3, 8, "EXFAT   " },
	{ "BitLocker", 3, 8, "-FVE-FS-" },
	{ "ReFS", 3, 5, "ReFS\0" },
	{ "FAT32", 0x52, 8, "FAT32   " },
	{ "FAT", 0x36, 8, "FAT16   " },
	{ "FAT", 0x36, 8, "FAT12   " },
	{ "FAT", 0x36, 8, "FAT     " },
	{ "XFS", 0, 4, "XFSB" },
	{ "LUKS", 0, 6, "LUKS\xba\xbe" },
	{ "squashfs", 0, 4, "hsqs" },
	{ "LVM", 512, 8, "LABELONE" },
	{ "ext", 1024 + 0x38, 2, "\x53\xef" },
	{ "swap", 4086, 10, "SWAPSPACE2" },
	{ "btrfs", 65600, 8, "_BHRfS_M" },
};

const char *part_bare_find(struct dev *disk, bool *in_first)
{
	for (size_t i = 0; i < ARRAY_LEN(magics); i++) {
		const struct bare_magic *m = &magics[i];
		uint8_t buf[16];

		if (!range_within(m->off, m->len, dev_size(disk)) ||
		    dev_read(disk, buf, m->len, m->off) ||
		    memcmp(buf, m->bytes, m->len))
			continue;
		*in_first = m->off < LOOK;
		return m->name;
	}
	return NULL;
}

/* The first copy lies in group 1, and says so; a group has as many blocks as
 * a block has bits. Blocks of 1 KiB begin at block 1. */
static const struct ext_copy {
	uint64_t at;
	uint32_t log_block;
} ext_copies[] = {
	{ 32768ULL * 4096, 2 },
	{ 8193ULL * 1024, 0 },
	{ 16384ULL * 2048, 1 },
};

static bool covered(const struct part_table *t, uint64_t at)
{
	for (size_t i = 0; i < t->n; i++)
		if (ranges_overlap(t->parts[i].off, t->parts[i].len, at, 1))
			return true;
	return false;
}

uint64_t part_bare_ext_copy(struct dev *disk, const struct part_table *t)
{
	for (size_t i = 0; i < ARRAY_LEN(ext_copies); i++) {
		uint64_t at = ext_copies[i].at;
		uint8_t sb[0x60];

		if (!range_within(at, sizeof(sb), dev_size(disk)) ||
		    covered(t, at) || dev_read(disk, sb, sizeof(sb), at))
			continue;
		if (le16_at(sb + 0x38) == 0xef53 && le16_at(sb + 0x5a) == 1 &&
		    le32_at(sb + 0x18) == ext_copies[i].log_block)
			return at / 1024;
	}
	return 0;
}
