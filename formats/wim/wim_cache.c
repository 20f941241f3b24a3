/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Decoded chunks under a byte budget, one cache a chunk size, and the decoders
 * that fill them. Two readers of one chunk decode it once (cache.h).
 */
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/wim/wim_int.h"

static int new_decoder(enum codec_kind kind, uint32_t chunk_size,
		       struct wim_decoder **out)
{
	struct wim_decoder *d = mem_new(struct wim_decoder);
	int ret = -ENOMEM;

	if (!d)
		return ret;
	d->kind = kind;
	d->chunk_size = chunk_size;
	d->in = mem_alloc(chunk_size, 1);
	if (d->in)
		ret = codec_new(kind, chunk_size, &d->codec);
	if (ret) {
		free(d->in);
		free(d);
		/* More than this codec can have. */
		return ret == -EINVAL ? -ERR_UNSUPP : ret;
	}
	*out = d;
	return 0;
}

static int take_decoder(struct wim *w, const struct wim_res *r,
			struct wim_decoder **out)
{
	struct wim_decoder **p, *d;

	pthread_mutex_lock(&w->lock);
	for (p = &w->idle; *p; p = &(*p)->next)
		if ((*p)->kind == r->codec && (*p)->chunk_size == r->chunk_size)
			break;
	d = *p;
	if (d)
		*p = d->next;
	pthread_mutex_unlock(&w->lock);
	if (!d)
		return new_decoder(r->codec, r->chunk_size, out);
	*out = d;
	return 0;
}

static void give_decoder(struct wim *w, struct wim_decoder *d)
{
	pthread_mutex_lock(&w->lock);
	d->next = w->idle;
	w->idle = d;
	pthread_mutex_unlock(&w->lock);
}

static int decode(struct wim *w, const struct wim_res *r,
		  const struct wim_chunk *c, void *out)
{
	struct wim_decoder *d;
	int ret;

	/* Compressed by nothing. */
	if (r->codec == CODEC_NONE)
		return -ERR_CORRUPT;
	ret = take_decoder(w, r, &d);
	if (ret)
		return ret;
	ret = dev_read(r->file->dev, d->in, c->csize, c->off);
	if (!ret)
		ret = codec_decode(d->codec, d->in, c->csize, out, c->usize);
	give_decoder(w, d);
	return ret;
}

int wim_chunk_read(struct wim *w, const struct wim_res *r, uint64_t idx,
		   struct wim_chunk *c, void *out)
{
	int ret = wim_chunk_find(r, idx, c);

	if (ret)
		return ret;
	if (c->csize == c->usize)
		return dev_read(r->file->dev, out, c->csize, c->off);
	return decode(w, r, c, out);
}

static int fill(void *ctx, uint64_t key, void *block)
{
	struct wim_chunks *chunks = ctx;
	struct wim *w = chunks->w;
	uint32_t id = (uint32_t)(key >> 32);
	struct wim_chunk c;
	struct wim_res r;
	uint64_t base;

	if (id & 0x80000000u)
		r = w->solids[id & 0x7fffffffu].res;
	else
		wim_res_of(w, &w->blobs[id], &r, &base);
	return wim_chunk_read(w, &r, (uint32_t)key, &c, block);
}

static uint32_t all_sizes(const struct wim *w)
{
	uint32_t sizes = 0;

	for (size_t i = 0; i < w->n_files; i++)
		sizes |= w->files[i]->hdr.chunk_size;
	for (size_t i = 0; i < w->n_solids; i++)
		sizes |= w->solids[i].res.chunk_size;
	return sizes;
}

/* The largest chunks are the dearest: they get seven eighths. */
static size_t blocks_of(const struct wim *w, uint32_t chunk_size)
{
	uint64_t budget = w->opts.cache_size ? w->opts.cache_size
					     : WIM_CACHE_SIZE;
	uint32_t sizes = all_sizes(w);
	unsigned others = (unsigned)__builtin_popcount(sizes) - 1;

	if (others && sizes >= 2 * (uint64_t)chunk_size)
		budget = budget / 8 / others;
	else if (others)
		budget -= budget / 8;
	return (size_t)(budget / chunk_size);
}

static int find_cache(struct wim *w, const struct wim_res *r,
		      struct cache **out)
{
	struct wim_chunks *c = &w->chunks[__builtin_ctz(r->chunk_size)];
	int ret = 0;

	pthread_mutex_lock(&w->lock);
	if (!c->cache) {
		c->w = w;
		ret = cache_new(r->chunk_size, blocks_of(w, r->chunk_size),
				fill, c, &c->cache);
	}
	*out = c->cache;
	pthread_mutex_unlock(&w->lock);
	return ret;
}

/* Nobody can have seen a chunk of what is in no table, and a whole chunk goes
 * straight to who wants it: the kernel keeps what it was given. */
static bool goes_direct(const struct wim_res *r, uint64_t idx, uint32_t off,
			uint32_t len)
{
	return !off && (len == r->chunk_size ||
			idx * r->chunk_size + len == r->hdr.usize);
}

static int copy_uncached(struct wim *w, const struct wim_res *r, uint64_t idx,
			 uint32_t off, void *buf, uint32_t len)
{
	struct wim_chunk c;
	uint8_t *p = mem_alloc(r->chunk_size, 1);
	int ret = p ? wim_chunk_read(w, r, idx, &c, p) : -ENOMEM;

	if (!ret && !range_within(off, len, c.usize))
		ret = -ERR_CORRUPT;
	if (!ret)
		memcpy(buf, p + off, len);
	free(p);
	return ret;
}

int wim_chunk_copy(struct wim *w, const struct wim_res *r, uint64_t idx,
		   uint32_t off, void *buf, uint32_t len)
{
	struct wim_chunk c;
	struct cache *cache;
	int ret;

	if (goes_direct(r, idx, off, len))
		return wim_chunk_read(w, r, idx, &c, buf);
	if (r->id == WIM_NONE)
		return copy_uncached(w, r, idx, off, buf, len);
	ret = find_cache(w, r, &cache);
	if (ret)
		return ret;
	return cache_copy(cache, (uint64_t)r->id << 32 | idx, off, buf, len);
}

void wim_cache_free(struct wim *w)
{
	for (int i = 0; i < WIM_CHUNK_SIZES; i++)
		cache_free(w->chunks[i].cache);
	while (w->idle) {
		struct wim_decoder *d = w->idle;

		w->idle = d->next;
		codec_free(d->codec);
		free(d->in);
		free(d);
	}
}
