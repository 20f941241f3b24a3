/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * CIM directories in memory: the link table as it is and a hash of its names,
 * so that a lookup does not depend on their order. Those used last are kept.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/base/utf16.h"
#include "formats/cim/cim_int.h"

/* Twice the directory of 100,000 long names that the format is known to have
 * held; what is larger is no directory. */
#define DIR_MAX (256u << 20)
#define DIRS_KEPT (16u << 20)	/* bytes */

void cim_dirs_init(struct cim_dirs *d)
{
	pthread_mutex_init(&d->lock, NULL);
	d->ends.newer = d->ends.older = &d->ends;
}

void cim_dirs_end(struct cim_dirs *d)
{
	while (d->ends.older != &d->ends) {
		struct cim_dir *dir = d->ends.older;

		d->ends.older = dir->older;
		cim_dir_free(dir);
	}
	map_free(&d->map);
	pthread_mutex_destroy(&d->lock);
}

void cim_dir_free(struct cim_dir *d)
{
	if (!d)
		return;
	free(d->raw);
	free(d->slots);
	free(d);
}

static int load_raw(const struct cim *v, const struct cim_stream *s,
		    struct cim_dir *d, struct diag *why)
{
	struct cim_spot at;
	int ret;

	if (s->len > DIR_MAX)
		return diag_fail(why, ERR_CORRUPT, "link table of %llu bytes",
				 (unsigned long long)s->len);
	ret = cim_find(v, s->off, s->len, &at, why);
	if (ret)
		return ret;
	if (at.off % 8)
		return diag_fail(why, ERR_CORRUPT, "link table not 8-byte "
				 "aligned: 0x%llx", (unsigned long long)at.off);
	d->raw = mem_alloc(s->len, 1);
	if (!d->raw)
		return diag_fail(why, ENOMEM, "out of memory");
	d->bytes += s->len;
	ret = cim_load(v, s->off, d->raw, s->len, why);
	if (!ret)
		ret = cim_links_decode(d->raw, s->len, 4, &d->links, why);
	if (!ret)
		ret = cim_links_check_order(v->upcase, &d->links, why);
	return ret;
}

int cim_dir_load(struct cim *v, uint32_t id, const struct cim_file *f,
		 struct cim_dir **out, struct diag *why)
{
	struct cim_dir *d;
	int ret = 0;

	if (!f->dir)
		return -ENOTDIR;
	d = mem_new(struct cim_dir);
	if (!d)
		return diag_fail(why, ENOMEM, "out of memory");
	d->id = id;
	d->bytes = sizeof(*d);
	if (f->data.sparse && f->data.len)
		ret = diag_fail(why, ERR_CORRUPT, "sparse link table");
	else if (f->data.len)
		ret = load_raw(v, &f->data, d, why);
	if (ret) {
		cim_dir_free(d);
		return diag_in(why, ret, "cim: directory %u", id);
	}
	*out = d;
	return 0;
}

static int make_hash(const struct cim *v, struct cim_dir *d)
{
	uint32_t size = 4;

	while (size / 2 < d->links.n)
		size *= 2;
	d->slots = mem_zalloc(size, sizeof(*d->slots));
	if (!d->slots)
		return -ENOMEM;
	d->mask = size - 1;
	d->bytes += size * sizeof(*d->slots);
	for (uint32_t i = 0; i < d->links.n; i++) {
		struct cim_name a = cim_links_name(&d->links, i);
		uint32_t h = cim_name_hash(v->upcase, a) & d->mask;

		while (d->slots[h])
			h = (h + 1) & d->mask;
		d->slots[h] = i + 1;
	}
	return 0;
}

static void unlink_dir(struct cim_dir *d)
{
	d->newer->older = d->older;
	d->older->newer = d->newer;
}

static void make_newest(struct cim_dirs *ds, struct cim_dir *d)
{
	d->older = ds->ends.older;
	d->newer = &ds->ends;
	ds->ends.older->newer = d;
	ds->ends.older = d;
}

/* Under the lock. The newest stays, however large. */
static void evict(struct cim_dirs *ds)
{
	struct cim_dir *d = ds->ends.newer;

	while (ds->bytes > DIRS_KEPT && d != ds->ends.older) {
		struct cim_dir *next = d->newer;

		if (!d->refs) {
			map_del(&ds->map, d->id);
			unlink_dir(d);
			ds->bytes -= d->bytes;
			cim_dir_free(d);
		}
		d = next;
	}
}

static struct cim_dir *find_kept(struct cim_dirs *ds, uint64_t id)
{
	struct cim_dir *d = map_get(&ds->map, id);

	if (d) {
		d->refs++;
		unlink_dir(d);
		make_newest(ds, d);
	}
	return d;
}

/* Under the lock: keeps d, or drops it for the one that was faster. */
static int keep(struct cim_dirs *ds, struct cim_dir **d)
{
	struct cim_dir *other = find_kept(ds, (*d)->id);

	if (other) {
		cim_dir_free(*d);
		*d = other;
		return 0;
	}
	if (map_put(&ds->map, (*d)->id, *d))
		return -ENOMEM;
	(*d)->refs = 1;
	make_newest(ds, *d);
	ds->bytes += (*d)->bytes;
	evict(ds);
	return 0;
}

int cim_dir_get(struct cim *v, uint64_t id, struct cim_dir **out)
{
	struct cim_dirs *ds = &v->dirs;
	struct cim_file f;
	struct cim_dir *d;
	int ret;

	pthread_mutex_lock(&ds->lock);
	d = find_kept(ds, id);
	pthread_mutex_unlock(&ds->lock);
	if (d) {
		*out = d;
		return 0;
	}
	ret = cim_file_load(v, id, &f, NULL);
	if (!ret)
		ret = cim_dir_load(v, (uint32_t)id, &f, &d, NULL);
	if (ret)
		return ret;
	ret = make_hash(v, d);
	if (!ret) {
		pthread_mutex_lock(&ds->lock);
		ret = keep(ds, &d);
		pthread_mutex_unlock(&ds->lock);
	}
	if (ret)
		cim_dir_free(d);
	else
		*out = d;
	return ret;
}

void cim_dir_put(struct cim *v, struct cim_dir *d)
{
	pthread_mutex_lock(&v->dirs.lock);
	d->refs--;
	pthread_mutex_unlock(&v->dirs.lock);
}

int64_t cim_dir_find(const struct cim *v, const struct cim_dir *d,
		     const char *name, bool ignore_case)
{
	const uint16_t *upcase = ignore_case ? v->upcase : NULL;
	le16_t units[CIM_NAME_UNITS];
	struct cim_name want = { units[0].b, 0 };
	int n = utf8_to_utf16le(name, strlen(name), units, CIM_NAME_UNITS);
	uint32_t h;

	if (n < 0)
		return n == -ENAMETOOLONG ? n : -ENOENT;
	want.n = (unsigned)n;
	h = cim_name_hash(v->upcase, want) & d->mask;
	for (; d->slots[h]; h = (h + 1) & d->mask) {
		uint32_t i = d->slots[h] - 1;

		if (cim_name_same(upcase, want, cim_links_name(&d->links, i)))
			return i;
	}
	return -ENOENT;
}
