/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/base/map.h"

#include <errno.h>
#include <stdlib.h>

#include "formats/base/alloc.h"

static size_t home(const struct map *m, uint64_t key)
{
	key *= 0x9e3779b97f4a7c15ULL;	/* 2^64 / golden ratio */
	return (size_t)(key >> 32 ^ key) & (m->size - 1);
}

/* The slot of key, or the empty one where it belongs. */
static struct map_slot *seek(const struct map *m, uint64_t key)
{
	size_t i = home(m, key);

	while (m->slots[i].value && m->slots[i].key != key)
		i = (i + 1) & (m->size - 1);
	return &m->slots[i];
}

void *map_get(const struct map *m, uint64_t key)
{
	return m->size ? seek(m, key)->value : NULL;
}

static int grow(struct map *m)
{
	struct map bigger = { .size = m->size ? m->size * 2 : 16 };

	bigger.slots = mem_zalloc(bigger.size, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < m->size; i++)
		if (m->slots[i].value)
			*seek(&bigger, m->slots[i].key) = m->slots[i];
	bigger.used = m->used;
	free(m->slots);
	*m = bigger;
	return 0;
}

int map_put(struct map *m, uint64_t key, void *value)
{
	struct map_slot *s;

	if (m->used >= m->size - m->size / 4 && grow(m))
		return -ENOMEM;
	s = seek(m, key);
	if (!s->value)
		m->used++;
	*s = (struct map_slot) { key, value };
	return 0;
}

/* Linear probing without tombstones: what follows the hole moves up if its
 * home does not lie between hole and itself. */
void *map_del(struct map *m, uint64_t key)
{
	struct map_slot *s = m->size ? seek(m, key) : NULL;
	void *old = s ? s->value : NULL;
	size_t hole, i;

	if (!old)
		return NULL;
	hole = i = (size_t)(s - m->slots);
	for (;;) {
		size_t h;

		i = (i + 1) & (m->size - 1);
		if (!m->slots[i].value)
			break;
		h = home(m, m->slots[i].key);
		if (((i - h) & (m->size - 1)) < ((i - hole) & (m->size - 1)))
			continue;
		m->slots[hole] = m->slots[i];
		hole = i;
	}
	m->slots[hole].value = NULL;
	m->used--;
	return old;
}

int map_next(const struct map *m, size_t *i, uint64_t *key, void **value)
{
	while (*i < m->size) {
		const struct map_slot *s = &m->slots[(*i)++];

		if (!s->value)
			continue;
		*key = s->key;
		*value = s->value;
		return 1;
	}
	return 0;
}

void map_free(struct map *m)
{
	free(m->slots);
	*m = (struct map) { 0 };
}
