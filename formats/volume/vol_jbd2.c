/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The journal's superblock, and the way from there through the passes. */
#include "formats/volume/vol_jbd2_int.h"

#include <stdlib.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/base/crc.h"

#define INCOMPAT_KNOWN 0x3fu
/* A journal that would be left shorter keeps no fast commit area. */
#define MIN_BLOCKS 1024u
#define FC_BLOCKS_DEFAULT 256u

static int decode_features(struct vol_jbd2 *j, const struct jbd2_super_disk *sb,
			   struct diag *why)
{
	uint32_t f = be32(sb->incompat);
	bool both = (f & JBD2_INCOMPAT_CSUM2) && (f & JBD2_INCOMPAT_CSUM3);

	if (be32(sb->head.type) == JBD2_SUPER_V1)
		return 0;
	if (f & ~INCOMPAT_KNOWN || be32(sb->ro_compat))
		return diag_fail(why, ERR_UNSUPP, "journal: unknown features: "
				 "0x%x 0x%x", f, be32(sb->ro_compat));
	if (both || !vol_jbd2_super_ok(sb))
		return diag_fail(why, ERR_CORRUPT, "journal: superblock, bad "
				 "checksum: 0x%x", be32(sb->checksum));
	j->wide = f & JBD2_INCOMPAT_64BIT;
	j->async = f & JBD2_INCOMPAT_ASYNC;
	j->fast = f & JBD2_INCOMPAT_FAST;
	j->seed = crc32c_update(~0u, sb->uuid, sizeof(sb->uuid));
	if (f & JBD2_INCOMPAT_CSUM3)
		j->csum = JBD2_CSUM_V3;
	else if (f & JBD2_INCOMPAT_CSUM2)
		j->csum = JBD2_CSUM_V2;
	else if (be32(sb->compat) & JBD2_COMPAT_CHECKSUM)
		j->csum = JBD2_CSUM_V1;
	return 0;
}

static int decode_super(struct vol_jbd2 *j, const struct jbd2_super_disk *sb,
			struct diag *why)
{
	uint32_t type = be32(sb->head.type), max = be32(sb->maxlen), fc;
	int ret;

	if (be32(sb->head.magic) != JBD2_MAGIC ||
	    (type != JBD2_SUPER_V1 && type != JBD2_SUPER_V2))
		return diag_fail(why, ERR_CORRUPT, "journal: no superblock: "
				 "0x%x, type %u", be32(sb->head.magic), type);
	if (be32(sb->blocksize) != j->src->block_size)
		return diag_fail(why, ERR_CORRUPT, "journal: block size is not "
				 "the file system's: %u", be32(sb->blocksize));
	ret = decode_features(j, sb, why);
	if (ret)
		return ret;
	fc = be32(sb->num_fc_blocks) ? be32(sb->num_fc_blocks)
				     : FC_BLOCKS_DEFAULT;
	j->first = be32(sb->first);
	j->last = max;
	if (j->fast && max > fc && max - fc >= MIN_BLOCKS)
		j->last = max - fc;
	j->start = be32(sb->start);
	j->sequence = be32(sb->sequence);
	j->error = sb->error.b[0] | sb->error.b[1] | sb->error.b[2] |
		   sb->error.b[3];
	if (max > j->src->n_blocks || !j->first || j->first >= j->last)
		return diag_fail(why, ERR_CORRUPT, "journal: superblock, ring "
				 "%u to %u of %u blocks", j->first, max,
				 j->src->n_blocks);
	if (j->start && (j->start < j->first || j->start >= j->last))
		return diag_fail(why, ERR_CORRUPT, "journal: superblock, starts"
				 " outside its ring: %u", j->start);
	return 0;
}

static void end(struct vol_jbd2 *j)
{
	vol_jbd2_revoke_free(j);
	free(j->block);
	free(j->data);
}

static int begin(struct vol_jbd2 *j, const struct vol_jbd2_source *src,
		 struct diag *why)
{
	int ret;

	*j = (struct vol_jbd2) { .src = src };
	j->block = mem_alloc(1, src->block_size);
	j->data = mem_alloc(1, src->block_size);
	if (!j->block || !j->data)
		return diag_fail(why, ENOMEM, "journal: out of memory");
	if (src->block_size < JBD2_SUPER_SIZE || !src->n_blocks)
		return diag_fail(why, ERR_CORRUPT, "journal: %u blocks of %u",
				 src->n_blocks, src->block_size);
	ret = src->read(src->ctx, 0, j->block);
	if (ret)
		return diag_fail(why, ret,
				 "journal: superblock cannot be read");
	return decode_super(j, (const void *)j->block, why);
}

/* Fast commits belong to the transaction that would come next. Kernels begin
 * their area one block behind the ring; the block between is looked at too. */
static bool fast_pending(struct vol_jbd2 *j, uint32_t next)
{
	if (!j->fast || !j->start)
		return false;
	for (uint32_t blk = j->last; blk < j->last + 2; blk++) {
		if (blk >= j->src->n_blocks ||
		    j->src->read(j->src->ctx, blk, j->data))
			continue;
		if (le16_at(j->data) == JBD2_FC_TAG_HEAD &&
		    le32_at(j->data + 8) == next)
			return true;
	}
	return false;
}

static void report(struct vol_jbd2 *j, struct vol_jbd2_result *out)
{
	uint32_t next = j->start ? j->end : j->sequence;

	*out = (struct vol_jbd2_result) {
		.transactions = next - j->sequence,
		.blocks = j->replayed,
		.next_sequence = next + 1,
		.fast_pending = fast_pending(j, next),
		.error = j->error,
	};
}

int vol_jbd2_check(const struct vol_jbd2_source *src,
		   struct vol_jbd2_result *out, struct diag *why)
{
	struct vol_jbd2 j;
	int ret = begin(&j, src, why);

	if (!ret) {
		j.end = j.sequence;
		report(&j, out);
		ret = !!j.start;
	}
	end(&j);
	return ret;
}

int vol_jbd2_replay(const struct vol_jbd2_source *src, struct dev *target,
		    struct vol_jbd2_result *out, struct diag *why)
{
	struct vol_jbd2 j;
	int ret = begin(&j, src, why);

	if (!ret && j.start)
		ret = vol_jbd2_passes(&j, target, why);
	if (!ret)
		report(&j, out);
	end(&j);
	return ret;
}

void vol_jbd2_reset(void *super, uint32_t next_sequence)
{
	struct jbd2_super_disk *sb = super;

	sb->start = to_be32(0);
	sb->sequence = to_be32(next_sequence);
	if (be32(sb->head.type) == JBD2_SUPER_V2 &&
	    (be32(sb->incompat) & (JBD2_INCOMPAT_CSUM2 | JBD2_INCOMPAT_CSUM3)))
		sb->checksum = to_be32(vol_jbd2_super_csum(sb));
}
