/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Decoding tables of canonical codes (FORMAT.md 2.1, 2.2, 7). */
#include "formats/codec/codec_huff.h"

#include "formats/base/err.h"

struct fill {
	uint32_t *table;
	const struct huff_shape *shape;
	unsigned int count[HUFF_MAX_BITS + 1];
	uint16_t sorted[HUFF_MAX_SYMS];	/* by length, then by value */
};

static void sort_symbols(struct fill *f, const uint8_t *lens)
{
	unsigned int at[HUFF_MAX_BITS + 2];

	/* Unused symbols come to lie in front and are cut off. */
	at[0] = 0;
	for (unsigned int l = 0; l <= HUFF_MAX_BITS; l++)
		at[l + 1] = at[l] + f->count[l];
	for (unsigned int s = 0; s < f->shape->n_syms; s++)
		f->sorted[at[lens[s]]++] = (uint16_t)s;
}

/* 0 a complete code, 1 an empty one. */
static int judge(const struct fill *f)
{
	int left = 1;

	if (f->count[0] == f->shape->n_syms)
		return f->shape->may_be_empty ? 1 : -ERR_CORRUPT;
	for (unsigned int l = 1; l <= f->shape->max; l++) {
		left = 2 * left - (int)f->count[l];
		if (left < 0)
			return -ERR_CORRUPT;
	}
	return left ? -ERR_CORRUPT : 0;
}

static inline uint32_t *repeat(uint32_t *to, uint32_t entry, unsigned int n)
{
	uint64_t two = (uint64_t)entry << 32 | entry;

	if (n == 1) {
		*to = entry;
		return to + 1;
	}
	for (unsigned int i = 0; i < n; i += 2)
		memcpy(to + i, &two, sizeof(two));
	return to + n;
}

/* Codewords that fit the root fill its front, one after the other. */
static const uint16_t *fill_root(struct fill *f)
{
	const uint16_t *sym = f->sorted + f->count[0];
	unsigned int root = f->shape->root;
	uint32_t *to = f->table;

	for (unsigned int l = 1; l <= root && l <= f->shape->max; l++)
		for (unsigned int i = f->count[l]; i; i--)
			to = repeat(to, (uint32_t)*sym++ << 8 | l,
				    1u << (root - l));
	return sym;
}

/* The bits of a subtable whose first codeword has length l, left of which
 * there still are. */
static unsigned int sub_bits(const struct fill *f, unsigned int l,
			     unsigned int left)
{
	unsigned int bits = l - f->shape->root;
	int space = (1 << bits) - (int)left;

	while (space > 0 && bits + f->shape->root < f->shape->max) {
		bits++;
		space = 2 * space - (int)f->count[f->shape->root + bits];
	}
	return bits;
}

static int fill_subs(struct fill *f, const uint16_t *sym, uint32_t *slot)
{
	unsigned int root = f->shape->root, bits = 0;
	uint32_t *to = f->table + (1u << root), *sub_end = to;

	for (unsigned int l = root + 1; l <= f->shape->max; l++)
		for (unsigned int left = f->count[l]; left; left--) {
			if (to == sub_end) {
				bits = sub_bits(f, l, left);
				sub_end = to + (1u << bits);
				if (sub_end > f->table + f->shape->room)
					return -ERR_CORRUPT;
				*slot++ = HUFF_SUB | bits |
					(uint32_t)(to - f->table) << 8;
			}
			to = repeat(to, (uint32_t)*sym++ << 8 | (l - root),
				    1u << (bits - (l - root)));
		}
	return 0;
}

int huff_build(uint32_t *table, const uint8_t *lens,
	       const struct huff_shape *shape)
{
	struct fill f = { .table = table, .shape = shape };
	unsigned int used = 0;
	const uint16_t *sym;
	int err;

	for (unsigned int s = 0; s < shape->n_syms; s++)
		f.count[lens[s]]++;
	err = judge(&f);
	if (err < 0)
		return err;
	if (err) {
		for (unsigned int i = 0; i < 1u << shape->root; i++)
			table[i] = HUFF_NONE << 8;
		return 0;
	}
	sort_symbols(&f, lens);
	sym = fill_root(&f);
	for (unsigned int l = 1; l <= shape->root && l <= shape->max; l++)
		used += f.count[l] << (shape->root - l);
	return fill_subs(&f, sym, table + used);
}
