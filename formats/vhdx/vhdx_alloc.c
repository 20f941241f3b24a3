/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VHDX: space in the file (FORMAT.md 10.5). Space that a block gave up in this
 * session stays marked until the next one: a reader may still hold its range,
 * and its release may not be durable yet. So the holes that were there at
 * begin_write only shrink, and a hand per size never has to go back.
 */
#include <stdlib.h>

#include "formats/vhdx/vhdx_int.h"

#define CHUNK_BITS	(1u << 15)	/* a page of bits: 32 GiB of file */
#define N_CHUNKS	(VHDX_FILE_MAX / VHDX_MIB / CHUNK_BITS)
/* So that not every block asks for a new file size. */
#define EXTEND_STEP	(32u << 20)

int vhdx_space_init(struct vhdx_space *s)
{
	*s = (struct vhdx_space) {
		.chunks = mem_zalloc(N_CHUNKS, sizeof(*s->chunks)),
	};
	return s->chunks ? 0 : -ENOMEM;
}

void vhdx_space_free(struct vhdx_space *s)
{
	for (size_t i = 0; s->chunks && i < N_CHUNKS; i++)
		free(s->chunks[i]);
	free(s->chunks);
	s->chunks = NULL;
}

static bool in_use(const struct vhdx_space *s, uint64_t mib)
{
	const uint64_t *bits = s->chunks[mib / CHUNK_BITS];

	return bits && bits[mib % CHUNK_BITS / 64] >> mib % 64 & 1;
}

static int set_use(struct vhdx_space *s, uint64_t mib)
{
	uint64_t **bits = &s->chunks[mib / CHUNK_BITS];

	if (!*bits)
		*bits = mem_zalloc(1, CHUNK_BITS / 8);
	if (!*bits)
		return -ENOMEM;
	(*bits)[mib % CHUNK_BITS / 64] |= 1ull << mib % 64;
	return 0;
}

int vhdx_space_mark(struct vhdx_space *s, uint64_t off, uint64_t len)
{
	uint64_t last = div_up(off + len, VHDX_MIB);

	if (!range_within(off, len, VHDX_FILE_MAX))
		return -ERR_CORRUPT;
	for (uint64_t m = off / VHDX_MIB; m < last; m++) {
		int ret = in_use(s, m) ? -ERR_CORRUPT : set_use(s, m);

		if (ret)
			return ret;
	}
	s->end = max_of(s->end, off + len);
	return 0;
}

/* First fit below holes_end; moves the hand to where it looked last. */
static bool find_hole(struct vhdx_space *s, uint64_t len, uint64_t *off)
{
	uint64_t *hand = &s->hand[len == VHDX_MIB];
	uint64_t from = *hand, m;

	for (m = from; m < s->holes_end / VHDX_MIB; m++) {
		if (in_use(s, m)) {
			from = m + 1;
			continue;
		}
		if ((m + 1 - from) * VHDX_MIB == len) {
			*hand = m + 1;
			*off = from * VHDX_MIB;
			return true;
		}
	}
	*hand = from;
	return false;
}

static int extend(struct vhdx *x, uint64_t need)
{
	int ret;

	if (need <= dev_size(x->file))
		return 0;
	if (need > VHDX_FILE_MAX)
		return -EFBIG;
	ret = dev_file_extend(x->file, need + EXTEND_STEP);
	if (ret)
		ret = dev_file_extend(x->file, need);
	/* A block device has no other size. */
	return ret == -EINVAL ? -ENOSPC : ret;
}

int vhdx_space_take(struct vhdx *x, uint64_t len, uint64_t *off, bool *zeros)
{
	struct vhdx_space *s = &x->space;
	uint64_t at;
	int ret;

	if (!find_hole(s, len, &at)) {
		at = s->top;
		ret = extend(x, at + len);
		if (ret)
			return ret;
	}
	ret = vhdx_space_mark(s, at, len);
	if (ret)
		return ret;
	if (at == s->top)
		s->top += len;
	*off = at;
	*zeros = at >= s->fresh;
	return 0;
}

void vhdx_space_return(struct vhdx *x, uint64_t off, uint64_t len)
{
	struct vhdx_space *s = &x->space;

	for (uint64_t m = off / VHDX_MIB; m < (off + len) / VHDX_MIB; m++)
		s->chunks[m / CHUNK_BITS][m % CHUNK_BITS / 64] &=
			~(1ull << m % 64);
	if (off + len == s->top && off >= s->holes_end) {
		s->top = off;
		s->fresh = max_of(s->fresh, off + len);
	}
	if (off + len == s->end)
		s->end = off;
	for (size_t i = 0; i < ARRAY_LEN(s->hand); i++)
		s->hand[i] = min_of(s->hand[i], off / VHDX_MIB);
}
