/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Renaming: replacing a name is done in place, so that there is no moment
 * without it. */
#include "formats/volume/vol_ext_wint.h"

#include <stdio.h>

#include "formats/base/bounds.h"

struct side {
	struct ext_inode dir;
	const char *name;
	struct ext_inode in;	/* ino 0: the name is free */
};

static int load_side(struct vol_ext *v, uint64_t dir, const char *name,
		     struct side *out)
{
	struct ext_dirpos pos;
	int ret = vol_ext_dir_load(v, dir, &out->dir);

	out->name = name;
	out->in.ino = 0;
	if (ret)
		return ret;
	if (out->dir.flags & EXT_IMMUTABLE_FL)
		return -EPERM;
	ret = vol_ext_dir_find(v, &out->dir, name, &pos);
	if (!ret)
		ret = vol_ext_inode_load(v, pos.ino, &out->in);
	if (ret)
		return ret;
	return out->in.flags & (EXT_IMMUTABLE_FL | EXT_APPEND_FL) ? -EPERM : 0;
}

/* A directory must not move below itself. */
static int check_above(struct vol_ext *v, uint32_t moved, uint32_t dir)
{
	struct ext_dirpos pos;
	struct ext_inode in;

	for (uint32_t n = 0; dir != EXT2_ROOT_INO; n++) {
		int ret;

		if (dir == moved)
			return -EINVAL;
		ret = vol_ext_inode_load(v, dir, &in);
		if (ret || n > v->sb.inodes)
			return ret ? ret : -ERR_CORRUPT;
		/* Inline directories keep ".." in front of their entries. */
		if (vol_ext_is_inline(&in)) {
			dir = le32_at(in.block);
			continue;
		}
		ret = vol_ext_dir_find(v, &in, "..", &pos);
		if (ret)
			return ret;
		dir = pos.ino;
	}
	return 0;
}

static int check(struct vol_ext *v, const struct side *from,
		 const struct side *to, unsigned flags)
{
	bool dir = S_ISDIR(from->in.mode);
	int ret = 0;

	if (dir && from->dir.ino != to->dir.ino)
		ret = check_above(v, from->in.ino, to->dir.ino);
	if (ret || !to->in.ino)
		return flags & RENAME_EXCHANGE && !ret ? -ENOENT : ret;
	if (flags & RENAME_NOREPLACE)
		return -EEXIST;
	if (flags & RENAME_EXCHANGE)
		return S_ISDIR(to->in.mode) && from->dir.ino != to->dir.ino ?
			check_above(v, to->in.ino, from->dir.ino) : 0;
	if (S_ISDIR(to->in.mode) != dir)
		return dir ? -ENOTDIR : -EISDIR;
	return dir ? vol_ext_wdir_empty(v, to->in.ino) : 0;
}

/* A directory has come under a new parent. */
static int moved(struct vol_ext *v, const struct ext_inode *in, uint32_t from,
		 uint32_t to)
{
	int ret;

	if (!S_ISDIR(in->mode) || from == to)
		return 0;
	ret = vol_ext_wdir_set(v, in->ino, "..", to, S_IFDIR);
	if (!ret)
		ret = vol_ext_winode_count(v, from, -1);
	return ret ? ret : vol_ext_winode_count(v, to, 1);
}

static int exchange(struct vol_ext *v, const struct side *a,
		    const struct side *b)
{
	int ret = vol_ext_wdir_set(v, b->dir.ino, b->name, a->in.ino,
				   a->in.mode);

	if (!ret)
		ret = vol_ext_wdir_set(v, a->dir.ino, a->name, b->in.ino,
				       b->in.mode);
	if (!ret)
		ret = moved(v, &a->in, a->dir.ino, b->dir.ino);
	if (!ret)
		ret = moved(v, &b->in, b->dir.ino, a->dir.ino);
	return ret ? ret : vol_ext_winode_touch(v, b->in.ino, EXT_CTIME);
}

static int replace(struct vol_ext *v, const struct side *from,
		   const struct side *to)
{
	bool dir = S_ISDIR(to->in.mode);
	int ret;

	if (!to->in.ino)
		ret = vol_ext_wdir_add(v, to->dir.ino, to->name, from->in.ino,
				       from->in.mode);
	else
		ret = vol_ext_wdir_set(v, to->dir.ino, to->name, from->in.ino,
				       from->in.mode);
	if (!ret)
		ret = vol_ext_wdir_remove(v, from->dir.ino, from->name);
	if (!ret)
		ret = moved(v, &from->in, from->dir.ino, to->dir.ino);
	if (ret || !to->in.ino)
		return ret;
	if (dir)
		ret = vol_ext_winode_count(v, to->dir.ino, -1);
	return ret ? ret : vol_ext_winode_unlink(v, to->in.ino, dir);
}

int vol_ext_rename(struct tree *t, uint64_t dir, const char *name,
		   uint64_t ndir, const char *nname, unsigned flags)
{
	struct vol_ext *v = vol_ext_of(t);
	struct side from, to;
	int ret = load_side(v, dir, name, &from);

	if (ret)
		return ret;
	ret = load_side(v, ndir, nname, &to);
	if (ret && ret != -ENOENT)
		return ret;
	if (!to.dir.links)
		return -ENOENT;
	ret = check(v, &from, &to, flags);
	if (ret || from.in.ino == to.in.ino)
		return ret;
	ret = flags & RENAME_EXCHANGE ? exchange(v, &from, &to)
				      : replace(v, &from, &to);
	if (!ret)
		ret = vol_ext_winode_touch(v, from.in.ino, EXT_CTIME);
	if (!ret)
		ret = vol_ext_winode_touch(v, from.dir.ino,
					   EXT_MTIME | EXT_CTIME);
	if (!ret)
		ret = vol_ext_winode_touch(v, to.dir.ino,
					   EXT_MTIME | EXT_CTIME);
	return ret;
}
