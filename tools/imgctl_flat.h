/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A disk with its chain into one new file: convert and compact. */
#ifndef IMGFS_IMGCTL_FLAT_H
#define IMGFS_IMGCTL_FLAT_H

#include "tools/imgctl.h"

struct imgctl_flat {
	const char *format, *type;	/* NULL: as the names say, dynamic */
	uint64_t block;			/* 0: usual */
	const struct imgctl_skip *skip;	/* or NULL */
	/* Called when the disk is open; may set skip. Or NULL. */
	int (*prepare)(struct imgctl_flat *f, struct disk *d,
		       struct diag *why);
};

/* c->files[0] into c->files[1]; the exit status. */
int imgctl_flatten(struct imgctl *c, struct imgctl_flat *f);

#endif
