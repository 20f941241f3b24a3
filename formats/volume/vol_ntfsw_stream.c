/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * streams_interface=windows: FILE:STREAM as a name. A stream's id is made of
 * record and name in the way of our reader, so that it stays what it was when
 * the engines change.
 */
#include "formats/volume/vol_ntfsw_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "formats/base/alloc.h"

/* As many as our reader remembers. */
#define STREAMS_MAX 65536u

struct vol_ntfsw_stream {
	u64 record;
	struct vol_ntfsw_name name;
};

static u64 first_id(const struct vol_ntfsw_stream *s)
{
	u64 h = 0xcbf29ce484222325ULL ^ s->record;
	const u8 *p = (const u8 *)s->name.u;

	for (int i = 0; i < s->name.len * 2; i++)
		h = (h ^ p[i]) * 0x100000001b3ULL;
	return NTFS_ID_STREAMS + (h >> 16);
}

static bool same(const struct vol_ntfsw_stream *a,
		 const struct vol_ntfsw_stream *b)
{
	return a->record == b->record && a->name.len == b->name.len &&
		!memcmp(a->name.u, b->name.u, (size_t)a->name.len * 2);
}

static int id_of(struct vol_ntfsw *w, const struct vol_ntfsw_stream *want,
		 u64 *id)
{
	struct vol_ntfsw_stream *s;
	int ret;

	*id = first_id(want);
	while ((s = map_get(&w->streams, *id)) && !same(s, want))
		++*id;
	if (s)
		return 0;
	if (w->streams.used >= STREAMS_MAX)
		return -ENFILE;
	s = mem_new(struct vol_ntfsw_stream);
	if (!s)
		return -ENOMEM;
	*s = *want;
	ret = map_put(&w->streams, *id, s);
	if (ret)
		free(s);
	return ret;
}

void vol_ntfsw_streams_free(struct vol_ntfsw *w)
{
	uint64_t id;
	void *s;

	for (size_t i = 0; map_next(&w->streams, &i, &id, &s);)
		free(s);
	map_free(&w->streams);
}

/* FILE:STREAM apart, and the file's record. -ENOENT when it is neither. */
static int split(struct vol_ntfsw *w, uint64_t dir, const char *name,
		 struct vol_ntfsw_stream *out)
{
	const char *colon = strchr(name, ':');
	struct vol_ntfsw_name file;
	ntfs_inode *ni;
	char *text;
	int ret;

	if (w->opts.streams != STREAMS_WINDOWS || !colon || colon == name ||
	    !colon[1])
		return -ENOENT;
	text = mem_strdup(name);
	if (!text)
		return -ENOMEM;
	text[colon - name] = '\0';
	ret = vol_ntfsw_name(text, &file);
	if (!ret)
		ret = vol_ntfsw_name(colon + 1, &out->name);
	free(text);
	if (!ret)
		ret = vol_ntfsw_get(w, dir, &ni);
	if (ret)
		return ret;
	return vol_ntfsw_put(ni, vol_ntfsw_find(ni, &file, &out->record));
}

static int open_attr(struct vol_ntfsw *w, struct vol_ntfsw_stream *s,
		     ntfs_inode **ni, ntfs_attr **na)
{
	int ret = vol_ntfsw_get(w, ntfs_id_of_record(s->record), ni);

	if (ret)
		return ret;
	errno = 0;
	*na = ntfs_attr_open(*ni, AT_DATA, s->name.u, (u32)s->name.len);
	return *na ? 0 : vol_ntfsw_put(*ni, vol_ntfsw_errno());
}

int vol_ntfsw_stream_open(struct vol_ntfsw *w, uint64_t id, ntfs_inode **ni,
			  ntfs_attr **na)
{
	struct vol_ntfsw_stream *s = map_get(&w->streams, id);

	return s ? open_attr(w, s, ni, na) : -ESTALE;
}

/* The file's attributes with the stream's size. Closes both. */
static int describe(struct vol_ntfsw *w, uint64_t id, ntfs_inode *ni,
		    ntfs_attr *na, struct tree_attr *out)
{
	int ret = vol_ntfsw_attr(w, ni, out);

	out->id = id;
	out->mode = S_IFREG | (out->mode & 0777);
	out->nlink = 1;
	out->size = (uint64_t)na->data_size;
	out->blocks = (uint64_t)na->allocated_size / 512;
	ntfs_attr_close(na);
	return vol_ntfsw_put(ni, ret);
}

int vol_ntfsw_stream_attr(struct vol_ntfsw *w, uint64_t id,
			  struct tree_attr *out)
{
	ntfs_inode *ni;
	ntfs_attr *na;
	int ret = vol_ntfsw_stream_open(w, id, &ni, &na);

	return ret ? ret : describe(w, id, ni, na, out);
}

int vol_ntfsw_stream_lookup(struct vol_ntfsw *w, uint64_t dir,
			    const char *name, struct tree_attr *out)
{
	struct vol_ntfsw_stream s;
	ntfs_inode *ni;
	ntfs_attr *na;
	u64 id;
	int ret = split(w, dir, name, &s);

	if (!ret)
		ret = open_attr(w, &s, &ni, &na);
	if (ret)
		return ret;
	ret = id_of(w, &s, &id);
	if (!ret)
		return describe(w, id, ni, na, out);
	ntfs_attr_close(na);
	return vol_ntfsw_put(ni, ret);
}

int vol_ntfsw_stream_create(struct vol_ntfsw *w, uint64_t dir,
			    const char *name, struct tree_attr *out)
{
	struct vol_ntfsw_stream s;
	ntfs_inode *ni;
	int ret = split(w, dir, name, &s);

	if (!ret)
		ret = vol_ntfsw_get(w, ntfs_id_of_record(s.record), &ni);
	if (ret)
		return ret;
	errno = 0;
	if (s.record < FILE_first_user)
		ret = -EPERM;
	else if (ntfs_attr_exist(ni, AT_DATA, s.name.u, (u32)s.name.len))
		ret = -EEXIST;
	else if (ntfs_attr_add(ni, AT_DATA, s.name.u, (u8)s.name.len, NULL, 0))
		ret = vol_ntfsw_errno();
	if (!ret)
		vol_ntfsw_touch(ni, NTFS_UPDATE_CTIME);
	ret = vol_ntfsw_put(ni, ret);
	return ret ? ret : vol_ntfsw_stream_lookup(w, dir, name, out);
}

int vol_ntfsw_stream_remove(struct vol_ntfsw *w, uint64_t dir,
			    const char *name)
{
	struct vol_ntfsw_stream s;
	ntfs_inode *ni;
	ntfs_attr *na;
	int ret = split(w, dir, name, &s);

	if (!ret)
		ret = open_attr(w, &s, &ni, &na);
	if (ret)
		return ret;
	errno = 0;
	if (s.record < FILE_first_user)
		ret = -EPERM;
	else if (ntfs_attr_rm(na))
		ret = vol_ntfsw_errno();
	ntfs_attr_close(na);
	if (!ret)
		vol_ntfsw_touch(ni, NTFS_UPDATE_CTIME);
	return vol_ntfsw_put(ni, ret);
}

int vol_ntfsw_stream_resize(struct vol_ntfsw *w, uint64_t id, uint64_t size)
{
	ntfs_inode *ni;
	ntfs_attr *na;
	int ret = vol_ntfsw_stream_open(w, id, &ni, &na);

	if (ret)
		return ret;
	errno = 0;
	if (ntfs_attr_truncate(na, (s64)size))
		ret = vol_ntfsw_errno();
	ntfs_attr_close(na);
	vol_ntfsw_touch(ni, NTFS_UPDATE_MCTIME);
	return vol_ntfsw_put(ni, ret);
}
