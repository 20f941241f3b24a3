/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Extended attributes (kernel: ext4/attributes.rst): behind the inode, in a
 * block, large values in inodes of their own. */
#include "formats/volume/vol_ext_int.h"

#include <stdlib.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"

enum { INDEX_ACL = 2, INDEX_ACL_DEFAULT = 3, INDEX_SYSTEM = 7 };

/* The kernel's XATTR_SIZE_MAX; values in the wild are not longer. */
#define VALUE_MAX 65536u

static const struct prefix {
	uint8_t index;
	bool whole;		/* the name is complete, nothing follows */
	const char *text;
} prefixes[] = {
	{ 1, false, "user." },
	{ INDEX_ACL, true, "system.posix_acl_access" },
	{ INDEX_ACL_DEFAULT, true, "system.posix_acl_default" },
	{ 4, false, "trusted." },
	{ 6, false, "security." },
	{ INDEX_SYSTEM, false, "system." },
	{ 8, true, "system.richacl" },
};

struct entry {
	uint8_t index;
	const char *name;
	size_t name_len;
	const uint8_t *value;	/* NULL: in inode inum */
	uint32_t inum;
	size_t size;
};

/* Returns 0 to go on; anything else ends the walk with it. */
typedef ssize_t (*entry_fn)(void *ctx, const struct entry *e);

/* Entries from off of p; their values lie relative to base. */
static ssize_t walk(const uint8_t *p, size_t len, size_t off, size_t base,
		    entry_fn fn, void *ctx)
{
	ssize_t ret = 0;

	while (!ret && range_within(off, 4, len) && le32_at(p + off)) {
		const struct ext_xattr_entry_disk *d = (const void *)(p + off);
		struct entry e;
		size_t at;

		if (!range_within(off, sizeof(*d), len) ||
		    !range_within(off + sizeof(*d), d->name_len, len))
			return -ERR_CORRUPT;
		e = (struct entry) {
			.index = d->name_index, .name = (const char *)(d + 1),
			.name_len = d->name_len, .inum = le32(d->value_inum),
			.size = le32(d->value_size),
		};
		at = base + le16(d->value_offs);
		if (e.size > VALUE_MAX ||
		    (!e.inum && !range_within(at, e.size, len)))
			return -ERR_CORRUPT;
		if (!e.inum)
			e.value = p + at;
		ret = fn(ctx, &e);
		off += sizeof(*d) + round_up(d->name_len, 4);
	}
	return ret;
}

static ssize_t walk_inode(struct vol_ext *v, const struct ext_inode *in,
			  entry_fn fn, void *ctx)
{
	size_t len = v->sb.inode_size, at = in->ea_off;
	uint8_t *raw;
	ssize_t ret;

	if (!at || at + 8 > len)
		return 0;
	raw = mem_alloc(1, len);
	ret = raw ? vol_ext_inode_raw(v, in->ino, raw) : -ENOMEM;
	if (!ret && le32_at(raw + at) == EXT_XATTR_MAGIC)
		ret = walk(raw, len, at + 4, at + 4, fn, ctx);
	free(raw);
	return ret;
}

static ssize_t walk_block(struct vol_ext *v, const struct ext_inode *in,
			  entry_fn fn, void *ctx)
{
	const struct ext_xattr_head_disk *h;
	const void *block;
	ssize_t ret;

	if (!in->file_acl)
		return 0;
	if (in->file_acl >= v->sb.blocks)
		return -ERR_CORRUPT;
	ret = vol_ext_io_get(v->io, in->file_acl, &block);
	if (ret)
		return ret;
	h = block;
	ret = le32(h->magic) != EXT_XATTR_MAGIC ? -ERR_CORRUPT :
		walk(block, v->sb.block_size, sizeof(*h), 0, fn, ctx);
	vol_ext_io_put(v->io, block);
	return ret;
}

static ssize_t walk_all(struct vol_ext *v, const struct ext_inode *in,
			entry_fn fn, void *ctx)
{
	ssize_t ret = walk_inode(v, in, fn, ctx);

	return ret ? ret : walk_block(v, in, fn, ctx);
}

static ssize_t read_value(struct vol_ext *v, const struct entry *e, void *buf)
{
	struct ext_inode in;
	ssize_t ret;

	if (!e->inum) {
		memcpy(buf, e->value, e->size);
		return 0;
	}
	ret = vol_ext_inode_load(v, e->inum, &in);
	if (ret)
		return ret == -ENOENT ? -ERR_CORRUPT : ret;
	if (!(in.flags & EXT_EA_INODE_FL) || in.size != e->size)
		return -ERR_CORRUPT;
	ret = vol_ext_data_read(v, &in, buf, e->size, 0);
	return ret < 0 ? ret : (size_t)ret == e->size ? 0 : -ERR_CORRUPT;
}

struct get {
	struct vol_ext *v;
	uint8_t index;
	const char *name;
	uint8_t *buf;
	size_t size;
};

/* The length comes back as length + 1, so that 0 means "go on". */
static ssize_t get_one(void *ctx, const struct entry *e)
{
	struct get *g = ctx;
	ssize_t ret;

	if (e->index != g->index || e->name_len != strlen(g->name) ||
	    memcmp(e->name, g->name, e->name_len))
		return 0;
	if (!g->size)
		return (ssize_t)e->size + 1;
	if (g->size < e->size)
		return -ERANGE;
	ret = read_value(g->v, e, g->buf);
	return ret ? ret : (ssize_t)e->size + 1;
}

static ssize_t get(struct vol_ext *v, const struct ext_inode *in, uint8_t index,
		   const char *name, void *buf, size_t size)
{
	struct get g = { v, index, name, buf, size };
	ssize_t ret = walk_all(v, in, get_one, &g);

	return ret > 0 ? ret - 1 : ret ? ret : -ENODATA;
}

int vol_ext_xattr_data(struct vol_ext *v, const struct ext_inode *in,
		       void *buf, size_t size, size_t *len)
{
	struct get g = { v, INDEX_SYSTEM, "data", buf, size };
	ssize_t ret = walk_inode(v, in, get_one, &g);

	*len = ret > 0 ? (size_t)ret - 1 : 0;
	return ret < 0 ? (int)ret : 0;
}

static ssize_t get_acl(struct vol_ext *v, const struct ext_inode *in,
		       uint8_t index, void *buf, size_t size)
{
	uint8_t *raw = mem_alloc(1, VALUE_MAX);
	ssize_t ret = raw ? get(v, in, index, "", raw, VALUE_MAX) : -ENOMEM;

	if (ret >= 0)
		ret = vol_ext_acl_value(raw, (size_t)ret, buf, size);
	free(raw);
	return ret;
}

static const struct prefix *find_prefix(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		const struct prefix *p = &prefixes[i];

		if (p->whole ? !strcmp(name, p->text) :
		    !strncmp(name, p->text, strlen(p->text)) &&
		    name[strlen(p->text)])
			return p;
	}
	return NULL;
}

ssize_t vol_ext_getxattr(struct tree *t, uint64_t id, const char *name,
			 void *buf, size_t size)
{
	struct vol_ext *v = vol_ext_of(t);
	const struct prefix *p = find_prefix(name);
	struct ext_inode in;
	int ret;

	if (!p)
		return -EOPNOTSUPP;
	if (!strcmp(name, "system.data"))
		return -ENODATA;
	ret = vol_ext_inode_load(v, vol_ext_ino(id), &in);
	if (ret)
		return ret;
	if (p->index == INDEX_ACL || p->index == INDEX_ACL_DEFAULT)
		return get_acl(v, &in, p->index, buf, size);
	return get(v, &in, p->index, name + strlen(p->text), buf, size);
}

struct names {
	char *buf;
	size_t size, used;
};

static ssize_t list_one(void *ctx, const struct entry *e)
{
	struct names *n = ctx;
	const struct prefix *p = NULL;
	size_t text, len;

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (prefixes[i].index == e->index)
			p = &prefixes[i];
	/* What no name can be made of stays invisible, as in Linux. */
	if (!p || memchr(e->name, 0, e->name_len) ||
	    (p->index == INDEX_SYSTEM && e->name_len == 4 &&
	     !memcmp(e->name, "data", 4)))
		return 0;
	text = strlen(p->text);
	len = text + e->name_len + 1;
	if (n->size && len > n->size - n->used)
		return -ERANGE;
	if (n->size) {
		memcpy(n->buf + n->used, p->text, text);
		memcpy(n->buf + n->used + text, e->name, e->name_len);
		n->buf[n->used + len - 1] = '\0';
	}
	n->used += len;
	return 0;
}

ssize_t vol_ext_listxattr(struct tree *t, uint64_t id, char *buf, size_t size)
{
	struct vol_ext *v = vol_ext_of(t);
	struct names n = { buf, size, 0 };
	struct ext_inode in;
	ssize_t ret = vol_ext_inode_load(v, vol_ext_ino(id), &in);

	if (!ret)
		ret = walk_all(v, &in, list_one, &n);
	return ret ? ret : (ssize_t)n.used;
}

struct outside {
	uint64_t block_size, bytes;
};

static ssize_t add_outside(void *ctx, const struct entry *e)
{
	struct outside *o = ctx;

	if (e->inum)
		o->bytes += round_up(e->size, o->block_size);
	return 0;
}

int vol_ext_xattr_outside(struct vol_ext *v, uint32_t ino, uint64_t *sectors)
{
	struct outside o = { v->sb.block_size, 0 };
	struct ext_inode in;
	ssize_t ret = vol_ext_inode_load(v, ino, &in);

	if (!ret)
		ret = walk_all(v, &in, add_outside, &o);
	*sectors = o.bytes >> 9;
	return (int)ret;
}
