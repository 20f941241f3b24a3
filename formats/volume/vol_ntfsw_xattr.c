/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Windows metadata and streams as xattrs, under the names of ntfs-3g. */
#include "formats/volume/vol_ntfsw_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "formats/base/utf16.h"

#define USER "user."

static struct SECURITY_CONTEXT security(struct vol_ntfsw *w)
{
	return (struct SECURITY_CONTEXT) {
		.vol = w->vol, .pseccache = &w->permissions,
	};
}

/* POSIX ACLs would need a user mapping, which there is none of. */
static enum SYSTEMXATTRS system_type(struct vol_ntfsw *w, const char *name)
{
	enum SYSTEMXATTRS type = ntfs_xattr_system_type(name, w->vol);

	return type == XATTR_POSIX_ACC || type == XATTR_POSIX_DEF
		? XATTR_UNMAPPED : type;
}

/* Streams are for files and directories. */
static bool may_have_streams(ntfs_inode *ni)
{
	u32 tag;
	mode_t type = vol_ntfsw_type(ni, &tag);

	return S_ISREG(type) || S_ISDIR(type);
}

static int stream_name(struct vol_ntfsw *w, const char *name,
		       struct vol_ntfsw_name *out)
{
	int ret;

	if (w->opts.streams != STREAMS_XATTR || strncmp(name, USER, 5) ||
	    !name[5])
		return -EOPNOTSUPP;
	ret = vol_ntfsw_name(name + 5, out);
	return ret == -EILSEQ ? -EINVAL : ret;
}

/* The library copies the name, but does not say const. */
static ntfs_attr *open_stream(ntfs_inode *ni, const struct vol_ntfsw_name *u)
{
	struct vol_ntfsw_name copy = *u;

	return ntfs_attr_open(ni, AT_DATA, copy.u, (u32)copy.len);
}

static ssize_t get_system(struct vol_ntfsw *w, ntfs_inode *ni,
			  enum SYSTEMXATTRS type, void *buf, size_t size)
{
	struct SECURITY_CONTEXT scx = security(w);
	ntfs_inode *dir = NULL;
	int ret;

	errno = 0;
	if (type == XATTR_NTFS_DOS_NAME)
		dir = ntfs_dir_parent_inode(ni);
	ret = ntfs_xattr_system_getxattr(&scx, type, ni, dir, buf, size);
	if (dir)
		ntfs_inode_close(dir);
	if (ret < 0)
		return vol_ntfsw_errno();
	return size && (size_t)ret > size ? -ERANGE : ret;
}

static ssize_t get_stream(ntfs_inode *ni, const struct vol_ntfsw_name *u,
			  void *buf, size_t size)
{
	ntfs_attr *na = may_have_streams(ni) ? open_stream(ni, u) : NULL;
	s64 len, got;

	if (!na)
		return -ENODATA;
	len = na->data_size;
	errno = 0;
	if (!size)
		got = len;
	else if (len > (s64)size)
		got = -1, errno = ERANGE;
	else
		got = ntfs_attr_pread(na, 0, len, buf);
	ntfs_attr_close(na);
	return got != len ? vol_ntfsw_errno() : (ssize_t)got;
}

ssize_t vol_ntfsw_getxattr(struct tree *t, uint64_t id, const char *name,
			   void *buf, size_t size)
{
	struct vol_ntfsw *w = VOL_NTFSW(t);
	enum SYSTEMXATTRS type = system_type(w, name);
	struct vol_ntfsw_name u;
	ntfs_inode *ni;
	ssize_t got;
	int ret = type == XATTR_UNMAPPED ? stream_name(w, name, &u) : 0;

	if (!ret)
		ret = vol_ntfsw_get(w, id, &ni);
	if (ret)
		return ret;
	got = type == XATTR_UNMAPPED ? get_stream(ni, &u, buf, size)
				     : get_system(w, ni, type, buf, size);
	ret = vol_ntfsw_put(ni, 0);
	return ret ? ret : got;
}

/* Adds one name to a list; its new length or -ERANGE. */
static ssize_t list_one(const ATTR_RECORD *a, char *buf, size_t size,
			ssize_t at)
{
	char name[5 + UTF16_TO_UTF8_MAX(255) + 1] = USER;
	int len = utf16le_to_utf8((const u8 *)a +
				  le16_to_cpu(a->name_offset), a->name_length,
				  name + 5, sizeof(name) - 5);

	if (len < 0)
		return at;
	len += 6;
	if (size && (size_t)(at + len) > size)
		return -ERANGE;
	if (size)
		memcpy(buf + at, name, (size_t)len);
	return at + len;
}

ssize_t vol_ntfsw_listxattr(struct tree *t, uint64_t id, char *buf,
			    size_t size)
{
	struct vol_ntfsw *w = VOL_NTFSW(t);
	ntfs_attr_search_ctx *ctx;
	ntfs_inode *ni;
	ssize_t len = 0;
	int ret = vol_ntfsw_get(w, id, &ni);

	if (ret)
		return ret;
	if (w->opts.streams != STREAMS_XATTR || !may_have_streams(ni))
		return vol_ntfsw_put(ni, 0);
	ctx = ntfs_attr_get_search_ctx(ni, NULL);
	if (!ctx)
		return vol_ntfsw_put(ni, -ENOMEM);
	while (len >= 0 && !ntfs_attr_lookup(AT_DATA, NULL, 0, CASE_SENSITIVE,
					     0, NULL, 0, ctx))
		if (ctx->attr->name_length)
			len = list_one(ctx->attr, buf, size, len);
	ntfs_attr_put_search_ctx(ctx);
	ret = vol_ntfsw_put(ni, 0);
	return ret ? ret : len;
}

/* A short name belongs to the entry in the directory: the library wants both
 * inodes and closes both. */
static int set_dos_name(struct vol_ntfsw *w, ntfs_inode *ni, const void *value,
			size_t size, int flags)
{
	ntfs_inode *dir = ntfs_dir_parent_inode(ni);
	int ret;

	if (!dir)
		return vol_ntfsw_put(ni, -EINVAL);
	errno = 0;
	ret = value ? ntfs_set_ntfs_dos_name(ni, dir, value, size, flags)
		    : ntfs_remove_ntfs_dos_name(ni, dir);
	return ret < 0 ? vol_ntfsw_errno() : 0;
}

static int set_system(struct vol_ntfsw *w, ntfs_inode *ni,
		      enum SYSTEMXATTRS type, const void *value, size_t size,
		      int flags)
{
	struct SECURITY_CONTEXT scx = security(w);
	int ret = 0;

	errno = 0;
	if (ntfs_xattr_system_setxattr(&scx, type, ni, NULL, value, size,
				       flags))
		ret = vol_ntfsw_errno();
	if (type == XATTR_NTFS_ACL)
		w->inherit.dir = 0;
	if (!ret)
		vol_ntfsw_touch(ni, NTFS_UPDATE_CTIME);
	return vol_ntfsw_put(ni, ret);
}

static int fill_stream(ntfs_attr *na, const void *value, size_t size)
{
	s64 done = 0;

	errno = 0;
	if (ntfs_attr_truncate(na, 0))
		return vol_ntfsw_errno();
	while (done < (s64)size) {
		s64 n = ntfs_attr_pwrite(na, done, (s64)size - done,
					 (const u8 *)value + done);

		if (n <= 0)
			return vol_ntfsw_errno();
		done += n;
	}
	return ntfs_attr_pclose(na) ? vol_ntfsw_errno() : 0;
}

static int set_stream(ntfs_inode *ni, struct vol_ntfsw_name *u,
		      const void *value, size_t size, int flags)
{
	ntfs_attr *na;
	int ret;

	if (!may_have_streams(ni))
		return -EPERM;
	na = open_stream(ni, u);
	if (na && flags & XATTR_CREATE) {
		ntfs_attr_close(na);
		return -EEXIST;
	}
	if (!na && flags & XATTR_REPLACE)
		return -ENODATA;
	errno = 0;
	if (!na && ntfs_attr_add(ni, AT_DATA, u->u, (u8)u->len, NULL, 0))
		return vol_ntfsw_errno();
	if (!na)
		na = open_stream(ni, u);
	if (!na)
		return vol_ntfsw_errno();
	ret = fill_stream(na, value, size);
	ntfs_attr_close(na);
	ni->flags |= FILE_ATTR_ARCHIVE;
	vol_ntfsw_touch(ni, NTFS_UPDATE_CTIME);
	return ret;
}

int vol_ntfsw_setxattr(struct tree *t, uint64_t id, const char *name,
		       const void *value, size_t size, int flags)
{
	struct vol_ntfsw *w = VOL_NTFSW(t);
	enum SYSTEMXATTRS type = system_type(w, name);
	struct vol_ntfsw_name u;
	ntfs_inode *ni;
	int ret = type == XATTR_UNMAPPED ? stream_name(w, name, &u) : 0;

	if (!ret && type == XATTR_UNMAPPED && w->opts.windows_names &&
	    ntfs_forbidden_chars(u.u, u.len, TRUE))
		ret = -EINVAL;
	if (!ret)
		ret = vol_ntfsw_get(w, id, &ni);
	if (ret)
		return ret;
	if (type == XATTR_NTFS_DOS_NAME)
		return set_dos_name(w, ni, value ? value : "", size, flags);
	if (type != XATTR_UNMAPPED)
		return set_system(w, ni, type, value, size, flags);
	return vol_ntfsw_put(ni, set_stream(ni, &u, value, size, flags));
}

static int remove_system(struct vol_ntfsw *w, ntfs_inode *ni,
			 enum SYSTEMXATTRS type)
{
	struct SECURITY_CONTEXT scx = security(w);
	int ret = 0;

	errno = 0;
	if (ntfs_xattr_system_removexattr(&scx, type, ni, NULL))
		ret = vol_ntfsw_errno();
	else
		vol_ntfsw_touch(ni, NTFS_UPDATE_CTIME);
	return vol_ntfsw_put(ni, ret);
}

static int remove_stream(ntfs_inode *ni, const struct vol_ntfsw_name *u)
{
	ntfs_attr *na = open_stream(ni, u);
	int ret = 0;

	if (!na)
		return -ENODATA;
	errno = 0;
	if (ntfs_attr_rm(na))
		ret = vol_ntfsw_errno();
	ntfs_attr_close(na);
	ni->flags |= FILE_ATTR_ARCHIVE;
	vol_ntfsw_touch(ni, NTFS_UPDATE_CTIME);
	return ret;
}

int vol_ntfsw_removexattr(struct tree *t, uint64_t id, const char *name)
{
	struct vol_ntfsw *w = VOL_NTFSW(t);
	enum SYSTEMXATTRS type = system_type(w, name);
	struct vol_ntfsw_name u;
	ntfs_inode *ni;
	int ret = type == XATTR_UNMAPPED ? stream_name(w, name, &u) : 0;

	if (!ret)
		ret = vol_ntfsw_get(w, id, &ni);
	if (ret)
		return ret;
	switch (type) {
	case XATTR_UNMAPPED:
		return vol_ntfsw_put(ni, remove_stream(ni, &u));
	case XATTR_NTFS_DOS_NAME:
		return set_dos_name(w, ni, NULL, 0, 0);
	case XATTR_NTFS_REPARSE_DATA:
	case XATTR_NTFS_OBJECT_ID:
	case XATTR_NTFS_EA:
		return remove_system(w, ni, type);
	default:
		/* Every file has these. */
		return vol_ntfsw_put(ni, -EPERM);
	}
}
