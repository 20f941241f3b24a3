/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Partition tables as they lie on disk: the classic PC one, and GPT (UEFI
 * specification, chapter 5). */
#ifndef IMGFS_PART_DISK_H
#define IMGFS_PART_DISK_H

#include <stddef.h>

#include "formats/base/endian.h"
#include "formats/base/guid.h"

#define MBR_MAGIC	0xaa55u
#define MBR_ENTRIES	4u
#define MBR_BOOTABLE	0x80u
#define MBR_EXTENDED	0x05u
#define MBR_EXTENDED_LBA 0x0fu
#define MBR_EXTENDED_LINUX 0x85u
#define MBR_DYNAMIC	0x42u
#define MBR_PROTECTIVE	0xeeu

struct mbr_entry_disk {
	uint8_t boot;
	uint8_t chs_first[3];
	uint8_t type;
	uint8_t chs_last[3];
	le32_t first;		/* sectors; logical ones: from the EBR */
	le32_t count;
};
static_assert(sizeof(struct mbr_entry_disk) == 16, "MBR entry");

/* An EBR is the same without a signature. */
struct mbr_disk {
	uint8_t code[440];
	le32_t signature;
	uint8_t reserved[2];
	struct mbr_entry_disk entries[MBR_ENTRIES];
	le16_t magic;
};
static_assert(sizeof(struct mbr_disk) == 512, "MBR");
static_assert(offsetof(struct mbr_disk, signature) == 0x1b8, "MBR");
static_assert(offsetof(struct mbr_disk, entries) == 0x1be, "MBR");

#define GPT_SIGNATURE	"EFI PART"
#define GPT_HEADER_MIN	92u
#define GPT_ENTRY_MIN	128u

struct gpt_header_disk {
	uint8_t signature[8];
	le32_t revision;
	le32_t header_size;
	le32_t header_crc;	/* over header_size bytes, itself zero */
	le32_t reserved;
	le64_t my_lba;
	le64_t alternate_lba;
	le64_t first_usable;
	le64_t last_usable;
	struct guid disk_id;
	le64_t entries_lba;
	le32_t n_entries;
	le32_t entry_size;
	le32_t entries_crc;
};
static_assert(sizeof(struct gpt_header_disk) == GPT_HEADER_MIN, "GPT header");
static_assert(offsetof(struct gpt_header_disk, my_lba) == 24, "GPT header");
static_assert(offsetof(struct gpt_header_disk, entries_lba) == 72, "GPT");
static_assert(offsetof(struct gpt_header_disk, entries_crc) == 88, "GPT");

#define GPT_NAME_UNITS	36u

struct gpt_entry_disk {
	struct guid type;	/* zero: unused */
	struct guid id;
	le64_t first;
	le64_t last;		/* inclusive */
	le64_t attributes;
	le16_t name[GPT_NAME_UNITS];
};
static_assert(sizeof(struct gpt_entry_disk) == GPT_ENTRY_MIN, "GPT entry");
static_assert(offsetof(struct gpt_entry_disk, name) == 56, "GPT entry");

#endif
