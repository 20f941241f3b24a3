/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Everything that a magic at a known place tells: what cannot be shown as a
 * tree, but should be called by its name. Offsets are those of each format's
 * own headers, as util-linux's libblkid collects them.
 */
#include "formats/volume/volume_int.h"

#include <stdio.h>
#include <string.h>

#include "formats/base/bounds.h"
#include "formats/base/endian.h"

enum label_kind { LABEL_NONE, LABEL_BYTES, LABEL_UTF16 };

struct magic {
	const char *type;
	uint32_t off;
	uint8_t len;
	const char *bytes;
	/* Counted from base; 0: there is none. */
	uint32_t base;
	uint16_t uuid;
	enum label_kind label_kind;
	uint16_t label, label_len;
	/* The size is a count of blocks: where, how many bytes wide. */
	bool big;
	uint16_t count;
	uint8_t count_len;
	/* Bytes of a block: a 32-bit number there, or (log set) its
	 * logarithm in one byte; 0: the count is in bytes. */
	uint16_t block;
	bool block_log;
};

#define MAGIC(word, at, text) \
	.type = (word), .off = (at), .len = sizeof(text) - 1, .bytes = (text)

static const struct magic simple[] = {
	{ MAGIC("ReFS", 0, "\0\0\0ReFS\0"), .count = 24, .count_len = 8,
	  .block = 32 },
	{ MAGIC("xfs", 0, "XFSB"), .uuid = 32, .label_kind = LABEL_BYTES,
	  .label = 108, .label_len = 12, .big = true, .count = 8,
	  .count_len = 8, .block = 4 },
	{ MAGIC("squashfs", 0, "hsqs"), .count = 40, .count_len = 8 },
	{ MAGIC("squashfs", 0, "sqsh") },
	{ MAGIC("apfs", 32, "NXSB"), .uuid = 72, .count = 40, .count_len = 8,
	  .block = 36 },
	{ MAGIC("f2fs", 1024, "\x10\x20\xf5\xf2"), .base = 1024, .uuid = 108,
	  .label_kind = LABEL_UTF16, .label = 124, .label_len = 512,
	  .count = 36, .count_len = 8, .block = 16, .block_log = true },
	{ MAGIC("erofs", 1024, "\xe2\xe1\xf5\xe0"), .base = 1024, .uuid = 48,
	  .label_kind = LABEL_BYTES, .label = 64, .label_len = 16,
	  .count = 36, .count_len = 4, .block = 12, .block_log = true },
	{ MAGIC("hfsplus", 1024, "H+\0\4"), .base = 1024, .big = true,
	  .count = 44, .count_len = 4, .block = 40 },
	{ MAGIC("hfsplus", 1024, "HX\0\5"), .base = 1024, .big = true,
	  .count = 44, .count_len = 4, .block = 40 },
	{ MAGIC("btrfs", 65600, "_BHRfS_M"), .base = 65536, .uuid = 0x20,
	  .label_kind = LABEL_BYTES, .label = 0x12b, .label_len = 255,
	  .count = 0x70, .count_len = 8 },
	{ MAGIC("reiserfs", 65588, "ReIsErFs") },
	{ MAGIC("reiserfs", 65588, "ReIsEr2F") },
	{ MAGIC("jfs", 32768, "JFS1") },
};

static const struct magic members[] = {
	{ MAGIC("crypto_LUKS", 0, "LUKS\xba\xbe") },
	{ MAGIC("BitLocker", 0, "\xeb\x52\x90-FVE-FS-") },
	{ MAGIC("BitLocker", 0, "\xeb\x58\x90-FVE-FS-") },
	/* On removable media, behind a boot sector that looks like FAT's. */
	{ MAGIC("BitLocker", 424, "\x3b\xd6\x67\x49\x29\x2e\xd8\x4a"
	  "\x83\x99\xf6\xa3\x39\xe3\xd0\x01") },
	{ MAGIC("StorageSpaces", 0, "SPACEDB ") },
	{ MAGIC("StorageSpaces", 4096, "SPACEDB ") },
	/* Sector 6 of an MBR disk that Windows made dynamic. */
	{ MAGIC("LDM", 3072, "PRIVHEAD") },
};

static uint64_t number(const uint8_t *p, uint8_t len, bool big)
{
	uint64_t v = 0;

	for (uint8_t i = 0; i < len; i++)
		v = v << 8 | p[big ? i : len - 1 - i];
	return v;
}

static void set_counted_size(struct volume_look *l, const struct magic *m,
			     const uint8_t *sb)
{
	uint64_t each = 1;

	if (m->block_log)
		each = sb[m->block] < 32 ? 1ULL << sb[m->block] : 0;
	else if (m->block)
		each = number(sb + m->block, 4, m->big);
	volume_set_size(l, number(sb + m->count, m->count_len, m->big), each);
}

/* The last byte of the superblock that is looked at, for all formats. */
#define SB_LEN 2048u

static bool describe(struct volume_look *l, const struct magic *m)
{
	uint8_t sb[SB_LEN] = { 0 };
	const uint8_t *magic = volume_head(l, m->off, m->len);

	if (!magic || memcmp(magic, m->bytes, m->len))
		return false;
	memcpy(sb, l->head + m->base, min_of(sizeof(sb), l->have - m->base));
	volume_set_type(l, m->type);
	if (m->count)
		set_counted_size(l, m, sb);
	if (m->uuid)
		volume_set_uuid(l, sb + m->uuid);
	if (m->label_kind == LABEL_BYTES)
		volume_set_label(l, sb + m->label, m->label_len);
	else if (m->label_kind == LABEL_UTF16)
		volume_set_label16(l, sb + m->label, m->label_len);
	return true;
}

static int describe_any(struct volume_look *l, const struct magic *m, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (describe(l, &m[i]))
			return 1;
	return 0;
}

int volume_look_simple(struct volume_look *l)
{
	return describe_any(l, simple, ARRAY_LEN(simple));
}

/* LVM2: a label in one of the first four sectors, which names its own sector
 * and where the PV header with the id is. */
static int look_lvm(struct volume_look *l)
{
	for (size_t i = 0; i < 4; i++) {
		const uint8_t *at = volume_head(l, i * 512, 512);
		uint32_t header;
		const char *id;

		if (!at || memcmp(at, "LABELONE", 8) || le64_at(at + 8) != i ||
		    memcmp(at + 24, "LVM2 001", 8))
			continue;
		volume_set_type(l, "LVM2_member");
		header = le32_at(at + 20);
		if (!range_within(header, 40, 512))
			return 1;
		id = (const char *)at + header;
		snprintf(l->out->uuid, sizeof(l->out->uuid),
			 "%.6s-%.4s-%.4s-%.4s-%.4s-%.4s-%.6s", id, id + 6,
			 id + 10, id + 14, id + 18, id + 22, id + 26);
		volume_set_size(l, le64_at(at + header + 32), 1);
		return 1;
	}
	return 0;
}

#define MD_MAGIC	0xa92b4efcu
#define MD_SB		256u

static bool is_md1(const uint8_t *sb, uint64_t at)
{
	return le32_at(sb) == MD_MAGIC && le32_at(sb + 4) == 1 &&
	       le64_at(sb + 144) == at / 512;
}

static int look_md1(struct volume_look *l, uint64_t at)
{
	uint8_t sb[MD_SB];
	int ret = volume_peek(l, sb, sizeof(sb), at);

	if (ret <= 0 || !is_md1(sb, at))
		return ret < 0 ? ret : 0;
	volume_set_type(l, "linux_raid_member");
	volume_set_uuid(l, sb + 16);
	volume_set_label(l, sb + 32, 32);
	return 1;
}

/* Version 0.90, 64 KiB before a multiple of 64 KiB at the end. */
static int look_md0(struct volume_look *l)
{
	uint8_t sb[MD_SB], id[16];
	int ret;

	if (l->size < 128 << 10)
		return 0;
	ret = volume_peek(l, sb, sizeof(sb),
			  round_down(l->size, 64 << 10) - (64 << 10));
	if (ret <= 0 || le32_at(sb) != MD_MAGIC || le32_at(sb + 4) != 0)
		return ret < 0 ? ret : 0;
	volume_set_type(l, "linux_raid_member");
	for (size_t i = 0; i < 4; i++) {
		const uint8_t *w = i ? sb + 48 + 4 * i : sb + 20;

		for (size_t k = 0; k < 4; k++)
			id[4 * i + k] = w[3 - k];
	}
	volume_set_uuid(l, id);
	return 1;
}

static int look_md(struct volume_look *l)
{
	uint64_t tail = l->size > 8192 ? round_down(l->size - 8192, 4096) : 0;
	int ret = look_md1(l, 4096);

	if (!ret)
		ret = look_md1(l, 0);
	if (!ret && tail)
		ret = look_md1(l, tail);
	return ret ? ret : look_md0(l);
}

/* The metadata partition of a GPT disk that Windows made dynamic. */
static int look_ldm_tail(struct volume_look *l)
{
	uint8_t sector[512];
	int ret = l->size < 512 ? 0 :
		volume_peek(l, sector, sizeof(sector), l->size - 512);

	if (ret <= 0 || memcmp(sector, "PRIVHEAD", 8))
		return ret < 0 ? ret : 0;
	volume_set_type(l, "LDM");
	return 1;
}

static void describe_luks(struct volume_look *l)
{
	const uint8_t *sb = volume_head(l, 0, 512);

	if (!sb)
		return;
	memcpy(l->out->uuid, sb + 168, sizeof(l->out->uuid) - 1);
	for (char *p = l->out->uuid; *p; p++)
		if (*p < 0x21 || *p > 0x7e)
			*p = '\0';
	if (sb[7] == 2)
		volume_set_label(l, sb + 24, 48);
}

int volume_look_member(struct volume_look *l)
{
	int ret = look_md(l);

	if (!ret)
		ret = look_lvm(l);
	if (!ret)
		ret = describe_any(l, members, ARRAY_LEN(members));
	if (!ret)
		return look_ldm_tail(l);
	if (ret > 0 && !strcmp(l->out->type, "crypto_LUKS"))
		describe_luks(l);
	return ret;
}

/* The magic ends the first page, whose size is the writing machine's. */
int volume_look_swap(struct volume_look *l)
{
	for (size_t page = 4096; page <= 65536; page *= 2) {
		const uint8_t *v1 = volume_head(l, 1024, 44);
		size_t at = page - 10;

		if (volume_magic_at(l, at, "S1SUSPEND", 9) ||
		    volume_magic_at(l, at, "LINHIB0001", 10)) {
			volume_set_type(l, "swsuspend");
			return 1;
		}
		if (!volume_magic_at(l, at, "SWAPSPACE2", 10) || !v1 ||
		    le32_at(v1) != 1)
			continue;
		volume_set_type(l, "swap");
		volume_set_size(l, le32_at(v1 + 4), page);
		volume_set_uuid(l, v1 + 12);
		volume_set_label(l, v1 + 28, 16);
		return 1;
	}
	return 0;
}

#define ISO_FIRST	32768u
#define ISO_SECTOR	2048u
/* Volume descriptors end with a terminator; this many fit into the head. */
#define ISO_MAX		16u

int volume_look_optical(struct volume_look *l)
{
	const uint8_t *pvd = NULL;

	for (uint32_t i = 0; i < ISO_MAX; i++) {
		const uint8_t *d = volume_head(l, ISO_FIRST + i * ISO_SECTOR,
					       ISO_SECTOR);

		if (!d)
			break;
		if (!memcmp(d + 1, "NSR02", 5) || !memcmp(d + 1, "NSR03", 5)) {
			volume_set_type(l, "udf");
			return 1;
		}
		if (!pvd && d[0] == 1 && !memcmp(d + 1, "CD001", 5))
			pvd = d;
	}
	if (!pvd)
		return 0;
	volume_set_type(l, "iso9660");
	volume_set_size(l, le32_at(pvd + 80), le16_at(pvd + 128));
	volume_set_label(l, pvd + 40, 32);
	return 1;
}

#define ZFS_RING	(128u << 10)
#define ZFS_UBERBLOCK	1024u
#define ZFS_MAGIC	0x00bab10cu
/* Fewer could be chance: old bytes of a file that holds an image. */
#define ZFS_ENOUGH	4u

/* The ring of uberblocks in the first label. */
int volume_look_zfs(struct volume_look *l)
{
	uint8_t chunk[16 * ZFS_UBERBLOCK];
	uint32_t found = 0;

	for (uint64_t at = ZFS_RING; at < 2 * ZFS_RING; at += sizeof(chunk)) {
		int ret = volume_peek(l, chunk, sizeof(chunk), at);

		if (ret <= 0)
			return ret;
		for (size_t i = 0; i < sizeof(chunk); i += ZFS_UBERBLOCK) {
			uint64_t v = le64_at(chunk + i);

			found += v == ZFS_MAGIC ||
				 v == __builtin_bswap64(ZFS_MAGIC);
		}
	}
	if (found < ZFS_ENOUGH)
		return 0;
	volume_set_type(l, "zfs_member");
	return 1;
}
