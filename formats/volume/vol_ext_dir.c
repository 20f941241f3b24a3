/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Directories (kernel: ext4/directory.rst): blocks of entries, which an index
 * may order by hash, or inline data. */
#include "formats/volume/vol_ext_int.h"

#include <stdlib.h>

#include "formats/base/bounds.h"
#include "formats/base/crc.h"

/* Inline: 4 bytes of parent, entries to 60; then those of the attribute. */
#define INLINE_FIRST	4u
#define INLINE_SECOND	60u

static uint32_t decode_rec_len(uint32_t raw, uint32_t block_size)
{
	if (block_size < 65536)
		return raw;
	return raw == 65535 || !raw ? block_size
				    : (raw & 65532) | (raw & 3) << 16;
}

int vol_ext_dirent(struct vol_ext *v, const uint8_t *block, uint32_t len,
		   uint32_t off, struct ext_dirent *out)
{
	const struct ext_dirent_disk *d = (const void *)(block + off);
	uint32_t rec, need;

	if (!range_within(off, EXT_DIRENT_TAIL_SIZE, len))
		return -ERR_CORRUPT;
	rec = decode_rec_len(le16(d->rec_len), v->sb.block_size);
	need = sizeof(*d) + (uint32_t)round_up(d->name_len, 4);
	if (rec < EXT_DIRENT_TAIL_SIZE || rec & 3 ||
	    !range_within(off, rec, len) ||
	    (le32(d->inode) && (rec < need || !d->name_len)))
		return -ERR_CORRUPT;
	*out = (struct ext_dirent) {
		.ino = le32(d->inode), .rec_len = rec,
		.type = v->sb.incompat & EXT_INCOMPAT_FILETYPE ? d->type : 0,
		.name_len = d->name_len, .name = (const char *)(d + 1),
	};
	return 0;
}

/* Blocks of the index look like one empty entry to those who do not know it.
 * Block 0 becomes one in place: what was its tail may still be seen there. */
static bool is_index_block(struct vol_ext *v, const struct ext_inode *dir,
			   uint64_t lblk, const uint8_t *block)
{
	const struct ext_dirent_disk *first = (const void *)block;

	if (!(dir->flags & EXT_INDEX_FL))
		return false;
	return !lblk || (!le32(first->inode) &&
			 decode_rec_len(le16(first->rec_len),
					v->sb.block_size) == v->sb.block_size);
}

static bool block_csum_ok(struct vol_ext *v, const struct ext_inode *dir,
			  uint64_t lblk, const uint8_t *block)
{
	uint32_t at = v->sb.block_size - EXT_DIRENT_TAIL_SIZE;
	const struct ext_dirent_disk *tail = (const void *)(block + at);

	if (!vol_ext_has_csum(&v->sb) || le32(tail->inode) ||
	    le16(tail->rec_len) != EXT_DIRENT_TAIL_SIZE || tail->name_len ||
	    tail->type != EXT_DIRENT_TAIL_TYPE ||
	    is_index_block(v, dir, lblk, block))
		return true;
	return crc32c_update(vol_ext_inode_seed(v, dir), block, at) ==
	       le32_at(block + at + 8);
}

int vol_ext_dir_load(struct vol_ext *v, uint64_t id, struct ext_inode *out)
{
	struct ext_inode in;
	int ret = vol_ext_inode_load(v, vol_ext_ino(id), &in);

	if (ret)
		return ret == -ENOENT ? -ESTALE : ret;
	if (!S_ISDIR(in.mode))
		return -ENOTDIR;
	/* Names would be ciphertext. */
	if (in.flags & EXT_ENCRYPT_FL)
		return -EACCES;
	*out = in;
	return 0;
}

int vol_ext_dir_scan(struct vol_ext *v, const uint8_t *block, uint32_t len,
		     const char *name, struct ext_dirpos *out)
{
	size_t want = strlen(name);
	uint32_t prev = 0;
	struct ext_dirent e;

	for (uint32_t off = 0; off < len; prev = off, off += e.rec_len) {
		int ret = vol_ext_dirent(v, block, len, off, &e);

		if (ret)
			return ret;
		if (!e.ino || e.name_len != want || memcmp(e.name, name, want))
			continue;
		out->off = off;
		out->prev = off ? prev : off;
		out->ino = e.ino;
		out->type = e.type;
		return 0;
	}
	return -ENOENT;
}

static int find_inline(struct vol_ext *v, const struct ext_inode *dir,
		       const char *name, struct ext_dirpos *out)
{
	uint8_t *p;
	size_t len;
	int ret = vol_ext_inline_load(v, dir, &p, &len);

	if (ret)
		return ret;
	ret = vol_ext_dir_scan(v, p + INLINE_FIRST,
			       INLINE_SECOND - INLINE_FIRST, name, out);
	if (ret == -ENOENT && len > INLINE_SECOND)
		ret = vol_ext_dir_scan(v, p + INLINE_SECOND,
				       (uint32_t)(len - INLINE_SECOND), name,
				       out);
	free(p);
	return ret;
}

static int find_linear(struct vol_ext *v, const struct ext_inode *dir,
		       const char *name, struct ext_dirpos *out)
{
	uint64_t n = dir->size >> v->sb.block_bits;

	for (uint64_t lblk = 0; lblk < n; lblk++) {
		const void *block;
		int ret = vol_ext_map_get(v, dir, lblk, &block);

		if (ret)
			return ret;
		out->lblk = lblk;
		ret = block_csum_ok(v, dir, lblk, block) ?
			vol_ext_dir_scan(v, block, v->sb.block_size, name, out)
			: -ERR_CORRUPT;
		vol_ext_io_put(v->io, block);
		if (ret != -ENOENT)
			return ret;
	}
	return -ENOENT;
}

int vol_ext_dir_find(struct vol_ext *v, const struct ext_inode *dir,
		     const char *name, struct ext_dirpos *out)
{
	int ret = -EOPNOTSUPP;

	if (strlen(name) > UINT8_MAX)
		return -ENAMETOOLONG;
	if (vol_ext_is_inline(dir))
		return find_inline(v, dir, name, out);
	if (dir->flags & EXT_INDEX_FL && !(dir->flags & EXT_CASEFOLD_FL))
		ret = vol_ext_htree_find(v, dir, name, out);
	return ret == -EOPNOTSUPP ? find_linear(v, dir, name, out) : ret;
}

int vol_ext_lookup(struct tree *t, uint64_t dir, const char *name,
		   struct tree_attr *out)
{
	struct vol_ext *v = vol_ext_of(t);
	struct ext_dirpos pos;
	struct ext_inode in;
	int ret = vol_ext_dir_load(v, dir, &in);

	if (!ret)
		ret = vol_ext_dir_find(v, &in, name, &pos);
	if (ret)
		return ret;
	ret = vol_ext_inode_load(v, pos.ino, &in);
	if (ret)	/* the name is there, what it names is not */
		return ret == -ENOENT || ret == -ESTALE ? -ERR_CORRUPT : ret;
	vol_ext_inode_attr(&in, out);
	return 0;
}

struct listing {
	struct vol_ext *v;
	uint64_t from;
	bool want_attr;
	tree_emit_fn emit;
	void *ctx;
};

static mode_t type_of(uint8_t type)
{
	static const mode_t types[] = { 0, S_IFREG, S_IFDIR, S_IFCHR, S_IFBLK,
					S_IFIFO, S_IFSOCK, S_IFLNK };

	return type < ARRAY_LEN(types) ? types[type] : 0;
}

static bool is_dot(const struct ext_dirent *e)
{
	return e->name[0] == '.' && (e->name_len == 1 ||
				     (e->name_len == 2 && e->name[1] == '.'));
}

static int emit_one(struct listing *l, const struct ext_dirent *e,
		    uint64_t next)
{
	struct tree_entry entry = { .next = next };
	struct tree_attr attr;
	struct ext_inode in;
	char name[256];

	if (!e->ino || is_dot(e))
		return 0;
	if (memchr(e->name, '/', e->name_len) ||
	    memchr(e->name, 0, e->name_len))
		return -ERR_CORRUPT;
	memcpy(name, e->name, e->name_len);
	name[e->name_len] = '\0';
	entry.name = name;
	entry.id = vol_ext_id(e->ino);
	entry.type = type_of(e->type);
	if ((l->want_attr || !entry.type) &&
	    !vol_ext_inode_load(l->v, e->ino, &in)) {
		vol_ext_inode_attr(&in, &attr);
		entry.attr = &attr;
		entry.type = in.mode & S_IFMT;
	}
	return l->emit(l->ctx, &entry);
}

/* The entries of len bytes that lie at position at of the directory. */
static int list_block(struct listing *l, const uint8_t *block, uint32_t len,
		      uint64_t at)
{
	struct ext_dirent e;
	int ret = 0;

	for (uint32_t off = 0; off < len && !ret; off += e.rec_len) {
		ret = vol_ext_dirent(l->v, block, len, off, &e);
		if (!ret && at + off >= l->from)
			ret = emit_one(l, &e, at + off + e.rec_len);
	}
	return ret;
}

static int list_inline(struct listing *l, const struct ext_inode *dir)
{
	uint8_t *p;
	size_t len;
	int ret = vol_ext_inline_load(l->v, dir, &p, &len);

	if (ret)
		return ret;
	ret = list_block(l, p + INLINE_FIRST, INLINE_SECOND - INLINE_FIRST,
			 INLINE_FIRST);
	if (!ret && len > INLINE_SECOND)
		ret = list_block(l, p + INLINE_SECOND,
				 (uint32_t)(len - INLINE_SECOND),
				 INLINE_SECOND);
	free(p);
	return ret;
}

static int list_blocks(struct listing *l, const struct ext_inode *dir)
{
	struct vol_ext *v = l->v;
	uint64_t n = dir->size >> v->sb.block_bits;
	int ret = 0;

	for (uint64_t lblk = l->from >> v->sb.block_bits; lblk < n && !ret;
	     lblk++) {
		const void *block;

		ret = vol_ext_map_get(v, dir, lblk, &block);
		if (ret)
			return ret;
		ret = block_csum_ok(v, dir, lblk, block) ?
			list_block(l, block, v->sb.block_size,
				   lblk << v->sb.block_bits) : -ERR_CORRUPT;
		vol_ext_io_put(v->io, block);
	}
	return ret;
}

int vol_ext_list(struct tree *t, uint64_t dir, uint64_t from, bool want_attr,
		 tree_emit_fn emit, void *ctx)
{
	struct listing l = { vol_ext_of(t), from, want_attr, emit, ctx };
	struct ext_inode in;
	int ret = vol_ext_dir_load(l.v, dir, &in);

	if (!ret)
		ret = vol_ext_is_inline(&in) ? list_inline(&l, &in)
					     : list_blocks(&l, &in);
	return min_of(ret, 0);
}
