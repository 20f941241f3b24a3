/* SPDX-License-Identifier: GPL-3.0-or-later */
/* LZX as in WIM (FORMAT.md 4). */
#include "formats/base/bounds.h"
#include "formats/base/err.h"
#include "formats/codec/codec_copy.h"
#include "formats/codec/codec_int.h"

enum { BLOCK_VERBATIM = 1, BLOCK_ALIGNED, BLOCK_RAW };

#define SHORT_BLOCK	32768
#define FIRST_RUN	17		/* pretree symbols above are runs */
#define RAW_HEADER	12

#define SLOTS_4(b, n) { b, n }, { b + (1u << n), n }
/* Base and extra bits of each offset slot (4.5); the first three are the
 * recent offsets. */
static const struct { uint32_t base, extra; } slots[LZX_MAX_SLOTS] = {
	{ 0, 0 }, { 0, 0 }, { 0, 0 }, { 1, 0 },
	SLOTS_4(2, 1), SLOTS_4(6, 2), SLOTS_4(14, 3), SLOTS_4(30, 4),
	SLOTS_4(62, 5), SLOTS_4(126, 6), SLOTS_4(254, 7), SLOTS_4(510, 8),
	SLOTS_4(1022, 9), SLOTS_4(2046, 10), SLOTS_4(4094, 11),
	SLOTS_4(8190, 12), SLOTS_4(16382, 13), SLOTS_4(32766, 14),
	SLOTS_4(65534, 15), SLOTS_4(131070, 16), SLOTS_4(262142, 17),
	SLOTS_4(524286, 17), SLOTS_4(786430, 17), SLOTS_4(1048574, 17),
	SLOTS_4(1310718, 17), SLOTS_4(1572862, 17), SLOTS_4(1835006, 17),
};

static const unsigned int slots_of_order[] = { 30, 32, 34, 36, 38, 42, 50 };

static const struct huff_shape length_shape = {
	LZX_LENGTHS, LZX_LEN_ROOT, 16, LZX_LEN_ROOM, true
};
static const struct huff_shape aligned_shape = {
	LZX_ALIGNED, LZX_ALIGNED_ROOT, 7, 1 << LZX_ALIGNED_ROOT, true
};
static const struct huff_shape pre_shape = {
	LZX_PRE, LZX_PRE_ROOT, 15, LZX_PRE_ROOM, false
};

void codec_lzx_init(struct lzx *x, size_t window)
{
	x->order = (unsigned int)__builtin_ctzl(window);
	x->n_main = 256 + 8 * slots_of_order[x->order - 15];
}

/* One chunk's way. */
struct lzx_pass {
	struct lzx *x;
	struct bits b;
	uint32_t recent[3];
	uint8_t *start, *out, *end;
};

static uint32_t get(struct bits *b, unsigned int n)
{
	bits_fill(b);
	return bits_get(b, n);
}

static uint32_t pre_symbol(struct lzx_pass *s)
{
	bits_fill(&s->b);
	return huff_next(s->x->pre, LZX_PRE_ROOT, &s->b);
}

static uint8_t delta(uint8_t old, uint32_t p)
{
	unsigned int v = old + FIRST_RUN - p;

	return (uint8_t)(v >= FIRST_RUN ? v - FIRST_RUN : v);
}

/* A run of n: its length, and what all of it becomes. */
static int code_run(struct lzx_pass *s, uint32_t p, uint8_t *value)
{
	uint32_t run, q;

	if (p < 19) {
		*value = 0;
		return (int)(p == 17 ? 4 + bits_get(&s->b, 4) :
			     20 + bits_get(&s->b, 5));
	}
	run = 4 + bits_get(&s->b, 1);
	q = pre_symbol(s);
	if (q >= FIRST_RUN)
		return -ERR_CORRUPT;
	*value = delta(*value, q);
	return (int)run;
}

/* One section of codeword lengths, as differences (4.4). */
static int read_lens(struct lzx_pass *s, uint8_t *lens, unsigned int n)
{
	uint8_t pre[LZX_PRE], value;
	int err, run;
	uint32_t p;

	for (unsigned int i = 0; i < LZX_PRE; i++)
		pre[i] = (uint8_t)get(&s->b, 4);
	err = huff_build(s->x->pre, pre, &pre_shape);
	if (err)
		return err;
	for (unsigned int i = 0; i < n; i += (unsigned int)run) {
		p = pre_symbol(s);
		run = 1;
		if (p < FIRST_RUN) {
			lens[i] = delta(lens[i], p);
			continue;
		}
		value = lens[i];
		run = code_run(s, p, &value);
		if (run < 0 || (unsigned int)run > n - i)
			return -ERR_CORRUPT;
		memset(lens + i, value, (size_t)run);
	}
	return 0;
}

static int read_codes(struct lzx_pass *s, bool aligned)
{
	struct lzx *x = s->x;
	const struct huff_shape main_shape = {
		x->n_main, LZX_MAIN_ROOT, 16, LZX_MAIN_ROOM, false
	};
	uint8_t lens[LZX_ALIGNED];
	int err = 0;

	if (aligned) {
		for (unsigned int i = 0; i < LZX_ALIGNED; i++)
			lens[i] = (uint8_t)get(&s->b, 3);
		err = huff_build(x->aligned, lens, &aligned_shape);
	}
	if (!err)
		err = read_lens(s, x->main_lens, 256);
	if (!err)
		err = read_lens(s, x->main_lens + 256, x->n_main - 256);
	if (!err)
		err = huff_build(x->main, x->main_lens, &main_shape);
	if (!err)
		err = read_lens(s, x->len_lens, LZX_LENGTHS);
	if (!err)
		err = huff_build(x->length, x->len_lens, &length_shape);
	return err;
}

/* The offset of a match, less the bits of slots that repeat one. An empty
 * aligned code gives one beyond any window. */
CODEC_INLINE uint32_t match_offset(const struct lzx *x, struct bits *b,
				   uint32_t *recent, uint32_t slot,
				   bool aligned)
{
	uint32_t offset, extra = slots[slot].extra;

	if (slot < 3) {
		offset = recent[slot];
		recent[slot] = recent[0];
		recent[0] = offset;
		return offset;
	}
	if (aligned && extra >= 3) {
		offset = slots[slot].base + (bits_get(b, extra - 3) << 3);
		offset += huff_next(x->aligned, LZX_ALIGNED_ROOT, b);
	} else {
		offset = slots[slot].base + bits_get(b, extra);
	}
	recent[2] = recent[1];
	recent[1] = recent[0];
	recent[0] = offset;
	return offset;
}

/* The next entry is always looked up before the register is filled: it is what
 * the processor waits for. 16 bits or more are valid then. */
CODEC_INLINE int run_block(struct lzx_pass *s, size_t len, bool aligned)
{
	const struct lzx *x = s->x;
	uint8_t *out = s->out, *end = out + len;
	uint32_t sym, n, offset, e, recent[3];
	struct bits b = s->b;

	memcpy(recent, s->recent, sizeof(recent));
	bits_fill(&b);
	e = huff_peek(x->main, LZX_MAIN_ROOT, &b);
	while (out < end) {
		bits_fill(&b);
		sym = huff_take(x->main, LZX_MAIN_ROOT, e, &b);
		if (sym < 256) {
			*out++ = (uint8_t)sym;
			e = huff_peek(x->main, LZX_MAIN_ROOT, &b);
			if (!huff_is_byte(e) || out == end)
				continue;
			*out++ = (uint8_t)huff_take(x->main, LZX_MAIN_ROOT, e,
						    &b);
			e = huff_peek(x->main, LZX_MAIN_ROOT, &b);
			continue;
		}
		bits_fill(&b);
		sym -= 256;
		n = (sym & 7) + 2;
		if (n == 9) {
			n += huff_next(x->length, LZX_LEN_ROOT, &b);
			bits_fill(&b);
		}
		offset = match_offset(x, &b, recent, sym >> 3, aligned);
		e = huff_peek(x->main, LZX_MAIN_ROOT, &b);
		if (offset > (size_t)(out - s->start) ||
		    n > (size_t)(end - out))
			return -ERR_CORRUPT;
		copy_match(out, offset, n, s->end);
		out += n;
	}
	memcpy(s->recent, recent, sizeof(recent));
	s->out = out;
	s->b = b;
	return 0;
}

/* Two loops, so that neither asks which it is. */
static __attribute__((noinline)) int run_verbatim(struct lzx_pass *s,
						  size_t len)
{
	return run_block(s, len, false);
}

static __attribute__((noinline)) int run_aligned(struct lzx_pass *s,
						 size_t len)
{
	return run_block(s, len, true);
}

/* Bytes as they are, behind the next word boundary (4.8); one padding byte
 * after an odd number, which may be missing at the end. */
static int run_raw(struct lzx_pass *s, size_t len)
{
	struct bits *b = &s->b;

	/* Read ahead in whole words; on a boundary one is skipped. */
	if (b->over)
		return -ERR_CORRUPT;
	b->p -= b->n / 16 * 2;
	if (b->n % 16 == 0)
		b->p += 2;
	if (b->end - b->p < RAW_HEADER ||
	    len > (size_t)(b->end - b->p) - RAW_HEADER)
		return -ERR_CORRUPT;
	for (unsigned int i = 0; i < 3; i++) {
		s->recent[i] = le32_at(b->p + 4 * i);
		if (!s->recent[i])
			return -ERR_CORRUPT;
	}
	memcpy(s->out, b->p + RAW_HEADER, len);
	s->out += len;
	b->p += RAW_HEADER + len;
	if (len % 2 && b->p < b->end)
		b->p++;
	b->buf = 0;
	b->n = 0;
	return 0;
}

static int next_block(struct lzx_pass *s)
{
	uint32_t type = get(&s->b, 3), len = SHORT_BLOCK;
	int err;

	if (!bits_get(&s->b, 1)) {
		len = bits_get(&s->b, 16);
		if (s->x->order > 15)
			len = len << 8 | bits_get(&s->b, 8);
	}
	if (!len || len > (size_t)(s->end - s->out))
		return -ERR_CORRUPT;
	if (type == BLOCK_RAW)
		return run_raw(s, len);
	if (type != BLOCK_VERBATIM && type != BLOCK_ALIGNED)
		return -ERR_CORRUPT;
	err = read_codes(s, type == BLOCK_ALIGNED);
	if (err)
		return err;
	return type == BLOCK_ALIGNED ? run_aligned(s, len) :
		run_verbatim(s, len);
}

int codec_lzx_decode(struct lzx *x, const struct codec_job *job)
{
	struct lzx_pass s = {
		.x = x, .b = { .p = job->in, .end = job->in + job->in_len },
		.recent = { 1, 1, 1 }, .start = job->out, .out = job->out,
		.end = job->out + job->out_len,
	};
	int err;

	memset(x->main_lens, 0, sizeof(x->main_lens));
	memset(x->len_lens, 0, sizeof(x->len_lens));
	while (s.out < s.end) {
		err = next_block(&s);
		if (err)
			return err;
		/* Also what bounds the number of blocks. */
		if (bits_overrun(&s.b))
			return -ERR_CORRUPT;
	}
	codec_lzx_unfilter(job->out, job->out_len);
	return 0;
}
