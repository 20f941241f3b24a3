/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The bytes of a CIM: layouts and constants (FORMAT.md). */
#ifndef IMGFS_CIM_DISK_H
#define IMGFS_CIM_DISK_H

#include <stddef.h>

#include "formats/base/endian.h"
#include "formats/base/guid.h"

#define CIM_MAGIC "cimfile0"

enum cim_file_type { CIM_TYPE_IMAGE, CIM_TYPE_REGION, CIM_TYPE_OBJECT_ID };

#define CIM_MAJOR_MIN 2u
#define CIM_MAJOR_MAX 3u

struct cim_disk_common {
	uint8_t magic[8];
	le32_t header_len;
	uint8_t type;
	uint8_t reserved[3];
	le32_t major, minor;
	uint8_t reserved2[8];
};
static_assert(sizeof(struct cim_disk_common) == 32, "common header");
static_assert(offsetof(struct cim_disk_common, major) == 16, "version");

struct cim_disk_set {
	struct guid guid;
	le16_t n_regions;
	uint8_t reserved[6];
};
static_assert(sizeof(struct cim_disk_set) == 24, "region set");

/* n_parents sets follow. */
struct cim_disk_image {
	struct cim_disk_common common;
	struct cim_disk_set own;
	le64_t fs;
	uint8_t reserved[6];
	le16_t n_parents;
};
static_assert(sizeof(struct cim_disk_image) == 72, "image header");
static_assert(offsetof(struct cim_disk_image, fs) == 56, "image header");

struct cim_disk_region {
	struct cim_disk_common common;
	le16_t idx;
	uint8_t kind;
	uint8_t reserved[5];
};
static_assert(sizeof(struct cim_disk_region) == 40, "region header");

#define CIM_REGIONS_MAX 65536u
/* A RegionOffset: region index above, byte offset below. */
#define CIM_OFFSET_BITS 48
#define CIM_OFFSET_MASK ((1ULL << CIM_OFFSET_BITS) - 1)

struct cim_disk_fs {
	le64_t upcase, tables;
	le32_t n_tables, root;
};
static_assert(sizeof(struct cim_disk_fs) == 24, "filesystem object");

#define CIM_UPCASE_LEN 65536u	/* units */

struct cim_disk_table {
	le64_t off;
	le16_t n, entry_size;
	uint8_t reserved[4];
};
static_assert(sizeof(struct cim_disk_table) == 16, "file table entry");

#define CIM_TABLE_FILES 1024u

struct cim_disk_stream {
	le64_t off;
	le64_t len_type;
};
static_assert(sizeof(struct cim_disk_stream) == 16, "stream");

#define CIM_STREAM_LEN_MASK ((1ULL << 48) - 1)
#define CIM_STREAM_TYPE_SHIFT 48
#define CIM_STREAM_SPARSE (1ULL << 56)

enum cim_stream_type { CIM_DATA, CIM_LINKS, CIM_PE };

enum {				/* cim_disk_file.flags */
	CIM_READONLY = 1, CIM_HIDDEN = 2, CIM_SYSTEM = 4, CIM_ARCHIVE = 8,
	CIM_SPARSE = 16,
};

struct cim_disk_file {
	le16_t flags, ea_len;
	le32_t tag;
	le64_t created, written, changed, accessed;
	struct cim_disk_stream data;
	le64_t sd, ea, reparse, streams;
	le32_t parent;
	le16_t base_region;
	uint8_t reserved[2];
};
static_assert(sizeof(struct cim_disk_file) == 0x60, "file entry");
static_assert(offsetof(struct cim_disk_file, data) == 0x28, "file entry");
static_assert(offsetof(struct cim_disk_file, parent) == 0x58, "file entry");

#define CIM_ENTRY_MIN 0x38u	/* up to the end of the default stream */

struct cim_disk_pe {
	le64_t data, data_len;
	le32_t image_len;
	le16_t n, flags;
};
static_assert(sizeof(struct cim_disk_pe) == 24, "PE image");

struct cim_disk_pe_map {
	le32_t off, delta;
};
static_assert(sizeof(struct cim_disk_pe_map) == 8, "PE mapping");

/* n entries, n name offsets and the names follow. */
struct cim_disk_links {
	le32_t len, n;
};
static_assert(sizeof(struct cim_disk_links) == 8, "link table");

#define CIM_NAME_UNITS 255u

#endif
