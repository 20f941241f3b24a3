/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A tree in memory, for tests of what stands on trees. File contents are
 * blocks of one memory file, used again when they are freed: a range that is
 * still mapped after its file was cut shows another file's bytes.
 */
#ifndef IMGFS_TESTS_MEMTREE_H
#define IMGFS_TESTS_MEMTREE_H

#include "formats/tree.h"

struct memtree_opts {
	enum tree_turns turns;	/* TREE_PARALLEL: only when not writable */
	unsigned caps;
	bool writable, frozen;
	bool no_map;		/* tree_map says "ask read" */
	const char *host;	/* a real file, shown as /host */
	uint64_t eio_at;	/* tree_read fails there in /host */
	unsigned dirs, files;	/* dNNN/fNNN: files are per directory */
	uint64_t file_size;
	unsigned slow;		/* milliseconds to look up "slow" */
};

int memtree_new(const struct memtree_opts *o, struct tree **out,
		struct diag *why);
/* How often the whole volume or a node was synced. */
unsigned memtree_syncs(const struct tree *t);

#endif
