/* SPDX-License-Identifier: GPL-3.0-or-later */
/* NTFS metadata as extended attributes, under ntfs-3g's names. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "formats/base/alloc.h"
#include "formats/base/utf16.h"
#include "formats/ntfs/ntfs_int.h"
#include "formats/ntmeta.h"

/* More than this no attribute value can be asked for through the kernel. */
#define VALUE_MAX (1u << 20)

struct request {
	struct ntfs *v;
	struct ntfs_rec rec;
	struct ntfs_info info;
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

/* An attribute's value as it is. */
static ssize_t give_attr(struct request *r, const struct ntfs_want *want)
{
	uint8_t *p;
	uint32_t len;
	ssize_t ret = ntfs_stream_slurp(r->v, &r->rec, want, VALUE_MAX, &p,
					&len);

	if (ret)
		return ret == -ENOENT ? -ENODATA : ret;
	ret = give(r, p, len);
	free(p);
	return ret;
}

static ssize_t give_type(struct request *r, uint32_t type)
{
	struct ntfs_want want = { .type = type };

	return give_attr(r, &want);
}

static ssize_t give_attrib(struct request *r, bool big)
{
	uint32_t a = r->info.attrs & ~(uint32_t)NTMETA_DIRECTORY;
	be32_t be;

	if (r->rec.flags & NTFS_RECORD_IS_DIRECTORY)
		a |= NTMETA_DIRECTORY;
	if (!a)
		a = NTMETA_NORMAL;
	be = to_be32(a);
	return big ? give(r, &be, sizeof(be)) : give(r, &a, sizeof(a));
}

/* created, modified, accessed, MFT changed: ntfs-3g's order; n of them. */
static ssize_t give_times(struct request *r, int n, bool big)
{
	static const int order[4] = { 0, 1, 3, 2 };
	uint64_t host[4];
	be64_t be[4];

	for (int i = 0; i < n; i++) {
		host[i] = r->info.times[order[i]];
		be[i] = to_be64(host[i]);
	}
	return give(r, big ? (void *)be : (void *)host, (size_t)n * 8);
}

static ssize_t give_acl(struct request *r)
{
	uint8_t *p;
	uint32_t len;
	ssize_t ret = ntfs_secure_load(r->v, &r->rec, &r->info, &p, &len);

	if (ret)
		return ret;
	ret = give(r, p, len);
	free(p);
	return ret;
}

struct dos_name {
	char utf8[NTFS_NAME_UTF8];
	int len;
};

static int take_dos_name(void *ctx, const struct ntfs_attr *a)
{
	struct dos_name *out = ctx;
	struct ntfs_name n;
	int ret = a->resident ? ntfs_name_decode(a->value, a->value_len, &n)
			      : -ERR_CORRUPT;

	if (ret || (n.space != NTFS_NS_DOS && n.space != NTFS_NS_WIN32_AND_DOS))
		return ret;
	out->len = ntfs_name_utf8(n.units, n.len, out->utf8);
	return 1;
}

static ssize_t give_dos_name(struct request *r)
{
	static const struct ntfs_want want = { .type = NTFS_AT_FILE_NAME };
	struct dos_name name = { .len = 0 };
	int ret = ntfs_attr_walk(r->v, &r->rec, &want, take_dos_name, &name);

	if (ret < 0)
		return ret;
	return name.len ? give(r, name.utf8, (size_t)name.len) : -ENODATA;
}

struct birth {
	const uint8_t *id;
	uint8_t ids[48];	/* birth volume, birth object, domain */
};

/* $O collates four words, not bytes. */
static int compare_object(void *ctx, const struct ntfs_entry *e)
{
	struct birth *b = ctx;
	uint32_t off = le16_at(e->raw), len = le16_at(e->raw + 2);

	for (int i = 0; i < 16 && e->key_len == 16; i += 4) {
		uint32_t x = le32_at(b->id + i), y = le32_at(e->key + i);

		if (x != y)
			return x < y ? -1 : 1;
	}
	if (len >= 56 && range_within(off, len, e->len))
		memcpy(b->ids, e->raw + off + 8, sizeof(b->ids));
	return 0;
}

static int find_birth(struct ntfs *v, struct birth *b)
{
	struct ntfs_index ix;
	struct ntfs_rec rec;
	uint64_t ref;
	int ret = ntfs_dir_find(v, NTFS_REC_EXTEND, "$ObjId", &ref);

	if (!ret)
		ret = ntfs_rec_get_ref(v, ref, &rec);
	if (ret)
		return ret;
	ret = ntfs_index_open(v, &rec, "$O", &ix);
	ntfs_rec_put(&rec);
	if (ret)
		return ret;
	ret = ntfs_index_find(&ix, compare_object, b);
	ntfs_index_close(&ix);
	return ret;
}

/* The file has its id; the other three are only in the volume's index. */
static ssize_t give_object_id(struct request *r)
{
	static const struct ntfs_want want = { .type = NTFS_AT_OBJECT_ID };
	struct birth b = { .ids = { 0 } };
	uint8_t *p, full[64];
	uint32_t len;
	int ret = ntfs_stream_slurp(r->v, &r->rec, &want, 4096, &p, &len);

	if (ret)
		return ret == -ENOENT ? -ENODATA : ret;
	memcpy(full, p, min_of(len, 16u));
	free(p);
	if (len < 16)
		return -ERR_CORRUPT;
	b.id = full;
	if (find_birth(r->v, &b))
		return give(r, full, 16);
	memcpy(full + 16, b.ids, 48);
	return give(r, full, 64);
}

static ssize_t give_efsinfo(struct request *r)
{
	le16_t name[4] = { to_le16('$'), to_le16('E'), to_le16('F'),
			   to_le16('S') };
	struct ntfs_want want = {
		.type = NTFS_AT_LOGGED_UTILITY_STREAM, .name = name,
		.name_len = 4,
	};

	return give_attr(r, &want);
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
		return give_type(r, NTFS_AT_REPARSE_POINT);
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
		return give_type(r, NTFS_AT_EA);
	case NTMETA_X_EFSINFO:
		return give_efsinfo(r);
	case NTMETA_X_NONE:
		break;
	}
	return -EOPNOTSUPP;
}

/* A named stream's contents. */
static ssize_t give_stream(struct request *r, const char *name)
{
	le16_t units[NTFS_NAME_UNITS];
	struct ntfs_want want = { .type = NTFS_AT_DATA, .name = units };
	struct ntfs_stream s;
	ssize_t ret = utf8_to_utf16le(name, strlen(name), units,
				      NTFS_NAME_UNITS);

	if (ret < 0)
		return -ENODATA;
	want.name_len = (uint8_t)ret;
	ret = ntfs_stream_load_named(r->v, &r->rec, &want, &s);
	if (ret)
		return ret == -ENOENT ? -ENODATA : ret;
	if (s.flags & NTFS_ATTR_ENCRYPTED)
		ret = -EACCES;
	else if (r->size && s.size > r->size)
		ret = -ERANGE;
	else if (r->size)
		ret = ntfs_stream_read(&s, r->buf, (size_t)s.size, 0, true);
	if (!ret)
		ret = (ssize_t)s.size;
	ntfs_stream_free(&s);
	return ret;
}

static int begin(struct tree *t, uint64_t id, struct request *r)
{
	int ret;

	r->v = container_of(t, struct ntfs, tree);
	/* Streams have no attributes of their own. */
	if (id >= NTFS_ID_STREAMS)
		return -ENODATA;
	ret = ntfs_rec_get_base(r->v, ntfs_record_of_id(id), &r->rec);
	if (ret)
		return ret;
	ret = ntfs_info_load(r->v, &r->rec, &r->info);
	if (ret)
		ntfs_rec_put(&r->rec);
	return ret;
}

struct names {
	struct request *r;
	bool prefixed;
	size_t used;
};

static int put_name(struct names *n, const char *name)
{
	size_t len = strlen(name) + 1;

	if (n->r->size) {
		if (len > n->r->size - n->used)
			return -ERANGE;
		memcpy((char *)n->r->buf + n->used, name, len);
	}
	n->used += len;
	return 0;
}

static int take_stream(void *ctx, const struct ntfs_attr *a)
{
	struct names *n = ctx;
	char name[5 + NTFS_NAME_UTF8] = "user.";

	if (!a->name_len || !ntfs_name_utf8(a->name, a->name_len, name + 5))
		return 0;
	if (!n->prefixed)
		return put_name(n, name + 5);
	/* Another namespace: not for everybody's eyes. */
	if (!strncmp(name + 5, "security.", 9) ||
	    !strncmp(name + 5, "trusted.", 8) ||
	    !strncmp(name + 5, "system.", 7))
		return 0;
	return put_name(n, name);
}

static ssize_t list_streams(struct request *r, bool prefixed)
{
	static const struct ntfs_want want = {
		.type = NTFS_AT_DATA, .any_name = true, .first_only = true
	};
	struct names n = { .r = r, .prefixed = prefixed };
	int ret = ntfs_attr_walk(r->v, &r->rec, &want, take_stream, &n);

	return ret ? ret : (ssize_t)n.used;
}

static ssize_t get(struct request *r, const char *name)
{
	enum ntmeta_xattr which = ntmeta_xattr_of(name);
	const char *stream = ntmeta_xattr_stream(name);

	if (which != NTMETA_X_NONE)
		return give_known(r, which);
	if (r->v->opts.streams == NTFS_STREAMS_WINDOWS &&
	    !strcmp(name, "ntfs.streams.list"))
		return list_streams(r, false);
	if (!stream)
		return -EOPNOTSUPP;
	if (r->v->opts.streams != NTFS_STREAMS_XATTR)
		return -ENODATA;
	return give_stream(r, stream);
}

ssize_t ntfs_getxattr(struct tree *t, uint64_t id, const char *name, void *buf,
		      size_t size)
{
	struct request r = { .buf = buf, .size = size };
	ssize_t ret = begin(t, id, &r);

	if (ret)
		return ret;
	ret = get(&r, name);
	ntfs_rec_put(&r.rec);
	return ret;
}

ssize_t ntfs_listxattr(struct tree *t, uint64_t id, char *buf, size_t size)
{
	struct request r = { .buf = buf, .size = size };
	ssize_t ret = begin(t, id, &r);

	if (ret)
		return ret == -ENODATA ? 0 : ret;
	if (r.v->opts.streams == NTFS_STREAMS_XATTR)
		ret = list_streams(&r, true);
	ntfs_rec_put(&r.rec);
	return ret;
}
