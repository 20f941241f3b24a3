/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/base/wintime.h"

#define TICKS 10000000ULL		/* a second in 100 ns */
#define EPOCH 11644473600LL		/* seconds from 1601 to 1970 */
#define VHD_EPOCH 946684800LL		/* seconds from 1970 to 2000 */

struct timespec wintime_to_timespec(uint64_t filetime)
{
	return (struct timespec) {
		.tv_sec = (time_t)(filetime / TICKS) - EPOCH,
		.tv_nsec = (long)(filetime % TICKS) * 100,
	};
}

uint64_t wintime_from_timespec(struct timespec ts)
{
	if (ts.tv_sec < -EPOCH)
		return 0;
	/* Windows takes FILETIME as signed. */
	if (ts.tv_sec >= (time_t)(INT64_MAX / TICKS) - EPOCH)
		return INT64_MAX;
	return (uint64_t)(ts.tv_sec + EPOCH) * TICKS +
	       (uint64_t)ts.tv_nsec / 100;
}

uint32_t wintime_vhd_now(void)
{
	long long t = (long long)time(NULL) - VHD_EPOCH;

	if (t < 0)
		return 0;
	return t > UINT32_MAX ? UINT32_MAX : (uint32_t)t;
}
