/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * FAT12, FAT16, FAT32 and exFAT: the boot sector (Microsoft's FAT and exFAT
 * specifications), and the label, which is an entry of the root directory.
 */
#include "formats/volume/volume_int.h"

#include <stdio.h>
#include <string.h>

#include "formats/base/bounds.h"
#include "formats/base/endian.h"

#define BOOT_SECTOR	512u
#define ENTRY		32u
/* How much of a root directory is searched: the label is normally its first
 * entry, and whoever puts it behind thousands of files gets no label. */
#define ROOT_CHUNKS	64u
#define ROOT_CHUNK	4096u

#define FAT_LAST	0x00
#define FAT_DELETED	0xe5
#define FAT_VOLUME_ID	0x08
#define FAT_LONG_NAME	0x0f
#define EXFAT_LABEL	0x83

struct fat_boot {
	uint32_t sector_size, cluster_size;
	uint64_t fat_at, root_at, data_at;	/* bytes */
	uint32_t root_len;	/* FAT12, FAT16; else 0 */
	uint32_t root_cluster;	/* FAT32, exFAT */
	uint32_t fat_len;
	uint64_t sectors;
	uint32_t clusters;
};

static bool has_fat_magic(const uint8_t *b)
{
	return !memcmp(b + 0x52, "FAT32   ", 8) ||
	       !memcmp(b + 0x52, "MSWIN", 5) ||
	       !memcmp(b + 0x36, "FAT16   ", 8) ||
	       !memcmp(b + 0x36, "FAT12   ", 8) ||
	       !memcmp(b + 0x36, "FAT     ", 8) ||
	       !memcmp(b + 0x36, "MSDOS", 5);
}

/* Other formatters keep a DOS parameter block in front of what is theirs. */
static bool foreign(const uint8_t *b)
{
	return !memcmp(b + 0x36, "HPFS", 4) || !memcmp(b + 0x36, "JFS", 3) ||
	       !memcmp(b + 3, "-FVE-FS-", 8) || !memcmp(b + 3, "NTFS    ", 8);
}

static bool fat_sizes(const uint8_t *b, struct fat_boot *f)
{
	uint32_t spc = b[0x0d], fats = b[0x10], media = b[0x15];

	f->sector_size = le16_at(b + 0x0b);
	if (f->sector_size < 512 || f->sector_size > 4096 ||
	    !is_pow2(f->sector_size) || !is_pow2(spc) || !fats || fats > 4 ||
	    (media != 0xf0 && media < 0xf8) || !le16_at(b + 0x0e))
		return false;
	f->cluster_size = spc * f->sector_size;
	f->sectors = le16_at(b + 0x13);
	if (!f->sectors)
		f->sectors = le32_at(b + 0x20);
	f->fat_len = le16_at(b + 0x16);
	if (!f->fat_len)
		f->fat_len = le32_at(b + 0x24);
	f->root_len = le16_at(b + 0x11) * ENTRY;
	return f->fat_len && f->sectors;
}

static bool decode_fat(const uint8_t *b, struct fat_boot *f)
{
	uint64_t before;

	if (foreign(b) || le16_at(b + 510) != 0xaa55 || !fat_sizes(b, f))
		return false;
	if (!has_fat_magic(b) && b[0] != 0xeb && b[0] != 0xe9)
		return false;
	f->fat_at = (uint64_t)le16_at(b + 0x0e) * f->sector_size;
	f->root_at = f->fat_at +
		     (uint64_t)b[0x10] * f->fat_len * f->sector_size;
	f->data_at = f->root_at + round_up(f->root_len, f->sector_size);
	before = f->data_at / f->sector_size;
	if (before >= f->sectors)
		return false;
	f->clusters = (uint32_t)((f->sectors - before) /
				 (f->cluster_size / f->sector_size));
	/* FAT32 is what has no fixed root directory. */
	f->root_cluster = f->root_len ? 0 : le32_at(b + 0x2c);
	return f->clusters && (f->root_len || f->root_cluster >= 2);
}

/* 0 go on, 1 the label was found or there is no more. */
static int search_fat_entries(struct volume_look *l, const uint8_t *e,
			      size_t len)
{
	for (size_t i = 0; i + ENTRY <= len; i += ENTRY) {
		uint8_t attr = e[i + 11];

		if (e[i] == FAT_LAST)
			return 1;
		if (e[i] == FAT_DELETED || (attr & 0x3f) == FAT_LONG_NAME ||
		    !(attr & FAT_VOLUME_ID) || attr & 0x10)
			continue;
		volume_set_label(l, e + i, 11);
		if (l->out->label[0] == 0x05)
			l->out->label[0] = '?';
		return 1;
	}
	return 0;
}

static int search_exfat_entries(struct volume_look *l, const uint8_t *e,
				size_t len)
{
	for (size_t i = 0; i + ENTRY <= len; i += ENTRY) {
		if (!e[i])
			return 1;
		if (e[i] != EXFAT_LABEL || e[i + 1] > 15)
			continue;
		volume_set_label16(l, e + i + 2, e[i + 1]);
		return 1;
	}
	return 0;
}

typedef int (*search_fn)(struct volume_look *l, const uint8_t *e, size_t len);

/* budget: how many chunks may still be read. */
static int search_run(struct volume_look *l, uint64_t at, uint32_t len,
		      search_fn search, uint32_t *budget)
{
	uint8_t chunk[ROOT_CHUNK];

	while (len && *budget) {
		uint32_t n = min_of(len, ROOT_CHUNK);
		int ret = volume_peek(l, chunk, n, at);

		--*budget;
		if (ret <= 0)
			return ret ? ret : 1;
		ret = search(l, chunk, n);
		if (ret)
			return ret;
		at += n;
		len -= n;
	}
	return *budget ? 0 : 1;
}

/* A chain that runs in circles ends with the budget. */
static int search_chain(struct volume_look *l, const struct fat_boot *f,
			search_fn search)
{
	uint32_t cluster = f->root_cluster, budget = ROOT_CHUNKS;
	uint8_t raw[4];
	int ret = 0;

	while (!ret && cluster >= 2 && cluster - 2 < f->clusters) {
		ret = search_run(l, f->data_at + (uint64_t)(cluster - 2) *
				 f->cluster_size, f->cluster_size, search,
				 &budget);
		if (ret)
			break;
		ret = volume_peek(l, raw, sizeof(raw),
				  f->fat_at + 4ULL * cluster);
		if (ret <= 0)
			return ret;
		ret = 0;
		cluster = le32_at(raw);
		if (search == search_fat_entries)
			cluster &= 0x0fffffff;
	}
	return ret < 0 ? ret : 0;
}

static void set_serial(struct volume_look *l, const uint8_t *raw)
{
	uint32_t v = le32_at(raw);

	if (v)
		snprintf(l->out->uuid, sizeof(l->out->uuid), "%04X-%04X",
			 v >> 16, v & 0xffff);
}

int volume_look_fat(struct volume_look *l)
{
	const uint8_t *b = volume_head(l, 0, BOOT_SECTOR);
	uint32_t budget = ROOT_CHUNKS;
	struct fat_boot f;
	int ret;

	if (!b || !decode_fat(b, &f))
		return 0;
	volume_set_type(l, "vfat");
	volume_set_size(l, f.sectors, f.sector_size);
	set_serial(l, b + (f.root_len ? 0x27 : 0x43));
	if (f.root_len)
		ret = search_run(l, f.root_at, f.root_len, search_fat_entries,
				 &budget);
	else
		ret = search_chain(l, &f, search_fat_entries);
	return ret < 0 ? ret : 1;
}

static bool decode_exfat(const uint8_t *b, struct fat_boot *f)
{
	uint32_t sector_shift = b[0x6c], spc_shift = b[0x6d];

	if (memcmp(b + 3, "EXFAT   ", 8) || sector_shift < 9 ||
	    sector_shift > 12 || spc_shift > 25 - sector_shift)
		return false;
	f->sector_size = 1u << sector_shift;
	f->cluster_size = f->sector_size << spc_shift;
	f->sectors = le64_at(b + 0x48);
	f->fat_at = (uint64_t)le32_at(b + 0x50) << sector_shift;
	f->data_at = (uint64_t)le32_at(b + 0x58) << sector_shift;
	f->clusters = le32_at(b + 0x5c);
	f->root_cluster = le32_at(b + 0x60);
	return f->sectors && f->clusters;
}

int volume_look_exfat(struct volume_look *l)
{
	const uint8_t *b = volume_head(l, 0, BOOT_SECTOR);
	struct fat_boot f;
	int ret;

	if (!b || !decode_exfat(b, &f))
		return 0;
	volume_set_type(l, "exfat");
	volume_set_size(l, f.sectors, f.sector_size);
	set_serial(l, b + 0x64);
	ret = search_chain(l, &f, search_exfat_entries);
	return ret < 0 ? ret : 1;
}
