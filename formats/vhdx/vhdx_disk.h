/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The bytes of a VHDX file (FORMAT.md 2-9): layouts, identifiers, limits. */
#ifndef IMGFS_VHDX_DISK_H
#define IMGFS_VHDX_DISK_H

#include <assert.h>
#include <stddef.h>

#include "formats/base/endian.h"
#include "formats/base/guid.h"

#define VHDX_KIB64	(64u << 10)
#define VHDX_MIB	(1u << 20)
#define VHDX_PAGE	4096u		/* the unit of the log */

#define VHDX_HEADER_OFF(copy)	((uint64_t)VHDX_KIB64 * (1 + (copy)))
#define VHDX_REGION_OFF(copy)	((uint64_t)VHDX_KIB64 * (3 + (copy)))

/* Limits: the first three are the format's, the rest judgements of 11.3. */
#define VHDX_SIZE_MAX		(64ULL << 40)
#define VHDX_REGIONS_MAX	2047u
#define VHDX_ITEMS_MAX		2047u
#define VHDX_ITEM_LEN_MAX	VHDX_MIB
#define VHDX_LOG_MAX		(1u << 30)	/* what OpenVMM accepts */
#define VHDX_META_MAX		(128u << 20)	/* what OpenVMM accepts */
#define VHDX_BAT_MAX		(513u << 20)	/* 64 TiB in 1 MiB blocks */
#define VHDX_LOCATOR_MAX	(64u << 10)	/* text of three paths */
#define VHDX_LOCATOR_PAIRS	256u
#define VHDX_FILE_MAX		(1ULL << 47)	/* twice the largest disk */

struct vhdx_disk_id {
	uint8_t sig[8];			/* "vhdxfile" */
	uint8_t creator[512];		/* UTF-16LE */
};
static_assert(sizeof(struct vhdx_disk_id) == 520, "file type identifier");

struct vhdx_disk_header {
	uint8_t sig[4];			/* "head" */
	le32_t crc;
	le64_t seq;
	struct guid file_write, data_write, log;
	le16_t log_version, version;
	le32_t log_length;
	le64_t log_offset;
	uint8_t reserved[4016];
};
static_assert(sizeof(struct vhdx_disk_header) == 4096, "header");
static_assert(offsetof(struct vhdx_disk_header, log_offset) == 72, "header");

struct vhdx_disk_regions {
	uint8_t sig[4];			/* "regi" */
	le32_t crc;
	le32_t count;
	le32_t reserved;
};
static_assert(sizeof(struct vhdx_disk_regions) == 16, "region table");

#define VHDX_REGION_REQUIRED	1u

struct vhdx_disk_region {
	struct guid id;
	le64_t off;
	le32_t len;
	le32_t flags;
};
static_assert(sizeof(struct vhdx_disk_region) == 32, "region entry");

struct vhdx_disk_meta {
	uint8_t sig[8];			/* "metadata" */
	le16_t reserved;
	le16_t count;
	uint8_t reserved2[20];
};
static_assert(sizeof(struct vhdx_disk_meta) == 32, "metadata table");

#define VHDX_ITEM_USER		1u
#define VHDX_ITEM_VIRTUAL	2u
#define VHDX_ITEM_REQUIRED	4u

struct vhdx_disk_item {
	struct guid id;
	le32_t off;			/* from the region's start */
	le32_t len;
	le32_t flags;
	le32_t reserved;
};
static_assert(sizeof(struct vhdx_disk_item) == 32, "metadata entry");

#define VHDX_PARAM_LEAVE_ALLOCATED	1u
#define VHDX_PARAM_HAS_PARENT		2u

struct vhdx_disk_params {
	le32_t block_size;
	le32_t flags;
};
static_assert(sizeof(struct vhdx_disk_params) == 8, "file parameters");

struct vhdx_disk_locator {
	struct guid type;
	le16_t reserved;
	le16_t count;
};
static_assert(sizeof(struct vhdx_disk_locator) == 20, "locator");

struct vhdx_disk_pair {
	le32_t key_off, value_off;	/* from the item's start */
	le16_t key_len, value_len;	/* bytes */
};
static_assert(sizeof(struct vhdx_disk_pair) == 12, "locator entry");

/* A BAT entry: state in bits 0-2, MiB number from bit 20 on. */
#define VHDX_BAT_STATE		7ull
#define VHDX_BAT_RESERVED	0xffff8ull
#define VHDX_BAT_OFF		(~0xfffffull)

enum vhdx_state {
	VHDX_NOT_PRESENT, VHDX_UNDEFINED, VHDX_ZERO, VHDX_UNMAPPED,
	VHDX_FULL = 6, VHDX_PARTIAL,
};

#define VHDX_CHUNK_SECTORS	(1ull << 23)	/* bits of a bitmap block */

struct vhdx_disk_entry {
	uint8_t sig[4];			/* "loge" */
	le32_t crc;			/* over len bytes */
	le32_t len;
	le32_t tail;
	le64_t seq;
	le32_t count;
	le32_t reserved;
	struct guid log;
	le64_t flushed_size;
	le64_t last_size;
};
static_assert(sizeof(struct vhdx_disk_entry) == 64, "log entry");

struct vhdx_disk_desc {
	uint8_t sig[4];			/* "desc" or "zero" */
	uint8_t trailing[4];		/* desc: bytes 4092-4095 of the page */
	uint8_t leading[8];		/* desc: bytes 0-7; zero: le64 length */
	le64_t off;
	le64_t seq;
};
static_assert(sizeof(struct vhdx_disk_desc) == 32, "log descriptor");

struct vhdx_disk_data {
	uint8_t sig[4];			/* "data" */
	le32_t seq_high;
	uint8_t body[4084];		/* bytes 8-4091 of the page */
	le32_t seq_low;
};
static_assert(sizeof(struct vhdx_disk_data) == VHDX_PAGE, "log data page");

#define VHDX_FIRST_DESCS \
	((VHDX_PAGE - sizeof(struct vhdx_disk_entry)) / \
	 sizeof(struct vhdx_disk_desc))

/* Identifiers, in file order. */
#define VHDX_REGION_BAT { { 0x66, 0x77, 0xC2, 0x2D, 0x23, 0xF6, 0x00, 0x42, \
	0x9D, 0x64, 0x11, 0x5E, 0x9B, 0xFD, 0x4A, 0x08 } }
#define VHDX_REGION_META { { 0x06, 0xA2, 0x7C, 0x8B, 0x90, 0x47, 0x9A, 0x4B, \
	0xB8, 0xFE, 0x57, 0x5F, 0x05, 0x0F, 0x88, 0x6E } }
#define VHDX_ITEM_PARAMS { { 0x37, 0x67, 0xA1, 0xCA, 0x36, 0xFA, 0x43, 0x4D, \
	0xB3, 0xB6, 0x33, 0xF0, 0xAA, 0x44, 0xE7, 0x6B } }
#define VHDX_ITEM_SIZE { { 0x24, 0x42, 0xA5, 0x2F, 0x1B, 0xCD, 0x76, 0x48, \
	0xB2, 0x11, 0x5D, 0xBE, 0xD8, 0x3B, 0xF4, 0xB8 } }
#define VHDX_ITEM_DISK_ID { { 0xAB, 0x12, 0xCA, 0xBE, 0xE6, 0xB2, 0x23, 0x45, \
	0x93, 0xEF, 0xC3, 0x09, 0xE0, 0x00, 0xC7, 0x46 } }
#define VHDX_ITEM_LSS { { 0x1D, 0xBF, 0x41, 0x81, 0x6F, 0xA9, 0x09, 0x47, \
	0xBA, 0x47, 0xF2, 0x33, 0xA8, 0xFA, 0xAB, 0x5F } }
#define VHDX_ITEM_PSS { { 0xC7, 0x48, 0xA3, 0xCD, 0x5D, 0x44, 0x71, 0x44, \
	0x9C, 0xC9, 0xE9, 0x88, 0x52, 0x51, 0xC5, 0x56 } }
#define VHDX_ITEM_LOCATOR { { 0x2D, 0x5F, 0xD3, 0xA8, 0x0B, 0xB3, 0x4D, 0x45, \
	0xAB, 0xF7, 0xD3, 0xD8, 0x48, 0x34, 0xAB, 0x0C } }
#define VHDX_ITEM_CHS { { 0x3C, 0x7D, 0x02, 0xDA, 0x3A, 0xDA, 0x3C, 0x42, \
	0xAC, 0x88, 0x2A, 0x36, 0xAB, 0x21, 0x47, 0x9B } }
#define VHDX_ITEM_NVDIMM { { 0x8A, 0xAE, 0xE1, 0x10, 0x7E, 0x4B, 0x69, 0x41, \
	0xA4, 0x0F, 0xCD, 0x70, 0xDE, 0x92, 0x83, 0x93 } }
#define VHDX_ITEM_INCOMPLETE { { 0xF0, 0x85, 0xCC, 0x71, \
	0x69, 0x1B, 0x28, 0x4E, \
	0x95, 0x58, 0xC3, 0xBF, 0x83, 0xAE, 0x75, 0xD3 } }
#define VHDX_LOCATOR_TYPE { { 0xB7, 0xEF, 0x4A, 0xB0, 0x9E, 0xD1, 0x81, 0x4A, \
	0xB7, 0x89, 0x25, 0xB8, 0xE9, 0x44, 0x59, 0x13 } }

#endif
