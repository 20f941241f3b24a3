/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Blocks of equal size under a 64-bit key, filled by a callback, least
 * recently used out first, never more than a fixed number. Thread-safe: two
 * readers of one missing block fill it once.
 */
#ifndef IMGFS_BASE_CACHE_H
#define IMGFS_BASE_CACHE_H

#include <stddef.h>
#include <stdint.h>

struct cache;

/* Fills block (block_size bytes) for key; 0 or -errno. No lock is held. */
typedef int (*cache_fill_fn)(void *ctx, uint64_t key, void *block);

int cache_new(size_t block_size, size_t max_blocks, cache_fill_fn fill,
	      void *ctx, struct cache **out);
void cache_free(struct cache *c);	/* takes NULL */

/* A pinned block, read-only, until cache_put(). */
int cache_get(struct cache *c, uint64_t key, const void **block);
void cache_put(struct cache *c, const void *block);
/* Copies len bytes at off of the block. */
int cache_copy(struct cache *c, uint64_t key, size_t off, void *buf,
	       size_t len);
/* Changes a cached block in place if it is there (write-through users). */
void cache_update(struct cache *c, uint64_t key, size_t off, const void *buf,
		  size_t len);
/* Forgets a block, or all (pinned ones at their last put). */
void cache_drop(struct cache *c, uint64_t key);
void cache_drop_all(struct cache *c);

#endif
