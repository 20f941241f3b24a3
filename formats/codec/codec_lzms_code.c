/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The adaptive Huffman codes of LZMS (FORMAT.md 5.6). */
#include <assert.h>

#include "formats/base/bounds.h"
#include "formats/codec/codec_int.h"

/* Frequencies sum up to less than 2 * (1024 + 799): few can reach this. */
#define COMMON 128

struct tree {
	uint32_t leaf[HUFF_MAX_SYMS];	/* frequency << 10 | symbol, sorted */
	uint32_t inner[HUFF_MAX_SYMS];	/* frequency, then parent, then depth */
	unsigned int n;			/* leaves, at least 1 */
};

/* By frequency, then by symbol: counting for the rare, insertion for the few
 * that are common. */
static void sort_leaves(struct tree *t, const uint32_t *freq)
{
	unsigned int at[COMMON + 1] = { 0 }, first;

	for (unsigned int s = 0; s < t->n; s++)
		at[min_of(freq[s], (uint32_t)COMMON - 1) + 1]++;
	for (unsigned int f = 1; f <= COMMON; f++)
		at[f] += at[f - 1];
	first = at[COMMON - 1];
	for (unsigned int s = 0; s < t->n; s++)
		t->leaf[at[min_of(freq[s], (uint32_t)COMMON - 1)]++] =
			freq[s] << 10 | s;
	for (unsigned int i = first + 1; i < t->n; i++) {
		uint32_t v = t->leaf[i];
		unsigned int j = i;

		for (; j > first && t->leaf[j - 1] > v; j--)
			t->leaf[j] = t->leaf[j - 1];
		t->leaf[j] = v;
	}
}

/* Two queues; a leaf is preferred to an inner node of the same frequency.
 * inner[] ends as the number of each node's parent. */
static void join(struct tree *t)
{
	unsigned int leaf = 0, node = 0;

	for (unsigned int made = 0; made + 1 < t->n; made++) {
		uint32_t sum = 0;

		for (int i = 0; i < 2; i++) {
			if (leaf < t->n && (node == made ||
			    t->leaf[leaf] >> 10 <= t->inner[node])) {
				sum += t->leaf[leaf++] >> 10;
			} else {
				sum += t->inner[node];
				t->inner[node++] = made;
			}
		}
		t->inner[made] = sum;
	}
}

/* How many leaves there are at each depth. The inner nodes of one depth stand
 * side by side, those of the next before them. */
static void count_depths(const struct tree *t, unsigned int *leaves)
{
	unsigned int first = t->n - 2, i = first, above = 1;

	for (unsigned int depth = 1; above; depth++) {
		unsigned int end = i;

		/* The sum of frequencies is too small for more: 5.6. */
		assert(depth <= 15);
		while (i && t->inner[i - 1] >= first)
			i--;
		leaves[depth] = 2 * above - (end - i);
		above = end - i;
		first = i;
	}
}

static void build(struct lzms_code *c)
{
	unsigned int leaves[HUFF_MAX_BITS + 1] = { 0 }, i = 0;
	/* A code of one symbol: 0, and 1 for nobody. */
	uint8_t lens[HUFF_MAX_SYMS];
	struct tree t;
	int err;

	t.n = c->shape.n_syms;
	if (t.n < 2) {
		for (i = 0; i < 1u << c->shape.root; i++)
			c->table[i] = t.n ? 1 : HUFF_NONE << 8;
		return;
	}
	sort_leaves(&t, c->freq);
	join(&t);
	count_depths(&t, leaves);
	/* The longest go to the rarest. */
	for (unsigned int l = 15; l; l--)
		for (unsigned int k = leaves[l]; k; k--)
			lens[t.leaf[i++] & 1023] = (uint8_t)l;
	err = huff_build(c->table, lens, &c->shape);
	assert(!err);
	(void)err;
}

void codec_lzms_code_reset(struct lzms_code *c)
{
	for (unsigned int s = 0; s < c->shape.n_syms; s++)
		c->freq[s] = 1;
	c->left = c->interval;
	build(c);
}

void codec_lzms_code_rebuild(struct lzms_code *c)
{
	build(c);
	for (unsigned int s = 0; s < c->shape.n_syms; s++)
		c->freq[s] = (c->freq[s] >> 1) + 1;
	c->left = c->interval;
}
