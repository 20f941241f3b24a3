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

#endif
