/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What one file of a differencing chain says itself about a range, without
 * asking its parent: what a merge moves. */
#ifndef IMGFS_BASE_LAYER_H
#define IMGFS_BASE_LAYER_H

#include <stdint.h>

enum layer_kind {
	LAYER_PARENT,	/* nothing: the parent shows (a base: zeros) */
	LAYER_DATA,	/* bytes of its own */
	LAYER_ZERO,	/* zeros that hide the parent */
};

struct layer_run {
	enum layer_kind kind;
	uint64_t len;
};

/* Appends len bytes, merged with the run before if they are alike. The new
 * count; n == max and nothing merged means full: 0 is put into *added. */
static inline int layer_run_add(struct layer_run *runs, int n, int max,
				struct layer_run run, uint64_t *added)
{
	*added = run.len;
	if (n && runs[n - 1].kind == run.kind) {
		runs[n - 1].len += run.len;
		return n;
	}
	if (n == max) {
		*added = 0;
		return n;
	}
	runs[n] = run;
	return n + 1;
}

#endif
