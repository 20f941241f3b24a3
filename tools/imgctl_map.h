/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which file of a chain serves which range. */
#ifndef IMGFS_IMGCTL_MAP_H
#define IMGFS_IMGCTL_MAP_H

#include <stdio.h>

#include "tools/imgctl.h"

enum imgctl_serve {
	IMGCTL_NOTHING,		/* zeros, because no file says anything */
	IMGCTL_DATA,
	IMGCTL_ZERO,		/* zeros that a file says itself */
};

struct imgctl_range {
	uint64_t off, len;
	enum imgctl_serve kind;
	size_t link;		/* not for IMGCTL_NOTHING */
};

/* Returns 0 to go on, else it ends. */
typedef int (*imgctl_range_fn)(void *ctx, const struct imgctl_range *r);

/* What a reader of link first sees: ascending, neighbours of one kind and
 * link merged, all of the disk. alone: what that link says itself. */
int imgctl_map_walk(struct disk *d, size_t first, bool alone,
		    imgctl_range_fn fn, void *ctx, struct diag *why);

/* The picture. -errno when it can't be made or written. */
int imgctl_svg(struct disk *d, FILE *out, struct diag *why);

#endif
