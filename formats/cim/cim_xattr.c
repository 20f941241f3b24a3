/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CIM metadata as extended attributes, under ntfs-3g's names. */
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/base/utf16.h"
#include "formats/cim/cim_int.h"

struct request {
	struct cim *v;
	struct cim_file f;
	void *buf;
	size_t size;
};

static ssize_t give(struct request *r, const void *value, size_t len)
{
	if (!r->size)
		return (ssize_t)len;
	if (len > r->size)
		return -ERANGE;
	memcpy(r->buf, value, len);
	return (ssize_t)len;
}

static ssize_t give_attrib(struct request *r, bool big)
{
	uint32_t a = r->f.attrs ? r->f.attrs : NTMETA_NORMAL;
	be32_t be = to_be32(a);

	return big ? give(r, &be, sizeof(be)) : give(r, &a, sizeof(a));
}

/* created, modified, accessed, changed: ntfs-3g's order; n of them. */
static ssize_t give_times(struct request *r, int n, bool big)
{
	static const int order[4] = { 0, 1, 3, 2 };
	uint64_t host[4];
	be64_t be[4];

	for (int i = 0; i < n; i++) {
		host[i] = r->f.times[order[i]];
		be[i] = to_be64(host[i]);
	}
	return give(r, big ? (void *)be : (void *)host, (size_t)n * 8);
}

typedef int (*load_fn)(const struct cim *v, const struct cim_file *f,
		       uint8_t **out, size_t *len, struct diag *why);

static ssize_t give_loaded(struct request *r, load_fn load)
{
	uint8_t *p;
	size_t len;
	ssize_t ret = load(r->v, &r->f, &p, &len, NULL);

	if (ret)
		return ret;
	ret = p ? give(r, p, len) : -ENODATA;
	free(p);
	return ret;
}

static ssize_t give_known(struct request *r, enum ntmeta_xattr which)
{
	switch (which) {
	case NTMETA_X_ACL:
		return give_loaded(r, cim_sd_load);
	case NTMETA_X_ATTRIB:
	case NTMETA_X_ATTRIB_BE:
		return give_attrib(r, which == NTMETA_X_ATTRIB_BE);
	case NTMETA_X_REPARSE:
		return give_loaded(r, cim_reparse_load_whole);
	case NTMETA_X_TIMES:
	case NTMETA_X_TIMES_BE:
		return give_times(r, 4, which == NTMETA_X_TIMES_BE);
	case NTMETA_X_CRTIME:
	case NTMETA_X_CRTIME_BE:
		return give_times(r, 1, which == NTMETA_X_CRTIME_BE);
	case NTMETA_X_EA:
		return give_loaded(r, cim_ea_load);
	case NTMETA_X_OBJECT_ID:
	case NTMETA_X_DOS_NAME:
	case NTMETA_X_EFSINFO:
		return -ENODATA;	/* the format has none */
	case NTMETA_X_NONE:
		break;
	}
	return -EOPNOTSUPP;
}

/* A stream's contents. Its name is exact, unless case is ignored. */
static ssize_t give_stream(struct request *r, const char *name)
{
	struct cim_stream s;
	struct cim_data d;
	ssize_t ret = cim_stream_find(r->v, &r->f, name, &s);

	if (ret == -ENOENT)
		return -ENODATA;
	if (ret >= 0)
		ret = cim_data_load(r->v, &s, &d, NULL);
	if (ret)
		return ret;
	if (r->size && d.len > r->size)
		ret = -ERANGE;
	else if (r->size)
		ret = cim_data_read(&d, r->buf, (size_t)d.len, 0);
	if (!ret)
		ret = (ssize_t)d.len;
	cim_data_free(&d);
	return ret;
}

static int begin(struct tree *t, uint64_t node, struct request *r)
{
	r->v = cim_of(t);
	/* Streams have no attributes of their own. */
	if (cim_node_is_stream(node))
		return -ENODATA;
	return cim_file_load(r->v, cim_id(r->v, node), &r->f, NULL);
}

/* Another namespace is not for everybody's eyes. */
static bool is_shown(const char *name)
{
	return strncmp(name, "security.", 9) && strncmp(name, "trusted.", 8) &&
	       strncmp(name, "system.", 7);
}

static ssize_t list_names(struct request *r, const struct cim_links *l,
			  bool prefixed)
{
	size_t used = 0;

	for (uint32_t i = 0; i < l->n; i++) {
		char name[5 + CIM_NAME_UTF8] = "user.";
		struct cim_name a = cim_links_name(l, i);
		int n = utf16le_to_utf8(a.units, a.n, name + 5, CIM_NAME_UTF8);
		size_t len = (size_t)n + (prefixed ? 6 : 1);

		if (n < 0 || (prefixed && !is_shown(name + 5)))
			continue;
		if (r->size && len > r->size - used)
			return -ERANGE;
		if (r->size)
			memcpy((char *)r->buf + used,
			       prefixed ? name : name + 5, len);
		used += len;
	}
	return (ssize_t)used;
}

static ssize_t list_streams(struct request *r, bool prefixed)
{
	struct cim_links l;
	ssize_t ret = cim_streams_load(r->v, &r->f, &l, NULL);

	if (ret)
		return ret;
	ret = list_names(r, &l, prefixed);
	free((void *)(uintptr_t)l.p);
	return ret;
}

ssize_t cim_getxattr(struct tree *t, uint64_t node, const char *name, void *buf,
		     size_t size)
{
	enum ntmeta_xattr which = ntmeta_xattr_of(name);
	const char *stream = ntmeta_xattr_stream(name);
	struct request r = { .buf = buf, .size = size };
	int ret = begin(t, node, &r);

	if (ret)
		return ret;
	if (which != NTMETA_X_NONE)
		return give_known(&r, which);
	if (r.v->opts.streams == CIM_STREAMS_WINDOWS &&
	    !strcmp(name, "ntfs.streams.list"))
		return list_streams(&r, false);
	if (!stream)
		return -EOPNOTSUPP;
	return r.v->opts.streams == CIM_STREAMS_XATTR ?
		give_stream(&r, stream) : -ENODATA;
}

ssize_t cim_listxattr(struct tree *t, uint64_t node, char *buf, size_t size)
{
	struct request r = { .buf = buf, .size = size };
	ssize_t ret = begin(t, node, &r);

	if (ret)
		return ret == -ENODATA ? 0 : ret;
	return r.v->opts.streams == CIM_STREAMS_XATTR ? list_streams(&r, true)
						      : 0;
}
