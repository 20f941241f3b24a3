/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * NTFS by its boot sector, and the label: the $VOLUME_NAME attribute of MFT
 * record 3 ($Volume). Only the first run of the MFT is needed: Windows and
 * mkntfs always keep the first sixteen records together.
 */
#include "formats/volume/volume_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/base/endian.h"

#define BOOT_SECTOR	512u
#define RECORD_VOLUME	3u
#define ATTR_VOLUME_NAME 0x60u
#define ATTR_END	0xffffffffu
#define FIXUP_STRIDE	512u
/* The largest the boot sector can express that Windows has ever made. */
#define RECORD_MAX	65536u

struct ntfs_boot {
	uint32_t sector_size, cluster_size, record_size;
	uint64_t sectors, mft_cluster, serial;
};

/* Bytes, from a count of clusters or the negative logarithm. 0: nonsense. */
static uint32_t record_bytes(uint8_t raw, uint32_t cluster_size)
{
	uint64_t size;

	if (raw < 0x80)
		size = (uint64_t)raw * cluster_size;
	else
		size = 256 - raw < 31 ? 1u << (256 - raw) : 0;
	return size >= 256 && size <= RECORD_MAX && is_pow2(size) ?
		(uint32_t)size : 0;
}

static bool decode_boot(const uint8_t *b, struct ntfs_boot *out)
{
	uint8_t spc = b[0x0d];
	uint32_t per_cluster = spc <= 0x80 ? spc : 1u << ((256 - spc) & 31);

	if (memcmp(b + 3, "NTFS    ", 8))
		return false;
	out->sector_size = le16_at(b + 0x0b);
	if (out->sector_size < 256 || out->sector_size > 4096 ||
	    !is_pow2(out->sector_size))
		return false;
	/* Clusters reach 2 MiB: 4096 sectors of 512 bytes. */
	if (!is_pow2(per_cluster) || per_cluster > 8192)
		return false;
	/* Reserved, FATs and root entries are FAT's: zero in NTFS. */
	if (le16_at(b + 0x0e) || b[0x10] || le16_at(b + 0x11) ||
	    le16_at(b + 0x13) || le16_at(b + 0x16) || le32_at(b + 0x20))
		return false;
	out->cluster_size = per_cluster * out->sector_size;
	out->record_size = record_bytes(b[0x40], out->cluster_size);
	out->sectors = le64_at(b + 0x28);
	out->mft_cluster = le64_at(b + 0x30);
	out->serial = le64_at(b + 0x48);
	return out->record_size && out->sectors;
}

/* The last two bytes of each stride were moved into a table in front. False
 * when the record is torn or is none. */
static bool undo_fixups(uint8_t *rec, uint32_t size)
{
	uint32_t table = le16_at(rec + 4), n = le16_at(rec + 6);

	if (memcmp(rec, "FILE", 4) || n < 2 || (n - 1) * FIXUP_STRIDE > size ||
	    !range_within(table, 2 * n, size))
		return false;
	for (uint32_t i = 1; i < n; i++) {
		uint8_t *end = rec + i * FIXUP_STRIDE - 2;

		if (memcmp(end, rec + table, 2))
			return false;
		memcpy(end, rec + table + 2 * i, 2);
	}
	return true;
}

static void label_from_record(struct volume_look *l, const uint8_t *rec,
			      uint32_t size)
{
	uint32_t at = le16_at(rec + 0x14);

	while (range_within(at, 24, size) && le32_at(rec + at) != ATTR_END) {
		uint32_t len = le32_at(rec + at + 4);
		uint32_t value_len = le32_at(rec + at + 0x10);
		uint32_t value = le16_at(rec + at + 0x14);

		if (len < 24 || !range_within(at, len, size))
			return;
		if (le32_at(rec + at) == ATTR_VOLUME_NAME && !rec[at + 8]) {
			if (range_within(value, value_len, len))
				volume_set_label16(l, rec + at + value,
						   value_len / 2);
			return;
		}
		at += len;
	}
}

/* A volume whose MFT is damaged is still NTFS, only nameless. */
static int load_label(struct volume_look *l, const struct ntfs_boot *boot)
{
	uint64_t at;
	uint8_t *rec;
	int ret;

	if (__builtin_mul_overflow(boot->mft_cluster, boot->cluster_size,
				   &at) ||
	    __builtin_add_overflow(at, RECORD_VOLUME * boot->record_size,
				   &at))
		return 0;
	rec = mem_alloc(boot->record_size, 1);
	if (!rec)
		return -ENOMEM;
	ret = volume_peek(l, rec, boot->record_size, at);
	if (ret > 0 && undo_fixups(rec, boot->record_size))
		label_from_record(l, rec, boot->record_size);
	free(rec);
	return ret < 0 ? ret : 0;
}

int volume_look_ntfs(struct volume_look *l)
{
	const uint8_t *b = volume_head(l, 0, BOOT_SECTOR);
	struct ntfs_boot boot;
	int ret;

	if (!b || !decode_boot(b, &boot))
		return 0;
	volume_set_type(l, "ntfs");
	volume_set_size(l, boot.sectors, boot.sector_size);
	snprintf(l->out->uuid, sizeof(l->out->uuid), "%016" PRIX64,
		 boot.serial);
	ret = load_label(l, &boot);
	return ret ? ret : 1;
}
