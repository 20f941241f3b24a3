/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * NTFS 1.2 to 3.1 as it lies on disk. Facts: Microsoft's NTFS technical
 * reference, the Linux-NTFS documentation, and volumes made by Windows 10.
 */
#ifndef IMGFS_NTFS_DISK_H
#define IMGFS_NTFS_DISK_H

#include <stddef.h>

#include "formats/base/endian.h"

#define NTFS_OEM_ID "NTFS    "

/* Files with fixed record numbers. */
enum {
	NTFS_REC_MFT = 0,
	NTFS_REC_MFTMIRR = 1,
	NTFS_REC_LOGFILE = 2,
	NTFS_REC_VOLUME = 3,
	NTFS_REC_ROOT = 5,
	NTFS_REC_BITMAP = 6,
	NTFS_REC_SECURE = 9,
	NTFS_REC_UPCASE = 10,
	NTFS_REC_EXTEND = 11,
	NTFS_REC_FIRST_USER = 16,
};

/* Attribute types. */
enum {
	NTFS_AT_STANDARD_INFORMATION = 0x10,
	NTFS_AT_ATTRIBUTE_LIST = 0x20,
	NTFS_AT_FILE_NAME = 0x30,
	NTFS_AT_OBJECT_ID = 0x40,
	NTFS_AT_SECURITY_DESCRIPTOR = 0x50,
	NTFS_AT_VOLUME_NAME = 0x60,
	NTFS_AT_VOLUME_INFORMATION = 0x70,
	NTFS_AT_DATA = 0x80,
	NTFS_AT_INDEX_ROOT = 0x90,
	NTFS_AT_INDEX_ALLOCATION = 0xa0,
	NTFS_AT_BITMAP = 0xb0,
	NTFS_AT_REPARSE_POINT = 0xc0,
	NTFS_AT_EA_INFORMATION = 0xd0,
	NTFS_AT_EA = 0xe0,
	NTFS_AT_LOGGED_UTILITY_STREAM = 0x100,
};
#define NTFS_AT_END 0xffffffffu

/* Flags of an attribute. */
enum {
	NTFS_ATTR_COMPRESSED = 0x00ff,	/* the method; 1 is LZNT1 */
	NTFS_ATTR_ENCRYPTED = 0x4000,
	NTFS_ATTR_SPARSE = 0x8000,
};

/* Flags of a file record. */
enum {
	NTFS_RECORD_IN_USE = 0x0001,
	NTFS_RECORD_IS_DIRECTORY = 0x0002,
};

/* Flags of an index entry and of an index header. */
enum {
	NTFS_ENTRY_NODE = 0x0001,
	NTFS_ENTRY_END = 0x0002,
};

/* File attributes that only a FILE_NAME has. */
#define NTFS_NAME_IS_DIRECTORY 0x10000000u

enum {
	NTFS_NS_POSIX = 0,
	NTFS_NS_WIN32 = 1,
	NTFS_NS_DOS = 2,
	NTFS_NS_WIN32_AND_DOS = 3,
};

/* Flags of the volume. */
enum {
	NTFS_VOLUME_DIRTY = 0x0001,
};

struct ntfs_disk_boot {
	uint8_t jump[3];
	uint8_t oem_id[8];
	le16_t bytes_per_sector;
	uint8_t sectors_per_cluster;	/* > 0x80: 2^(256 - n) */
	uint8_t unused1[7];
	uint8_t media;
	uint8_t unused2[18];
	le64_t n_sectors;
	le64_t mft_lcn;
	le64_t mftmirr_lcn;
	int8_t clusters_per_record;	/* < 0: 2^-n bytes */
	uint8_t unused3[3];
	int8_t clusters_per_index_block;
	uint8_t unused4[3];
	le64_t serial;
	le32_t checksum;
	uint8_t code[426];
	uint8_t magic[2];
};
static_assert(sizeof(struct ntfs_disk_boot) == 512, "boot sector");
static_assert(offsetof(struct ntfs_disk_boot, n_sectors) == 40, "boot");
static_assert(offsetof(struct ntfs_disk_boot, serial) == 72, "boot");

/* In front of everything that is protected by an update sequence. */
struct ntfs_disk_multi {
	uint8_t magic[4];
	le16_t usa_off;
	le16_t usa_count;
	le64_t lsn;
};
static_assert(sizeof(struct ntfs_disk_multi) == 16, "multi sector header");

struct ntfs_disk_record {
	struct ntfs_disk_multi multi;	/* "FILE" */
	le16_t sequence;
	le16_t n_links;
	le16_t attrs_off;
	le16_t flags;
	le32_t used;
	le32_t allocated;
	le64_t base;			/* 0 in a base record */
	le16_t next_instance;
};
static_assert(sizeof(struct ntfs_disk_record) == 42, "file record");

struct ntfs_disk_attr {
	le32_t type;
	le32_t len;
	uint8_t non_resident;
	uint8_t name_len;		/* units */
	le16_t name_off;
	le16_t flags;
	le16_t instance;
};
static_assert(sizeof(struct ntfs_disk_attr) == 16, "attribute header");

struct ntfs_disk_resident {
	struct ntfs_disk_attr head;
	le32_t value_len;
	le16_t value_off;
	uint8_t indexed;
	uint8_t unused;
};
static_assert(sizeof(struct ntfs_disk_resident) == 24, "resident attribute");

struct ntfs_disk_nonresident {
	struct ntfs_disk_attr head;
	le64_t first_vcn;
	le64_t last_vcn;
	le16_t pairs_off;
	uint8_t unit_shift;		/* compression unit: 2^n clusters */
	uint8_t unused[5];
	le64_t allocated;		/* sizes: only where first_vcn is 0 */
	le64_t size;
	le64_t initialized;
	le64_t compressed;		/* only when sparse or compressed */
};
static_assert(sizeof(struct ntfs_disk_nonresident) == 72, "attribute");
#define NTFS_NONRESIDENT_MIN offsetof(struct ntfs_disk_nonresident, compressed)

struct ntfs_disk_list_entry {
	le32_t type;
	le16_t len;
	uint8_t name_len;
	uint8_t name_off;
	le64_t first_vcn;
	le64_t ref;
	le16_t instance;
};
static_assert(sizeof(struct ntfs_disk_list_entry) == 26, "list entry");

struct ntfs_disk_std_info {
	le64_t created;
	le64_t modified;
	le64_t mft_changed;
	le64_t accessed;
	le32_t attrs;
	le32_t version[3];
	le32_t owner_id;		/* from here on since NTFS 3.0 */
	le32_t security_id;
	le64_t quota;
	le64_t usn;
};
static_assert(sizeof(struct ntfs_disk_std_info) == 72, "standard information");
#define NTFS_STD_INFO_V1 offsetof(struct ntfs_disk_std_info, owner_id)

struct ntfs_disk_file_name {
	le64_t parent;
	le64_t created;
	le64_t modified;
	le64_t mft_changed;
	le64_t accessed;
	le64_t allocated;
	le64_t size;
	le32_t attrs;
	le32_t reparse_tag;		/* or the packed size of EAs */
	uint8_t name_len;
	uint8_t name_space;
	le16_t name[];
};
static_assert(sizeof(struct ntfs_disk_file_name) == 66, "file name");

struct ntfs_disk_volume_info {
	le64_t unused;
	uint8_t major;
	uint8_t minor;
	le16_t flags;
};
static_assert(sizeof(struct ntfs_disk_volume_info) == 12, "volume information");

/* Offsets count from this header. */
struct ntfs_disk_index {
	le32_t entries_off;
	le32_t used;
	le32_t allocated;
	uint8_t flags;
	uint8_t unused[3];
};
static_assert(sizeof(struct ntfs_disk_index) == 16, "index header");

struct ntfs_disk_index_root {
	le32_t attr_type;
	le32_t collation;
	le32_t block_size;
	uint8_t clusters_per_block;
	uint8_t unused[3];
	struct ntfs_disk_index index;
};
static_assert(sizeof(struct ntfs_disk_index_root) == 32, "index root");

struct ntfs_disk_index_block {
	struct ntfs_disk_multi multi;	/* "INDX" */
	le64_t vcn;
	struct ntfs_disk_index index;
};
static_assert(sizeof(struct ntfs_disk_index_block) == 40, "index block");

/* In directories ref is the file; in view indexes its first four bytes are
 * offset and length of the data. */
struct ntfs_disk_entry {
	le64_t ref;
	le16_t len;
	le16_t key_len;
	le16_t flags;
	le16_t unused;
};
static_assert(sizeof(struct ntfs_disk_entry) == 16, "index entry");

/* In front of each descriptor in $Secure:$SDS, and the data of $SII. */
struct ntfs_disk_sds {
	le32_t hash;
	le32_t id;
	le64_t off;
	le32_t len;			/* with this header */
};
static_assert(sizeof(struct ntfs_disk_sds) == 20, "security entry");

/* $LogFile: restart page and restart area. */
struct ntfs_disk_restart_page {
	struct ntfs_disk_multi multi;	/* "RSTR" or "CHKD" */
	le32_t system_page_size;
	le32_t log_page_size;
	le16_t area_off;
	le16_t minor;
	le16_t major;
};
static_assert(sizeof(struct ntfs_disk_restart_page) == 30, "restart page");

struct ntfs_disk_restart_area {
	le64_t lsn;
	le16_t n_clients;
	le16_t free_list;
	le16_t in_use_list;
	le16_t flags;
};
static_assert(sizeof(struct ntfs_disk_restart_area) == 16, "restart area");
#define NTFS_LOG_NO_CLIENT 0xffffu
#define NTFS_LOG_CLEAN 0x0002u

/* Reference: 48 bits of record number, 16 bits of sequence number. */
static inline uint64_t ntfs_ref_record(uint64_t ref)
{
	return ref & 0xffffffffffffULL;
}

static inline uint16_t ntfs_ref_seq(uint64_t ref)
{
	return (uint16_t)(ref >> 48);
}

#endif
