/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between ext4 and its journal: where the journal's blocks are, when it must
 * be replayed, and what the volume looks like afterwards. */
#include "formats/volume/vol_ext_int.h"

#include <stdlib.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/base/dev_ram.h"
#include "formats/volume/vol_jbd2.h"

struct journal {
	struct vol_ext *v;
	struct ext_inode in;
	struct ext_run run;	/* the last answer of vol_ext_map */
	uint64_t run_at;
};

static int journal_block(struct journal *j, uint32_t blk, uint64_t *out)
{
	if (blk < j->run_at || blk - j->run_at >= j->run.len) {
		int ret = vol_ext_map(j->v, &j->in, blk, UINT32_MAX, &j->run);

		if (ret)
			return ret;
		j->run_at = blk;
	}
	if (!j->run.pblk)
		return -ERR_CORRUPT;
	*out = j->run.pblk + (blk - j->run_at);
	return 0;
}

static int read_block(void *ctx, uint32_t blk, void *buf)
{
	struct journal *j = ctx;
	uint32_t bs = j->v->sb.block_size;
	uint64_t at;
	int ret = journal_block(j, blk, &at);

	return ret ? ret : dev_read(j->v->base, buf, bs, at * bs);
}

static int open_journal(struct vol_ext *v, struct journal *j,
			struct vol_jbd2_source *src, struct diag *why)
{
	const struct ext_super *s = &v->sb;
	int ret;

	*j = (struct journal) { .v = v };
	if (!s->journal_inum)
		return diag_fail(why, ERR_UNSUPP, "ext4: the journal is on "
				 "another device and not empty: run e2fsck, or "
				 "mount with norecovery");
	ret = vol_ext_inode_load(v, s->journal_inum, &j->in);
	if (!ret && (!S_ISREG(j->in.mode) || !j->in.links ||
		     vol_ext_is_inline(&j->in)))
		ret = -ERR_CORRUPT;
	if (ret)
		return diag_fail(why, ret, "ext4: bad journal inode: %u",
				 s->journal_inum);
	*src = (struct vol_jbd2_source) {
		.block_size = s->block_size, .fs_blocks = s->blocks,
		.read = read_block, .ctx = j,
		.n_blocks = (uint32_t)min_of(j->in.size >> s->block_bits,
					     (uint64_t)UINT32_MAX),
	};
	return 0;
}

static void warn(const struct volume_opts *opts, const char *text)
{
	if (opts->warn)
		opts->warn(opts->warn_ctx, text);
}

/* From here on the volume is what the overlay shows. */
static int use_overlay(struct vol_ext *v, struct diag *why)
{
	struct ext_super_disk raw;
	int ret;

	v->dev = v->ram;
	vol_ext_io_free(v->io);
	v->io = NULL;
	ret = dev_read(v->dev, &raw, sizeof(raw), v->super_off);
	if (ret)
		return diag_fail(why, ret, "ext4: superblock cannot be read");
	ret = vol_ext_super_decode(&raw, dev_size(v->dev), &v->sb, why);
	if (ret)
		return ret;
	ret = vol_ext_io_new(v->dev, v->sb.block_size, &v->io);
	return ret ? diag_fail(why, ret, "ext4: out of memory") : 0;
}

static int replay(struct vol_ext *v, const struct volume_opts *opts,
		  struct vol_jbd2_source *src, struct diag *why)
{
	struct vol_jbd2_result res;
	int ret = dev_ram_new(v->base, &v->ram, why);

	if (!ret)
		ret = vol_jbd2_replay(src, v->ram, &res, why);
	if (ret)
		return diag_in(why, ret, "ext4 (norecovery shows the volume as "
			       "it stands)");
	v->replayed = true;
	v->journal_next = res.next_sequence;
	v->journal_error = res.error;
	v->journal_fast = res.fast_pending;
	if (res.fast_pending)
		warn(opts, "ext4: the newest changes are in the journal's fast "
		     "commits, which are not replayed: files may be stale; "
		     "e2fsck or a mount by Linux brings them in");
	return use_overlay(v, why);
}

int vol_ext_journal_replay(struct vol_ext *v, const struct volume_opts *opts,
			   struct diag *why)
{
	struct vol_jbd2_source src;
	struct journal j;
	int ret;

	if (!(v->sb.incompat & EXT_INCOMPAT_RECOVER))
		return 0;
	if (opts->norecovery) {
		v->norecovery = true;
		warn(opts, "ext4: the journal is not replayed: files may be "
		     "stale or damaged");
		return 0;
	}
	ret = open_journal(v, &j, &src, why);
	return ret ? ret : replay(v, opts, &src, why);
}

int vol_ext_journal_empty(struct vol_ext *v, struct diag *why)
{
	uint32_t bs = v->sb.block_size;
	struct vol_jbd2_source src;
	struct journal j;
	uint64_t at;
	uint8_t *buf;
	int ret = open_journal(v, &j, &src, why);

	if (ret)
		return ret;
	buf = mem_alloc(1, bs);
	ret = buf ? journal_block(&j, 0, &at) : -ENOMEM;
	if (!ret)
		ret = read_block(&j, 0, buf);
	if (!ret) {
		vol_jbd2_reset(buf, v->journal_next);
		ret = dev_write(v->base, buf, bs, at * bs);
	}
	free(buf);
	if (!ret)
		ret = dev_flush(v->base);
	return ret ? diag_fail(why, ret, "ext4: the journal cannot be emptied")
		   : 0;
}
