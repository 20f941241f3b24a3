/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Changing attributes, plain and extended. */
#include "formats/volume/vol_ext_wint.h"

#include <sys/xattr.h>

#include "formats/base/bounds.h"

static void set_fields(vol_ext_raw *in, const struct tree_attr *set,
		       unsigned mask)
{
	if (mask & TREE_SET_MODE)
		in->i_mode = (__u16)((in->i_mode & S_IFMT) |
				     (set->mode & 07777));
	if (mask & TREE_SET_UID) {
		in->i_uid = (__u16)set->uid;
		in->i_uid_high = (__u16)(set->uid >> 16);
	}
	if (mask & TREE_SET_GID) {
		in->i_gid = (__u16)set->gid;
		in->i_gid_high = (__u16)(set->gid >> 16);
	}
	vol_ext_winode_now(in, EXT_CTIME);
	if (mask & TREE_SET_ATIME)
		vol_ext_winode_time(in, EXT_ATIME, &set->atime);
	if (mask & TREE_SET_MTIME)
		vol_ext_winode_time(in, EXT_MTIME, &set->mtime);
	if (mask & TREE_SET_CTIME)
		vol_ext_winode_time(in, EXT_CTIME, &set->ctime);
	if (mask & TREE_SET_BTIME)
		vol_ext_winode_time(in, EXT_BTIME, &set->btime);
}

int vol_ext_setattr(struct tree *t, uint64_t id, const struct tree_attr *set,
		    unsigned mask, struct tree_attr *out)
{
	struct vol_ext *v = vol_ext_of(t);
	uint32_t ino = vol_ext_ino(id);
	struct ext_inode now;
	vol_ext_raw in;
	int ret = vol_ext_inode_load(v, ino, &now);

	if (ret)
		return ret == -ENOENT ? -ESTALE : ret;
	if (now.flags & EXT_IMMUTABLE_FL)
		return -EPERM;
	if (mask & TREE_SET_SIZE)
		ret = vol_ext_truncate(v, ino, set->size);
	if (!ret)
		ret = vol_ext_winode_read(v, ino, &in);
	if (ret)
		return ret;
	set_fields(&in, set, mask);
	ret = vol_ext_winode_write(v, ino, &in);
	return ret ? ret : vol_ext_getattr(t, id, out);
}

static bool may_set(const char *name)
{
	return !strncmp(name, "user.", 5) || !strncmp(name, "trusted.", 8) ||
	       !strncmp(name, "security.", 9) ||
	       !strcmp(name, "system.posix_acl_access") ||
	       !strcmp(name, "system.posix_acl_default");
}

/* value NULL removes it. */
static errcode_t change(ext2_filsys fs, uint32_t ino, const char *name,
			const void *value, size_t size)
{
	struct ext2_xattr_handle *h;
	errcode_t err = ext2fs_xattrs_open(fs, ino, &h);

	if (err)
		return err;
	err = ext2fs_xattrs_read(h);
	if (!err)
		err = value ? ext2fs_xattr_set(h, name, value, size)
			    : ext2fs_xattr_remove(h, name);
	ext2fs_xattrs_close(&h);
	return err;
}

static int check_change(struct vol_ext *v, uint64_t id, const char *name,
			int flags)
{
	struct ext_inode in;
	ssize_t ret = vol_ext_inode_load(v, vol_ext_ino(id), &in);

	if (ret)
		return (int)ret;
	if (in.flags & (EXT_IMMUTABLE_FL | EXT_APPEND_FL))
		return -EPERM;
	if (!may_set(name))
		return -EOPNOTSUPP;
	ret = vol_ext_getxattr(&v->tree, id, name, NULL, 0);
	if (ret < 0 && ret != -ENODATA)
		return (int)ret;
	if (ret >= 0 && flags & XATTR_CREATE)
		return -EEXIST;
	return ret < 0 && flags & XATTR_REPLACE ? -ENODATA : 0;
}

/* libext2fs 1.47 leaves values in inodes of their own out of the count of the
 * inode that has them; Linux and e2fsck count them. */
static int recount(struct vol_ext *v, uint32_t ino, uint64_t before)
{
	unsigned shift = v->sb.block_bits - 9;
	uint64_t after;
	vol_ext_raw in;
	int ret = vol_ext_xattr_outside(v, ino, &after);

	if (!ret)
		ret = vol_ext_winode_read(v, ino, &in);
	if (ret || after == before)
		return ret;
	ret = vol_ext_err(v, after > before ?
		ext2fs_iblk_add_blocks(v->lib->fs, EXT2_INODE(&in),
				       (after - before) >> shift) :
		ext2fs_iblk_sub_blocks(v->lib->fs, EXT2_INODE(&in),
				       (before - after) >> shift));
	return ret ? ret : vol_ext_winode_write(v, ino, &in);
}

/* value NULL removes it. */
static int apply(struct vol_ext *v, uint32_t ino, const char *name,
		 const void *value, size_t size)
{
	bool outside = v->sb.incompat & EXT_INCOMPAT_EA_INODE;
	uint64_t before = 0;
	int ret = outside ? vol_ext_xattr_outside(v, ino, &before) : 0;

	if (!ret)
		ret = vol_ext_err(v, change(v->lib->fs, ino, name, value,
					    size));
	if (outside) {
		vol_ext_all_noted(v);	/* it chose the inodes */
		if (!ret)
			ret = recount(v, ino, before);
	}
	return ret ? ret : vol_ext_winode_touch(v, ino, EXT_CTIME);
}

/* The access ACL's base entries are the permission bits; the group's are the
 * mask's where there is one. */
static int mode_from_acl(struct vol_ext *v, uint32_t ino, const uint8_t *acl,
			 size_t size)
{
	enum { USER_OBJ = 1, GROUP_OBJ = 4, MASK = 0x10, OTHER = 0x20 };
	int user = -1, group = -1, mask = -1, other = -1;
	vol_ext_raw in;
	int ret = vol_ext_winode_read(v, ino, &in);

	for (size_t at = 4; range_within(at, 8, size); at += 8) {
		int tag = le16_at(acl + at), perm = le16_at(acl + at + 2) & 7;

		user = tag == USER_OBJ ? perm : user;
		group = tag == GROUP_OBJ ? perm : group;
		mask = tag == MASK ? perm : mask;
		other = tag == OTHER ? perm : other;
	}
	if (ret || user < 0 || group < 0 || other < 0)
		return ret;
	in.i_mode = (__u16)((in.i_mode & ~0777) | user << 6 |
			    (mask < 0 ? group : mask) << 3 | other);
	return vol_ext_winode_write(v, ino, &in);
}

int vol_ext_setxattr(struct tree *t, uint64_t id, const char *name,
		     const void *value, size_t size, int flags)
{
	struct vol_ext *v = vol_ext_of(t);
	int ret = check_change(v, id, name, flags);

	if (ret)
		return ret;
	if (strlen(name) > 255)
		return -ERANGE;
	if (!strncmp(name, "system.", 7) && (size < 4 || size % 8 != 4 ||
					     le32_at(value) != 2))
		return -EINVAL;		/* no ACL of this version */
	ret = apply(v, vol_ext_ino(id), name, value ? value : "", size);
	if (!ret && !strcmp(name, "system.posix_acl_access"))
		ret = mode_from_acl(v, vol_ext_ino(id), value, size);
	return ret;
}

int vol_ext_removexattr(struct tree *t, uint64_t id, const char *name)
{
	struct vol_ext *v = vol_ext_of(t);
	int ret = check_change(v, id, name, XATTR_REPLACE);

	return ret ? ret : apply(v, vol_ext_ino(id), name, NULL, 0);
}
