/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The bytes of a VHD (FORMAT.md 2, 4, 5.1, 6, 7.6). */
#ifndef IMGFS_VHD_DISK_H
#define IMGFS_VHD_DISK_H

#include <stddef.h>

#include "formats/base/endian.h"

#define VHD_SECTOR		512u
#define VHD_COOKIE		"conectix"
#define VHD_COOKIE_POISON	"v_poison"	/* tapdisk: invalidated */
#define VHD_HEADER_COOKIE	"cxsparse"
#define VHD_BATMAP_COOKIE	"tdbatmap"
#define VHD_VERSION		0x00010000u
#define VHD_NO_OFFSET		0xFFFFFFFFFFFFFFFFull
#define VHD_UNALLOCATED		0xFFFFFFFFu

enum {
	VHD_FEATURE_TEMPORARY = 1,
	VHD_FEATURE_RESERVED = 2,	/* always set */
};

struct vhd_footer_disk {
	uint8_t cookie[8];
	be32_t features;
	be32_t version;
	be64_t data_off;	/* of the dynamic header */
	be32_t timestamp;
	uint8_t creator[4];
	be32_t creator_version;
	uint8_t creator_os[4];
	be64_t original_size;
	be64_t current_size;
	be16_t cylinders;
	uint8_t heads;
	uint8_t sectors;	/* per track */
	be32_t type;
	be32_t checksum;
	uint8_t id[16];
	uint8_t saved_state;
	uint8_t hidden;		/* tapdisk's */
	uint8_t reserved[426];
};

static_assert(sizeof(struct vhd_footer_disk) == 512, "footer size");
static_assert(offsetof(struct vhd_footer_disk, data_off) == 16, "footer");
static_assert(offsetof(struct vhd_footer_disk, creator) == 28, "footer");
static_assert(offsetof(struct vhd_footer_disk, current_size) == 48, "footer");
static_assert(offsetof(struct vhd_footer_disk, cylinders) == 56, "footer");
static_assert(offsetof(struct vhd_footer_disk, type) == 60, "footer");
static_assert(offsetof(struct vhd_footer_disk, checksum) == 64, "footer");
static_assert(offsetof(struct vhd_footer_disk, id) == 68, "footer");
static_assert(offsetof(struct vhd_footer_disk, hidden) == 85, "footer");

struct vhd_locator_disk {
	uint8_t code[4];
	be32_t space;		/* bytes or sectors: FORMAT.md 6 */
	be32_t len;		/* bytes of the path */
	be32_t reserved;
	be64_t off;		/* absolute, bytes */
};

static_assert(sizeof(struct vhd_locator_disk) == 24, "locator size");

#define VHD_LOCATORS 8
#define VHD_NAME_UNITS 256

struct vhd_header_disk {
	uint8_t cookie[8];
	be64_t next;
	be64_t bat_off;
	be32_t version;
	be32_t n_entries;
	be32_t block_size;
	be32_t checksum;
	uint8_t parent_id[16];
	be32_t parent_timestamp;
	be32_t reserved;
	be16_t parent_name[VHD_NAME_UNITS];
	struct vhd_locator_disk locators[VHD_LOCATORS];
	uint8_t reserved2[256];
};

static_assert(sizeof(struct vhd_header_disk) == 1024, "header size");
static_assert(offsetof(struct vhd_header_disk, bat_off) == 16, "header");
static_assert(offsetof(struct vhd_header_disk, block_size) == 32, "header");
static_assert(offsetof(struct vhd_header_disk, parent_id) == 40, "header");
static_assert(offsetof(struct vhd_header_disk, parent_name) == 64, "header");
static_assert(offsetof(struct vhd_header_disk, locators) == 576, "header");
static_assert(offsetof(struct vhd_header_disk, reserved2) == 768, "header");

/* tapdisk's header of a bitmap with one bit a block, behind the BAT. */
struct vhd_batmap_disk {
	uint8_t cookie[8];
	be64_t off;
	be32_t n_sectors;
	be32_t version;
	be32_t checksum;
};

static_assert(sizeof(struct vhd_batmap_disk) == 28, "batmap size");

#endif
