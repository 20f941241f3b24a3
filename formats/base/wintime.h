/* SPDX-License-Identifier: GPL-3.0-or-later */
/* FILETIME (100 ns since 1601-01-01 UTC) and VHD time (seconds since 2000). */
#ifndef IMGFS_BASE_WINTIME_H
#define IMGFS_BASE_WINTIME_H

#include <stdint.h>
#include <time.h>

struct timespec wintime_to_timespec(uint64_t filetime);
/* Times before 1601 or beyond what 64 bits hold are clamped. */
uint64_t wintime_from_timespec(struct timespec ts);
/* Now, as VHD writes it. Clamped to 0 before 2000 and to the last second. */
uint32_t wintime_vhd_now(void);

#endif
