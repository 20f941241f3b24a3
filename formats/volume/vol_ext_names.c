/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Making and removing names. A new name is entered before what it names is
 * filled in: when there is no room for it, nothing has to be undone. */
#include "formats/volume/vol_ext_wint.h"

#include <sys/random.h>
#include <sys/sysmacros.h>

#include "formats/base/bounds.h"

/* May names be added to or taken from this directory? */
static int load_parent(struct vol_ext *v, uint64_t dir, struct ext_inode *out)
{
	int ret = vol_ext_dir_load(v, dir, out);

	if (ret)
		return ret;
	if (!out->links)
		return -ENOENT;
	return out->flags & EXT_IMMUTABLE_FL ? -EPERM : 0;
}

static int must_be_absent(struct vol_ext *v, const struct ext_inode *dir,
			  const char *name)
{
	struct ext_dirpos pos;
	int ret = vol_ext_dir_find(v, dir, name, &pos);

	return ret == -ENOENT ? 0 : ret ? ret : -EEXIST;
}

static void set_rdev(vol_ext_raw *in, dev_t rdev)
{
	unsigned a = major(rdev), b = minor(rdev);

	if (a < 256 && b < 256)
		in->i_block[0] = ext2fs_cpu_to_le32(a << 8 | b);
	else
		in->i_block[1] = ext2fs_cpu_to_le32((b & 0xff) | a << 8 |
						    (b & ~0xffu) << 12);
}

static void set_owner(vol_ext_raw *in, uid_t uid, gid_t gid)
{
	in->i_uid = (__u16)uid;
	in->i_gid = (__u16)gid;
	in->i_uid_high = (__u16)(uid >> 16);
	in->i_gid_high = (__u16)(gid >> 16);
}

/* What all kinds of inodes have; the project comes from the directory. */
static void set_common(struct vol_ext *v, const vol_ext_raw *parent,
		       const struct tree_new *what, vol_ext_raw *in)
{
	__u32 gen = 0;

	(void)!getrandom(&gen, sizeof(gen), 0);
	in->i_mode = (__u16)what->mode;
	set_owner(in, what->uid, what->gid);
	in->i_generation = gen;
	if (v->sb.inode_size > EXT2_GOOD_OLD_INODE_SIZE)
		in->i_extra_isize = sizeof(*in) - EXT2_GOOD_OLD_INODE_SIZE;
	if (parent->i_flags & EXT4_PROJINHERIT_FL) {
		in->i_projid = parent->i_projid;
		if (S_ISDIR(what->mode))
			in->i_flags |= EXT4_PROJINHERIT_FL;
	}
	vol_ext_winode_now(in, EXT_ATIME | EXT_MTIME | EXT_CTIME | EXT_BTIME);
}

static int fill_plain(struct vol_ext *v, uint32_t ino, vol_ext_raw *in,
		      const struct tree_new *what)
{
	size_t len = what->target ? strlen(what->target) : 0;

	in->i_links_count = 1;
	if (S_ISREG(what->mode) && v->sb.incompat & EXT_INCOMPAT_EXTENTS)
		vol_ext_winode_extents(in);
	if (S_ISCHR(what->mode) || S_ISBLK(what->mode))
		set_rdev(in, what->rdev);
	if (S_ISLNK(what->mode)) {
		memcpy(in->i_block, what->target, len);
		in->i_size = (__u32)len;
	}
	vol_ext_inode_used(v, ino, true, false);
	return vol_ext_winode_new(v, ino, in);
}

/* libext2fs makes the block; then the inode gets what it left out. Its
 * generation stays: the block's checksum begins with it. */
static int fill_by_lib(struct vol_ext *v, uint32_t dir, uint32_t ino,
		       vol_ext_raw *in, const struct tree_new *what)
{
	ext2_filsys fs = v->lib->fs;
	errcode_t err = S_ISDIR(what->mode) ?
		ext2fs_mkdir(fs, dir, ino, NULL) :
		ext2fs_symlink(fs, dir, ino, NULL, what->target);
	vol_ext_raw made;
	int ret = vol_ext_err(v, err);

	if (ret)
		return ret;
	vol_ext_inode_noted(v, ino);
	ret = vol_ext_winode_read(v, ino, &made);
	if (ret)
		return ret;
	made.i_mode = in->i_mode;
	made.i_flags |= in->i_flags;
	made.i_projid = in->i_projid;
	set_owner(&made, what->uid, what->gid);
	vol_ext_winode_now(&made,
			   EXT_ATIME | EXT_MTIME | EXT_CTIME | EXT_BTIME);
	return vol_ext_winode_write(v, ino, &made);
}

static int fill(struct vol_ext *v, uint32_t dir, uint32_t ino,
		const struct tree_new *what)
{
	vol_ext_raw parent, in = { 0 };
	int ret = vol_ext_winode_read(v, dir, &parent);

	if (ret)
		return ret;
	set_common(v, &parent, what, &in);
	if (S_ISDIR(what->mode) ||
	    (S_ISLNK(what->mode) && strlen(what->target) >= sizeof(in.i_block)))
		return fill_by_lib(v, dir, ino, &in, what);
	return fill_plain(v, ino, &in, what);
}

static int check_new(struct vol_ext *v, const struct ext_inode *dir,
		     const char *name, const struct tree_new *what)
{
	size_t len = what->target ? strlen(what->target) : 0;

	if (S_ISLNK(what->mode) && (!len || len >= v->sb.block_size))
		return len ? -ENAMETOOLONG : -ENOENT;
	if (S_ISDIR(what->mode) && dir->links >= 65000 &&
	    !(v->sb.ro_compat & EXT_RO_DIR_NLINK))
		return -EMLINK;
	return must_be_absent(v, dir, name);
}

/* The "many" of a count that ran over, after libext2fs added one to it. */
static int fix_count(struct vol_ext *v, const struct ext_inode *before)
{
	vol_ext_raw in;
	int ret;

	if (!(v->sb.ro_compat & EXT_RO_DIR_NLINK) ||
	    (before->links > 1 && before->links < 64999))
		return 0;
	ret = vol_ext_winode_read(v, before->ino, &in);
	in.i_links_count = 1;
	return ret ? ret : vol_ext_winode_write(v, before->ino, &in);
}

int vol_ext_create(struct tree *t, uint64_t dir, const char *name,
		   const struct tree_new *what, struct tree_attr *out)
{
	struct vol_ext *v = vol_ext_of(t);
	struct ext_inode parent;
	ext2_ino_t ino;
	int ret = load_parent(v, dir, &parent);

	if (!ret)
		ret = check_new(v, &parent, name, what);
	if (!ret)
		ret = vol_ext_err(v, ext2fs_new_inode(v->lib->fs, parent.ino,
						      what->mode, NULL, &ino));
	if (!ret)
		ret = vol_ext_wdir_add(v, parent.ino, name, ino, what->mode);
	if (ret)
		return ret;
	ret = fill(v, parent.ino, ino, what);
	if (ret) {
		if (vol_ext_wdir_remove(v, parent.ino, name))
			v->lib->damaged = true;
		return ret;
	}
	if (S_ISDIR(what->mode))
		ret = fix_count(v, &parent);
	if (!ret)
		ret = vol_ext_winode_touch(v, parent.ino,
					   EXT_MTIME | EXT_CTIME);
	return ret ? ret : vol_ext_getattr(t, vol_ext_id(ino), out);
}

int vol_ext_link(struct tree *t, uint64_t id, uint64_t dir, const char *name,
		 struct tree_attr *out)
{
	struct vol_ext *v = vol_ext_of(t);
	struct ext_inode parent, in;
	vol_ext_raw raw;
	int ret = load_parent(v, dir, &parent);

	if (!ret)
		ret = vol_ext_inode_load(v, vol_ext_ino(id), &in);
	if (ret)
		return ret;
	if (S_ISDIR(in.mode) || in.flags & (EXT_IMMUTABLE_FL | EXT_APPEND_FL))
		return -EPERM;
	if (!in.links || in.links >= 65000)
		return in.links ? -EMLINK : -ENOENT;
	ret = must_be_absent(v, &parent, name);
	if (!ret)
		ret = vol_ext_wdir_add(v, parent.ino, name, in.ino, in.mode);
	if (!ret)
		ret = vol_ext_winode_read(v, in.ino, &raw);
	if (ret)
		return ret;
	raw.i_links_count++;
	vol_ext_winode_now(&raw, EXT_CTIME);
	ret = vol_ext_winode_write(v, in.ino, &raw);
	if (!ret)
		ret = vol_ext_winode_touch(v, parent.ino,
					   EXT_MTIME | EXT_CTIME);
	return ret ? ret : vol_ext_getattr(t, id, out);
}

int vol_ext_remove(struct tree *t, uint64_t dir, const char *name,
		   bool dir_wanted)
{
	struct vol_ext *v = vol_ext_of(t);
	struct ext_inode parent, in;
	struct ext_dirpos pos;
	int ret = load_parent(v, dir, &parent);

	if (!ret)
		ret = vol_ext_dir_find(v, &parent, name, &pos);
	if (!ret)
		ret = vol_ext_inode_load(v, pos.ino, &in);
	if (ret)
		return ret;
	if (S_ISDIR(in.mode) != dir_wanted)
		return dir_wanted ? -ENOTDIR : -EISDIR;
	if (in.flags & (EXT_IMMUTABLE_FL | EXT_APPEND_FL) ||
	    parent.flags & EXT_APPEND_FL)
		return -EPERM;
	if (dir_wanted)
		ret = vol_ext_wdir_empty(v, in.ino);
	if (!ret)
		ret = vol_ext_wdir_remove(v, parent.ino, name);
	if (!ret && dir_wanted)
		ret = vol_ext_winode_count(v, parent.ino, -1);
	if (!ret)
		ret = vol_ext_winode_touch(v, parent.ino,
					   EXT_MTIME | EXT_CTIME);
	return ret ? ret : vol_ext_winode_unlink(v, in.ino, dir_wanted);
}
