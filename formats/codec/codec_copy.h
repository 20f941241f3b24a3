/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copies of a match. */
#ifndef IMGFS_CODEC_COPY_H
#define IMGFS_CODEC_COPY_H

#include <stddef.h>

#include "formats/codec/codec_bits.h"

/* What a wide copy may write behind its end. */
#define COPY_MARGIN 32

CODEC_INLINE void copy8(uint8_t *dst, const uint8_t *src)
{
	uint64_t v;

	memcpy(&v, src, 8);
	memcpy(dst, &v, 8);
}

CODEC_INLINE void copy16(uint8_t *dst, const uint8_t *src)
{
	unsigned __int128 v;

	memcpy(&v, src, 16);
	memcpy(dst, &v, 16);
}

/* Nearer than a word: the pattern is doubled until it is one. */
CODEC_INLINE void copy_near(uint8_t *dst, size_t offset, uint8_t *end)
{
	const uint8_t *src = dst - offset;

	if (offset == 1) {
		memset(dst, *src, (size_t)(end - dst));
		return;
	}
	for (; offset < 8; offset *= 2) {
		copy8(dst, src);
		dst += offset;
	}
	for (; dst < end; dst += 8, src += 8)
		copy8(dst, src);
}

/* len bytes from offset before dst, each as it is by then. The caller has
 * checked that they lie within the output, which ends at out_end. */
CODEC_INLINE void copy_match(uint8_t *dst, size_t offset, size_t len,
			     const uint8_t *out_end)
{
	const uint8_t *src = dst - offset;
	uint8_t *end = dst + len;

	if (__builtin_expect((size_t)(out_end - end) < COPY_MARGIN, 0)) {
		while (dst < end)
			*dst++ = *src++;
		return;
	}
	if (CODEC_LIKELY(offset >= 16)) {
		copy16(dst, src);
		copy16(dst + 16, src + 16);
		if (CODEC_LIKELY(len <= 32))
			return;
		do {
			dst += 32;
			src += 32;
			copy16(dst, src);
			copy16(dst + 16, src + 16);
		} while (end - dst > 32);
		return;
	}
	if (offset >= 8) {
		for (; dst < end; dst += 8, src += 8)
			copy8(dst, src);
		return;
	}
	copy_near(dst, offset, end);
}

#endif
