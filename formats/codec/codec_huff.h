/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Canonical Huffman codes (FORMAT.md 2), decoded by a root table and
 * subtables behind it (7). */
#ifndef IMGFS_CODEC_HUFF_H
#define IMGFS_CODEC_HUFF_H

#include "formats/codec/codec_bits.h"

/* An entry: symbol << 8 | bits; of a subtable: HUFF_SUB | its start << 8 | the
 * bits that index it. */
#define HUFF_SUB 0x80000000u
/* The symbol of a code without symbols: too large for whatever asks. */
#define HUFF_NONE 0x7fffffu
#define HUFF_MAX_SYMS 800
#define HUFF_MAX_BITS 16

struct huff_shape {
	unsigned int n_syms;
	unsigned int root;		/* bits that index the root */
	unsigned int max;		/* longest codeword */
	unsigned int room;		/* entries there are */
	bool may_be_empty;
};

/* -ERR_CORRUPT: lens is no complete code (and not an empty one that may be).
 * Then table is rubbish. Each length must be at most shape->max. */
int huff_build(uint32_t *table, const uint8_t *lens,
	       const struct huff_shape *shape);

/* Takes at most shape->max bits, which must be valid. */
CODEC_INLINE uint32_t huff_next(const uint32_t *table, unsigned int root,
				struct bits *b)
{
	uint32_t e = table[b->buf >> (64 - root)];

	if (__builtin_expect(e & HUFF_SUB, 0)) {
		bits_drop(b, root);
		e = table[(e >> 8 & 0xffff) + (b->buf >> (64 - (e & 63)))];
	}
	bits_drop(b, e & 63);
	return e >> 8;
}

#endif
