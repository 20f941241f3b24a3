/* SPDX-License-Identifier: GPL-3.0-or-later */
/* libntfs-3g's device operations on a dev, through the write-back cache. */
#include "formats/volume/vol_ntfsw_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ntfs-3g/cache.h>
#include <ntfs-3g/logging.h>

static struct vol_ntfsw *of_device(struct ntfs_device *nd)
{
	return nd->d_private;
}

int vol_ntfsw_errno(void)
{
	return errno ? -errno : -EIO;
}

static int op_open(struct ntfs_device *nd, int flags)
{
	if (NDevOpen(nd)) {
		errno = EBUSY;
		return -1;
	}
	NDevSetOpen(nd);
	if ((flags & O_ACCMODE) == O_RDONLY)
		NDevSetReadOnly(nd);
	return 0;
}

static int op_close(struct ntfs_device *nd)
{
	NDevClearOpen(nd);
	return 0;
}

static s64 op_pread(struct ntfs_device *nd, void *buf, s64 count, s64 off)
{
	struct vol_ntfsw *w = of_device(nd);
	int ret = -EINVAL;

	if (off >= 0 && count >= 0 &&
	    range_within((uint64_t)off, (uint64_t)count, dev_size(w->dev)))
		ret = vol_ntfsw_cache_read(w->cache, buf, (size_t)count,
					   (uint64_t)off);
	if (!ret)
		return count;
	errno = ret == -EINVAL ? EIO : -ret;
	return -1;
}

/* Used once, to see whether the last sector is there. */
static s64 op_seek(struct ntfs_device *nd, s64 offset, int whence)
{
	if (whence != SEEK_SET) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return of_device(nd)->pos = offset;
}

static s64 op_read(struct ntfs_device *nd, void *buf, s64 count)
{
	return op_pread(nd, buf, count, of_device(nd)->pos);
}

static s64 op_write(struct ntfs_device *nd, const void *buf, s64 count)
{
	errno = EOPNOTSUPP;
	return -1;
}

static s64 op_pwrite(struct ntfs_device *nd, const void *buf, s64 count,
		     s64 off)
{
	struct vol_ntfsw *w = of_device(nd);
	int ret;

	if (!w->begun) {
		errno = EROFS;
		return -1;
	}
	ret = off < 0 || count < 0 ? -EIO :
		vol_ntfsw_cache_write(w->cache, buf, (size_t)count,
				      (uint64_t)off);
	if (!ret)
		return count;
	if (!w->io_error)
		w->io_error = ret;
	errno = -ret;
	return -1;
}

/* Ours to decide when: see vol_ntfsw_sync_all(). */
static int op_sync(struct ntfs_device *nd)
{
	NDevClearDirty(nd);
	return 0;
}

static int op_stat(struct ntfs_device *nd, struct stat *buf)
{
	*buf = (struct stat) {
		.st_mode = S_IFREG | 0600,
		.st_size = (off_t)dev_size(of_device(nd)->dev),
	};
	return 0;
}

static int op_ioctl(struct ntfs_device *nd, unsigned long request, void *argp)
{
	errno = EOPNOTSUPP;
	return -1;
}

/* The library wants it writable; nothing ever writes to it. */
static struct ntfs_device_operations device_ops = {
	.open = op_open,
	.close = op_close,
	.seek = op_seek,
	.read = op_read,
	.write = op_write,
	.pread = op_pread,
	.pwrite = op_pwrite,
	.sync = op_sync,
	.stat = op_stat,
	.ioctl = op_ioctl,
};

/* FORENSIC: nothing is modified by mounting, neither log nor $TXF_DATA. */
static int try_mount(struct vol_ntfsw *w)
{
	unsigned long flags = w->tree.writable ? NTFS_MNT_FORENSIC
					       : NTFS_MNT_RDONLY;
	struct ntfs_device *nd = ntfs_device_alloc("imgfs", 0, &device_ops, w);
	int ret;

	if (!nd)
		return -ENOMEM;
	errno = 0;
	w->vol = ntfs_device_mount(nd, flags);
	if (w->vol)
		return 0;
	ret = vol_ntfsw_errno();
	ntfs_device_free(nd);
	return ret == -EINVAL ? -ERR_CORRUPT : ret;
}

/* Only who asked for it gets a volume written to whose copy of $MFT is stale;
 * reading it does no harm. */
static int mount_again(struct vol_ntfsw *w, int ret, struct diag *why)
{
	if (vol_ntfsw_renew_mirror(w))
		return diag_fail(why, ret, "ntfs: the volume cannot be opened "
				 "for writing: its boot sector, $MFT or "
				 "another system file is damaged");
	if (w->tree.writable && !w->opts.recover)
		return diag_fail_as(why, EROFS, OUT_VOLUME_DIRTY, "ntfs: "
				    "$MFTMirr is older than $MFT: let Windows "
				    "check the volume (chkdsk /f), or write "
				    "to it as it is with -o recover");
	ret = try_mount(w);
	return ret ? diag_fail(why, ret, "ntfs: $MFT or another system file "
			       "is damaged") : 0;
}

int vol_ntfsw_mount(struct vol_ntfsw *w, struct diag *why)
{
	int ret;

	ntfs_log_set_handler(ntfs_log_handler_null);
	ntfs_set_char_encoding("utf8");
	ret = try_mount(w);
	if (ret && ret != -ENOMEM)
		ret = mount_again(w, ret, why);
	if (ret)
		return ret;
	/* The library makes no links for us, but must not find a NULL. */
	w->vol->abs_mnt_point = "";
	ntfs_create_lru_caches(w->vol);
	ntfs_set_shown_files(w->vol, w->opts.show_sys_files,
			     !w->opts.hide_hid_files, w->opts.hide_dot_files);
	if (w->opts.ignore_case && ntfs_set_ignore_case(w->vol))
		return diag_fail(why, -vol_ntfsw_errno(),
				 "ntfs: no table of upper case letters");
	return 0;
}
