/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The picture of a chain, measured and then drawn. */
#ifndef IMGFS_IMGCTL_SVG_H
#define IMGFS_IMGCTL_SVG_H

#include "tools/imgctl_map.h"

#define IMGCTL_COLS 760		/* pixels that the disk is wide */

enum { IMGCTL_SERVED, IMGCTL_OWN, IMGCTL_HIDE, IMGCTL_PARTS };

struct imgctl_col {		/* of each the part of the column, 0 to 1 */
	float part[IMGCTL_PARTS];
};

struct imgctl_lane {
	struct imgctl_col cols[IMGCTL_COLS];
	uint64_t served, own, zero;	/* bytes */
};

struct imgctl_pic {
	struct disk *d;
	FILE *out;
	size_t n;			/* files of the chain */
	uint64_t size;			/* of the disk, bytes */
	struct imgctl_lane *lanes;	/* owned */
};

/* Whether it could be written says ferror(). */
void imgctl_svg_draw(struct imgctl_pic *p);
/* The strip of partitions at y. */
void imgctl_svg_parts(struct imgctl_pic *p, int x, int y, int height);
/* text, safe inside an element; cut in the middle to max characters. */
void imgctl_svg_text(FILE *out, const char *text, size_t max);

#endif
