/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bits out of 16-bit little-endian words, the most significant first
 * (FORMAT.md 1.3, 5.2). The valid bits stand at the top of a 64-bit register;
 * those below them are the front of the next word, or zero.
 *
 * Past the end come zero bits, which are counted: bits_overrun() tells
 * afterwards whether one of them was used.
 */
#ifndef IMGFS_CODEC_BITS_H
#define IMGFS_CODEC_BITS_H

#include <stdbool.h>

#include "formats/base/endian.h"

#define CODEC_INLINE static inline __attribute__((always_inline))
#define CODEC_LIKELY(x) __builtin_expect(!!(x), 1)

/* What a fill promises at least. */
#define BITS_FILLED 48

struct bits {
	uint64_t buf;
	unsigned int n;			/* valid bits of buf, below 64 */
	uint64_t over;			/* how many of them are not there */
	const uint8_t *p, *end;		/* backwards: p runs down to end */
};

/* Four words as they lie, the first on top. */
CODEC_INLINE uint64_t bits_words(const uint8_t *p)
{
	uint64_t v = le64_at(p);

	v = v << 32 | v >> 32;
	return (v & 0x0000ffff0000ffff) << 16 |
		(v >> 16 & 0x0000ffff0000ffff);
}

/* 48 to 63 valid bits: whole words are added, so n modulo 16 stays. */
CODEC_INLINE void bits_fill(struct bits *b)
{
	if (CODEC_LIKELY(b->end - b->p >= 8)) {
		b->buf |= bits_words(b->p) >> b->n;
		b->p += 6 - (b->n >> 3 & 6);
		b->n |= 48;
		return;
	}
	for (; b->n < 48; b->n += 16) {
		if (b->end - b->p < 2) {
			b->over += 16;
			continue;
		}
		b->buf |= (uint64_t)le16_at(b->p) << (48 - b->n);
		b->p += 2;
	}
}

/* The same from a stream whose first word is its last. */
CODEC_INLINE void bits_fill_back(struct bits *b)
{
	if (CODEC_LIKELY(b->p - b->end >= 8)) {
		b->buf |= le64_at(b->p - 8) >> b->n;
		b->p -= 6 - (b->n >> 3 & 6);
		b->n |= 48;
		return;
	}
	for (; b->n < 48; b->n += 16) {
		if (b->p - b->end < 2) {
			b->over += 16;
			continue;
		}
		b->p -= 2;
		b->buf |= (uint64_t)le16_at(b->p) << (48 - b->n);
	}
}

CODEC_INLINE void bits_drop(struct bits *b, unsigned int n)
{
	b->buf <<= n;
	b->n -= n;
}

/* n from 0 to what is valid. */
CODEC_INLINE uint32_t bits_get(struct bits *b, unsigned int n)
{
	uint32_t v = (uint32_t)(b->buf >> 1 >> (63 - n));

	bits_drop(b, n);
	return v;
}

CODEC_INLINE bool bits_overrun(const struct bits *b)
{
	return b->over > b->n;
}

#endif
