/* SPDX-License-Identifier: GPL-3.0-or-later */
/* LZMS (FORMAT.md 5): a range coder from the front says what comes, Huffman
 * symbols from the back say which. */
#include "formats/base/bounds.h"
#include "formats/base/err.h"
#include "formats/codec/codec_copy.h"
#include "formats/codec/codec_int.h"

#define RARE __builtin_expect
#define FIRST_HISTORY	0x55555555u
#define FIRST_ZEROS	48
#define RECENT		4

struct range {
	uint32_t range, code;
	const uint8_t *p, *end;
	bool over;			/* a word was asked that is not there */
};

enum item { ITEM_LITERAL, ITEM_LZ, ITEM_DELTA };

struct lzms_pass {
	struct bits b;
	struct range r;
	uint32_t state[LZMS_CLASSES];
	uint32_t lzq[RECENT];
	uint64_t dq[RECENT];		/* power << 32 | raw offset */
	enum item prev;
};

struct slot_run {
	uint8_t n, extra;
};

static const struct slot_run offset_runs[] = {
	{ 8, 0 }, { 9, 2 }, { 7, 3 }, { 10, 4 }, { 15, 5 }, { 15, 6 },
	{ 20, 7 }, { 20, 8 }, { 30, 9 }, { 33, 10 }, { 40, 11 }, { 42, 12 },
	{ 45, 13 }, { 60, 14 }, { 73, 15 }, { 80, 16 }, { 85, 17 }, { 95, 18 },
	{ 105, 19 }, { 6, 20 }, { 1, 30 },
};
static const struct slot_run length_runs[] = {
	{ 26, 0 }, { 4, 1 }, { 6, 2 }, { 4, 3 }, { 5, 4 }, { 2, 5 }, { 1, 6 },
	{ 1, 7 }, { 1, 8 }, { 1, 9 }, { 1, 10 }, { 1, 16 }, { 1, 30 },
};

static void lay_slots(const struct slot_run *runs, size_t n, uint32_t *base,
		      uint8_t *extra)
{
	uint32_t at = 1;

	for (size_t i = 0; i < n; i++)
		for (unsigned int k = 0; k < runs[i].n; k++) {
			*base++ = at;
			*extra++ = runs[i].extra;
			at += 1u << runs[i].extra;
		}
	*base = at;
}

void codec_lzms_init(struct lzms *z)
{
	lay_slots(offset_runs, ARRAY_LEN(offset_runs), z->off_base,
		  z->off_extra);
	lay_slots(length_runs, ARRAY_LEN(length_runs), z->len_base,
		  z->len_extra);
	z->literal = (struct lzms_code){
		{ LZMS_LITERALS, LZMS_LIT_ROOT, 15, LZMS_LIT_ROOM, false },
		z->lit_table, z->lit_freq, 1024, 0 };
	z->offset = (struct lzms_code){
		{ 0, LZMS_OFF_ROOT, 15, LZMS_OFF_ROOM, false },
		z->off_table, z->off_freq, 1024, 0 };
	z->length = (struct lzms_code){
		{ LZMS_LENGTHS, LZMS_LEN_ROOT, 15, LZMS_LEN_ROOM, false },
		z->len_table, z->len_freq, 512, 0 };
	z->delta_offset = (struct lzms_code){
		{ 0, LZMS_OFF_ROOT, 15, LZMS_OFF_ROOM, false },
		z->doff_table, z->doff_freq, 1024, 0 };
	z->delta_power = (struct lzms_code){
		{ LZMS_POWERS, LZMS_POWER_ROOT, 15, LZMS_POWER_ROOM, false },
		z->pow_table, z->pow_freq, 512, 0 };
}

/* Slots that offsets within a chunk of this length can need (5.7). */
static unsigned int slots_used(const struct lzms *z, size_t out_len)
{
	unsigned int n = 0;

	while (n < LZMS_MAX_SLOTS && z->off_base[n] < out_len)
		n++;
	return n;
}

static void reset(struct lzms *z, size_t out_len)
{
	const struct lzms_prob first = { FIRST_HISTORY, FIRST_ZEROS };

	for (int c = 0; c < LZMS_CLASSES; c++)
		for (int i = 0; i < 64; i++)
			z->probs[c][i] = first;
	z->offset.shape.n_syms = slots_used(z, out_len);
	z->delta_offset.shape.n_syms = z->offset.shape.n_syms;
	codec_lzms_code_reset(&z->literal);
	codec_lzms_code_reset(&z->offset);
	codec_lzms_code_reset(&z->length);
	codec_lzms_code_reset(&z->delta_offset);
	codec_lzms_code_reset(&z->delta_power);
}

CODEC_INLINE uint32_t range_word(struct range *r)
{
	uint32_t w;

	if (RARE(r->p == r->end, 0)) {
		r->over = true;
		return 0;
	}
	w = le16_at(r->p);
	r->p += 2;
	return w;
}

/* One decision (5.3); states is a power of two. */
CODEC_INLINE unsigned int decide(struct range *r, struct lzms_prob *probs,
				 uint32_t *state, uint32_t states)
{
	struct lzms_prob *e = &probs[*state];
	uint32_t zeros = e->zeros, bound;
	uint64_t history = e->history;

	if (r->range <= 0xffff) {
		r->range <<= 16;
		r->code = r->code << 16 | range_word(r);
	}
	bound = (r->range >> 6) * (zeros + !zeros - (zeros >> 6));
	zeros += (uint32_t)(history >> 63);
	if (r->code < bound) {
		r->range = bound;
		e->history = history << 1;
		e->zeros = zeros;
		*state = *state << 1 & (states - 1);
		return 0;
	}
	r->range -= bound;
	r->code -= bound;
	e->history = history << 1 | 1;
	e->zeros = zeros - 1;
	*state = (*state << 1 | 1) & (states - 1);
	return 1;
}

/* A symbol; 15 bits must be valid before it, BITS_FILLED are behind it. */
CODEC_INLINE uint32_t symbol(struct lzms_code *c, const uint32_t *table,
			     unsigned int root, struct bits *b)
{
	uint32_t sym;

	sym = huff_next(table, root, b);
	bits_fill_back(b);
	if (RARE(sym == HUFF_NONE, 0))
		return sym;
	c->freq[sym]++;
	if (RARE(!--c->left, 0))
		codec_lzms_code_rebuild(c);
	return sym;
}

CODEC_INLINE uint32_t match_length(struct lzms *z, struct bits *b)
{
	uint32_t s = symbol(&z->length, z->len_table, LZMS_LEN_ROOT, b);

	return z->len_base[s] + bits_get(b, z->len_extra[s]);
}

/* 0: there is no code for offsets. */
CODEC_INLINE uint32_t explicit_offset(struct lzms *z, struct lzms_code *c,
				      const uint32_t *table, struct bits *b)
{
	uint32_t s = symbol(c, table, LZMS_OFF_ROOT, b);

	if (RARE(s >= LZMS_MAX_SLOTS, 0))
		return 0;
	return z->off_base[s] + bits_get(b, z->off_extra[s]);
}

/* Which of the recent ones: class rep0 and the next one. */
CODEC_INLINE unsigned int which_recent(struct lzms *z, struct lzms_pass *s,
				       enum lzms_class rep0)
{
	if (!decide(&s->r, z->probs[rep0], &s->state[rep0], 64))
		return 0;
	return 1 + decide(&s->r, z->probs[rep0 + 1], &s->state[rep0 + 1], 64);
}

/* Place j comes to the front, those before it move up (5.10); without a
 * branch, for j is hard to foretell. */
#define MOVE_TO_FRONT(q, j) ({						\
	__typeof__((q)[0]) a_ = (q)[0], b_ = (q)[1], c_ = (q)[2];	\
	__typeof__((q)[0]) got_ = (q)[j];				\
	(q)[3] = (j) > 2 ? c_ : (q)[3];					\
	(q)[2] = (j) > 1 ? b_ : c_;					\
	(q)[1] = (j) > 0 ? a_ : b_;					\
	(q)[0] = got_; })

#define INSERT_FRONT(q, x) ({						\
	(q)[3] = (q)[2];						\
	(q)[2] = (q)[1];						\
	(q)[1] = (q)[0];						\
	(q)[0] = (x); })

CODEC_INLINE uint32_t lz_offset(struct lzms *z, struct lzms_pass *s)
{
	unsigned int j;

	if (!decide(&s->r, z->probs[LZMS_LZ], &s->state[LZMS_LZ], 64))
		return INSERT_FRONT(s->lzq, explicit_offset(z, &z->offset,
							    z->off_table,
							    &s->b));
	j = which_recent(z, s, LZMS_LZ_REP0) + (s->prev == ITEM_LZ);
	return MOVE_TO_FRONT(s->lzq, j);
}

CODEC_INLINE uint64_t delta_pair(struct lzms *z, struct lzms_pass *s)
{
	uint64_t power;
	unsigned int j;

	if (!decide(&s->r, z->probs[LZMS_DELTA], &s->state[LZMS_DELTA], 64)) {
		power = symbol(&z->delta_power, z->pow_table, LZMS_POWER_ROOT,
			       &s->b);
		return INSERT_FRONT(s->dq, power << 32 |
				    explicit_offset(z, &z->delta_offset,
						    z->doff_table, &s->b));
	}
	j = which_recent(z, s, LZMS_DELTA_REP0) + (s->prev == ITEM_DELTA);
	return MOVE_TO_FRONT(s->dq, j);
}

/* Each byte continues the difference of two earlier ones (5.9). */
static int delta_copy(const struct codec_job *job, uint8_t *out, uint64_t pair,
		      uint32_t len)
{
	uint64_t span = (uint64_t)1 << (pair >> 32);
	uint64_t offset = (pair & UINT32_MAX) << (pair >> 32);
	const uint8_t *near = out - span, *far, *end = out + len;

	if (!offset || offset + span > (uint64_t)(out - job->out))
		return -ERR_CORRUPT;
	far = out - offset;
	while (out < end) {
		*out = (uint8_t)(*near++ + *far - far[-(ptrdiff_t)span]);
		out++;
		far++;
	}
	return 0;
}

static int run(struct lzms *z, struct lzms_pass *pass,
	       const struct codec_job *job)
{
	uint8_t *out = job->out, *end = out + job->out_len;
	struct lzms_pass s = *pass;
	uint32_t len, offset;
	uint64_t pair;
	bool is_delta;

	bits_fill_back(&s.b);
	while (out < end) {
		if (!decide(&s.r, z->probs[LZMS_MAIN], &s.state[LZMS_MAIN],
			    16)) {
			*out++ = (uint8_t)symbol(&z->literal, z->lit_table,
						 LZMS_LIT_ROOT, &s.b);
			s.prev = ITEM_LITERAL;
			continue;
		}
		is_delta = decide(&s.r, z->probs[LZMS_MATCH],
				  &s.state[LZMS_MATCH], 32);
		if (is_delta) {
			pair = delta_pair(z, &s);
			len = match_length(z, &s.b);
			if (len > (size_t)(end - out) ||
			    delta_copy(job, out, pair, len))
				return -ERR_CORRUPT;
			s.prev = ITEM_DELTA;
		} else {
			offset = lz_offset(z, &s);
			len = match_length(z, &s.b);
			if (offset - 1 >= (size_t)(out - job->out) ||
			    len > (size_t)(end - out))
				return -ERR_CORRUPT;
			copy_match(out, offset, len, end);
			s.prev = ITEM_LZ;
		}
		out += len;
	}
	return s.r.over || bits_overrun(&s.b) ? -ERR_CORRUPT : 0;
}

int codec_lzms_decode(struct lzms *z, const struct codec_job *job)
{
	struct lzms_pass s = {
		.b = { .p = job->in + job->in_len, .end = job->in },
		.r = { .range = UINT32_MAX, .p = job->in,
		       .end = job->in + job->in_len },
		.lzq = { 1, 2, 3, 4 }, .dq = { 1, 2, 3, 4 },
	};
	int err;

	if (job->in_len < 4 || job->in_len % 2)
		return -ERR_CORRUPT;
	reset(z, job->out_len);
	s.r.code = range_word(&s.r) << 16;
	s.r.code |= range_word(&s.r);
	err = run(z, &s, job);
	if (err)
		return err;
	codec_lzms_unfilter(z, job->out, job->out_len);
	return 0;
}
