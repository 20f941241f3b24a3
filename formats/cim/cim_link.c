/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CIM link tables: names of directories and of alternate streams (FORMAT.md,
 * "LinkTable"). */
#include <string.h>

#include "formats/cim/cim_int.h"

static uint16_t unit(struct cim_name a, unsigned i)
{
	return le16_at(a.units + 2 * (size_t)i);
}

struct cim_name cim_links_name(const struct cim_links *l, uint32_t i)
{
	size_t offs = sizeof(struct cim_disk_links) +
		      (size_t)l->n * l->entry_size;
	const uint8_t *p = l->p + le32_at(l->p + offs + 4 * (size_t)i);

	return (struct cim_name) { p + 2, le16_at(p) };
}

uint32_t cim_links_id(const struct cim_links *l, uint32_t i)
{
	return le32_at(l->p + sizeof(struct cim_disk_links) + 4 * (size_t)i);
}

void cim_links_stream(const struct cim_links *l, uint32_t i,
		      struct cim_disk_stream *out)
{
	memcpy(out, l->p + sizeof(struct cim_disk_links) +
	       i * sizeof(*out), sizeof(*out));
}

/* What no Windows directory can have, and no path of ours could say. */
static bool name_ok(struct cim_name a)
{
	if (!a.n || a.n > CIM_NAME_UNITS)
		return false;
	for (unsigned i = 0; i < a.n; i++) {
		uint16_t c = unit(a, i);

		if (!c || c == '/' || c == '\\')
			return false;
	}
	return unit(a, 0) != '.' ||
	       !(a.n == 1 || (a.n == 2 && unit(a, 1) == '.'));
}

static int check_name(const struct cim_links *l, uint32_t i, struct diag *why)
{
	size_t offs = sizeof(struct cim_disk_links) +
		      (size_t)l->n * l->entry_size;
	uint32_t off = le32_at(l->p + offs + 4 * (size_t)i);

	if (!range_within(off, 2, l->len) ||
	    !range_within(off + 2ull, 2ull * le16_at(l->p + off), l->len))
		return diag_fail(why, ERR_CORRUPT, "name %u leaves the link "
				 "table: offset %u of %u", i, off, l->len);
	if (!name_ok(cim_links_name(l, i)))
		return diag_fail(why, ERR_CORRUPT, "name %u is empty, too "
				 "long, a dot, or has a slash or NUL in it", i);
	return 0;
}

int cim_links_decode(const void *raw, size_t len, unsigned entry_size,
		     struct cim_links *out, struct diag *why)
{
	struct cim_links l = { .p = raw, .entry_size = entry_size };
	int ret = 0;

	if (len < sizeof(struct cim_disk_links))
		return diag_fail(why, ERR_CORRUPT,
				 "link table of %zu bytes", len);
	l.len = le32_at(l.p);
	l.n = le32_at(l.p + 4);
	if (l.len < sizeof(struct cim_disk_links) || l.len > len)
		return diag_fail(why, ERR_CORRUPT, "link table of %u bytes in "
				 "a stream of %zu", l.len, len);
	if (l.n > (l.len - sizeof(struct cim_disk_links)) / (entry_size + 4))
		return diag_fail(why, ERR_CORRUPT, "%u names in a link table "
				 "of %u bytes", l.n, l.len);
	for (uint32_t i = 0; i < l.n && !ret; i++)
		ret = check_name(&l, i, why);
	if (!ret)
		*out = l;
	return ret;
}

static int order_of(uint32_t x, uint32_t y)
{
	return x < y ? -1 : x > y;
}

static int compare_units(const uint16_t *upcase, struct cim_name a,
			 struct cim_name b)
{
	for (unsigned i = 0; i < a.n && i < b.n; i++) {
		uint16_t x = unit(a, i), y = unit(b, i);

		if (x != y && upcase[x] != upcase[y])
			return order_of(upcase[x], upcase[y]);
	}
	return order_of(a.n, b.n);
}

/* The character at *i, which moves on. */
static uint32_t next_point(const uint16_t *upcase, struct cim_name a,
			   unsigned *i)
{
	uint32_t c = upcase[unit(a, (*i)++)], d;

	if (c < 0xd800 || c > 0xdbff || *i == a.n)
		return c;
	d = upcase[unit(a, *i)];
	if (d < 0xdc00 || d > 0xdfff)
		return c;
	++*i;
	return 0x10000 + ((c - 0xd800) << 10) + (d - 0xdc00);
}

static int compare_points(const uint16_t *upcase, struct cim_name a,
			  struct cim_name b)
{
	unsigned i = 0, j = 0;

	while (i < a.n && j < b.n) {
		uint32_t x = next_point(upcase, a, &i);
		uint32_t y = next_point(upcase, b, &j);

		if (x != y)
			return order_of(x, y);
	}
	return order_of(i < a.n, j < b.n);
}

/* By units, or by characters: writers differ, but each keeps to one. */
int cim_links_check_order(const uint16_t *upcase, const struct cim_links *l,
			  struct diag *why)
{
	bool units = true, points = false;

	for (uint32_t i = 1; i < l->n; i++) {
		struct cim_name a = cim_links_name(l, i - 1);
		struct cim_name b = cim_links_name(l, i);

		if (units && compare_units(upcase, a, b) >= 0) {
			units = false;
			points = true;
			i = 0;		/* once more, the other way */
			continue;
		}
		if (points && compare_points(upcase, a, b) >= 0)
			return diag_fail(why, ERR_CORRUPT, "names %u and %u "
					 "are not in order, or the same",
					 i - 1, i);
	}
	return 0;
}

bool cim_name_same(const uint16_t *upcase, struct cim_name a,
		   struct cim_name b)
{
	if (a.n != b.n)
		return false;
	return upcase ? !compare_units(upcase, a, b)
		      : !memcmp(a.units, b.units, 2 * (size_t)a.n);
}

uint32_t cim_name_hash(const uint16_t *upcase, struct cim_name a)
{
	uint32_t h = 2166136261u;

	for (unsigned i = 0; i < a.n; i++)
		h = (h ^ upcase[unit(a, i)]) * 16777619u;
	return h ^ h >> 15;
}
