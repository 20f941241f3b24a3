/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of imgctl check. */
#ifndef IMGFS_IMGCTL_CHECK_H
#define IMGFS_IMGCTL_CHECK_H

#include "tools/imgctl.h"

enum imgctl_weight {
	IMGCTL_NOTE,		/* worth knowing */
	IMGCTL_WARNING,		/* works, but not as it should */
	IMGCTL_ERROR,
};

struct imgctl_check {
	struct imgctl *c;
	bool repair, windows;
	json_t *findings;	/* owned */
	enum outcome worst;	/* of the errors: the first one counts */
	unsigned n[3];		/* findings of each weight */
};

/* One sentence. where: a stable word for programs. out: what the exit status
 * becomes with an error (and IMGCTL_WARNING with OUT_VOLUME_DIRTY). */
void imgctl_find(struct imgctl_check *k, enum imgctl_weight weight,
		 enum outcome out, const char *where, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* Tables, blocks and log of the one file. */
void imgctl_check_structure(struct imgctl_check *k, struct imgctl_leaf *l);
/* Would Windows attach it? */
void imgctl_check_windows(struct imgctl_check *k, const struct imgctl_leaf *l);
/* Volumes that were not left cleanly. */
void imgctl_check_inside(struct imgctl_check *k, struct dev *disk);
/* What is provably safe. Says what it did; 0 or -errno. */
int imgctl_repair(struct imgctl_check *k, struct diag *why);

#endif
