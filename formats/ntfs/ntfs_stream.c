/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The contents of one NTFS attribute: resident bytes or decoded runs. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/base/alloc.h"
#include "formats/ntfs/ntfs_int.h"

struct loading {
	struct ntfs_stream *s;
	bool found;
};

/* The first extent carries the sizes. */
static int begin(struct ntfs_stream *s, const struct ntfs_attr *a)
{
	s->resident = a->resident;
	s->flags = a->flags;
	s->size = a->size;
	s->initialized = a->initialized;
	s->allocated = a->allocated;
	s->unit_shift = a->unit_shift;
	if (!a->resident)
		return 0;
	s->value = mem_alloc((size_t)a->value_len + 1, 1);
	if (!s->value)
		return -ENOMEM;
	memcpy(s->value, a->value, a->value_len);
	return 0;
}

static int collect(void *ctx, const struct ntfs_attr *a)
{
	struct loading *l = ctx;
	struct ntfs_stream *s = l->s;
	int ret;

	if (l->found && (a->resident || s->resident || !a->first_vcn))
		return -ERR_CORRUPT;
	if (!l->found) {
		ret = begin(s, a);
		l->found = true;
		if (ret || a->resident)
			return ret;
	}
	return ntfs_runs_add(&s->v->geo, &s->runs, a);
}

/* Only LZNT1 exists, and Windows compresses no more than 64 KiB at a time; the
 * bound is what a reader may have to allocate. */
#define UNIT_MAX (1u << 20)

static int check_stream(const struct ntfs_stream *s)
{
	const struct ntfs_geometry *g = &s->v->geo;

	if (s->resident)
		return 0;
	if (s->size > s->runs.end << g->cluster_shift)
		return -ERR_CORRUPT;
	if (s->flags & NTFS_ATTR_COMPRESSED &&
	    ((s->flags & NTFS_ATTR_COMPRESSED) != 1 || s->unit_shift > 16 ||
	     (uint64_t)g->cluster_size << s->unit_shift > UNIT_MAX))
		return -ERR_UNSUPP;
	return 0;
}

int ntfs_stream_load_named(struct ntfs *v, const struct ntfs_rec *rec,
			   const struct ntfs_want *want,
			   struct ntfs_stream *out)
{
	struct loading l = { out, false };
	int ret;

	*out = (struct ntfs_stream) { .v = v };
	pthread_mutex_init(&out->lock, NULL);
	ret = ntfs_attr_walk(v, rec, want, collect, &l);
	if (!ret && !l.found)
		ret = -ENOENT;
	if (!ret)
		ret = check_stream(out);
	if (ret)
		ntfs_stream_free(out);
	return ret;
}

int ntfs_stream_load(struct ntfs *v, const struct ntfs_rec *rec, uint32_t type,
		     const char *ascii_name, struct ntfs_stream *out)
{
	le16_t name[16];
	struct ntfs_want want = { .type = type, .name = name };

	while (ascii_name[want.name_len]) {
		name[want.name_len] =
			to_le16((uint8_t)ascii_name[want.name_len]);
		want.name_len++;
	}
	return ntfs_stream_load_named(v, rec, &want, out);
}

void ntfs_stream_free(struct ntfs_stream *s)
{
	if (!s->v)
		return;
	ntfs_runs_free(&s->runs);
	free(s->value);
	free(s->unit);
	pthread_mutex_destroy(&s->lock);
	s->v = NULL;
}

int ntfs_stream_read(struct ntfs_stream *s, void *buf, size_t len,
		     uint64_t off, bool cached)
{
	size_t real = 0;
	int ret = 0;

	if (!range_within(off, len, s->size))
		return -EINVAL;
	if (s->resident) {
		memcpy(buf, s->value + off, len);
		return 0;
	}
	/* Nothing was ever written behind the initialized size. */
	if (off < s->initialized)
		real = (size_t)min_of((uint64_t)len, s->initialized - off);
	memset((uint8_t *)buf + real, 0, len - real);
	if (!real)
		return 0;
	if (s->flags & NTFS_ATTR_COMPRESSED && s->unit_shift)
		ret = ntfs_comp_read(s, buf, real, off);
	else
		ret = ntfs_runs_read(s->v, &s->runs, off, buf, real, cached);
	return ret;
}

int ntfs_stream_slurp(struct ntfs *v, const struct ntfs_rec *rec,
		      const struct ntfs_want *want, uint32_t max,
		      uint8_t **out, uint32_t *len)
{
	struct ntfs_stream s;
	uint8_t *buf = NULL;
	int ret = ntfs_stream_load_named(v, rec, want, &s);

	if (ret)
		return ret;
	if (s.size > max)
		ret = -ERR_CORRUPT;
	if (!ret && !(buf = mem_alloc(s.size + 1, 1)))
		ret = -ENOMEM;
	if (!ret)
		ret = ntfs_stream_read(&s, buf, s.size, 0, true);
	if (ret) {
		free(buf);
	} else {
		*out = buf;
		*len = (uint32_t)s.size;
	}
	ntfs_stream_free(&s);
	return ret;
}

static struct tree_extent extent_at(struct ntfs_stream *s, uint64_t off,
				    uint64_t len)
{
	unsigned shift = s->v->geo.cluster_shift;
	uint64_t in = off & (s->v->geo.cluster_size - 1), lcn, n;

	if (off >= s->initialized)
		return (struct tree_extent) { NULL, 0, len };
	len = min_of(len, s->initialized - off);
	n = ntfs_runs_at(&s->runs, off >> shift, &lcn);
	len = min_of(len, (n << shift) - in);
	if (lcn == NTFS_HOLE)
		return (struct tree_extent) { NULL, 0, len };
	return (struct tree_extent) { s->v->dev, (lcn << shift) + in, len };
}

int ntfs_stream_extents(struct ntfs_stream *s, uint64_t off, uint64_t len,
			struct tree_extent *ext, int max)
{
	int n = 0;

	if (s->resident || s->flags & (NTFS_ATTR_COMPRESSED |
				       NTFS_ATTR_ENCRYPTED))
		return -EOPNOTSUPP;
	if (off >= s->size)
		return 0;
	len = min_of(len, s->size - off);
	for (; n < max && len; n++) {
		ext[n] = extent_at(s, off, len);
		off += ext[n].len;
		len -= ext[n].len;
	}
	return n;
}

static uint64_t span_at(struct ntfs_stream *s, uint64_t off, bool *hole)
{
	struct tree_extent e;

	if (s->flags & NTFS_ATTR_COMPRESSED && s->unit_shift &&
	    off < s->initialized)
		return ntfs_comp_span(s, off, hole);
	e = extent_at(s, off, s->size - off);
	*hole = !e.dev;
	return e.len;
}

off_t ntfs_stream_seek(struct ntfs_stream *s, off_t off, int whence)
{
	uint64_t pos = (uint64_t)off;

	if (off < 0 || pos >= s->size)
		return -ENXIO;
	if (s->resident)
		return whence == SEEK_DATA ? off : (off_t)s->size;
	while (pos < s->size) {
		bool hole;
		uint64_t n = span_at(s, pos, &hole);

		if (hole == (whence == SEEK_HOLE))
			return (off_t)pos;
		pos += n;
	}
	return whence == SEEK_HOLE ? (off_t)s->size : -ENXIO;
}
