/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Windows metadata as extended attributes, under ntfs-3g's names. */
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/base/utf16.h"
#include "formats/ntmeta.h"
#include "formats/wim/wim_int.h"

struct request {
	struct wim_place p;
	const struct wim_disk_dentry *d;
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
	uint32_t a = le32(r->d->attrs);
	be32_t be = to_be32(a);

	return big ? give(r, &be, sizeof(be)) : give(r, &a, sizeof(a));
}

/* created, modified, accessed, changed: ntfs-3g's order. An image has no
 * fourth: the modification stands for it. */
static ssize_t give_times(struct request *r, int n, bool big)
{
	uint64_t host[4] = {
		le64(r->d->created), le64(r->d->modified),
		le64(r->d->accessed), le64(r->d->modified),
	};
	be64_t be[4];

	for (int i = 0; i < n; i++)
		be[i] = to_be64(host[i]);
	return give(r, big ? (void *)be : (void *)host, (size_t)n * 8);
}

static ssize_t give_acl(struct request *r)
{
	const struct wim_meta *m = r->p.m;
	uint32_t i = le32(r->d->security_id);

	if (i >= m->n_security || m->security[i] == m->security[i + 1])
		return -ENODATA;
	return give(r, m->raw + m->security[i],
		    (size_t)(m->security[i + 1] - m->security[i]));
}

static ssize_t give_reparse(struct request *r)
{
	uint8_t *value;
	size_t len;
	ssize_t ret;

	if (!(le32(r->d->attrs) & NTMETA_REPARSE))
		return -ENODATA;
	value = mem_alloc(NTMETA_REPARSE_MAX, 1);
	ret = value ? wim_reparse_value(&r->p, value, &len) : -ENOMEM;
	if (!ret)
		ret = give(r, value, len);
	free(value);
	return ret;
}

static ssize_t give_object_id(struct request *r)
{
	uint32_t len;
	const uint8_t *p = wim_item_find(r->d, WIM_ITEM_OBJECT_ID, &len);

	return p && len >= 16 ? give(r, p, min_of(len, 64u)) : -ENODATA;
}

static ssize_t give_dos_name(struct request *r)
{
	char name[WIM_NAME_UTF8];
	size_t n;
	const uint8_t *units = wim_short_name(r->d, &n);
	int len;

	if (!n || n > WIM_NAME_UNITS)
		return -ENODATA;
	len = utf16le_to_utf8(units, n, name, sizeof(name));
	return len < 0 ? len : give(r, name, (size_t)len);
}

/* One of tag 2's entries, which lie without gaps. */
struct ea {
	const uint8_t *name, *value;
	uint8_t flags, name_len;
	uint16_t value_len;
};

static bool next_ea(const uint8_t **p, uint32_t *left, struct ea *out)
{
	uint32_t len;

	if (*left < 4)
		return false;
	*out = (struct ea) {
		.value_len = le16_at(*p), .name_len = (*p)[2],
		.flags = (*p)[3], .name = *p + 4,
	};
	out->value = out->name + out->name_len + 1;
	len = 4u + out->name_len + 1 + out->value_len;
	if (!out->name_len || len > *left)
		return false;
	*p += len;
	*left -= len;
	return true;
}

/* As NTFS has them: each begins with its own length, a multiple of 4. */
static ssize_t give_ea(struct request *r)
{
	uint32_t left;
	const uint8_t *p = wim_item_find(r->d, WIM_ITEM_EA, &left);
	uint8_t *out, *q;
	struct ea ea;
	ssize_t ret;

	if (!p || !left)
		return -ENODATA;
	/* Four more bytes each, and up to three of padding, of at least 6. */
	out = q = mem_zalloc((size_t)left * 3, 1);
	if (!out)
		return -ENOMEM;
	while (next_ea(&p, &left, &ea)) {
		size_t n = ea.name_len + 1u + ea.value_len;
		le32_t len = to_le32((uint32_t)round_up(8 + n, 4));

		memcpy(q, &len, 4);
		q[4] = ea.flags;
		q[5] = ea.name_len;
		memcpy(q + 6, ea.name - 4, 2);
		memcpy(q + 8, ea.name, n);
		q[8 + ea.name_len] = 0;
		q += le32(len);
	}
	ret = q == out ? -ENODATA : give(r, out, (size_t)(q - out));
	free(out);
	return ret;
}

static ssize_t give_known(struct request *r, enum ntmeta_xattr which)
{
	switch (which) {
	case NTMETA_X_ACL:
		return give_acl(r);
	case NTMETA_X_ATTRIB:
	case NTMETA_X_ATTRIB_BE:
		return give_attrib(r, which == NTMETA_X_ATTRIB_BE);
	case NTMETA_X_REPARSE:
		return give_reparse(r);
	case NTMETA_X_OBJECT_ID:
		return give_object_id(r);
	case NTMETA_X_DOS_NAME:
		return give_dos_name(r);
	case NTMETA_X_TIMES:
	case NTMETA_X_TIMES_BE:
		return give_times(r, 4, which == NTMETA_X_TIMES_BE);
	case NTMETA_X_CRTIME:
	case NTMETA_X_CRTIME_BE:
		return give_times(r, 1, which == NTMETA_X_CRTIME_BE);
	case NTMETA_X_EA:
		return give_ea(r);
	case NTMETA_X_EFSINFO:
		return -ENODATA;
	case NTMETA_X_NONE:
		break;
	}
	return -EOPNOTSUPP;
}

/* wimlib keeps Linux' attributes as Windows' extended ones. */
static ssize_t give_linux(struct request *r, const char *name)
{
	uint32_t left;
	const uint8_t *p = wim_item_find(r->d, WIM_ITEM_EA, &left);
	struct ea ea;

	while (p && r->p.t->opts.unix_data && next_ea(&p, &left, &ea))
		if (ea.name_len == strlen(name) &&
		    !memcmp(ea.name, name, ea.name_len))
			return give(r, ea.value, ea.value_len);
	return -ENODATA;
}

static ssize_t give_stream(struct request *r, const char *name)
{
	struct wim *w = r->p.t->w;
	struct wim_place p = r->p;
	struct wim_blob *b;
	struct wim_stream s;
	int ret;

	if (wim_place_named(&p, name) || wim_place_stream(&p, &s))
		return -ENODATA;
	if (wim_hash_is_zero(s.hash))
		return 0;
	b = (struct wim_blob *)wim_blob_find(w, s.hash);
	if (!b)
		return -EIO;
	if (!r->size)
		return (ssize_t)min_of(b->size, (uint64_t)INT32_MAX);
	if (b->size > r->size)
		return -ERANGE;
	ret = w->opts.verify == WIM_VERIFY_DATA ? wim_blob_verify(w, b) : 0;
	if (!ret)
		ret = wim_blob_read(w, b, r->buf, (size_t)b->size, 0);
	return ret ? ret : (ssize_t)b->size;
}

struct names {
	struct request *r;
	bool prefixed;
	size_t used;
};

static int put_name(struct names *n, const char *name, size_t len)
{
	if (n->r->size) {
		if (len >= n->r->size - n->used)
			return -ERANGE;
		memcpy((char *)n->r->buf + n->used, name, len);
		((char *)n->r->buf)[n->used + len] = 0;
	}
	n->used += len + 1;
	return 0;
}

static int take_stream(void *ctx, const struct wim_stream *s)
{
	struct names *n = ctx;
	char name[5 + WIM_NAME_UTF8] = "user.";
	int len;

	if (s->kind != WIM_S_NAMED || s->units > WIM_NAME_UNITS)
		return 0;
	len = utf16le_to_utf8(s->name, s->units, name + 5, WIM_NAME_UTF8);
	if (len <= 0 || strlen(name + 5) != (size_t)len)
		return 0;
	if (!n->prefixed)
		return put_name(n, name + 5, (size_t)len);
	/* Another namespace: not for everybody's eyes. */
	if (!strncmp(name + 5, "security.", 9) ||
	    !strncmp(name + 5, "trusted.", 8) ||
	    !strncmp(name + 5, "system.", 7))
		return 0;
	return put_name(n, name, 5 + (size_t)len);
}

static int list_linux(struct names *n)
{
	uint32_t left;
	const uint8_t *p = wim_item_find(n->r->d, WIM_ITEM_EA, &left);
	struct ea ea;
	int ret = 0;

	while (p && !ret && next_ea(&p, &left, &ea))
		if (ea.name_len > 5 && !memcmp(ea.name, "user.", 5))
			ret = put_name(n, (const char *)ea.name, ea.name_len);
	return ret;
}

static ssize_t list_streams(struct request *r, bool prefixed)
{
	struct names n = { .r = r, .prefixed = prefixed };
	int ret = wim_streams_walk(r->d, take_stream, &n);

	return ret ? ret : (ssize_t)n.used;
}

static ssize_t get(struct request *r, const char *name)
{
	enum ntmeta_xattr which = ntmeta_xattr_of(name);
	const char *stream = ntmeta_xattr_stream(name);
	ssize_t ret = -ENODATA;

	if (which != NTMETA_X_NONE)
		return give_known(r, which);
	if (r->p.t->opts.streams == WIM_STREAMS_WINDOWS &&
	    !strcmp(name, "ntfs.streams.list"))
		return list_streams(r, false);
	if (!stream)
		return -EOPNOTSUPP;
	if (r->p.t->opts.streams == WIM_STREAMS_XATTR)
		ret = give_stream(r, stream);
	return ret == -ENODATA ? give_linux(r, name) : ret;
}

static int begin(struct tree *tree, uint64_t id, struct request *r)
{
	struct wim_tree *t = container_of(tree, struct wim_tree, tree);
	int ret;

	if (wim_root_is(t, id))
		return -ENODATA;
	ret = wim_place_find(t, id, &r->p);
	/* Streams have no attributes of their own. */
	if (!ret && r->p.stream)
		return -ENODATA;
	if (!ret)
		r->d = wim_dentry(r->p.m, r->p.node);
	return ret;
}

ssize_t wim_getxattr(struct tree *t, uint64_t id, const char *name, void *buf,
		     size_t size)
{
	struct request r = { .buf = buf, .size = size };
	ssize_t ret = begin(t, id, &r);

	if (!ret)
		ret = get(&r, name);
	return ret == -ERR_CORRUPT ? -EIO : ret;
}

ssize_t wim_listxattr(struct tree *t, uint64_t id, char *buf, size_t size)
{
	struct request r = { .buf = buf, .size = size };
	struct names n = { .r = &r, .prefixed = true };
	ssize_t ret = begin(t, id, &r);

	if (ret)
		return ret == -ENODATA ? 0 : ret;
	if (r.p.t->opts.streams == WIM_STREAMS_XATTR)
		ret = wim_streams_walk(r.d, take_stream, &n);
	if (!ret && r.p.t->opts.unix_data)
		ret = list_linux(&n);
	return ret ? ret : (ssize_t)n.used;
}
