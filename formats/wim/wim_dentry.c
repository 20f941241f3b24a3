/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What hangs on a directory entry: names, streams, tagged items (FORMAT.md
 * 6.2 to 6.6). Everything here was checked by wim_dentry_check() once. */
#include "formats/ntmeta.h"
#include "formats/wim/wim_int.h"

/* As stored, rounded up; 0: more than there can be. */
static uint64_t rounded(le64_t length)
{
	uint64_t len = le64(length);

	return len > INT64_MAX ? 0 : round_up(len, 8);
}

/* With the NUL that follows a name, if there is one. */
static uint64_t name_bytes(unsigned len)
{
	return len ? len + 2u : 0;
}

static uint64_t names_end(const struct wim_disk_dentry *d)
{
	return sizeof(*d) + name_bytes(le16(d->name_len)) +
	       name_bytes(le16(d->short_len));
}

static uint64_t check_streams(const uint8_t *raw, uint64_t off, uint64_t size,
			      unsigned n)
{
	for (; n; n--) {
		const struct wim_disk_stream *s = (const void *)(raw + off);
		uint64_t len;

		if (!range_within(off, sizeof(*s), size))
			return 0;
		len = rounded(s->length);
		if (le16(s->name_len) & 1 || !range_within(off, len, size) ||
		    len < sizeof(*s) + name_bytes(le16(s->name_len)))
			return 0;
		off += len;
	}
	return off;
}

uint64_t wim_dentry_check(const uint8_t *raw, uint64_t off, uint64_t size)
{
	const struct wim_disk_dentry *d = (const void *)(raw + off);
	uint64_t len;

	if (off % 8 || !range_within(off, sizeof(*d), size))
		return 0;
	len = rounded(d->length);
	if (!range_within(off, len, size) || len < names_end(d) ||
	    (le16(d->name_len) | le16(d->short_len)) & 1)
		return 0;
	return check_streams(raw, off + len, size, le16(d->n_streams));
}

bool wim_is_dir(const struct wim_disk_dentry *d)
{
	return (le32(d->attrs) & (NTMETA_DIRECTORY | NTMETA_REPARSE)) ==
	       NTMETA_DIRECTORY;
}

const uint8_t *wim_name(const struct wim_disk_dentry *d, size_t *units)
{
	*units = le16(d->name_len) / 2u;
	return (const uint8_t *)(d + 1);
}

const uint8_t *wim_short_name(const struct wim_disk_dentry *d, size_t *units)
{
	*units = le16(d->short_len) / 2u;
	return (const uint8_t *)(d + 1) + name_bytes(le16(d->name_len));
}

struct classify {
	bool encrypted, reparse;	/* what the attributes say */
	bool got_reparse, got_data;
};

static enum wim_stream_kind kind_of(struct classify *c,
				    const struct wim_stream *s)
{
	bool empty = wim_hash_is_zero(s->hash);

	if (c->encrypted) {
		if (s->units || empty || c->got_data)
			return WIM_S_NOTHING;
		c->got_data = true;
		return WIM_S_EFS;
	}
	if (s->units)
		return WIM_S_NAMED;
	if (!s->idx && empty)
		return WIM_S_NOTHING;
	if (c->reparse && !c->got_reparse) {
		c->got_reparse = true;
		return WIM_S_REPARSE;
	}
	if (c->got_data)
		return WIM_S_NOTHING;
	c->got_data = true;
	return WIM_S_DATA;
}

int wim_streams_walk(const struct wim_disk_dentry *d, wim_stream_fn fn,
		     void *ctx)
{
	uint32_t attrs = le32(d->attrs);
	struct classify c = {
		.encrypted = attrs & NTMETA_ENCRYPTED,
		.reparse = attrs & NTMETA_REPARSE,
	};
	const uint8_t *p = (const uint8_t *)d + rounded(d->length);
	struct wim_stream s = { .hash = d->hash };
	unsigned n = le16(d->n_streams);
	int ret = 0;

	for (unsigned i = 0; i <= n && !ret; i++) {
		s.idx = i;
		if (i) {
			const struct wim_disk_stream *raw = (const void *)p;

			s.hash = raw->hash;
			s.units = le16(raw->name_len) / 2u;
			s.name = (const uint8_t *)(raw + 1);
			p += rounded(raw->length);
		}
		s.kind = kind_of(&c, &s);
		if (s.kind != WIM_S_NOTHING)
			ret = fn(ctx, &s);
	}
	return ret;
}

struct want {
	enum wim_stream_kind kind;
	const uint8_t *hash;
};

static int take_hash(void *ctx, const struct wim_stream *s)
{
	struct want *w = ctx;

	if (s->kind != w->kind)
		return 0;
	w->hash = s->hash;
	return 1;
}

const uint8_t *wim_stream_hash(const struct wim_disk_dentry *d,
			       enum wim_stream_kind kind)
{
	struct want w = { .kind = kind };

	wim_streams_walk(d, take_hash, &w);
	return w.hash;
}

const uint8_t *wim_item_find(const struct wim_disk_dentry *d, uint32_t tag,
			     uint32_t *len)
{
	const uint8_t *p = (const uint8_t *)d;
	uint64_t off = round_up(names_end(d), 8), end = rounded(d->length);

	while (range_within(off, sizeof(struct wim_disk_item), end)) {
		const struct wim_disk_item *item = (const void *)(p + off);
		uint32_t n = le32(item->len);

		off += sizeof(*item);
		if (!range_within(off, n, end))
			break;
		if (le32(item->tag) == tag) {
			*len = n;
			return p + off;
		}
		off += round_up((uint64_t)n, 8);
	}
	return NULL;
}
