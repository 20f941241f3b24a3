/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the two halves of mainttool share: one link of a chain at a time. */
#ifndef IMGFS_TESTS_MAINTTOOL_H
#define IMGFS_TESTS_MAINTTOOL_H

#include "formats/base/dev.h"
#include "formats/base/finding.h"
#include "formats/base/guid.h"
#include "formats/base/layer.h"

struct maint_relink {
	const struct guid *id, *id2;
	const char *relative, *windows;
};

struct maint_ops {
	int (*open)(struct dev *file, bool force, void **disk,
		    struct diag *why);
	void (*close)(void *disk);
	struct dev *(*dev)(void *disk);
	int (*set_parent)(void *disk, struct dev *parent, struct diag *why);
	int (*layer)(void *disk, uint64_t off, uint64_t len,
		     struct layer_run *runs, int max);
	int (*set_id)(void *disk, const struct guid *id, struct diag *why);
	int (*relink)(void *disk, const struct maint_relink *what,
		      struct diag *why);
	int (*copy_items)(void *disk, void *from, struct diag *why);
	int (*check)(void *disk, finding_fn emit);
};

extern const struct maint_ops maint_vhd, maint_vhdx;

#endif
