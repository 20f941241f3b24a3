/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/volume/vol_ntfsw_cache.h"

#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/base/map.h"

#define SECTOR 512u
#define BLOCK 4096u
#define PER_BLOCK (BLOCK / SECTOR)

/* 12 MiB: the MFT records and index blocks of some 8,000 new files. */
#define MAX_BLOCKS 3072u
/* Evictions must find clean blocks. */
#define MAX_DIRTY (MAX_BLOCKS * 3 / 4)

/* From here on one write of its own is cheaper than copying. */
#define DIRECT (32u << 10)

/* One piece of a flush. */
#define STAGE (256u << 10)

struct block {
	uint64_t key;		/* offset / BLOCK */
	struct block *prev, *next;	/* by last use */
	uint8_t valid, dirty;	/* a bit a sector */
	uint8_t data[BLOCK];
};

struct vol_ntfsw_cache {
	struct dev *dev;
	struct map map;		/* key -> struct block, owned */
	struct block lru;	/* head: next is the most recent */
	size_t n, n_dirty;
	uint8_t *stage;		/* STAGE bytes */
};

int vol_ntfsw_cache_new(struct dev *dev, struct vol_ntfsw_cache **out)
{
	struct vol_ntfsw_cache *c = mem_new(struct vol_ntfsw_cache);

	if (!c)
		return -ENOMEM;
	c->dev = dev;
	c->lru.prev = c->lru.next = &c->lru;
	c->stage = mem_alloc(1, STAGE);
	if (!c->stage) {
		free(c);
		return -ENOMEM;
	}
	*out = c;
	return 0;
}

void vol_ntfsw_cache_free(struct vol_ntfsw_cache *c)
{
	if (!c)
		return;
	for (struct block *b = c->lru.next, *next; b != &c->lru; b = next) {
		next = b->next;
		free(b);
	}
	map_free(&c->map);
	free(c->stage);
	free(c);
}

static void unlink_block(struct block *b)
{
	b->prev->next = b->next;
	b->next->prev = b->prev;
}

static void link_first(struct vol_ntfsw_cache *c, struct block *b)
{
	b->prev = &c->lru;
	b->next = c->lru.next;
	b->next->prev = b;
	c->lru.next = b;
}

static void forget(struct vol_ntfsw_cache *c, struct block *b)
{
	c->n--;
	c->n_dirty -= !!b->dirty;
	map_del(&c->map, b->key);
	unlink_block(b);
	free(b);
}

static void set_dirty(struct vol_ntfsw_cache *c, struct block *b, uint8_t dirty)
{
	c->n_dirty += !!dirty;
	c->n_dirty -= !!b->dirty;
	b->dirty = dirty;
}

/* The bits of the sectors that [off, off + len) of a block touches. */
static uint8_t bits_of(size_t off, size_t len)
{
	unsigned first = (unsigned)(off / SECTOR);
	unsigned last = (unsigned)((off + len - 1) / SECTOR);

	return (uint8_t)((0xffu << first) & (0xffu >> (PER_BLOCK - 1 - last)));
}

/* One run of sectors of one block to the dev. */
static int write_sectors(struct vol_ntfsw_cache *c, struct block *b)
{
	for (unsigned i = 0; i < PER_BLOCK;) {
		unsigned n = 0;
		int ret;

		while (i + n < PER_BLOCK && b->dirty & 1u << (i + n))
			n++;
		if (!n) {
			i++;
			continue;
		}
		ret = dev_write(c->dev, b->data + i * SECTOR, n * SECTOR,
				b->key * BLOCK + i * SECTOR);
		if (ret)
			return ret;
		i += n;
	}
	set_dirty(c, b, 0);
	return 0;
}

static int by_key(const void *a, const void *b)
{
	const struct block *x = *(struct block *const *)a;
	const struct block *y = *(struct block *const *)b;

	return x->key < y->key ? -1 : x->key > y->key;
}

/* Whole dirty blocks that follow each other, in one write. */
static int write_group(struct vol_ntfsw_cache *c, struct block **v, size_t n)
{
	int ret;

	if (n == 1)
		return write_sectors(c, v[0]);
	for (size_t i = 0; i < n; i++)
		memcpy(c->stage + i * BLOCK, v[i]->data, BLOCK);
	ret = dev_write(c->dev, c->stage, n * BLOCK, v[0]->key * BLOCK);
	for (size_t i = 0; i < n && !ret; i++)
		set_dirty(c, v[i], 0);
	return ret;
}

static int write_sorted(struct vol_ntfsw_cache *c, struct block **v, size_t n)
{
	int first = 0;

	for (size_t i = 0; i < n;) {
		size_t k = 1;
		int ret;

		while (v[i]->dirty == 0xff && i + k < n && k < STAGE / BLOCK &&
		       v[i + k]->dirty == 0xff &&
		       v[i + k]->key == v[i]->key + k)
			k++;
		ret = write_group(c, v + i, k);
		if (ret && !first)
			first = ret;
		i += k;
	}
	return first;
}

int vol_ntfsw_cache_flush(struct vol_ntfsw_cache *c)
{
	struct block **v;
	size_t n = 0;
	int ret;

	if (!c->n_dirty)
		return 0;
	v = mem_alloc(c->n_dirty, sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (struct block *b = c->lru.next; b != &c->lru; b = b->next)
		if (b->dirty)
			v[n++] = b;
	qsort(v, n, sizeof(*v), by_key);
	ret = write_sorted(c, v, n);
	free(v);
	return ret;
}

/* Makes room for one more block. */
static int make_room(struct vol_ntfsw_cache *c)
{
	struct block *b, *prev;
	int ret = c->n_dirty > MAX_DIRTY ? vol_ntfsw_cache_flush(c) : 0;

	if (ret)
		return ret;
	for (b = c->lru.prev; c->n >= MAX_BLOCKS && b != &c->lru; b = prev) {
		prev = b->prev;
		if (!b->dirty)
			forget(c, b);
	}
	return 0;
}

static int get_block(struct vol_ntfsw_cache *c, uint64_t key,
		     struct block **out)
{
	struct block *b = map_get(&c->map, key);
	int ret = 0;

	if (b) {
		unlink_block(b);
		link_first(c, b);
		*out = b;
		return 0;
	}
	ret = make_room(c);
	if (ret)
		return ret;
	b = mem_alloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->key = key;
	b->valid = b->dirty = 0;
	ret = map_put(&c->map, key, b);
	if (ret) {
		free(b);
		return ret;
	}
	c->n++;
	link_first(c, b);
	*out = b;
	return 0;
}

/* Reads the sectors of want that are not there yet. */
static int fill(struct vol_ntfsw_cache *c, struct block *b, uint8_t want)
{
	uint8_t tmp[BLOCK], miss = want & (uint8_t)~b->valid;
	unsigned first, last;
	uint64_t at;
	size_t len;
	int ret;

	if (!miss)
		return 0;
	first = (unsigned)__builtin_ctz(miss);
	last = 31u - (unsigned)__builtin_clz(miss);
	at = b->key * BLOCK + first * SECTOR;
	/* The last sector of a dev may be cut. */
	len = (last - first + 1) * SECTOR;
	if (!range_within(at, len, dev_size(c->dev))) {
		memset(tmp, 0, sizeof(tmp));
		len = at < dev_size(c->dev) ? dev_size(c->dev) - at : 0;
	}
	ret = dev_read(c->dev, tmp, len, at);
	if (ret)
		return ret;
	for (unsigned i = first; i <= last; i++)
		if (miss & 1u << i)
			memcpy(b->data + i * SECTOR,
			       tmp + (i - first) * SECTOR, SECTOR);
	b->valid |= miss;
	return 0;
}

/* Lays what is cached over bytes that came from the dev. */
static void overlay(struct vol_ntfsw_cache *c, uint8_t *buf, size_t len,
		    uint64_t off)
{
	if (!c->n_dirty)
		return;
	for (size_t done = 0; done < len;) {
		size_t at = (size_t)((off + done) % BLOCK);
		size_t part = min_of(len - done, (size_t)(BLOCK - at));
		struct block *b = map_get(&c->map, (off + done) / BLOCK);

		for (unsigned i = 0; b && b->dirty && i < PER_BLOCK; i++) {
			size_t lo = max_of(at, (size_t)(i * SECTOR));
			size_t hi = min_of(at + part,
					   (size_t)((i + 1) * SECTOR));

			if (b->dirty & 1u << i && lo < hi)
				memcpy(buf + done + (lo - at), b->data + lo,
				       hi - lo);
		}
		done += part;
	}
}

int vol_ntfsw_cache_read(struct vol_ntfsw_cache *c, void *buf, size_t len,
			 uint64_t off)
{
	uint8_t *to = buf;

	if (len >= DIRECT) {
		int ret = dev_read(c->dev, buf, len, off);

		if (!ret)
			overlay(c, buf, len, off);
		return ret;
	}
	while (len) {
		size_t at = (size_t)(off % BLOCK);
		size_t part = min_of(len, (size_t)(BLOCK - at));
		struct block *b;
		int ret = get_block(c, off / BLOCK, &b);

		if (!ret)
			ret = fill(c, b, bits_of(at, part));
		if (ret)
			return ret;
		memcpy(to, b->data + at, part);
		to += part;
		off += part;
		len -= part;
	}
	return 0;
}

/* The dev has these bytes now: so have the cached sectors. */
static void refresh(struct vol_ntfsw_cache *c, const uint8_t *buf, size_t len,
		    uint64_t off)
{
	for (size_t done = 0; c->n && done < len;) {
		size_t at = (size_t)((off + done) % BLOCK);
		size_t part = min_of(len - done, (size_t)(BLOCK - at));
		struct block *b = map_get(&c->map, (off + done) / BLOCK);

		if (b && part == BLOCK)
			forget(c, b);
		else if (b)
			memcpy(b->data + at, buf + done, part);
		done += part;
	}
}

int vol_ntfsw_cache_write(struct vol_ntfsw_cache *c, const void *buf,
			  size_t len, uint64_t off)
{
	const uint8_t *from = buf;

	if (len >= DIRECT) {
		int ret = dev_write(c->dev, buf, len, off);

		if (!ret)
			refresh(c, buf, len, off);
		return ret;
	}
	while (len) {
		size_t at = (size_t)(off % BLOCK);
		size_t part = min_of(len, (size_t)(BLOCK - at));
		uint8_t bits = bits_of(at, part), edge = 0;
		struct block *b;
		int ret = get_block(c, off / BLOCK, &b);

		if (at % SECTOR)
			edge |= bits_of(at, 1);
		if ((at + part) % SECTOR)
			edge |= bits_of(at + part - 1, 1);
		if (!ret)
			ret = fill(c, b, edge);
		if (ret)
			return ret;
		memcpy(b->data + at, from, part);
		b->valid |= bits;
		set_dirty(c, b, b->dirty | bits);
		from += part;
		off += part;
		len -= part;
	}
	return 0;
}

int vol_ntfsw_cache_release(struct vol_ntfsw_cache *c, uint64_t off,
			    uint64_t len)
{
	uint64_t key = off / BLOCK, end = div_up(off + len, BLOCK);

	for (; c->n && len && key < end; key++) {
		struct block *b = map_get(&c->map, key);
		int ret = b && b->dirty ? write_sectors(c, b) : 0;

		if (ret)
			return ret;
		if (b)
			forget(c, b);
	}
	return 0;
}
