/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * LZNT1: chunks of 4096 bytes, each with a 16-bit header (size - 1 in the low
 * twelve bits, "compressed" in the top one). In a compressed chunk eight flag
 * bits stand before eight items: a byte, or a 16-bit back reference whose
 * split into distance and length depends on how far the chunk has got.
 * Source of facts: MS-XCA 2.5.
 */
#include <string.h>

#include "formats/ntfs/ntfs_int.h"

#define LZNT1_CHUNK 4096u

/* Bits of the length field when pos bytes of the chunk are out. */
static unsigned length_bits(size_t pos)
{
	if (pos <= 16)
		return 12;
	return 12 - (28 - (unsigned)__builtin_clz((unsigned)pos - 1));
}

/* One back reference; the new position or 0 when it is none. */
static size_t copy_back(uint8_t *dst, size_t pos, size_t room, uint16_t item)
{
	unsigned bits;
	size_t dist, len;

	if (!pos)
		return 0;
	bits = length_bits(pos);
	dist = (size_t)(item >> bits) + 1;
	len = (item & ((1u << bits) - 1)) + 3u;
	if (dist > pos || len > room - pos)
		return 0;
	if (dist >= len) {
		memcpy(dst + pos, dst + pos - dist, len);
		return pos + len;
	}
	for (; len; len--, pos++)
		dst[pos] = dst[pos - dist];
	return pos;
}

/* Returns how many bytes came out, or -ERR_CORRUPT. */
static int expand_chunk(const uint8_t *src, size_t len, uint8_t *dst,
			size_t room)
{
	size_t in = 0, out = 0;

	while (in < len) {
		unsigned flags = src[in++];

		for (int i = 0; i < 8 && in < len; i++, flags >>= 1) {
			if (!(flags & 1)) {
				if (out == room)
					return -ERR_CORRUPT;
				dst[out++] = src[in++];
				continue;
			}
			if (len - in < 2)
				return -ERR_CORRUPT;
			out = copy_back(dst, out, room, le16_at(src + in));
			if (!out)
				return -ERR_CORRUPT;
			in += 2;
		}
	}
	return (int)out;
}

int ntfs_lznt1(const uint8_t *src, size_t src_len, uint8_t *dst, size_t dst_len)
{
	size_t in = 0, out = 0;

	while (out < dst_len && src_len - in >= 2) {
		uint16_t head = le16_at(src + in);
		size_t len = (head & 0xfffu) + 1u;
		size_t room = min_of(dst_len - out, (size_t)LZNT1_CHUNK);
		int got;

		if (!head)
			break;
		in += 2;
		if (len > src_len - in)
			return -ERR_CORRUPT;
		if (head & 0x8000) {
			got = expand_chunk(src + in, len, dst + out, room);
			if (got < 0)
				return got;
		} else {
			/* Stored: always a whole chunk, but the last may be
			 * cut by the reader's room. */
			got = (int)min_of(len, room);
			memcpy(dst + out, src + in, (size_t)got);
		}
		/* A chunk that came out short is followed by zeros. */
		memset(dst + out + got, 0, room - (size_t)got);
		in += len;
		out += room;
	}
	memset(dst + out, 0, dst_len - out);
	return 0;
}
