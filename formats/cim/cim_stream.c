/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * CIM alternate streams as files named FILE:STREAM (streams_interface=
 * windows). Their node is the file's id and, above it, one more than the
 * stream's place in its table: an image does not change, so that stays true.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "formats/base/utf16.h"
#include "formats/cim/cim_int.h"

static int decode_at(const struct cim_links *l, uint64_t i,
		     struct cim_stream *out)
{
	struct cim_disk_stream raw;

	if (i >= l->n)
		return -ENOENT;
	cim_links_stream(l, (uint32_t)i, &raw);
	return cim_stream_decode(&raw, out, NULL);
}

static int64_t find_name(const struct cim *v, const struct cim_links *l,
			 const char *name)
{
	const uint16_t *upcase = v->opts.ignore_case ? v->upcase : NULL;
	le16_t units[CIM_NAME_UNITS];
	struct cim_name want = { units[0].b, 0 };
	int n = utf8_to_utf16le(name, strlen(name), units, CIM_NAME_UNITS);

	if (n < 0)
		return -ENOENT;
	want.n = (unsigned)n;
	for (uint32_t i = 0; i < l->n; i++)
		if (cim_name_same(upcase, want, cim_links_name(l, i)))
			return i;
	return -ENOENT;
}

int64_t cim_stream_find(const struct cim *v, const struct cim_file *f,
			const char *name, struct cim_stream *out)
{
	struct cim_links l;
	int64_t i;
	int ret = cim_streams_load(v, f, &l, NULL);

	if (ret)
		return ret;
	i = find_name(v, &l, name);
	if (i >= 0)
		ret = decode_at(&l, (uint64_t)i, out);
	free((void *)(uintptr_t)l.p);
	return ret ? ret : i;
}

/* The file's attributes, with the stream's own size. */
static int make_attr(struct cim *v, uint64_t node, const struct cim_file *f,
		     const struct cim_stream *s, struct tree_attr *out)
{
	int ret = cim_attr(v, (uint32_t)node, f, out);

	if (ret)
		return ret;
	out->id = node;
	out->mode = S_IFREG | (out->mode & 0777);
	out->nlink = 1;
	out->size = s->len;
	out->blocks = s->sparse ? 0 : div_up(s->len, 512);
	return 0;
}

int cim_stream_load(struct cim *v, uint64_t node, struct cim_file *f,
		    struct cim_stream *out)
{
	struct cim_links l;
	int ret = cim_file_load(v, node & UINT32_MAX, f, NULL);

	if (!ret)
		ret = cim_streams_load(v, f, &l, NULL);
	if (ret)
		return ret;
	ret = decode_at(&l, (node >> CIM_NODE_STREAM_SHIFT) - 1, out);
	free((void *)(uintptr_t)l.p);
	return ret;
}

int cim_stream_attr(struct cim *v, uint64_t node, struct tree_attr *out)
{
	struct cim_stream s;
	struct cim_file f;
	int ret = cim_stream_load(v, node, &f, &s);

	return ret ? ret : make_attr(v, node, &f, &s, out);
}

/* The file in front of the first colon, and what stands behind it. */
static int split(const char *name, char *file, const char **stream)
{
	const char *colon = strchr(name, ':');
	size_t len = colon ? (size_t)(colon - name) : 0;

	if (!len || len >= CIM_NAME_UTF8 || !colon[1])
		return -ENOENT;
	memcpy(file, name, len);
	file[len] = '\0';
	*stream = colon + 1;
	return 0;
}

int cim_stream_lookup(struct cim *v, const struct cim_dir *d, const char *name,
		      struct tree_attr *out)
{
	char file[CIM_NAME_UTF8];
	struct cim_stream s;
	const char *stream;
	struct cim_file f;
	uint64_t id;
	int64_t i;
	int ret = split(name, file, &stream);

	if (ret)
		return ret;
	i = cim_dir_find(v, d, file, v->opts.ignore_case);
	if (i < 0)
		return (int)i;
	id = cim_links_id(&d->links, (uint32_t)i);
	ret = cim_file_load(v, id, &f, NULL);
	if (ret)
		return ret;
	i = cim_stream_find(v, &f, stream, &s);
	if (i < 0)
		return (int)i;
	id |= ((uint64_t)i + 1) << CIM_NODE_STREAM_SHIFT;
	return make_attr(v, id, &f, &s, out);
}
