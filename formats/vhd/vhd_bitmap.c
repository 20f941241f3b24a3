/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sector bitmaps: FORMAT.md 5.3 and 5.4. In memory sector 0 is the top bit of
 * word 0, whatever the file's order is. */
#include <stdlib.h>

#include "formats/base/alloc.h"
#include "formats/vhd/vhd_int.h"

/* What is read at a time for a bitmap that is not kept: 512 sectors. */
#define PIECE_WORDS 8u

static uint8_t reversed(uint8_t b)
{
	b = (uint8_t)((b & 0xF0) >> 4 | (b & 0x0F) << 4);
	b = (uint8_t)((b & 0xCC) >> 2 | (b & 0x33) << 2);
	return (uint8_t)((b & 0xAA) >> 1 | (b & 0x55) << 1);
}

/* The on-disk bitmap is whole sectors, so whole words can be read. */
static int load_words(struct vhd *v, const struct vhd_block *b, uint32_t first,
		      uint64_t *words, uint32_t n)
{
	uint8_t *raw = (uint8_t *)words;
	int ret = dev_read(v->file, raw, n * 8, b->start + first * 8);

	if (ret)
		return ret;
	for (uint32_t i = 0; v->lsb_bitmap && i < n * 8; i++)
		raw[i] = reversed(raw[i]);
	for (uint32_t i = 0; i < n; i++)
		words[i] = be64toh(words[i]);
	return 0;
}

/* Bits first..first + n - 1 of a word, sector 0 on top. n is 1..64. */
static uint64_t mask_of(uint32_t first, uint32_t n)
{
	return (~0ull << (64 - n)) >> first;
}

/* Length of the run of equal bits that begins at first; at most max. */
static uint32_t run_of(const uint64_t *words, uint32_t first, uint32_t max,
		       bool *here)
{
	uint32_t n = 0;

	while (n < max) {
		uint32_t at = first + n, shift = at % 64, k;
		uint64_t w = __atomic_load_n(&words[at / 64], __ATOMIC_ACQUIRE);

		w <<= shift;
		if (!n)
			*here = w >> 63;
		if (*here)
			w = ~w;
		k = w ? (uint32_t)__builtin_clzll(w) : 64;
		n += min_of(k, 64 - shift);
		if (k < 64 - shift)
			break;
	}
	return min_of(n, max);
}

bool vhd_bitmap_test(const struct vhd_bitmap *m, uint32_t first, uint32_t n)
{
	bool here = false;

	return run_of(m->words, first, n, &here) == n && here;
}

struct vhd_bitmap *vhd_bitmap_new(struct vhd *v, uint64_t blk)
{
	struct vhd_bitmap *m = mem_zalloc(1, sizeof(*m) +
					  v->bitmap_words * 8);

	if (m)
		m->blk = blk;
	return m;
}

static void mark_full(struct vhd_block *b)
{
	__atomic_or_fetch(&b->page->flags[b->slot], VHD_BLOCK_FULL,
			  __ATOMIC_RELEASE);
	b->full = true;
}

static bool all_here(const struct vhd *v, const struct vhd_bitmap *m)
{
	return vhd_bitmap_test(m, 0, vhd_block_sectors(v, m->blk));
}

/* Two threads may load one bitmap: the first to put it in its place wins. */
static int keep(struct vhd *v, struct vhd_block *b, struct vhd_bitmap **out)
{
	struct vhd_bitmap *old = NULL, *m = vhd_bitmap_new(v, b->blk);
	int ret = m ? load_words(v, b, 0, m->words, v->bitmap_words) : -ENOMEM;

	if (ret || all_here(v, m)) {
		if (!ret)
			mark_full(b);
		free(m);
		return ret;
	}
	if (__atomic_compare_exchange_n(&b->page->bitmap[b->slot], &old, m,
					false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE)) {
		__atomic_add_fetch(&v->bitmaps_kept, v->bitmap_words * 8,
				   __ATOMIC_RELAXED);
		*out = m;
		return 0;
	}
	free(m);
	*out = old;
	return 0;
}

int vhd_bitmap_get(struct vhd *v, struct vhd_block *b, struct vhd_bitmap **out)
{
	*out = __atomic_load_n(&b->page->bitmap[b->slot], __ATOMIC_ACQUIRE);
	return *out ? 0 : keep(v, b, out);
}

/* May keep one more bitmap for readers? */
static bool room_for(struct vhd *v, const struct vhd_block *b)
{
	return b->page && __atomic_load_n(&v->bitmaps_kept, __ATOMIC_RELAXED) <
			  VHD_BITMAPS_MAX;
}

int vhd_bitmap_run(struct vhd *v, struct vhd_block *b, uint32_t first,
		   uint32_t max, bool *here, uint32_t *n)
{
	uint64_t piece[PIECE_WORDS];
	uint32_t word = first / 64, k;
	struct vhd_bitmap *m = NULL;
	int ret = 0;

	if (b->page)
		m = __atomic_load_n(&b->page->bitmap[b->slot],
				    __ATOMIC_ACQUIRE);
	if (!m && room_for(v, b))
		ret = keep(v, b, &m);
	if (ret)
		return ret;
	if (m || b->full) {
		*here = true;
		*n = m ? run_of(m->words, first, max, here) : max;
		return 0;
	}
	k = min_of(PIECE_WORDS, v->bitmap_words - word);
	ret = load_words(v, b, word, piece, k);
	if (!ret)
		*n = run_of(piece, first % 64, min_of(max, k * 64 - first % 64),
			    here);
	return ret;
}

void vhd_bitmap_set(struct vhd *v, struct vhd_block *b, struct vhd_bitmap *m,
		    uint32_t first, uint32_t n)
{
	while (n) {
		uint32_t k = min_of(n, 64 - first % 64);

		__atomic_or_fetch(&m->words[first / 64],
				  mask_of(first % 64, k), __ATOMIC_SEQ_CST);
		first += k;
		n -= k;
	}
	if (!__atomic_exchange_n(&m->dirty, true, __ATOMIC_SEQ_CST)) {
		pthread_mutex_lock(&v->alloc_lock);
		m->next_dirty = v->dirty_bitmaps;
		v->dirty_bitmaps = m;
		pthread_mutex_unlock(&v->alloc_lock);
	}
	if (all_here(v, m))
		mark_full(b);
}

void vhd_bitmap_encode(const struct vhd *v, const struct vhd_bitmap *m,
		       void *raw)
{
	uint8_t *p = raw;

	memset(p, 0, v->bitmap_bytes);
	for (uint32_t i = 0; i < v->bitmap_words; i++) {
		be64_t w = to_be64(__atomic_load_n(&m->words[i],
						   __ATOMIC_SEQ_CST));

		memcpy(p + i * 8, &w, sizeof(w));
	}
}
