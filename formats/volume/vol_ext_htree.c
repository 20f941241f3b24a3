/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Indexed directories (kernel: ext4/directory.rst, "Hash Tree Directories"):
 * from a name's hash to the one block that may have it. Whatever looks odd is
 * left to the search through all blocks, which needs no index.
 */
#include "formats/volume/vol_ext_int.h"

#include <ext2fs/ext2fs.h>

#include "formats/base/bounds.h"

#define LEVELS_MAX 3u

struct dx_search {
	struct vol_ext *v;
	const struct ext_inode *dir;
	uint32_t hash;
	uint32_t next_hash;	/* of the neighbour of what was chosen */
	bool has_next;
	bool above_next;	/* a parent's neighbour may continue it */
};

static int hash_name(struct vol_ext *v, uint8_t version, const char *name,
		     uint32_t *out)
{
	ext2_dirhash_t hash, minor;
	int alg = version;

	if (alg > EXT2_HASH_TEA)
		return -EOPNOTSUPP;
	if (v->sb.hash_unsigned)
		alg += EXT2_HASH_LEGACY_UNSIGNED;
	if (ext2fs_dirhash(alg, name, (int)strlen(name), v->sb.hash_seed,
			   &hash, &minor))
		return -EOPNOTSUPP;
	*out = hash;
	return 0;
}

/* Chooses among the entries at off of an index block. */
static int choose(struct dx_search *s, const uint8_t *block, uint32_t off,
		  uint32_t *blk)
{
	uint32_t room = (s->v->sb.block_size - off) /
			sizeof(struct ext_dx_entry_disk);
	const struct ext_dx_entry_disk *e = (const void *)(block + off);
	uint32_t limit = le16_at(e), count = le16_at((const uint8_t *)e + 2);
	uint32_t lo = 1, hi = count;

	if (!count || count > limit || limit > room)
		return -EOPNOTSUPP;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (le32(e[mid].hash) <= s->hash)
			lo = mid + 1;
		else
			hi = mid;
	}
	*blk = le32(e[lo - 1].block) & 0x0fffffff;
	if (s->has_next && (s->next_hash & ~1u) == s->hash)
		s->above_next = true;
	s->has_next = lo < count;
	if (s->has_next)
		s->next_hash = le32(e[lo].hash);
	return 0;
}

static int descend(struct dx_search *s, const char *name, uint32_t *leaf)
{
	const struct ext_dx_root_disk *root;
	uint32_t levels, off;
	const void *block;
	int ret = vol_ext_map_get(s->v, s->dir, 0, &block);

	if (ret)
		return ret;
	root = (const void *)((const uint8_t *)block + EXT_DX_ROOT_OFF);
	levels = root->levels;
	off = EXT_DX_ROOT_OFF + root->info_length;
	if (levels > LEVELS_MAX || root->info_length != sizeof(*root))
		ret = -EOPNOTSUPP;
	if (!ret)
		ret = hash_name(s->v, root->hash_version, name, &s->hash);
	if (!ret)
		ret = choose(s, block, off, leaf);
	vol_ext_io_put(s->v->io, block);
	while (!ret && levels--) {
		ret = vol_ext_map_get(s->v, s->dir, *leaf, &block);
		if (ret)
			return ret;
		ret = choose(s, block, EXT_DX_NODE_OFF, leaf);
		vol_ext_io_put(s->v->io, block);
	}
	return ret;
}

static int scan_leaf(struct dx_search *s, uint32_t lblk, const char *name,
		     struct ext_dirpos *out)
{
	const void *block;
	int ret;

	if (lblk >= s->dir->size >> s->v->sb.block_bits)
		return -EOPNOTSUPP;
	ret = vol_ext_map_get(s->v, s->dir, lblk, &block);
	if (ret)
		return ret;
	out->lblk = lblk;
	ret = vol_ext_dir_scan(s->v, block, s->v->sb.block_size, name, out);
	vol_ext_io_put(s->v->io, block);
	return ret;
}

int vol_ext_htree_find(struct vol_ext *v, const struct ext_inode *dir,
		       const char *name, struct ext_dirpos *out)
{
	struct dx_search s = { .v = v, .dir = dir };
	uint32_t leaf;
	int ret;

	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return -EOPNOTSUPP;
	ret = descend(&s, name, &leaf);
	if (!ret)
		ret = scan_leaf(&s, leaf, name, out);
	/* Names of one hash may run on into the next block or blocks. */
	if (ret == -ENOENT && s.has_next && (s.next_hash & ~1u) == s.hash)
		ret = -EOPNOTSUPP;
	if (ret == -ENOENT && s.above_next)
		ret = -EOPNOTSUPP;
	return ret == -ERR_CORRUPT ? -EOPNOTSUPP : ret;
}
