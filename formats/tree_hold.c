/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/tree_hold.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "formats/base/alloc.h"
#include "formats/base/map.h"

/* Spread over several locks: every read of a mapped file takes one twice. */
#define SHARDS 16

struct hold {
	unsigned shared;
	unsigned opens;
	unsigned waiting;	/* exclusive takers: new readers wait behind */
	bool exclusive;
};

struct shard {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct map map;		/* id -> struct hold, owned */
} __attribute__((aligned(64)));

struct tree_hold_table {
	struct shard shards[SHARDS];
};

int tree_hold_table_new(struct tree_hold_table **out)
{
	struct tree_hold_table *h = NULL;

	if (posix_memalign((void **)&h, 64, sizeof(*h)))
		return -ENOMEM;
	for (int i = 0; i < SHARDS; i++) {
		h->shards[i].map = (struct map) { 0 };
		pthread_mutex_init(&h->shards[i].lock, NULL);
		pthread_cond_init(&h->shards[i].changed, NULL);
	}
	*out = h;
	return 0;
}

void tree_hold_table_free(struct tree_hold_table *h)
{
	if (!h)
		return;
	for (int i = 0; i < SHARDS; i++) {
		uint64_t key;
		void *hold;

		for (size_t k = 0;
		     map_next(&h->shards[i].map, &k, &key, &hold);)
			free(hold);
		map_free(&h->shards[i].map);
		pthread_cond_destroy(&h->shards[i].changed);
		pthread_mutex_destroy(&h->shards[i].lock);
	}
	free(h);
}

static struct shard *shard_of(struct tree_hold_table *h, uint64_t id)
{
	return &h->shards[(id ^ id >> 7) % SHARDS];
}

/* The hold of id, made when absent. Shard locked. */
static struct hold *get_hold(struct shard *s, uint64_t id)
{
	struct hold *h = map_get(&s->map, id);

	if (h)
		return h;
	h = mem_new(struct hold);
	if (h && map_put(&s->map, id, h)) {
		free(h);
		h = NULL;
	}
	return h;
}

/* Shard locked. */
static void put_hold(struct shard *s, uint64_t id, struct hold *h)
{
	if (h->shared || h->opens || h->waiting || h->exclusive)
		return;
	map_del(&s->map, id);
	free(h);
}

int tree_hold_shared(struct tree_hold_table *t, uint64_t id)
{
	struct shard *s = shard_of(t, id);
	struct hold *h;

	pthread_mutex_lock(&s->lock);
	while ((h = get_hold(s, id)) && (h->exclusive || h->waiting))
		pthread_cond_wait(&s->changed, &s->lock);
	if (h)
		h->shared++;
	pthread_mutex_unlock(&s->lock);
	return h ? 0 : -ENOMEM;
}

void tree_hold_release(struct tree_hold_table *t, uint64_t id)
{
	struct shard *s = shard_of(t, id);
	struct hold *h;

	pthread_mutex_lock(&s->lock);
	h = map_get(&s->map, id);
	if (!--h->shared && h->waiting)
		pthread_cond_broadcast(&s->changed);
	put_hold(s, id, h);
	pthread_mutex_unlock(&s->lock);
}

int tree_hold_exclusive(struct tree_hold_table *t, uint64_t id)
{
	struct shard *s = shard_of(t, id);
	struct hold *h;

	pthread_mutex_lock(&s->lock);
	h = get_hold(s, id);
	if (h) {
		h->waiting++;
		while (h->exclusive || h->shared)
			pthread_cond_wait(&s->changed, &s->lock);
		h->waiting--;
		h->exclusive = true;
	}
	pthread_mutex_unlock(&s->lock);
	return h ? 0 : -ENOMEM;
}

void tree_hold_release_exclusive(struct tree_hold_table *t, uint64_t id)
{
	struct shard *s = shard_of(t, id);
	struct hold *h;

	pthread_mutex_lock(&s->lock);
	h = map_get(&s->map, id);
	h->exclusive = false;
	pthread_cond_broadcast(&s->changed);
	put_hold(s, id, h);
	pthread_mutex_unlock(&s->lock);
}

int tree_hold_opened(struct tree_hold_table *t, uint64_t id)
{
	struct shard *s = shard_of(t, id);
	struct hold *h;

	pthread_mutex_lock(&s->lock);
	h = get_hold(s, id);
	if (h)
		h->opens++;
	pthread_mutex_unlock(&s->lock);
	return h ? 0 : -ENOMEM;
}

void tree_hold_closed(struct tree_hold_table *t, uint64_t id)
{
	struct shard *s = shard_of(t, id);
	struct hold *h;

	pthread_mutex_lock(&s->lock);
	h = map_get(&s->map, id);
	h->opens--;
	put_hold(s, id, h);
	pthread_mutex_unlock(&s->lock);
}

bool tree_hold_is_open(struct tree_hold_table *t, uint64_t id)
{
	struct shard *s = shard_of(t, id);
	struct hold *h;
	bool open;

	pthread_mutex_lock(&s->lock);
	h = map_get(&s->map, id);
	open = h && h->opens;
	pthread_mutex_unlock(&s->lock);
	return open;
}
