/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * NTFS files that stand for something else: reparse points, WSL's special
 * files, and Interix' (a system file whose data begins with a magic word).
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "formats/base/alloc.h"
#include "formats/base/utf16.h"
#include "formats/ntfs/ntfs_int.h"
#include "formats/ntmeta.h"

#define INTERIX_LINK "IntxLNK\1"
#define INTERIX_CHR "IntxCHR\0"
#define INTERIX_BLK "IntxBLK\0"
#define INTERIX_MAX (8u + 4096 * 2)

static const struct ntfs_want want_reparse = {
	.type = NTFS_AT_REPARSE_POINT, .any_name = true
};
static const struct ntfs_want want_data = { .type = NTFS_AT_DATA };
static const struct ntfs_want want_ea = {
	.type = NTFS_AT_EA, .any_name = true
};

/* WSL keeps device numbers in the extended attribute $LXDEV. */
static void find_lxdev(const uint8_t *ea, uint32_t len, dev_t *out)
{
	uint32_t off = 0;

	while (range_within(off, 8, len)) {
		const uint8_t *p = ea + off;
		uint32_t next = le32_at(p), name = p[5], value = le16_at(p + 6);

		if (!range_within(off, 8 + name + 1 + value, len))
			return;
		if (name == 6 && !memcmp(p + 8, "$LXDEV", 6) && value == 8)
			*out = makedev(le32_at(p + 15), le32_at(p + 19));
		if (!next || next > len - off)
			return;
		off += next;
	}
}

static int load_lxdev(struct ntfs *v, const struct ntfs_rec *rec,
		      struct ntfs_info *info)
{
	uint8_t *ea;
	uint32_t len;
	int ret = ntfs_stream_slurp(v, rec, &want_ea, 65536, &ea, &len);

	if (ret == -ENOENT)
		return 0;
	if (ret)
		return ret;
	find_lxdev(ea, len, &info->a.rdev);
	free(ea);
	return 0;
}

static int link_size(struct ntfs *v, const struct ntfs_rec *rec,
		     struct ntfs_info *info)
{
	char *buf = mem_alloc(PATH_MAX, 1);
	int ret = buf ? ntfs_link_target(v, rec, info, buf, PATH_MAX) : -ENOMEM;

	free(buf);
	if (ret == -ENOMEM)
		return ret;
	/* What can't be read shows itself at readlink. */
	info->a.size = ret < 0 ? 0 : (uint64_t)ret;
	return 0;
}

static int classify_interix(struct ntfs *v, const struct ntfs_rec *rec,
			    struct ntfs_info *info)
{
	bool hidden = info->attrs & NTMETA_HIDDEN;
	mode_t type = S_IFREG;
	uint32_t len;
	uint8_t *p;
	int ret = ntfs_stream_slurp(v, rec, &want_data, INTERIX_MAX, &p, &len);

	if (ret)
		return ret == -ENOMEM ? ret : 0;
	if (len <= 1 && !hidden)
		type = len ? S_IFSOCK : S_IFIFO;
	else if (len == 24 && !memcmp(p, INTERIX_CHR, 8))
		type = S_IFCHR;
	else if (len == 24 && !memcmp(p, INTERIX_BLK, 8))
		type = S_IFBLK;
	else if (len > 8 && !memcmp(p, INTERIX_LINK, 8))
		type = S_IFLNK;
	if (type == S_IFCHR || type == S_IFBLK)
		info->a.rdev = makedev((unsigned)le64_at(p + 8),
				       (unsigned)le64_at(p + 16));
	free(p);
	info->a.mode = (info->a.mode & ~(mode_t)S_IFMT) | type;
	return type == S_IFLNK ? link_size(v, rec, info) : 0;
}

int ntfs_link_classify(struct ntfs *v, const struct ntfs_rec *rec,
		       struct ntfs_info *info)
{
	enum ntmeta_kind kind;

	if (!info->reparse)
		return classify_interix(v, rec, info);
	/* The attribute counts; the flag may have been forgotten. */
	info->attrs |= NTMETA_REPARSE;
	kind = ntmeta_kind_of(info->tag, info->attrs);
	info->elsewhere = kind == NTMETA_ELSEWHERE;
	info->a.mode = (info->a.mode & ~(mode_t)S_IFMT) |
		       ntmeta_type(kind, S_ISDIR(info->a.mode));
	if (kind == NTMETA_CHR || kind == NTMETA_BLK)
		return load_lxdev(v, rec, info);
	return S_ISLNK(info->a.mode) ? link_size(v, rec, info) : 0;
}

static int take_parent(void *ctx, const struct ntfs_attr *a)
{
	uint64_t *out = ctx;
	struct ntfs_name n;
	int ret = a->resident ? ntfs_name_decode(a->value, a->value_len, &n)
			      : -ERR_CORRUPT;

	if (ret)
		return ret;
	*out = ntfs_ref_record(n.parent);
	return 1;
}

/* The record of the directory that num's first name is in. */
static int parent_of(struct ntfs *v, uint64_t num, uint64_t *out)
{
	static const struct ntfs_want want = { .type = NTFS_AT_FILE_NAME };
	struct ntfs_rec rec;
	int ret = ntfs_rec_get_base(v, num, &rec);

	if (ret)
		return ret;
	ret = ntfs_attr_walk(v, &rec, &want, take_parent, out);
	ntfs_rec_put(&rec);
	return ret == 1 ? 0 : ret ? ret : -ERR_CORRUPT;
}

static int link_parent(void *ctx, uint64_t dir, uint64_t *up)
{
	return parent_of(ctx, dir, up);
}

static int link_child(void *ctx, uint64_t dir, const char *name, uint64_t *id,
		      char *real)
{
	uint64_t ref;
	int ret = ntfs_dir_find_nocase(ctx, dir, name, &ref, real);

	if (!ret)
		*id = ntfs_ref_record(ref);
	return ret;
}

static int interix_target(struct ntfs *v, const struct ntfs_rec *rec, char *buf,
			  size_t size)
{
	uint32_t len;
	uint8_t *p;
	int ret = ntfs_stream_slurp(v, rec, &want_data, INTERIX_MAX, &p, &len);

	if (ret)
		return ret;
	ret = -ERR_CORRUPT;
	if (len > 8 && !memcmp(p, INTERIX_LINK, 8))
		ret = utf16le_to_utf8(p + 8, (len - 8) / 2, buf, size);
	free(p);
	return ret;
}

static int reparse_target(struct ntfs *v, const struct ntfs_info *info,
			  const struct ntmeta_reparse *r, char *buf,
			  size_t size)
{
	struct ntmeta_drive drives[26];
	struct ntmeta_place place = {
		.ctx = v, .parent = link_parent, .child = link_child,
		.root = NTFS_REC_ROOT, .dir = ntfs_ref_record(info->parent),
		.drives = drives, .n_drives = v->n_drives,
	};

	for (size_t i = 0; i < v->n_drives; i++)
		drives[i] = (struct ntmeta_drive) {
			v->drives[i].letter, v->drives[i].path
		};
	return ntmeta_link_text(r, &place, buf, size);
}

int ntfs_link_target(struct ntfs *v, const struct ntfs_rec *rec,
		     const struct ntfs_info *info, char *buf, size_t size)
{
	struct ntmeta_reparse r;
	uint32_t len;
	uint8_t *p;
	int ret;

	if (!info->reparse)
		return interix_target(v, rec, buf, size);
	ret = ntfs_stream_slurp(v, rec, &want_reparse, NTMETA_REPARSE_MAX, &p,
				&len);
	if (ret)
		return ret;
	ret = ntmeta_reparse_decode(p, len, &r);
	if (!ret)
		ret = reparse_target(v, info, &r, buf, size);
	free(p);
	return ret;
}
