/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Changing directories: new names through libext2fs, which knows the index;
 * existing ones in place, where our own search found them. */
#include "formats/volume/vol_ext_wint.h"

#include <stdlib.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"

static int file_type(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return EXT2_FT_DIR;
	case S_IFLNK:
		return EXT2_FT_SYMLINK;
	case S_IFCHR:
		return EXT2_FT_CHRDEV;
	case S_IFBLK:
		return EXT2_FT_BLKDEV;
	case S_IFIFO:
		return EXT2_FT_FIFO;
	case S_IFSOCK:
		return EXT2_FT_SOCK;
	default:
		return EXT2_FT_REG_FILE;
	}
}

/* Room for one more name, if there can be. */
static int make_room(struct vol_ext *v, uint32_t dir)
{
	ext2_filsys fs = v->lib->fs;
	struct ext_inode in;
	int ret = vol_ext_inode_load(v, dir, &in);

	if (ret)
		return ret;
	if (in.flags & EXT_INDEX_FL)
		return -ENOSPC;		/* as deep as it may become */
	if (!vol_ext_is_inline(&in) && in.size == v->sb.block_size &&
	    v->sb.compat & EXT_COMPAT_DIR_INDEX &&
	    fs->super->s_def_hash_version <= EXT2_HASH_TEA)
		return vol_ext_windex_make(v, dir);
	return vol_ext_err(v, ext2fs_expand_dir(fs, dir));
}

int vol_ext_wdir_add(struct vol_ext *v, uint32_t dir, const char *name,
		     uint32_t ino, mode_t mode)
{
	int ret;

	/* Inline becomes a block, a block becomes an index. */
	for (int tries = 0; tries < 4; tries++) {
		errcode_t err = ext2fs_link(v->lib->fs, dir, name, ino,
					    file_type(mode));

		if (err != EXT2_ET_DIR_NO_SPACE)
			return vol_ext_err(v, err);
		ret = make_room(v, dir);
		if (ret)
			return ret;
	}
	return -ENOSPC;
}

struct edit {
	const char *name;
	uint32_t ino;		/* 0: remove */
	uint8_t type;
	bool has_type;
	bool found;
};

static int edit_entry(struct ext2_dir_entry *d, int off, int size, char *buf,
		      void *priv)
{
	struct edit *e = priv;
	int len = ext2fs_dirent_name_len(d);

	if (!d->inode || (size_t)len != strlen(e->name) ||
	    memcmp(d->name, e->name, (size_t)len))
		return 0;
	d->inode = e->ino;
	if (e->ino && e->has_type)
		ext2fs_dirent_set_file_type(d, e->type);
	e->found = true;
	return DIRENT_CHANGED | DIRENT_ABORT;
}

static int edit_inline(struct vol_ext *v, uint32_t dir, struct edit *e)
{
	ext2_filsys fs = v->lib->fs;
	errcode_t err = e->ino ?
		ext2fs_dir_iterate(fs, dir, 0, NULL, edit_entry, e) :
		ext2fs_unlink(fs, dir, e->name, 0, 0);

	if (!err && e->ino && !e->found)
		return -ENOENT;
	return vol_ext_err(v, err);
}

/* The space of a removed entry goes to the one in front of it. */
static void edit_block(ext2_filsys fs, uint8_t *buf,
		       const struct ext_dirpos *pos, const struct edit *e)
{
	struct ext2_dir_entry *d = (void *)(buf + pos->off);
	struct ext2_dir_entry *prev = (void *)(buf + pos->prev);
	unsigned len, prev_len;

	d->inode = e->ino;
	if (e->ino && e->has_type)
		ext2fs_dirent_set_file_type(d, e->type);
	if (e->ino || pos->prev == pos->off)
		return;
	ext2fs_get_rec_len(fs, d, &len);
	ext2fs_get_rec_len(fs, prev, &prev_len);
	ext2fs_set_rec_len(fs, prev_len + len, prev);
}

static int edit(struct vol_ext *v, uint32_t dir, struct edit *e)
{
	ext2_filsys fs = v->lib->fs;
	struct ext_dirpos pos;
	struct ext_inode in;
	struct ext_run run;
	uint8_t *buf;
	errcode_t err;
	int ret = vol_ext_inode_load(v, dir, &in);

	e->has_type = v->sb.incompat & EXT_INCOMPAT_FILETYPE;
	if (ret)
		return ret;
	if (vol_ext_is_inline(&in))
		return edit_inline(v, dir, e);
	ret = vol_ext_dir_find(v, &in, e->name, &pos);
	if (!ret)
		ret = vol_ext_map(v, &in, pos.lblk, 1, &run);
	if (ret)
		return ret;
	buf = mem_alloc(1, fs->blocksize);
	if (!buf)
		return -ENOMEM;
	err = ext2fs_read_dir_block4(fs, run.pblk, buf, 0, dir);
	if (!err) {
		edit_block(fs, buf, &pos, e);
		err = ext2fs_write_dir_block4(fs, run.pblk, buf, 0, dir);
	}
	free(buf);
	return vol_ext_err(v, err);
}

int vol_ext_wdir_remove(struct vol_ext *v, uint32_t dir, const char *name)
{
	struct edit e = { .name = name };

	return edit(v, dir, &e);
}

int vol_ext_wdir_set(struct vol_ext *v, uint32_t dir, const char *name,
		     uint32_t ino, mode_t mode)
{
	struct edit e = {
		.name = name, .ino = ino, .type = (uint8_t)file_type(mode),
	};

	return edit(v, dir, &e);
}

static int emit_any(void *ctx, const struct tree_entry *entry)
{
	*(bool *)ctx = true;
	return 1;
}

int vol_ext_wdir_empty(struct vol_ext *v, uint32_t dir)
{
	bool any = false;
	int ret = vol_ext_list(&v->tree, vol_ext_id(dir), 0, false, emit_any,
			       &any);

	return ret ? ret : any ? -ENOTEMPTY : 0;
}
