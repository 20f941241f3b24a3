/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The superblock and the group descriptors (kernel: ext4/super.rst,
 * ext4/group_descr.rst). */
#include "formats/volume/vol_ext_int.h"

#include "formats/base/bounds.h"
#include "formats/base/crc.h"

#define INCOMPAT_KNOWN (EXT_INCOMPAT_FILETYPE | EXT_INCOMPAT_RECOVER | \
	EXT_INCOMPAT_META_BG | EXT_INCOMPAT_EXTENTS | EXT_INCOMPAT_64BIT | \
	EXT_INCOMPAT_MMP | EXT_INCOMPAT_FLEX_BG | EXT_INCOMPAT_EA_INODE | \
	EXT_INCOMPAT_CSUM_SEED | EXT_INCOMPAT_LARGEDIR | \
	EXT_INCOMPAT_INLINE_DATA | EXT_INCOMPAT_ENCRYPT | EXT_INCOMPAT_CASEFOLD)
#define CSUM_TYPE_CRC32C 1

static int check_features(const struct ext_super_disk *d, struct diag *why)
{
	uint32_t f = le32(d->incompat);

	if (le16(d->magic) != EXT_MAGIC)
		return diag_fail(why, ERR_NOT_THIS, "ext4: no superblock");
	if (f & EXT_INCOMPAT_JOURNAL_DEV)
		return diag_fail(why, ERR_UNSUPP, "ext4: this is the external "
				 "journal of another volume");
	if (f & ~(uint32_t)INCOMPAT_KNOWN)
		return diag_fail(why, ERR_UNSUPP,
				 "ext4: superblock, unknown "
				 "features: 0x%x",
				 f & ~(uint32_t)INCOMPAT_KNOWN);
	if (!(le32(d->ro_compat) & EXT_RO_METADATA_CSUM))
		return 0;
	if (d->checksum_type != CSUM_TYPE_CRC32C)
		return diag_fail(why, ERR_UNSUPP, "ext4: superblock, unknown "
				 "checksum type: %u", d->checksum_type);
	if (crc32c_update(~0u, d, offsetof(struct ext_super_disk, checksum)) !=
	    le32(d->checksum))
		return diag_fail(why, ERR_CORRUPT, "ext4: superblock, bad "
				 "checksum: 0x%x", le32(d->checksum));
	return 0;
}

static int decode_sizes(const struct ext_super_disk *d, struct ext_super *s,
			struct diag *why)
{
	uint32_t log = le32(d->log_block_size),
		 clog = le32(d->log_cluster_size);
	bool wide = s->incompat & EXT_INCOMPAT_64BIT;

	if (log > 6)
		return diag_fail(why, ERR_CORRUPT, "ext4: superblock, block "
				 "size too large: 1024 << %u", log);
	s->block_bits = 10 + log;
	s->block_size = 1u << s->block_bits;
	s->cluster_blocks = 1;
	if (s->ro_compat & EXT_RO_BIGALLOC) {
		if (clog < log || clog > log + 20)
			return diag_fail(why, ERR_CORRUPT, "ext4: superblock, "
					 "bad cluster size: 1024 << %u", clog);
		s->cluster_blocks = 1u << (clog - log);
	}
	s->inode_size = EXT_INODE_SIZE_OLD;
	s->first_ino = 11;
	if (le32(d->rev_level)) {
		s->inode_size = le16(d->inode_size);
		s->first_ino = le32(d->first_ino);
	}
	if (!is_pow2(s->inode_size) || s->inode_size < EXT_INODE_SIZE_OLD ||
	    s->inode_size > s->block_size)
		return diag_fail(why, ERR_CORRUPT, "ext4: superblock, bad inode"
				 " size: %u", s->inode_size);
	s->desc_size = wide ? le16(d->desc_size) : EXT_GROUP_SIZE_OLD;
	if (wide && (!is_pow2(s->desc_size) || s->desc_size < 64 ||
		     s->desc_size > 1024))
		return diag_fail(why, ERR_CORRUPT, "ext4: superblock, bad "
				 "descriptor size: %u", s->desc_size);
	return 0;
}

static int decode_counts(const struct ext_super_disk *d, struct ext_super *s,
			 struct diag *why)
{
	bool wide = s->incompat & EXT_INCOMPAT_64BIT;
	uint64_t hi = wide ? le32(d->blocks_hi) : 0, groups;
	uint32_t most = 8 * s->block_size;

	s->blocks = hi << 32 | le32(d->blocks_lo);
	s->r_blocks = (uint64_t)(wide ? le32(d->r_blocks_hi) : 0) << 32 |
		      le32(d->r_blocks_lo);
	s->inodes = le32(d->inodes_count);
	s->free_inodes = le32(d->free_inodes);
	s->first_data_block = le32(d->first_data_block);
	s->blocks_per_group = le32(d->blocks_per_group);
	s->inodes_per_group = le32(d->inodes_per_group);
	if (s->first_data_block > 1 || s->blocks <= s->first_data_block ||
	    s->blocks > UINT64_MAX >> s->block_bits >> 1)
		return diag_fail(why, ERR_CORRUPT, "ext4: superblock, bad "
				 "number of blocks: %llu",
				 (unsigned long long)s->blocks);
	if (!s->blocks_per_group || !s->inodes_per_group ||
	    s->blocks_per_group / s->cluster_blocks > most ||
	    s->inodes_per_group > most)
		return diag_fail(why, ERR_CORRUPT, "ext4: superblock, bad group"
				 " size: %u blocks, %u inodes",
				 s->blocks_per_group, s->inodes_per_group);
	groups = div_up(s->blocks - s->first_data_block, s->blocks_per_group);
	if (groups > UINT32_MAX || s->inodes < 11 ||
	    s->inodes > groups * s->inodes_per_group)
		return diag_fail(why, ERR_CORRUPT, "ext4: superblock, bad "
				 "number of inodes: %u", s->inodes);
	s->groups = (uint32_t)groups;
	return 0;
}

/* The label need not be UTF-8 nor end in NUL. */
static void copy_label(const struct ext_super_disk *d, struct ext_super *s)
{
	memcpy(s->label, d->volume_name, sizeof(d->volume_name));
	s->label[sizeof(d->volume_name)] = '\0';
}

static void decode_rest(const struct ext_super_disk *d, struct ext_super *s)
{
	s->first_meta_bg = le32(d->first_meta_bg);
	s->reserved_gdt = le16(d->reserved_gdt_blocks);
	s->state = le16(d->state);
	s->journal_inum = le32(d->journal_inum);
	s->last_orphan = le32(d->last_orphan);
	s->orphan_file = le32(d->orphan_file_inum);
	s->overhead_clusters = le32(d->overhead_clusters);
	for (int i = 0; i < 4; i++)
		s->hash_seed[i] = le32(d->hash_seed[i]);
	s->hash_unsigned = le32(d->flags) & EXT_FLAGS_UNSIGNED_HASH;
	memcpy(s->uuid, d->uuid, sizeof(s->uuid));
	s->csum_seed = s->incompat & EXT_INCOMPAT_CSUM_SEED ?
		le32(d->checksum_seed) :
		crc32c_update(~0u, d->uuid, sizeof(d->uuid));
	copy_label(d, s);
}

int vol_ext_super_decode(const void *raw, uint64_t dev_size,
			 struct ext_super *out, struct diag *why)
{
	const struct ext_super_disk *d = raw;
	struct ext_super s = { 0 };
	int ret = check_features(d, why);

	if (ret)
		return ret;
	if (le32(d->rev_level)) {
		s.compat = le32(d->compat);
		s.incompat = le32(d->incompat);
		s.ro_compat = le32(d->ro_compat);
	}
	ret = decode_sizes(d, &s, why);
	if (!ret)
		ret = decode_counts(d, &s, why);
	if (ret)
		return ret;
	if (s.blocks > dev_size >> s.block_bits)
		return diag_fail(why, ERR_CORRUPT, "ext4: the volume is cut "
				 "short: %llu blocks in %llu bytes",
				 (unsigned long long)s.blocks,
				 (unsigned long long)dev_size);
	decode_rest(d, &s);
	*out = s;
	return 0;
}

static bool is_power_of(uint32_t n, uint32_t base)
{
	while (n > 1 && n % base == 0)
		n /= base;
	return n == 1;
}

static bool has_super(const struct ext_super *s, uint32_t group)
{
	if (group < 2 || !(s->ro_compat & EXT_RO_SPARSE_SUPER))
		return true;
	return is_power_of(group, 3) || is_power_of(group, 5) ||
	       is_power_of(group, 7);
}

/* The block of the descriptor table with this index. */
static uint64_t table_block(struct vol_ext *v, uint32_t idx)
{
	const struct ext_super *s = &v->sb;
	uint32_t per = s->block_size / s->desc_size, group;
	uint64_t first = s->first_data_block;

	/* A 1 KiB superblock in the first block of a bigalloc volume. */
	if (s->block_size == 1024 && !first)
		first = 1;
	if (!(s->incompat & EXT_INCOMPAT_META_BG) || idx < s->first_meta_bg)
		return first + 1 + idx +
		       (uint64_t)v->super_group * s->blocks_per_group;
	group = idx * per;
	return s->first_data_block + (uint64_t)group * s->blocks_per_group +
	       (group ? has_super(s, group) : first - s->first_data_block + 1);
}

static bool group_csum_ok(const struct ext_super *s, uint32_t group,
			  const uint8_t *raw)
{
	size_t at = offsetof(struct ext_group_disk, checksum);
	le32_t nr = to_le32(group);
	uint16_t zero = 0;
	uint32_t crc;

	if (!vol_ext_has_csum(s))
		return true;
	crc = crc32c_update(s->csum_seed, &nr, sizeof(nr));
	crc = crc32c_update(crc, raw, at);
	crc = crc32c_update(crc, &zero, sizeof(zero));
	if (s->desc_size > at + 2)
		crc = crc32c_update(crc, raw + at + 2, s->desc_size - at - 2);
	return (crc & 0xffff) == le16_at(raw + at);
}

int vol_ext_group_load(struct vol_ext *v, uint32_t group,
		       struct ext_group *out)
{
	const struct ext_super *s = &v->sb;
	uint32_t per = s->block_size / s->desc_size;
	struct ext_group_disk d = { 0 };
	const uint8_t *raw;
	const void *block;
	bool ok;
	int ret = vol_ext_io_get(v->io, table_block(v, group / per), &block);

	if (ret)
		return ret;
	raw = (const uint8_t *)block + group % per * s->desc_size;
	ok = group_csum_ok(s, group, raw);
	memcpy(&d, raw, min_of((size_t)s->desc_size, sizeof(d)));
	vol_ext_io_put(v->io, block);
	out->inode_table = (uint64_t)le32(d.inode_table_hi) << 32 |
			   le32(d.inode_table_lo);
	out->free_blocks = (uint32_t)le16(d.free_blocks_hi) << 16 |
			   le16(d.free_blocks_lo);
	out->free_inodes = (uint32_t)le16(d.free_inodes_hi) << 16 |
			   le16(d.free_inodes_lo);
	return ok ? 0 : -ERR_CORRUPT;
}
