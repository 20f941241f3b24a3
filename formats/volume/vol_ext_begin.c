/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The door of the writing half: may this volume be written to, and what must
 * be on disk before its first modification and after its last. */
#include "formats/volume/vol_ext_wint.h"

#include "formats/base/bounds.h"
#include "formats/base/dev_ram.h"

#define RO_WRITABLE (EXT_RO_SPARSE_SUPER | EXT_RO_LARGE_FILE | \
	EXT_RO_HUGE_FILE | EXT_RO_GDT_CSUM | EXT_RO_DIR_NLINK | \
	EXT_RO_EXTRA_ISIZE | EXT_RO_BIGALLOC | EXT_RO_METADATA_CSUM | \
	EXT_RO_PROJECT | EXT_RO_VERITY | EXT_RO_ORPHAN_PRESENT)

/* Said once, with what the user can do. */
static const char *dirty_words(const struct vol_ext *v)
{
	if (v->norecovery)
		return "its journal was not replayed (norecovery)";
	if (v->journal_fast)
		return "its journal has fast commits that are not replayed: "
		       "run e2fsck";
	if (v->sb.state & EXT_STATE_ERROR || v->journal_error)
		return "it has recorded errors: run e2fsck";
	if (!(v->sb.state & EXT_STATE_VALID))
		return "it was not cleanly unmounted: run e2fsck";
	return NULL;
}

static const char *unsupported_words(const struct vol_ext *v)
{
	uint32_t ro = v->sb.ro_compat;

	if (v->sb.incompat & EXT_INCOMPAT_CASEFOLD)
		return "names without regard to case (casefold)";
	if (v->sb.incompat & EXT_INCOMPAT_MMP)
		return "multiple mount protection (mmp)";
	if (ro & EXT_RO_QUOTA)
		return "quotas, which would become stale";
	if (ro & (EXT_RO_READONLY | EXT_RO_SHARED_BLOCKS))
		return "a volume that is marked read-only";
	return ro & ~(uint32_t)RO_WRITABLE ? "an unknown feature" : NULL;
}

int vol_ext_check_write(struct tree *t, struct diag *why)
{
	struct vol_ext *v = vol_ext_of(t);
	const char *words = dirty_words(v);

	if (words)
		return diag_fail_as(why, EROFS, OUT_VOLUME_DIRTY,
				    "ext4: read-only: %s", words);
	words = unsupported_words(v);
	if (words)
		return diag_fail_as(why, EROFS, OUT_UNSUPP, "ext4: read-only: "
				    "cannot write to %s", words);
	if (v->super_off != EXT_SUPER_OFF)
		return diag_fail(why, EROFS, "ext4: read-only: opened by a copy"
				 " of its superblock (sb=)");
	return dev_check_write(v->base, why);
}

/* The replayed journal goes where it belongs, in the kernel's order: blocks,
 * then the journal is empty, then (mark_dirty) it needs no recovery. */
static int apply_journal(struct vol_ext *v, struct diag *why)
{
	int ret;

	if (!v->replayed)
		return 0;
	ret = dev_ram_apply(v->ram);
	if (!ret)
		ret = dev_flush(v->base);
	if (ret)
		return diag_fail(why, ret, "ext4: the journal cannot be "
				 "replayed to the disk");
	/* What others mapped through the overlay stays true: it passes
	 * everything on from now. */
	v->dev = v->base;
	return vol_ext_journal_empty(v, why);
}

static int mark_dirty(struct vol_ext *v, struct diag *why)
{
	ext2_filsys fs = v->lib->fs;
	int ret;

	fs->super->s_state &= (__u16)~EXT2_VALID_FS;
	ext2fs_clear_feature_journal_needs_recovery(fs->super);
	ext2fs_mark_super_dirty(fs);
	ret = vol_ext_flush(v);
	return ret ? diag_fail(why, ret, "ext4: cannot be marked as in use")
		   : 0;
}

int vol_ext_begin_write(struct tree *t, struct diag *why)
{
	struct vol_ext *v = vol_ext_of(t);
	int ret = vol_ext_check_write(t, why);

	if (!ret)
		ret = vol_ext_lib_open(v, why);
	if (ret)
		return ret;
	ret = dev_begin_write(v->base, why);
	if (!ret)
		ret = apply_journal(v, why);
	if (ret) {
		vol_ext_lib_free(v->lib);
		v->lib = NULL;
		return ret;
	}
	ret = mark_dirty(v, why);
	return ret ? ret : vol_ext_orphan_clean(v, why);
}

int vol_ext_sync(struct tree *t, uint64_t id, bool data_only)
{
	return vol_ext_flush(vol_ext_of(t));
}

void vol_ext_end_write(struct vol_ext *v)
{
	struct vol_ext_lib *lib = v->lib;

	if (!lib)
		return;
	/* What was not written in full must not be called clean. */
	if (!vol_ext_flush(v) && !lib->damaged) {
		lib->fs->super->s_state |= EXT2_VALID_FS;
		ext2fs_mark_super_dirty(lib->fs);
		vol_ext_flush(v);
	}
	vol_ext_lib_free(lib);
	v->lib = NULL;
}
