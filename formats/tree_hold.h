/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Holds on nodes: shared by readers of mapped ranges, exclusive for whoever
 * moves or frees the bytes; and the count of open handles. Held before the
 * tree's lock, never after it.
 */
#ifndef IMGFS_TREE_HOLD_H
#define IMGFS_TREE_HOLD_H

#include <stdbool.h>
#include <stdint.h>

struct tree_hold_table;

int tree_hold_table_new(struct tree_hold_table **out);
void tree_hold_table_free(struct tree_hold_table *h);

int tree_hold_shared(struct tree_hold_table *h, uint64_t id);
void tree_hold_release(struct tree_hold_table *h, uint64_t id);
/* Waits until nobody else holds id. */
int tree_hold_exclusive(struct tree_hold_table *h, uint64_t id);
void tree_hold_release_exclusive(struct tree_hold_table *h, uint64_t id);

int tree_hold_opened(struct tree_hold_table *h, uint64_t id);
void tree_hold_closed(struct tree_hold_table *h, uint64_t id);
bool tree_hold_is_open(struct tree_hold_table *h, uint64_t id);

#endif
