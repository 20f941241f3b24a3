/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bytes in memory as a dev: unit tests and fuzz targets. */
#ifndef IMGFS_BASE_DEV_MEM_H
#define IMGFS_BASE_DEV_MEM_H

#include "formats/base/dev.h"

/* A copy of len bytes of data (NULL: zeros). Writable at once; grows with
 * dev_resize. */
int dev_mem_new(const void *data, size_t len, struct dev **out);

#endif
