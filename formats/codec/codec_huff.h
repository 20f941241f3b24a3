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

/* The entry of what comes next, which stays there. */
CODEC_INLINE uint32_t huff_peek(const uint32_t *table, unsigned int root,
				const struct bits *b)
{
	return table[b->buf >> (64 - root)];
}

/* Takes the symbol whose entry was peeked: at most shape->max bits. */
CODEC_INLINE uint32_t huff_take(const uint32_t *table, unsigned int root,
				uint32_t e, struct bits *b)
{
	if (__builtin_expect(e & HUFF_SUB, 0)) {
		bits_drop(b, root);
		e = table[(e >> 8 & 0xffff) + (b->buf >> (64 - (e & 63)))];
	}
	bits_drop(b, e & 63);
	return e >> 8;
}

CODEC_INLINE uint32_t huff_next(const uint32_t *table, unsigned int root,
				struct bits *b)
{
	return huff_take(table, root, huff_peek(table, root, b), b);
}

/* An entry of a whole codeword for one of the first 256 symbols. */
CODEC_INLINE bool huff_is_byte(uint32_t e)
{
	return e < 256 << 8;
}

#endif
