/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Revoke records: a block freed by transaction N must not be written back by
 * transactions up to N, for it may hold file data by now. */
#include "formats/volume/vol_jbd2_int.h"

#include <stdlib.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"

/* 4 Mi freed metadata blocks take about 150 MB here; the kernel's journals
 * of 1 GiB hold far fewer before they are checkpointed. */
#define REVOKE_MAX (4u << 20)

static int new_sequence(struct vol_jbd2 *j, uint32_t seq, size_t *idx)
{
	if (j->n_sequences == j->max_sequences) {
		size_t max = max_of(j->max_sequences * 2, (size_t)256);
		uint32_t *p = mem_realloc(j->sequences, max, sizeof(*p));

		if (!p)
			return -ENOMEM;
		j->sequences = p;
		j->max_sequences = max;
	}
	j->sequences[j->n_sequences] = seq;
	*idx = j->n_sequences++;
	return 0;
}

static int revoke(struct vol_jbd2 *j, uint64_t blk, uint32_t seq)
{
	uintptr_t at = (uintptr_t)map_get(&j->revoked, blk);
	size_t idx;
	int ret;

	if (at) {
		if (vol_jbd2_later(seq, j->sequences[at - 1]))
			j->sequences[at - 1] = seq;
		return 0;
	}
	if (j->n_sequences >= REVOKE_MAX)
		return -EFBIG;
	ret = new_sequence(j, seq, &idx);
	return ret ? ret : map_put(&j->revoked, blk, (void *)(idx + 1));
}

int vol_jbd2_revoke_add(struct vol_jbd2 *j, const uint8_t *block, uint32_t seq,
			struct diag *why)
{
	const struct jbd2_revoke_disk *head = (const void *)block;
	size_t end = be32(head->count), size = j->wide ? 8 : 4;
	size_t room = j->src->block_size - (j->csum >= JBD2_CSUM_V2 ? 4 : 0);

	if (end < sizeof(*head) || end > room)
		return diag_fail(why, ERR_CORRUPT, "journal: revoke block of "
				 "transaction %u, bad length: %zu", seq, end);
	for (size_t at = sizeof(*head); at + size <= end; at += size) {
		be64_t wide;
		be32_t narrow;
		int ret;

		memcpy(&narrow, block + at, sizeof(narrow));
		if (j->wide)
			memcpy(&wide, block + at, sizeof(wide));
		ret = revoke(j, j->wide ? be64(wide) : be32(narrow), seq);
		if (ret)
			return diag_fail(why, ret, "journal: %zu revoked blocks"
					 " are too many", j->n_sequences);
	}
	return 0;
}

bool vol_jbd2_revoke_test(const struct vol_jbd2 *j, uint64_t blk, uint32_t seq)
{
	uintptr_t at = (uintptr_t)map_get(&j->revoked, blk);

	return at && !vol_jbd2_later(seq, j->sequences[at - 1]);
}

void vol_jbd2_revoke_free(struct vol_jbd2 *j)
{
	map_free(&j->revoked);
	free(j->sequences);
	j->sequences = NULL;
}
