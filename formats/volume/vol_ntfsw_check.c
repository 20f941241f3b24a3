/* SPDX-License-Identifier: GPL-3.0-or-later */
/* When an NTFS volume may be written to, its mark, and getting all to disk. */
#include "formats/volume/vol_ntfsw_int.h"

#include <errno.h>
#include <stdlib.h>

#include <ntfs-3g/logfile.h>

/* What $LogFile says. A version 2.0 is written by Windows 8 and later while
 * the volume is in use; an orderly end takes it back to 1.1. */
enum log_state { LOG_CLEAN, LOG_UNCLEAN, LOG_IN_USE, LOG_UNREADABLE };

static enum log_state log_state(ntfs_volume *vol)
{
	ntfs_inode *ni = ntfs_inode_open(vol, FILE_LogFile);
	ntfs_attr *na = ni ? ntfs_attr_open(ni, AT_DATA, AT_UNNAMED, 0) : NULL;
	RESTART_PAGE_HEADER *rp = NULL;
	enum log_state state = LOG_CLEAN;

	if (!na)
		state = LOG_UNREADABLE;
	else if (!ntfs_check_logfile(na, &rp) || !ntfs_is_logfile_clean(na, rp))
		state = LOG_UNCLEAN;
	if (rp && le16_to_cpu(rp->major_ver) == 2 && !rp->minor_ver)
		state = LOG_IN_USE;
	free(rp);
	if (na)
		ntfs_attr_close(na);
	if (ni)
		ntfs_inode_close(ni);
	return state;
}

static bool hibernated(ntfs_volume *vol)
{
	return ntfs_volume_check_hiberfile(vol, 0) < 0 && errno == EPERM;
}

#define DIRTY(why, ...) \
	diag_fail_as((why), EROFS, OUT_VOLUME_DIRTY, __VA_ARGS__)

int vol_ntfsw_judge(struct vol_ntfsw *w, struct diag *why)
{
	enum log_state log;

	if (!w->tree.writable)
		return diag_fail(why, EROFS, "ntfs: the disk is read-only");
	if (ntfs_version_is_supported(w->vol))
		return diag_fail(why, EROFS, "ntfs: version %u.%u is not "
				 "written to", w->vol->major_ver,
				 w->vol->minor_ver);
	log = log_state(w->vol);
	if (log == LOG_UNREADABLE)
		return diag_fail(why, EROFS, "ntfs: $LogFile cannot be read");
	if (!w->opts.remove_hiberfile && hibernated(w->vol))
		return DIRTY(why, "ntfs: Windows is hibernated in this volume: "
			     "shut it down fully, or give its session up with "
			     "-o remove_hiberfile");
	if (!w->opts.remove_hiberfile && log == LOG_IN_USE)
		return DIRTY(why, "ntfs: Windows was not shut down fully and "
			     "may keep parts of this volume in memory: start "
			     "and shut it down, or give that up with "
			     "-o remove_hiberfile");
	if (w->opts.recover || (log == LOG_IN_USE && !w->opts.recover &&
				!(w->vol->flags & VOLUME_IS_DIRTY)))
		return 0;
	if (w->vol->flags & VOLUME_IS_DIRTY)
		return DIRTY(why, "ntfs: the volume is marked dirty: let "
			     "Windows check it (chkdsk /f), or write to it as "
			     "it is with -o recover");
	if (log != LOG_CLEAN)
		return DIRTY(why, "ntfs: $LogFile holds changes that were not "
			     "finished: let Windows do that, or drop them with "
			     "-o recover");
	return 0;
}

int vol_ntfsw_check_write(struct tree *t, struct diag *why)
{
	struct vol_ntfsw *w = VOL_NTFSW(t);
	int ret = vol_ntfsw_judge(w, why);

	return ret ? ret : dev_check_write(w->dev, why);
}

/* The library's own inodes: what it keeps open may be dirty. */
static int sync_system(ntfs_volume *vol)
{
	ntfs_inode *all[] = {
		vol->secure_ni, vol->lcnbmp_ni, vol->mft_ni, vol->vol_ni,
		vol->mftmirr_ni,
	};
	int ret = 0;

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		errno = 0;
		if (all[i] && ntfs_inode_sync(all[i]) && !ret)
			ret = vol_ntfsw_errno();
	}
	return ret;
}

static bool system_dirty(ntfs_volume *vol)
{
	return (vol->secure_ni && NInoDirty(vol->secure_ni)) ||
		NInoDirty(vol->lcnbmp_ni) || NInoDirty(vol->mft_ni) ||
		NInoDirty(vol->vol_ni) || NInoDirty(vol->mftmirr_ni);
}

/* Files and directories are closed after every operation, which writes them
 * to the cache: so the cache and the system inodes are all there is. */
int vol_ntfsw_sync_all(struct vol_ntfsw *w)
{
	int ret = 0, flushed;

	if (!w->begun)
		return 0;
	if (system_dirty(w->vol))
		ret = sync_system(w->vol);
	flushed = vol_ntfsw_cache_flush(w->cache);
	if (!ret)
		ret = flushed;
	flushed = dev_flush(w->dev);
	if (!ret)
		ret = flushed;
	if (ret && !w->io_error)
		w->io_error = ret;
	return ret ? ret : w->io_error;
}

static int set_mark(struct vol_ntfsw *w, bool dirty)
{
	le16 flags = w->vol->flags & ~VOLUME_IS_DIRTY;

	errno = 0;
	if (ntfs_volume_write_flags(w->vol, dirty ? flags | VOLUME_IS_DIRTY
						  : flags))
		return vol_ntfsw_errno();
	return vol_ntfsw_sync_all(w);
}

int vol_ntfsw_space(struct vol_ntfsw *w)
{
	s64 unused;

	if (w->space_known)
		return 0;
	errno = 0;
	if (ntfs_volume_get_free_space(w->vol))
		return vol_ntfsw_errno();
	unused = ntfs_attr_get_free_bits(w->vol->mftbmp_na);
	if (unused < 0)
		return vol_ntfsw_errno();
	w->vol->free_mft_records = unused +
		((w->vol->mft_na->allocated_size - w->vol->mft_na->data_size)
		 >> w->vol->mft_record_size_bits);
	w->space_known = true;
	return 0;
}

static int remove_hiberfile(struct vol_ntfsw *w)
{
	struct vol_ntfsw_name name;
	ntfs_inode *root;
	u64 record;
	int ret;

	if (!hibernated(w->vol))
		return 0;
	ret = vol_ntfsw_name("hiberfil.sys", &name);
	if (!ret)
		ret = vol_ntfsw_get(w, TREE_ROOT, &root);
	if (ret)
		return ret;
	ret = vol_ntfsw_put(root, vol_ntfsw_find(root, &name, &record));
	return ret ? ret : vol_ntfsw_unlink(w, FILE_root, record, &name);
}

static int begin(struct vol_ntfsw *w, struct diag *why)
{
	int ret = vol_ntfsw_space(w);

	if (ret)
		return diag_fail(why, ret, "ntfs: $Bitmap cannot be read");
	w->begun = true;
	ret = set_mark(w, true);
	if (ret)
		return diag_fail(why, ret, "ntfs: the volume could not be "
				 "marked as in use");
	if (log_state(w->vol) != LOG_CLEAN && ntfs_logfile_reset(w->vol))
		return diag_fail(why, vol_ntfsw_errno(),
				 "ntfs: $LogFile could not be reset");
	ret = w->opts.remove_hiberfile ? remove_hiberfile(w) : 0;
	if (ret)
		return diag_fail(why, ret, "ntfs: hiberfil.sys could not be "
				 "removed");
	w->marked = true;
	return 0;
}

int vol_ntfsw_begin_write(struct tree *t, struct diag *why)
{
	struct vol_ntfsw *w = VOL_NTFSW(t);
	int ret = vol_ntfsw_judge(w, why);

	if (!ret)
		ret = dev_begin_write(w->dev, why);
	return ret ? ret : begin(w, why);
}

/* Nothing that failed to be written may look clean afterwards. */
int vol_ntfsw_end_write(struct vol_ntfsw *w)
{
	int ret;

	if (!w->begun)
		return 0;
	ret = vol_ntfsw_sync_all(w);
	if (!ret && w->marked)
		ret = set_mark(w, false);
	return ret;
}
