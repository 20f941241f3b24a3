/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/base/cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/base/map.h"

struct block {
	struct block *newer, *older;	/* in use order; guarded by lock */
	uint64_t key;
	unsigned pins;
	bool filling;			/* one thread is reading it */
	bool stale;			/* not in the map any more */
	uint8_t data[];
};

struct cache {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	struct map map;
	struct block ends;		/* ring: ends.older is the newest */
	size_t block_size, max_blocks, n;
	cache_fill_fn fill;
	void *ctx;
};

static void unlink_block(struct block *b)
{
	b->newer->older = b->older;
	b->older->newer = b->newer;
}

static void make_newest(struct cache *c, struct block *b)
{
	b->older = c->ends.older;
	b->newer = &c->ends;
	c->ends.older->newer = b;
	c->ends.older = b;
}

int cache_new(size_t block_size, size_t max_blocks, cache_fill_fn fill,
	      void *ctx, struct cache **out)
{
	struct cache *c = mem_new(struct cache);

	if (!c)
		return -ENOMEM;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->filled, NULL);
	c->ends.newer = c->ends.older = &c->ends;
	c->block_size = block_size;
	c->max_blocks = max_of(max_blocks, (size_t)1);
	c->fill = fill;
	c->ctx = ctx;
	*out = c;
	return 0;
}

void cache_free(struct cache *c)
{
	if (!c)
		return;
	while (c->ends.older != &c->ends) {
		struct block *b = c->ends.older;

		unlink_block(b);
		free(b);
	}
	map_free(&c->map);
	pthread_cond_destroy(&c->filled);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* Takes b out of the map; frees it when nobody holds it. Lock held. */
static void forget(struct cache *c, struct block *b)
{
	if (!b->stale)
		map_del(&c->map, b->key);
	b->stale = true;
	if (b->pins)
		return;
	unlink_block(b);
	c->n--;
	free(b);
}

static void shrink(struct cache *c)
{
	struct block *b = c->ends.newer;

	while (c->n > c->max_blocks && b != &c->ends) {
		struct block *next = b->newer;

		if (!b->pins)
			forget(c, b);
		b = next;
	}
}

/* A new block, pinned and marked as being filled. Lock held. */
static int add_block(struct cache *c, uint64_t key, struct block **out)
{
	struct block *b = mem_alloc(1, sizeof(*b) + c->block_size);
	int ret = b ? map_put(&c->map, key, b) : -ENOMEM;

	if (ret) {
		free(b);
		return ret;
	}
	*b = (struct block) { .key = key, .pins = 1, .filling = true };
	make_newest(c, b);
	c->n++;
	shrink(c);
	*out = b;
	return 0;
}

static int fill_block(struct cache *c, struct block *b)
{
	int ret;

	pthread_mutex_unlock(&c->lock);
	ret = c->fill(c->ctx, b->key, b->data);
	pthread_mutex_lock(&c->lock);
	b->filling = false;
	pthread_cond_broadcast(&c->filled);
	if (ret) {
		b->pins--;
		forget(c, b);
	}
	return ret;
}

int cache_get(struct cache *c, uint64_t key, const void **block)
{
	struct block *b;
	int ret = 0;

	pthread_mutex_lock(&c->lock);
	while ((b = map_get(&c->map, key)) && b->filling)
		pthread_cond_wait(&c->filled, &c->lock);
	if (b) {
		b->pins++;
		unlink_block(b);
		make_newest(c, b);
	} else {
		ret = add_block(c, key, &b);
		if (!ret)
			ret = fill_block(c, b);
	}
	if (!ret)
		*block = b->data;
	pthread_mutex_unlock(&c->lock);
	return ret;
}

void cache_put(struct cache *c, const void *block)
{
	struct block *b = container_of((uint8_t (*)[])(uintptr_t)block,
				       struct block, data);

	pthread_mutex_lock(&c->lock);
	if (!--b->pins && b->stale)
		forget(c, b);
	pthread_mutex_unlock(&c->lock);
}

int cache_copy(struct cache *c, uint64_t key, size_t off, void *buf, size_t len)
{
	const void *block;
	int ret = cache_get(c, key, &block);

	if (ret)
		return ret;
	memcpy(buf, (const uint8_t *)block + off, len);
	cache_put(c, block);
	return 0;
}

void cache_update(struct cache *c, uint64_t key, size_t off, const void *buf,
		  size_t len)
{
	struct block *b;

	pthread_mutex_lock(&c->lock);
	while ((b = map_get(&c->map, key)) && b->filling)
		pthread_cond_wait(&c->filled, &c->lock);
	if (b)
		memcpy(b->data + off, buf, len);
	pthread_mutex_unlock(&c->lock);
}

void cache_drop(struct cache *c, uint64_t key)
{
	struct block *b;

	pthread_mutex_lock(&c->lock);
	b = map_get(&c->map, key);
	if (b)
		forget(c, b);
	pthread_mutex_unlock(&c->lock);
}

void cache_drop_all(struct cache *c)
{
	struct block *b, *next;

	pthread_mutex_lock(&c->lock);
	for (b = c->ends.older; b != &c->ends; b = next) {
		next = b->older;
		forget(c, b);
	}
	pthread_mutex_unlock(&c->lock);
}
