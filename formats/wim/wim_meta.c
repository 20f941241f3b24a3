/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An image's metadata (FORMAT.md 6): security descriptors and directory
 * entries. It stays in memory as it was stored, every length checked once
 * here; nodes are an index into it, so that a name costs 24 bytes on top.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/wim/wim_int.h"


static int parse_security(struct wim_meta *m, uint64_t *end, struct diag *why)
{
	uint64_t total, pos;
	uint32_t n;

	if (m->size < 8)
		return diag_fail(why, ERR_CORRUPT, "wim: metadata of %llu "
				 "bytes", (unsigned long long)m->size);
	total = le32_at(m->raw);
	n = le32_at(m->raw + 4);
	/* ImageX wrote 0 where there was nothing to count. */
	total = total ? round_up(total, 8) : 8;
	if (total > m->size || total < 8 || n > (total - 8) / 8)
		return diag_fail(why, ERR_CORRUPT, "wim: metadata, security "
				 "data of %llu bytes with %u descriptors",
				 (unsigned long long)total, n);
	m->security = mem_alloc((size_t)n + 1, sizeof(*m->security));
	if (!m->security)
		return diag_fail(why, ENOMEM, "wim: no memory for metadata");
	pos = 8 + 8 * (uint64_t)n;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t len = le64_at(m->raw + 8 + 8 * (size_t)i);

		m->security[i] = pos;
		if (!range_within(pos, len, total))
			return diag_fail(why, ERR_CORRUPT, "wim: metadata, "
					 "security descriptor %u, outside: "
					 "%llu bytes", i,
					 (unsigned long long)len);
		pos += len;
	}
	m->security[n] = pos;
	m->n_security = n;
	*end = total;
	return 0;
}

struct parse {
	struct wim_meta *m;
	uint8_t *seen;		/* owned: a bit for every 8 bytes */
	struct diag *why;
};

static int claim(struct parse *p, uint64_t off)
{
	uint64_t bit = off / 8;

	if (p->seen[bit / 8] & 1 << bit % 8)
		return diag_fail(p->why, ERR_CORRUPT, "wim: metadata, "
				 "directory entry at %llu, used twice",
				 (unsigned long long)off);
	p->seen[bit / 8] |= (uint8_t)(1 << bit % 8);
	return 0;
}

static int add_node(struct parse *p, uint32_t parent, uint64_t off)
{
	struct wim_meta *m = p->m;

	if (m->n == m->max) {
		uint32_t max = max_of(m->max * 2, 64u);
		struct wim_node *v = mem_realloc(m->nodes, max, sizeof(*v));

		if (!v)
			return diag_fail(p->why, ENOMEM,
					 "wim: no memory for metadata");
		m->nodes = v;
		m->max = max;
	}
	m->nodes[m->n] = (struct wim_node) {
		.inode = m->n, .parent = parent, .links = 1,
		.dentry = (uint32_t)(off / 8),
	};
	m->n++;
	return 0;
}

/* What no directory of Linux can show. */
static bool is_bad_name(const struct wim_disk_dentry *d)
{
	size_t n;
	const uint8_t *name = wim_name(d, &n);

	if (!n || n > WIM_NAME_UNITS)
		return true;
	if (le16_at(name) == '.' &&
	    (n == 1 || (n == 2 && le16_at(name + 2) == '.')))
		return true;
	for (size_t i = 0; i < n; i++)
		if (!le16_at(name + 2 * i) || le16_at(name + 2 * i) == '/')
			return true;
	return false;
}

/* The children of a directory: entries up to a length of 8 or less. */
static int parse_list(struct parse *p, uint32_t dir, uint64_t off)
{
	struct wim_meta *m = p->m;
	uint32_t first = m->n;
	int ret = 0;

	while (!ret) {
		uint64_t end;

		if (!range_within(off, 8, m->size))
			return diag_fail(p->why, ERR_CORRUPT, "wim: metadata, "
					 "a directory without an end at %llu",
					 (unsigned long long)off);
		if (le64_at(m->raw + off) <= 8)
			break;
		end = wim_dentry_check(m->raw, off, m->size);
		if (!end)
			return diag_fail(p->why, ERR_CORRUPT, "wim: metadata, "
					 "directory entry at %llu, lengths "
					 "that do not fit",
					 (unsigned long long)off);
		ret = claim(p, off);
		if (!ret && is_bad_name((const void *)(m->raw + off)))
			m->n_hidden++;
		else if (!ret)
			ret = add_node(p, dir, off);
		off = end;
	}
	m->nodes[dir].first = first;
	m->nodes[dir].n = m->n - first;
	return ret;
}

static int parse_dir(struct parse *p, uint32_t i)
{
	const struct wim_disk_dentry *d = wim_dentry(p->m, i);
	uint64_t off = le64(d->subdir);

	if (!wim_is_dir(d) || !off)
		return 0;
	if (off % 8 || off < p->m->nodes[0].dentry * 8ULL)
		return diag_fail(p->why, ERR_CORRUPT, "wim: metadata, "
				 "directory that cannot be at %llu",
				 (unsigned long long)off);
	return parse_list(p, i, off);
}

/* Level by level: a directory's entries are neighbours, and nothing recurs. */
static int parse_tree(struct parse *p, uint64_t root)
{
	uint32_t level_end = 1, depth = 0;
	int ret;

	if (!wim_dentry_check(p->m->raw, root, p->m->size))
		return diag_fail(p->why, ERR_CORRUPT, "wim: metadata, root "
				 "directory with lengths that do not fit");
	ret = claim(p, root);
	if (!ret)
		ret = add_node(p, 0, root);
	if (!ret && !wim_is_dir(wim_dentry(p->m, 0)))
		return diag_fail(p->why, ERR_CORRUPT,
				 "wim: metadata, the root is no directory");
	for (uint32_t i = 0; i < p->m->n && !ret; i++) {
		if (i == level_end) {
			level_end = p->m->n;
			if (++depth > WIM_DEPTH_MAX)
				return diag_fail(p->why, ERR_CORRUPT, "wim: "
						 "metadata, directories deeper "
						 "than %u", WIM_DEPTH_MAX);
		}
		ret = parse_dir(p, i);
	}
	return ret;
}

int wim_meta_parse(uint8_t *raw, uint64_t size, struct wim_meta *out,
		   struct diag *why)
{
	struct wim_meta m = { .raw = raw, .size = size };
	struct parse p = { .m = &m, .why = why };
	uint64_t root = 0;
	int ret = parse_security(&m, &root, why);

	if (!ret) {
		p.seen = mem_zalloc((size_t)(size / 64) + 1, 1);
		ret = p.seen ? parse_tree(&p, root) : -ENOMEM;
	}
	free(p.seen);
	if (!ret)
		ret = wim_meta_index(&m);
	if (ret) {
		wim_meta_free(&m);
		return diag_fail(why, ret, "wim: metadata: %s", strerror(-ret));
	}
	*out = m;
	return 0;
}

int wim_meta_load(struct wim *w, unsigned image, struct wim_meta *out,
		  struct diag *why)
{
	const struct wim_blob *b;
	uint8_t *raw;
	int ret;

	if (!image || image > w->n_images)
		return diag_fail(why, ENOENT, "wim: no image %u", image);
	b = &w->blobs[w->images[image - 1]];
	ret = wim_blob_load(w, b, &raw, why);
	if (!ret)
		ret = wim_meta_parse(raw, b->size, out, why);
	if (ret)
		return diag_in(why, ret, "image %u", image);
	if (out->n_hidden)
		wim_warn(w, "image %u has %u names that cannot be shown", image,
			 out->n_hidden);
	return 0;
}

void wim_meta_free(struct wim_meta *m)
{
	free(m->raw);
	free(m->nodes);
	free(m->names);
	free(m->security);
	*m = (struct wim_meta) { 0 };
}

const struct wim_disk_dentry *wim_dentry(const struct wim_meta *m,
					 uint32_t node)
{
	return (const void *)(m->raw + m->nodes[node].dentry * 8ULL);
}
