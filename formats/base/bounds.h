/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Comparing offsets and lengths that a stranger chose: never add to compare. */
#ifndef IMGFS_BASE_BOUNDS_H
#define IMGFS_BASE_BOUNDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))

#define min_of(a, b) ({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); \
	a_ < b_ ? a_ : b_; })
#define max_of(a, b) ({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); \
	a_ > b_ ? a_ : b_; })

/* Is [off, off + len) inside [0, size)? */
static inline bool range_within(uint64_t off, uint64_t len, uint64_t size)
{
	return off <= size && len <= size - off;
}

/* Do [a, a + alen) and [b, b + blen) share a byte? Empty ranges never do. */
static inline bool ranges_overlap(uint64_t a, uint64_t alen, uint64_t b,
				  uint64_t blen)
{
	if (!alen || !blen)
		return false;
	return a < b ? b - a < alen : a - b < blen;
}

static inline bool is_pow2(uint64_t v)
{
	return v && !(v & (v - 1));
}

static inline uint64_t div_up(uint64_t a, uint64_t b)
{
	return a / b + !!(a % b);
}

/* a must be a power of two; the caller knows that v + a cannot wrap. */
static inline uint64_t round_up(uint64_t v, uint64_t a)
{
	return (v + a - 1) & ~(a - 1);
}

static inline uint64_t round_down(uint64_t v, uint64_t a)
{
	return v & ~(a - 1);
}

#endif
