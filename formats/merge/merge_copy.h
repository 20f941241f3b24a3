/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The engine: several readers, one writer, in the order of the disk, with a
 * constant amount of memory. Only for this folder. */
#ifndef IMGFS_MERGE_COPY_H
#define IMGFS_MERGE_COPY_H

#include "formats/merge/merge.h"

/* A piece is at most that long, and never crosses a multiple of it: a whole
 * block of most disks, and large enough for any drive's throughput. */
#define MERGE_WINDOW (2u << 20)
#define MERGE_SEGS 512		/* per window: 4 KiB each on the average */

enum merge_seg_kind { MERGE_SKIP, MERGE_ZERO, MERGE_DATA };

struct merge_seg {
	enum merge_seg_kind kind;
	uint64_t len;
	struct dev *src;	/* MERGE_DATA: read it there, same offset */
};

struct merge_copy {
	const struct merge_job *job;
	uint64_t from, size;		/* bytes of the disk */
	/* The segment at off, of 0 < len <= max bytes. One call at a time. */
	int (*next)(void *ctx, uint64_t off, uint64_t max,
		    struct merge_seg *seg);
	int (*data)(void *ctx, uint64_t off, const uint8_t *buf, size_t len);
	int (*zero)(void *ctx, uint64_t off, uint64_t len);
	/* NULL, or shares file ranges instead of moving bytes. -ERR_UNSUPP:
	 * not this one; -EXDEV: not here at all. */
	int (*clone)(void *ctx, struct dev *src, uint64_t off, size_t len);
	int clone_fd;			/* a file of the file system of that */
	/* All below off is written: a good moment to remember that. */
	int (*mark)(void *ctx, uint64_t off);
	void *ctx;
	bool collect;			/* go on after a read error */
	uint64_t n_bad;			/* bytes that could not be read */
	uint64_t copied, cloned;	/* bytes */
};

/* 0, -ECANCELED, or the first error. */
int merge_copy_run(struct merge_copy *c);

#endif
