/* SPDX-License-Identifier: GPL-3.0-or-later */
/* XPRESS with Huffman codes (FORMAT.md 3). */
#include "formats/base/bounds.h"
#include "formats/base/err.h"
#include "formats/codec/codec_copy.h"
#include "formats/codec/codec_int.h"

#define HEADER 256

static const struct huff_shape shape = {
	.n_syms = XPRESS_SYMS, .root = XPRESS_ROOT, .max = 15,
	.room = XPRESS_ROOM,
};

/*
 * Bytes are woven in behind those words that a reader needs to have 16 bits at
 * hand right behind the symbol (3.4). What was read beyond them is given back.
 */
CODEC_INLINE void give_back(struct bits *b)
{
	unsigned int words = b->n / 16 - 1;
	unsigned int unreal = (unsigned int)min_of(b->over / 16,
						   (uint64_t)words);

	b->over -= unreal * 16;
	b->p -= 2 * (words - unreal);
	b->n -= words * 16;
	b->buf &= ~(uint64_t)0 << (64 - b->n);
}

/* Length codes 15 and up, less 3; 0: the bytes are no length, or missing. */
CODEC_INLINE uint32_t long_length(struct bits *b)
{
	uint32_t len;

	if (b->end - b->p < 1)
		return 0;
	len = *b->p++;
	if (len < 255)
		return 15 + len;
	if (b->end - b->p < 2)
		return 0;
	len = le16_at(b->p);
	b->p += 2;
	return len < 15 ? 0 : len;
}

/* The next entry is always looked up before the register is filled: it is what
 * the processor waits for. 15 bits or more are valid then. */
static int run(const struct codec_job *job, const uint32_t *table)
{
	uint8_t *out = job->out, *end = out + job->out_len;
	struct bits b = { .p = job->in + HEADER, .end = job->in + job->in_len };
	uint32_t sym, len, offset, e;

	bits_fill(&b);
	e = huff_peek(table, XPRESS_ROOT, &b);
	while (out < end) {
		bits_fill(&b);
		sym = huff_take(table, XPRESS_ROOT, e, &b);
		if (sym < 256) {
			*out++ = (uint8_t)sym;
			e = huff_peek(table, XPRESS_ROOT, &b);
			if (!huff_is_byte(e) || out == end)
				continue;
			*out++ = (uint8_t)huff_take(table, XPRESS_ROOT, e, &b);
			e = huff_peek(table, XPRESS_ROOT, &b);
			continue;
		}
		len = sym & 15;
		if (len == 15) {
			give_back(&b);
			len = long_length(&b);
			if (!len)
				return -ERR_CORRUPT;
			bits_fill(&b);
		}
		len += 3;
		sym = sym >> 4 & 15;
		offset = 1u << sym | bits_get(&b, sym);
		e = huff_peek(table, XPRESS_ROOT, &b);
		if (offset > (size_t)(out - job->out) ||
		    len > (size_t)(end - out))
			return -ERR_CORRUPT;
		copy_match(out, offset, len, end);
		out += len;
	}
	return bits_overrun(&b) ? -ERR_CORRUPT : 0;
}

int codec_xpress_decode(struct xpress *x, const struct codec_job *job)
{
	int err;

	if (job->in_len < HEADER)
		return -ERR_CORRUPT;
	for (unsigned int i = 0; i < HEADER; i++) {
		x->lens[2 * i] = job->in[i] & 15;
		x->lens[2 * i + 1] = job->in[i] >> 4;
	}
	err = huff_build(x->table, x->lens, &shape);
	return err ? err : run(job, x->table);
}
