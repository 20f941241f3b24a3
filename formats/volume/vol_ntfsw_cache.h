/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What libntfs-3g writes in small pieces (MFT records, index blocks, bitmap
 * bytes), kept in memory by the sector until a flush writes it out in ascending
 * order and in large pieces. Large writes go straight through.
 *
 * Sectors, not blocks, are what is valid or dirty: file data beside metadata is
 * written behind this cache's back, and must never be carried along.
 *
 * Not thread-safe: the tree above takes turns.
 */
#ifndef IMGFS_VOL_NTFSW_CACHE_H
#define IMGFS_VOL_NTFSW_CACHE_H

#include "formats/base/dev.h"

struct vol_ntfsw_cache;

int vol_ntfsw_cache_new(struct dev *dev, struct vol_ntfsw_cache **out);
/* Takes NULL. Dirty sectors are lost: flush first. */
void vol_ntfsw_cache_free(struct vol_ntfsw_cache *c);

int vol_ntfsw_cache_read(struct vol_ntfsw_cache *c, void *buf, size_t len,
			 uint64_t off);
int vol_ntfsw_cache_write(struct vol_ntfsw_cache *c, const void *buf,
			  size_t len, uint64_t off);
/* Writes out what is dirty; does not flush the dev. What could not be written
 * stays dirty. */
int vol_ntfsw_cache_flush(struct vol_ntfsw_cache *c);
/* Writes out and forgets a range that others are going to read or write. */
int vol_ntfsw_cache_release(struct vol_ntfsw_cache *c, uint64_t off,
			    uint64_t len);

#endif
