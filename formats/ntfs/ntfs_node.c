/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Node ids: file records, and named streams as files of their own where they
 * were asked for by "file:stream".
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "formats/base/alloc.h"
#include "formats/base/utf16.h"
#include "formats/ntfs/ntfs_int.h"

/* Table ids stay as long as the tree: this many names are enough for anybody
 * and bound what a caller who tries them all can make us keep. */
#define NODES_MAX 65536u

int ntfs_node_find(struct ntfs *v, uint64_t id, struct ntfs_node *out)
{
	const struct ntfs_node *n;

	pthread_mutex_lock(&v->lock);
	n = map_get(&v->streams, id);
	if (n)
		*out = *n;
	pthread_mutex_unlock(&v->lock);
	return n ? 0 : -ENOENT;
}

static bool same_node(const struct ntfs_node *a, const struct ntfs_node *b)
{
	return a->record == b->record && a->name_len == b->name_len &&
	       !memcmp(a->name, b->name, a->name_len * 2u);
}

/* FNV-1a over record and name: where the search for a free id begins. */
static uint64_t first_id(const struct ntfs_node *n)
{
	uint64_t h = 0xcbf29ce484222325ULL ^ n->record;
	const uint8_t *p = (const uint8_t *)n->name;

	for (size_t i = 0; i < n->name_len * 2u; i++)
		h = (h ^ p[i]) * 0x100000001b3ULL;
	return NTFS_ID_STREAMS + (h >> 16);
}

/* The id of a stream, a new one when it has none. Lock held. */
static int get_id(struct ntfs *v, const struct ntfs_node *want, uint64_t *out)
{
	struct ntfs_node *n;
	uint64_t id = first_id(want);
	int ret;

	while ((n = map_get(&v->streams, id)) && !same_node(n, want))
		id++;
	*out = id;
	if (n)
		return 0;
	if (v->streams.used >= NODES_MAX)
		return -ENFILE;
	n = mem_new(struct ntfs_node);
	if (!n)
		return -ENOMEM;
	*n = *want;
	ret = map_put(&v->streams, id, n);
	if (ret)
		free(n);
	return ret;
}

/* Attributes of a stream: its file's, with its own size. */
static int stream_attr(struct ntfs *v, const struct ntfs_node *n, uint64_t id,
		       struct tree_attr *out)
{
	struct ntfs_want want = {
		.type = NTFS_AT_DATA, .name = n->name, .name_len = n->name_len,
	};
	struct ntfs_stream s;
	struct ntfs_info info;
	struct ntfs_rec rec;
	int ret = ntfs_rec_get_base(v, n->record, &rec);

	if (ret)
		return ret;
	ret = ntfs_info_load(v, &rec, &info);
	if (!ret)
		ret = ntfs_stream_load_named(v, &rec, &want, &s);
	ntfs_rec_put(&rec);
	if (ret)
		return ret;
	*out = info.a;
	out->id = id;
	out->mode = S_IFREG | (info.a.mode & 0777);
	out->nlink = 1;
	out->size = s.size;
	out->blocks = s.allocated / 512;
	ntfs_stream_free(&s);
	return 0;
}

static int split(const char *name, char *file, struct ntfs_node *n)
{
	const char *colon = strchr(name, ':');
	size_t len = colon ? (size_t)(colon - name) : 0;
	int units;

	if (!len || len >= NTFS_NAME_UTF8 || !colon[1])
		return -ENOENT;
	memcpy(file, name, len);
	file[len] = '\0';
	units = utf8_to_utf16le(colon + 1, strlen(colon + 1), n->name,
				NTFS_NAME_UNITS);
	if (units < 0)
		return units == -ENAMETOOLONG ? units : -ENOENT;
	n->name_len = (uint8_t)units;
	return 0;
}

int ntfs_node_lookup(struct ntfs *v, uint64_t dir, const char *name,
		     struct tree_attr *out)
{
	struct ntfs_node n = { 0 };
	char file[NTFS_NAME_UTF8];
	uint64_t ref, id;
	int ret = split(name, file, &n);

	if (!ret)
		ret = ntfs_dir_find(v, dir, file, &ref);
	if (ret)
		return ret;
	n.record = ntfs_ref_record(ref);
	/* Only what exists gets a number. */
	ret = stream_attr(v, &n, 0, out);
	if (ret)
		return ret;
	pthread_mutex_lock(&v->lock);
	ret = get_id(v, &n, &id);
	pthread_mutex_unlock(&v->lock);
	if (!ret)
		out->id = id;
	return ret;
}

int ntfs_node_getattr(struct ntfs *v, uint64_t id, struct tree_attr *out)
{
	struct ntfs_info info;
	struct ntfs_node n;
	struct ntfs_rec rec;
	int ret;

	if (id >= NTFS_ID_STREAMS) {
		ret = ntfs_node_find(v, id, &n);
		return ret ? ret : stream_attr(v, &n, id, out);
	}
	ret = ntfs_rec_get_base(v, ntfs_record_of_id(id), &rec);
	if (ret)
		return ret;
	ret = ntfs_info_load(v, &rec, &info);
	ntfs_rec_put(&rec);
	if (!ret)
		*out = info.a;
	return ret;
}
