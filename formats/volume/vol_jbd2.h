/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Replay of a jbd2 journal: committed transactions are copied from the journal
 * to where they belong, in three passes as the kernel does it (scan, revoke,
 * replay). It knows nothing of ext4: journal blocks come through a callback,
 * replayed blocks go to a dev.
 */
#ifndef IMGFS_VOL_JBD2_H
#define IMGFS_VOL_JBD2_H

#include "formats/base/dev.h"

struct vol_jbd2_source {
	uint32_t block_size;	/* of the file system; 1024 to 65536 */
	uint64_t fs_blocks;	/* replayed block numbers are below */
	/* Reads block blk of the journal; 0 or -errno. */
	int (*read)(void *ctx, uint32_t blk, void *buf);
	void *ctx;
	uint32_t n_blocks;	/* that read() can give */
};

struct vol_jbd2_result {
	uint32_t transactions;	/* that were complete */
	uint32_t blocks;	/* written to the target */
	uint32_t next_sequence;	/* for the journal's next superblock */
	bool fast_pending;	/* fast commits behind them: not replayed */
	bool error;		/* the journal records a file system error */
};

/* Does the journal hold anything? 1, 0 or -errno. Only looks. */
int vol_jbd2_check(const struct vol_jbd2_source *src,
		   struct vol_jbd2_result *out, struct diag *why);

/* Replays into target, which must be writing. Nothing else is written. */
int vol_jbd2_replay(const struct vol_jbd2_source *src, struct dev *target,
		    struct vol_jbd2_result *out, struct diag *why);

/* Turns the journal's first 1024 bytes into an empty journal's. */
void vol_jbd2_reset(void *super, uint32_t next_sequence);

#endif
