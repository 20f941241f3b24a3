/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A part of another dev: a partition. */
#ifndef IMGFS_BASE_DEV_SLICE_H
#define IMGFS_BASE_DEV_SLICE_H

#include "formats/base/dev.h"

/* [off, off + len) of base, which must outlive the slice and is not closed
 * with it. Several slices of one base may write once base does. */
int dev_slice_new(struct dev *base, uint64_t off, uint64_t len,
		  struct dev **out, struct diag *why);

#endif
