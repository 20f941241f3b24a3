/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files that stand for something else, told apart by ntmeta.h as our reader
 * does: the two engines must give the same type and the same target.
 */
#include "formats/volume/vol_ntfsw_int.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <ntfs-3g/ea.h>
#include <ntfs-3g/reparse.h>

#include "formats/base/alloc.h"
#include "formats/base/utf16.h"
#include "formats/ntmeta.h"

/* A circle of parents is somebody's damage. */
#define DEPTH_MAX 16384

#define NAME_ROOM (UTF16_TO_UTF8_MAX(255) + 1)

static u32 reparse_tag(ntfs_inode *ni)
{
	REPARSE_POINT *rp;
	u32 tag;

	if (!(ni->flags & FILE_ATTR_REPARSE_POINT))
		return 0;
	rp = ntfs_get_reparse_point(ni);
	/* Something that cannot be read: certainly no plain file. */
	tag = rp ? le32_to_cpu(rp->reparse_tag) : ~NTMETA_TAG_SURROGATE;
	free(rp);
	return tag;
}

/* Interix keeps special files as system files with a magic word. */
static mode_t interix_type(ntfs_inode *ni)
{
	switch (ntfs_interix_types(ni)) {
	case NTFS_DT_FIFO: return S_IFIFO;
	case NTFS_DT_CHR: return S_IFCHR;
	case NTFS_DT_BLK: return S_IFBLK;
	case NTFS_DT_LNK: return S_IFLNK;
	case NTFS_DT_SOCK: return S_IFSOCK;
	default: return S_IFREG;
	}
}

static enum ntmeta_kind kind_of(ntfs_inode *ni, u32 tag)
{
	return ntmeta_kind_of(tag, le32_to_cpu(ni->flags));
}

mode_t vol_ntfsw_type(ntfs_inode *ni, u32 *tag)
{
	bool dir = ni->mrec->flags & MFT_RECORD_IS_DIRECTORY;

	*tag = reparse_tag(ni);
	if (!*tag && !dir && ni->flags & FILE_ATTR_SYSTEM)
		return interix_type(ni);
	return *tag ? ntmeta_type(kind_of(ni, *tag), dir)
		    : dir ? S_IFDIR : S_IFREG;
}

int vol_ntfsw_readable(ntfs_inode *ni)
{
	u32 tag;
	mode_t type = vol_ntfsw_type(ni, &tag);

	if (S_ISDIR(type))
		return -EISDIR;
	if (!S_ISREG(type))
		return -EINVAL;
	return tag && kind_of(ni, tag) == NTMETA_ELSEWHERE ? -EOPNOTSUPP : 0;
}

/* Reads a whole small system file; its length or -errno. */
static ssize_t read_interix(ntfs_inode *ni, void *buf, size_t size)
{
	ntfs_attr *na = vol_ntfsw_data(ni);
	s64 got = -1;

	if (!na)
		return vol_ntfsw_errno();
	if (na->data_size <= (s64)size)
		got = ntfs_attr_pread(na, 0, na->data_size, buf);
	else
		errno = ENAMETOOLONG;
	ntfs_attr_close(na);
	return got < 0 ? vol_ntfsw_errno() : (ssize_t)got;
}

dev_t vol_ntfsw_rdev(ntfs_inode *ni, u32 tag)
{
	INTX_FILE file;
	dev_t rdev = 0;

	if (tag)
		return ntfs_ea_check_wsldev(ni, &rdev) ? 0 : rdev;
	if (read_interix(ni, &file, sizeof(file)) <
	    (ssize_t)offsetof(INTX_FILE, device_end))
		return 0;
	return makedev((unsigned)le64_to_cpu(file.major),
		       (unsigned)le64_to_cpu(file.minor));
}

/* A walk from a link whose inode the caller has open, perhaps dirty: where the
 * way leads through the link itself, that inode is used. */
struct way {
	struct vol_ntfsw *w;
	ntfs_inode *link;
};

static int way_open(const struct way *y, u64 record, ntfs_inode **out)
{
	if (record != y->link->mft_no)
		return vol_ntfsw_get(y->w, ntfs_id_of_record(record), out);
	*out = y->link;
	return 0;
}

static int way_close(const struct way *y, ntfs_inode *ni, int ret)
{
	return ni == y->link ? ret : vol_ntfsw_put(ni, ret);
}

static int parent_of(const struct way *y, u64 record, u64 *out)
{
	ntfs_attr_search_ctx *ctx;
	ntfs_inode *ni;
	int ret = way_open(y, record, &ni);

	if (ret)
		return ret;
	ctx = ntfs_attr_get_search_ctx(ni, NULL);
	ret = -ERR_CORRUPT;
	if (ctx && !ntfs_attr_lookup(AT_FILE_NAME, NULL, 0, CASE_SENSITIVE, 0,
				     NULL, 0, ctx)) {
		const FILE_NAME_ATTR *fn = (const void *)((u8 *)ctx->attr +
			le16_to_cpu(ctx->attr->value_offset));

		*out = MREF_LE(fn->parent_directory);
		ret = 0;
	}
	if (ctx)
		ntfs_attr_put_search_ctx(ctx);
	return way_close(y, ni, ret);
}

/* "../" for every directory between the root and dir. */
static int put_climb(const struct way *y, u64 dir, char *buf, size_t size)
{
	size_t len = 0;

	while (dir != FILE_root) {
		int ret = parent_of(y, dir, &dir);

		if (ret)
			return ret;
		if (len + 4 > size || len > 3 * DEPTH_MAX)
			return -ENAMETOOLONG;
		memcpy(buf + len, "../", 4);
		len += 3;
	}
	return 0;
}

/* How dir spells the name of a record that was found ignoring case. */
static void real_name(ntfs_inode *ni, u64 dir,
		      const struct vol_ntfsw_name *name, char *real)
{
	ntfs_attr_search_ctx *ctx = ntfs_attr_get_search_ctx(ni, NULL);
	ntfs_volume *vol = ni->vol;
	ntfschar here[256];

	while (ctx && !ntfs_attr_lookup(AT_FILE_NAME, NULL, 0, CASE_SENSITIVE,
					0, NULL, 0, ctx)) {
		FILE_NAME_ATTR *fn = (void *)((u8 *)ctx->attr +
			le16_to_cpu(ctx->attr->value_offset));

		if (MREF_LE(fn->parent_directory) != dir ||
		    fn->file_name_type == FILE_NAME_DOS)
			continue;
		memcpy(here, (u8 *)fn + offsetof(FILE_NAME_ATTR, file_name),
		       fn->file_name_length * sizeof(*here));
		if (!ntfs_names_are_equal(here, fn->file_name_length, name->u,
					  (size_t)name->len, IGNORE_CASE,
					  vol->upcase, vol->upcase_len))
			continue;
		utf16le_to_utf8(here, fn->file_name_length, real, NAME_ROOM);
		break;
	}
	if (ctx)
		ntfs_attr_put_search_ctx(ctx);
}

static int find_nocase(const struct way *y, u64 dir,
		       const struct vol_ntfsw_name *name, u64 *record)
{
	bool sensitive = NVolCaseSensitive(y->w->vol);
	ntfs_inode *ni;
	int ret = way_open(y, dir, &ni);

	if (ret)
		return ret;
	NVolClearCaseSensitive(y->w->vol);
	ret = vol_ntfsw_find(ni, name, record);
	if (sensitive)
		NVolSetCaseSensitive(y->w->vol);
	return way_close(y, ni, ret);
}

/* One step of a target's path: its node, and its name as it is there. */
static int step(const struct way *y, u64 *dir, const char *part, char *real)
{
	struct vol_ntfsw_name name;
	ntfs_inode *ni;
	u64 record;
	int ret;

	snprintf(real, NAME_ROOM, "%s", part);
	if (!strcmp(part, ".."))
		return *dir == FILE_root ? 0 : parent_of(y, *dir, dir);
	ret = vol_ntfsw_name(part, &name);
	if (!ret)
		ret = find_nocase(y, *dir, &name, &record);
	if (!ret)
		ret = way_open(y, record, &ni);
	if (ret)
		return ret;
	real_name(ni, *dir, &name, real);
	*dir = record;
	return way_close(y, ni, 0);
}

/* Puts path, whose names are matched from dir on, behind what buf has. What
 * leads nowhere stays as it was written. */
static int put_matched(const struct way *y, u64 dir, char *path, char *buf,
		       size_t size)
{
	char real[NAME_ROOM], *save;
	size_t pos = strlen(buf);
	bool lost = false;

	for (char *part = strtok_r(path, "/", &save); part;
	     part = strtok_r(NULL, "/", &save)) {
		int n;

		lost = lost || step(y, &dir, part, real);
		n = snprintf(buf + pos, size - pos, "%s%s",
			     pos && buf[pos - 1] != '/' ? "/" : "",
			     lost ? part : real);
		if (n < 0 || (size_t)n >= size - pos)
			return -ENAMETOOLONG;
		pos += (size_t)n;
	}
	return (int)pos;
}

static int place(const struct way *y, char *path, bool beside, char *buf,
		 size_t size)
{
	u64 dir;
	int ret = parent_of(y, y->link->mft_no, &dir);

	buf[0] = '\0';
	if (!ret && !beside) {
		ret = put_climb(y, dir, buf, size);
		dir = FILE_root;
	}
	if (!ret)
		ret = put_matched(y, dir, path, buf, size);
	if (ret < 0)
		return ret;
	if (!ret)
		return snprintf(buf, size, ".");
	/* The root, seen from below: no slash at the end. */
	if (ret > 1 && buf[ret - 1] == '/')
		buf[--ret] = '\0';
	return ret;
}

static int rebase(const struct way *y, const char *text, bool relative,
		  char *buf, size_t size)
{
	const struct volume_opts *o = &y->w->opts;
	struct ntmeta_drive drives[26];
	char path[PATH_MAX];
	size_t n = 0;
	int where;

	for (size_t i = 0; i < o->n_drives && n < ARRAY_LEN(drives); i++)
		n += !ntmeta_drive_parse(o->drives[i], &drives[n].letter,
					 &drives[n].path);
	where = ntmeta_target(text, relative, drives, n, path, sizeof(path));
	if (where < 0)
		return where;
	if (where == NTMETA_OUTSIDE || where == NTMETA_AS_IS) {
		int len = snprintf(buf, size, "%s", path);

		return (size_t)len < size ? len : -ENAMETOOLONG;
	}
	return place(y, path, where == NTMETA_BESIDE, buf, size);
}

static int decoded_text(const struct way *y, const struct ntmeta_reparse *r,
			char *buf, size_t size)
{
	size_t room = UTF16_TO_UTF8_MAX(r->target_len / 2) + 1;
	char *text;
	int ret;

	if (r->utf8) {
		if (r->target_len >= size)
			return -ENAMETOOLONG;
		memcpy(buf, r->target, r->target_len);
		buf[r->target_len] = '\0';
		return (int)strlen(buf);
	}
	text = mem_alloc(room, 1);
	if (!text)
		return -ENOMEM;
	ret = utf16le_to_utf8(r->target, r->target_len / 2, text, room);
	if (ret >= 0)
		ret = rebase(y, text, r->relative, buf, size);
	free(text);
	return ret;
}

static int reparse_text(struct vol_ntfsw *w, ntfs_inode *ni, char *buf,
			size_t size)
{
	REPARSE_POINT *rp = ntfs_get_reparse_point(ni);
	struct way y = { .w = w, .link = ni };
	struct ntmeta_reparse r;
	int ret;

	if (!rp)
		return vol_ntfsw_errno();
	/* The library has held the length against the attribute's. */
	ret = ntmeta_reparse_decode(rp, 8u + le16_to_cpu(
					    rp->reparse_data_length), &r);
	if (!ret && r.target) {
		ret = decoded_text(&y, &r, buf, size);
	} else if (!ret) {
		ret = snprintf(buf, size, "unsupported reparse tag 0x%08x",
			       r.tag);
		ret = (size_t)ret < size ? ret : -ENAMETOOLONG;
	}
	free(rp);
	return ret;
}

static int interix_text(ntfs_inode *ni, char *buf, size_t size)
{
	size_t room = sizeof(INTX_FILE_TYPES) + PATH_MAX * sizeof(ntfschar);
	size_t head = offsetof(INTX_FILE, target);
	INTX_FILE *file = malloc(room);
	ssize_t got = file ? read_interix(ni, file, room) : -ENOMEM;
	int len = -ERR_CORRUPT;

	if (got < 0)
		len = (int)got;
	else if (got > (ssize_t)head && file->magic == INTX_SYMBOLIC_LINK)
		len = utf16le_to_utf8((u8 *)file + head,
				      ((size_t)got - head) / 2, buf, size);
	free(file);
	return len;
}

int vol_ntfsw_link_text(struct vol_ntfsw *w, ntfs_inode *ni, char *buf,
			size_t size)
{
	if (ni->flags & FILE_ATTR_REPARSE_POINT)
		return reparse_text(w, ni, buf, size);
	return interix_text(ni, buf, size);
}
