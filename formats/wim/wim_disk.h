/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The bytes of WIM, ESD and SWM files (FORMAT.md 3 to 9). */
#ifndef IMGFS_WIM_DISK_H
#define IMGFS_WIM_DISK_H

#include <stddef.h>

#include "formats/base/endian.h"

#define WIM_MAGIC "MSWIM\0\0"		/* with its NUL: 8 bytes */
#define WIM_MAGIC_PIPABLE "WLPWM\0\0"
#define WIM_HEADER_SIZE 208u
#define WIM_VERSION 0x10d00u
#define WIM_VERSION_SOLID 0xe00u

enum {					/* header flags */
	WIM_F_COMPRESSION = 0x2,
	WIM_F_WRITE_IN_PROGRESS = 0x40,
	WIM_F_XPRESS = 0x20000,
	WIM_F_LZX = 0x40000,
	WIM_F_LZMS = 0x80000,
	WIM_F_XPRESS_2 = 0x200000,
};

enum {					/* resource flags */
	WIM_R_METADATA = 0x2,
	WIM_R_COMPRESSED = 0x4,
	WIM_R_SOLID = 0x10,
};

/* usize of the entry that stands for a whole solid resource. */
#define WIM_SOLID_MARK 0x100000000ULL

struct wim_disk_reshdr {
	le64_t csize_flags;		/* 56 bits and 8 */
	le64_t offset;
	le64_t usize;
};
static_assert(sizeof(struct wim_disk_reshdr) == 24, "reshdr");

struct wim_disk_header {
	uint8_t magic[8];
	le32_t header_size;
	le32_t version;
	le32_t flags;
	le32_t chunk_size;
	uint8_t guid[16];
	le16_t part;
	le16_t n_parts;
	le32_t n_images;
	struct wim_disk_reshdr blobs;
	struct wim_disk_reshdr xml;
	struct wim_disk_reshdr boot;
	le32_t boot_index;
	struct wim_disk_reshdr integrity;
	uint8_t reserved[60];
};
static_assert(sizeof(struct wim_disk_header) == WIM_HEADER_SIZE, "header");
static_assert(offsetof(struct wim_disk_header, blobs) == 0x30, "blobs");
static_assert(offsetof(struct wim_disk_header, integrity) == 0x7c, "integrity");

struct wim_disk_blob {
	struct wim_disk_reshdr res;
	le16_t part;
	le32_t refs;
	uint8_t hash[20];
};
static_assert(sizeof(struct wim_disk_blob) == 50, "blob table entry");

struct wim_disk_solid {
	le64_t usize;
	le32_t chunk_size;
	le32_t codec;
};
static_assert(sizeof(struct wim_disk_solid) == 16, "solid header");

struct wim_disk_dentry {
	le64_t length;
	le32_t attrs;
	le32_t security_id;
	le64_t subdir;
	le64_t unused[2];
	le64_t created;
	le64_t accessed;
	le64_t modified;
	uint8_t hash[20];
	le32_t unknown;
	union {
		struct {
			le32_t tag;
			le16_t reserved;
			le16_t flags;
		} reparse;
		le64_t link_group;
	};
	le16_t n_streams;
	le16_t short_len;		/* bytes; its text comes second */
	le16_t name_len;
};
static_assert(sizeof(struct wim_disk_dentry) == 102, "dentry");
static_assert(offsetof(struct wim_disk_dentry, hash) == 0x40, "dentry hash");
static_assert(offsetof(struct wim_disk_dentry, n_streams) == 0x60, "streams");

struct wim_disk_stream {
	le64_t length;
	le64_t reserved;
	uint8_t hash[20];
	le16_t name_len;		/* bytes */
};
static_assert(sizeof(struct wim_disk_stream) == 38, "stream entry");

struct wim_disk_item {
	le32_t tag;
	le32_t len;
};
static_assert(sizeof(struct wim_disk_item) == 8, "tagged item");

#define WIM_ITEM_OBJECT_ID 0x1u
#define WIM_ITEM_EA 0x2u
#define WIM_ITEM_UNIX 0x337dd873u
#define WIM_ITEM_XATTR_OLD 0x337dd874u

struct wim_disk_unix {
	le32_t uid, gid, mode, rdev;
};
static_assert(sizeof(struct wim_disk_unix) == 16, "unix data");

struct wim_disk_integrity {
	le32_t size;
	le32_t n_pieces;
	le32_t piece_size;
};
static_assert(sizeof(struct wim_disk_integrity) == 12, "integrity table");

#endif
