/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pages in memory over another dev: what is written stays here and the base
 * is not touched, until dev_ram_apply() writes it there. Log and journal
 * replay use it: read-only mounts never apply, writable ones apply first.
 */
#ifndef IMGFS_BASE_DEV_RAM_H
#define IMGFS_BASE_DEV_RAM_H

#include "formats/base/dev.h"

#define DEV_RAM_PAGE 4096u

/* base must outlive it and is not closed with it. dev->writing is set: writes
 * go to memory. Growing with dev_resize shows zeros behind base's end. */
int dev_ram_new(struct dev *base, struct dev **out, struct diag *why);

/* Writes all pages to base, which must be writing and large enough, in
 * ascending order; does not flush. Afterwards it is a plain window on base
 * (reads, writes and flushes pass through). Running it again after a failure
 * is safe. */
int dev_ram_apply(struct dev *dev);

/* How many pages are held. */
size_t dev_ram_pages(const struct dev *dev);

#endif
