/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The three passes over the ring: SCAN finds the last whole transaction,
 * REVOKE collects what must not be written back, REPLAY writes. A pass ends at
 * the first block that does not carry the magic number and the sequence that
 * is due, and after one turn of the ring at the latest.
 */
#include "formats/volume/vol_jbd2_int.h"

#include "formats/base/bounds.h"

enum pass { SCAN, REVOKE, REPLAY };

struct walk {
	struct vol_jbd2 *j;
	enum pass pass;
	struct dev *target;
	struct diag *why;
	uint32_t blk;		/* next one to read */
	uint32_t left;		/* blocks until the turn is complete */
	uint32_t seq;		/* of the transaction we are in */
	uint32_t crc;		/* v1: of this transaction so far */
	uint64_t last_time;	/* of the commit before */
	bool doubt;		/* a checksum failed: old blocks, or damage */
};

size_t vol_jbd2_tags_end(const struct vol_jbd2 *j)
{
	return j->src->block_size - (j->csum >= JBD2_CSUM_V2 ? 4 : 0);
}

static size_t tag_size(const struct vol_jbd2 *j)
{
	if (j->csum == JBD2_CSUM_V3)
		return 16;
	return (j->wide ? 12 : 8) + (j->csum == JBD2_CSUM_V2 ? 2 : 0);
}

static uint32_t be_at(const uint8_t *p, size_t len)
{
	uint32_t v = 0;

	while (len--)
		v = v << 8 | *p++;
	return v;
}

/* v3: block 4, flags 4, block high 4, checksum 4. Before: block 4, checksum 2,
 * flags 2, block high 4 (when wide). */
bool vol_jbd2_tag(const struct vol_jbd2 *j, const uint8_t *block, size_t off,
		  struct jbd2_tag *out)
{
	size_t size = tag_size(j), end = vol_jbd2_tags_end(j);
	const uint8_t *p = block + off;
	bool v3 = j->csum == JBD2_CSUM_V3;

	if (!range_within(off, size, end))
		return false;
	out->block = be_at(p, 4);
	out->flags = v3 ? be_at(p + 4, 4) : be_at(p + 6, 2);
	out->csum = v3 ? be_at(p + 12, 4) : be_at(p + 4, 2);
	if (j->wide)
		out->block |= (uint64_t)be_at(p + 8, 4) << 32;
	out->size = size + (out->flags & JBD2_TAG_SAME_UUID ? 0 : 16);
	return true;
}

/* Reads the next block of the ring. */
static int next_block(struct walk *w, uint8_t *buf)
{
	struct vol_jbd2 *j = w->j;
	int ret;

	if (!w->left)
		return diag_fail(w->why, ERR_CORRUPT, "journal: transaction %u "
				 "is longer than the journal", w->seq);
	ret = j->src->read(j->src->ctx, w->blk, buf);
	if (ret)
		return diag_fail(w->why, ret, "journal: block %u cannot be "
				 "read", w->blk);
	w->left--;
	if (++w->blk >= j->last)
		w->blk = j->first;
	return 0;
}

static int replay_one(struct walk *w, const struct jbd2_tag *tag)
{
	struct vol_jbd2 *j = w->j;
	uint32_t bs = j->src->block_size;
	int ret;

	if (!vol_jbd2_data_ok(j, tag, w->seq, j->data))
		return diag_fail(w->why, ERR_CORRUPT, "journal: transaction %u,"
				 " block %llu, bad checksum", w->seq,
				 (unsigned long long)tag->block);
	if (vol_jbd2_revoke_test(j, tag->block, w->seq))
		return 0;
	if (tag->block >= j->src->fs_blocks)
		return diag_fail(w->why, ERR_CORRUPT, "journal: transaction %u,"
				 " block behind the end: %llu", w->seq,
				 (unsigned long long)tag->block);
	if (tag->flags & JBD2_TAG_ESCAPED) {
		be32_t magic = to_be32(JBD2_MAGIC);

		memcpy(j->data, &magic, sizeof(magic));
	}
	j->replayed++;
	if (!w->target)
		return 0;
	ret = dev_write(w->target, j->data, bs, tag->block * bs);
	return ret ? diag_fail(w->why, ret, "journal: block %llu cannot be "
			       "replayed", (unsigned long long)tag->block) : 0;
}

/* What a descriptor block announces follows it. */
static int do_descriptor(struct walk *w)
{
	struct vol_jbd2 *j = w->j;
	size_t off = sizeof(struct jbd2_head_disk);
	struct jbd2_tag tag;

	if (!vol_jbd2_tail_ok(j, j->block)) {
		if (w->pass != SCAN)
			return diag_fail(w->why, ERR_CORRUPT, "journal: "
				"transaction %u, bad descriptor checksum",
				w->seq);
		w->doubt = true;
	}
	w->crc = vol_jbd2_crc32_msb(w->crc, j->block, j->csum == JBD2_CSUM_V1 ?
				    j->src->block_size : 0);
	while (vol_jbd2_tag(j, j->block, off, &tag)) {
		int ret;

		/* A transaction that is not whole may run into anything. */
		if (w->pass == SCAN && !w->left)
			return 1;
		ret = next_block(w, j->data);
		if (!ret && w->pass == REPLAY)
			ret = replay_one(w, &tag);
		if (ret)
			return ret;
		if (w->pass == SCAN && j->csum == JBD2_CSUM_V1)
			w->crc = vol_jbd2_crc32_msb(w->crc, j->data,
						    j->src->block_size);
		off += tag.size;
		if (tag.flags & JBD2_TAG_LAST)
			break;
	}
	return 0;
}

static bool commit_sums_ok(struct walk *w, const struct jbd2_commit_disk *c)
{
	uint32_t stored = be32(c->csum[0]);

	if (w->j->csum != JBD2_CSUM_V1)
		return vol_jbd2_commit_ok(w->j, w->j->block);
	if (c->csum_type == 1 && c->csum_size == 4 && stored == w->crc)
		return true;
	return !c->csum_type && !c->csum_size && !stored;
}

/*
 * A commit block ends a transaction. One with a bad checksum, or behind a
 * block with one, is a leftover of an older life of the journal when its time
 * lies before its predecessor's; a commit that was torn ends the log; but a
 * newer commit over damaged blocks is damage.
 */
static int do_commit(struct walk *w)
{
	struct vol_jbd2 *j = w->j;
	const struct jbd2_commit_disk *c = (const void *)j->block;
	uint64_t when = be64(c->sec);

	if (w->pass != SCAN) {
		w->seq++;
		return 0;
	}
	if (w->doubt) {
		if (when < w->last_time)
			return 1;
		return diag_fail(w->why, ERR_CORRUPT, "journal: transaction %u,"
				 " bad checksum", w->seq);
	}
	if (!commit_sums_ok(w, c)) {
		if (when < w->last_time || !j->async)
			return 1;
		if (!j->have_end) {
			j->end = w->seq;
			j->have_end = true;
		}
	} else if (j->csum == JBD2_CSUM_V1 && j->have_end) {
		return 1;
	}
	w->last_time = when;
	w->crc = ~0u;
	w->seq++;
	return 0;
}

static int do_revoke(struct walk *w)
{
	struct vol_jbd2 *j = w->j;

	if (w->pass == SCAN && !vol_jbd2_tail_ok(j, j->block))
		w->doubt = true;
	if (w->pass != REVOKE)
		return 0;
	if (!vol_jbd2_tail_ok(j, j->block))
		return diag_fail(w->why, ERR_CORRUPT, "journal: transaction %u,"
				 " bad revoke checksum", w->seq);
	return vol_jbd2_revoke_add(j, j->block, w->seq, w->why);
}

/* One block of the log; 1 at its end. */
static int step(struct walk *w)
{
	const struct jbd2_head_disk *h = (const void *)w->j->block;
	int ret;

	if (!w->left || (w->pass != SCAN && w->seq == w->j->end))
		return 1;
	ret = next_block(w, w->j->block);
	if (ret)
		return ret;
	if (be32(h->magic) != JBD2_MAGIC || be32(h->sequence) != w->seq)
		return 1;
	switch (be32(h->type)) {
	case JBD2_DESCRIPTOR:
		return do_descriptor(w);
	case JBD2_COMMIT:
		return do_commit(w);
	case JBD2_REVOKE:
		return do_revoke(w);
	default:
		return 1;
	}
}

static int run_pass(struct vol_jbd2 *j, enum pass pass, struct dev *target,
		    struct diag *why)
{
	struct walk w = {
		.j = j, .pass = pass, .target = target, .why = why,
		.blk = j->start, .left = j->last - j->first,
		.seq = j->sequence, .crc = ~0u,
	};
	int ret;

	do
		ret = step(&w);
	while (!ret);
	if (ret < 0)
		return ret;
	if (pass == SCAN && !j->have_end)
		j->end = w.seq;
	if (pass != SCAN && w.seq != j->end)
		return diag_fail(why, ERR_CORRUPT, "journal: ends at "
				 "transaction %u, not at %u", w.seq, j->end);
	return 0;
}

int vol_jbd2_passes(struct vol_jbd2 *j, struct dev *target, struct diag *why)
{
	int ret = run_pass(j, SCAN, NULL, why);

	if (!ret)
		ret = run_pass(j, REVOKE, NULL, why);
	if (!ret)
		ret = run_pass(j, REPLAY, target, why);
	return ret;
}
