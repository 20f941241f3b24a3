/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A hash map from 64-bit keys to pointers. Not thread-safe; owns no values. */
#ifndef IMGFS_BASE_MAP_H
#define IMGFS_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

struct map_slot {
	uint64_t key;
	void *value;		/* NULL: empty */
};

struct map {
	struct map_slot *slots;	/* owned; size is a power of two or 0 */
	size_t size;
	size_t used;
};

void *map_get(const struct map *m, uint64_t key);
/* value must not be NULL; replaces an older one. 0 or -ENOMEM. */
int map_put(struct map *m, uint64_t key, void *value);
/* The value that was there, or NULL. */
void *map_del(struct map *m, uint64_t key);
/* Walk: for (size_t i = 0; map_next(m, &i, &key, &value);). In no order; the
 * map must not change meanwhile. */
int map_next(const struct map *m, size_t *i, uint64_t *key, void **value);
/* Frees the table, not the values. */
void map_free(struct map *m);

#endif
