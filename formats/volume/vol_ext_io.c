/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Blocks of metadata: a bounded cache for reading, and what was written, kept
 * until it is synced. Readers call from many threads; writers are alone (the
 * tree's lock), so a block does not change while a reader has it pinned.
 */
#include "formats/volume/vol_ext_int.h"

#include <pthread.h>
#include <stdlib.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/base/cache.h"
#include "formats/base/map.h"

/* Enough for the tables of 20,000 files; see HACKING.md on memory. */
#define CACHE_BYTES (6u << 20)
/* Written blocks beyond this go to the dev early: the volume is marked
 * unclean by then, so their order does not matter. */
#define DIRTY_BYTES (6u << 20)
/* Neighbours are written in one piece up to this. */
#define PIECE_BYTES (256u << 10)

struct vol_ext_io {
	struct dev *dev;	/* not owned */
	uint32_t bs;
	struct cache *cache;	/* owned */
	pthread_mutex_t lock;	/* guards dirty against cache fills */
	struct map dirty;	/* block -> its bytes, owned */
	int failed;		/* a write-back that failed stays failed */
};

static int fill(void *ctx, uint64_t blk, void *block)
{
	struct vol_ext_io *io = ctx;
	uint64_t size = dev_size(io->dev), off = blk * io->bs, have;
	void *p;

	pthread_mutex_lock(&io->lock);
	p = map_get(&io->dirty, blk);
	if (p)
		memcpy(block, p, io->bs);
	pthread_mutex_unlock(&io->lock);
	if (p)
		return 0;
	if (blk > UINT64_MAX / io->bs || off >= size)
		return -EIO;
	/* A last block that is cut ends in zeros. */
	have = min_of((uint64_t)io->bs, size - off);
	memset((uint8_t *)block + have, 0, io->bs - have);
	return dev_read(io->dev, block, have, off);
}

int vol_ext_io_new(struct dev *dev, uint32_t block_size,
		   struct vol_ext_io **out)
{
	struct vol_ext_io *io = mem_new(struct vol_ext_io);
	int ret = io ? cache_new(block_size, CACHE_BYTES / block_size, fill, io,
				 &io->cache) : -ENOMEM;

	if (ret) {
		free(io);
		return ret;
	}
	pthread_mutex_init(&io->lock, NULL);
	io->dev = dev;
	io->bs = block_size;
	*out = io;
	return 0;
}

static void drop_dirty(struct vol_ext_io *io)
{
	uint64_t blk;
	void *p;

	for (size_t i = 0; map_next(&io->dirty, &i, &blk, &p);)
		free(p);
	map_free(&io->dirty);
	io->dirty = (struct map) { 0 };
}

void vol_ext_io_free(struct vol_ext_io *io)
{
	if (!io)
		return;
	drop_dirty(io);
	cache_free(io->cache);
	pthread_mutex_destroy(&io->lock);
	free(io);
}

int vol_ext_io_get(struct vol_ext_io *io, uint64_t blk, const void **out)
{
	return cache_get(io->cache, blk, out);
}

void vol_ext_io_put(struct vol_ext_io *io, const void *block)
{
	cache_put(io->cache, block);
}

int vol_ext_io_read(struct vol_ext_io *io, uint64_t off, void *buf, size_t len)
{
	uint8_t *p = buf;

	while (len) {
		uint32_t in = (uint32_t)(off % io->bs);
		size_t n = min_of(len, (size_t)(io->bs - in));
		int ret = cache_copy(io->cache, off / io->bs, in, p, n);

		if (ret)
			return ret;
		p += n;
		off += n;
		len -= n;
	}
	return 0;
}

/* The written copy of blk; made from what is there unless all of it is about
 * to be written. Lock not held: writers are alone. */
static int own(struct vol_ext_io *io, uint64_t blk, bool whole, uint8_t **out)
{
	uint8_t *p = map_get(&io->dirty, blk);
	int ret = 0;

	if (p) {
		*out = p;
		return 0;
	}
	if ((io->dirty.used + 1) * io->bs > DIRTY_BYTES)
		ret = vol_ext_io_write_back(io);
	p = ret ? NULL : mem_alloc(1, io->bs);
	if (!p)
		return ret ? ret : -ENOMEM;
	if (!whole)
		ret = cache_copy(io->cache, blk, 0, p, io->bs);
	if (!ret) {
		pthread_mutex_lock(&io->lock);
		ret = map_put(&io->dirty, blk, p);
		pthread_mutex_unlock(&io->lock);
	}
	if (ret) {
		free(p);
		return ret;
	}
	*out = p;
	return 0;
}

int vol_ext_io_write(struct vol_ext_io *io, uint64_t off, const void *buf,
		     size_t len)
{
	const uint8_t *from = buf;

	while (len) {
		uint32_t in = (uint32_t)(off % io->bs);
		size_t n = min_of(len, (size_t)(io->bs - in));
		uint64_t blk = off / io->bs;
		uint8_t *p;
		int ret = own(io, blk, n == io->bs, &p);

		if (ret)
			return ret;
		memcpy(p + in, from, n);
		cache_update(io->cache, blk, in, from, n);
		from += n;
		off += n;
		len -= n;
	}
	return 0;
}

void vol_ext_io_forget(struct vol_ext_io *io, uint64_t blk, uint64_t n)
{
	for (; n; n--, blk++) {
		void *p;

		pthread_mutex_lock(&io->lock);
		p = io->dirty.used ? map_del(&io->dirty, blk) : NULL;
		pthread_mutex_unlock(&io->lock);
		free(p);
		cache_drop(io->cache, blk);
	}
}

static int by_key(const void *a, const void *b)
{
	const struct map_slot *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

static int write_sorted(struct vol_ext_io *io, const struct map_slot *all,
			size_t n, uint8_t *piece)
{
	size_t most = PIECE_BYTES / io->bs;

	for (size_t i = 0, k; i < n; i += k) {
		int ret;

		for (k = 0; k < most && i + k < n &&
		     all[i + k].key == all[i].key + k; k++)
			memcpy(piece + k * io->bs, all[i + k].value, io->bs);
		ret = dev_write(io->dev, piece, k * io->bs,
				all[i].key * io->bs);
		if (ret)
			return ret;
	}
	return 0;
}

int vol_ext_io_write_back(struct vol_ext_io *io)
{
	size_t n = io->dirty.used, k = 0;
	struct map_slot *all;
	uint8_t *piece;

	if (!n || io->failed)
		return io->failed;
	all = mem_alloc(n, sizeof(*all));
	piece = mem_alloc(1, PIECE_BYTES);
	if (!all || !piece) {
		free(all);
		free(piece);
		return -ENOMEM;
	}
	for (size_t i = 0; k < n && map_next(&io->dirty, &i, &all[k].key,
					      &all[k].value);)
		k++;
	qsort(all, k, sizeof(*all), by_key);
	io->failed = write_sorted(io, all, k, piece);
	free(all);
	free(piece);
	if (!io->failed) {
		pthread_mutex_lock(&io->lock);
		drop_dirty(io);
		pthread_mutex_unlock(&io->lock);
	}
	return io->failed;
}

void vol_ext_io_drop_all(struct vol_ext_io *io)
{
	cache_drop_all(io->cache);
}
