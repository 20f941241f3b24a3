/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Shared by the vol_ntfsw_*.c only. libntfs-3g has integer types of the same
 * names as formats/base/endian.h: the two cannot be in one file.
 *
 * Inodes: libntfs-3g keeps closed inodes in a cache of its own and takes them
 * out when they are opened again, so what must never happen is that one record
 * is open twice. Every operation here closes what it opened before it returns,
 * and opens a directory and a file in it in the order that the library's
 * update of index entries allows (see vol_ntfsw_node.c).
 */
#ifndef IMGFS_VOL_NTFSW_INT_H
#define IMGFS_VOL_NTFSW_INT_H

/* The library's headers do without it when nobody configures them. */
#include <time.h>

#include <ntfs-3g/types.h>
#include <ntfs-3g/layout.h>
#include <ntfs-3g/volume.h>
#include <ntfs-3g/device.h>
#include <ntfs-3g/inode.h>
#include <ntfs-3g/attrib.h>
#include <ntfs-3g/dir.h>
#include <ntfs-3g/security.h>
#include <ntfs-3g/unistr.h>
#include <ntfs-3g/xattrs.h>

#include "formats/base/bounds.h"
#include "formats/base/map.h"
#include "formats/ntfs/ntfs.h"
#include "formats/volume/vol_ntfsw.h"
#include "formats/volume/vol_ntfsw_cache.h"

/* A ghost: what was unlinked while open, under a name nobody sees. */
#define VOL_NTFSW_GHOST ".imgfs-unlinked-"

struct vol_ntfsw {
	struct tree tree;
	struct tree *outer;	/* whose handles count */
	struct dev *dev;	/* not ours */
	struct volume_opts opts;
	struct vol_ntfsw_cache *cache;	/* owned */
	ntfs_volume *vol;	/* owned, with its device */
	struct PERMISSIONS_CACHE *permissions;	/* always NULL */
	s64 pos;		/* of the device, for the library */
	bool begun;		/* writing has begun: the library may write */
	bool marked;		/* and the mark is to go at a clean end */
	bool space_known;
	int io_error;		/* the first write that failed: then the
				 * volume stays marked */
	/* Security ids for what is made in one directory: the last asked. */
	struct {
		u64 dir;
		le32 file_id, dir_id;
	} inherit;
	/* How to find the ghosts again. */
	struct map ghosts;	/* id -> not NULL */
	struct map streams;	/* id -> struct vol_ntfsw_stream, owned */
};

struct vol_ntfsw_file {
	struct tree_file file;
	bool wrote;		/* something to finish at the release */
};

struct vol_ntfsw_name {
	ntfschar u[256];
	int len;
};

#define VOL_NTFSW(t) container_of(t, struct vol_ntfsw, tree)

/* vol_ntfsw_dev.c */
int vol_ntfsw_mount(struct vol_ntfsw *w, struct diag *why);
/* errno as a negative code, never 0. */
int vol_ntfsw_errno(void);

/* vol_ntfsw_mirror.c: -ERR_CORRUPT when that is not what is wrong. */
int vol_ntfsw_renew_mirror(struct vol_ntfsw *w);

/* vol_ntfsw_check.c: may this volume be written to? Changes nothing. */
int vol_ntfsw_judge(struct vol_ntfsw *w, struct diag *why);
/* Makes it so: the mark, the log, the hibernation file. */
int vol_ntfsw_begin_write(struct tree *t, struct diag *why);
int vol_ntfsw_check_write(struct tree *t, struct diag *why);
int vol_ntfsw_sync_all(struct vol_ntfsw *w);
/* The mark off again. */
int vol_ntfsw_end_write(struct vol_ntfsw *w);
int vol_ntfsw_space(struct vol_ntfsw *w);

/* vol_ntfsw_node.c */
int vol_ntfsw_get(struct vol_ntfsw *w, uint64_t id, ntfs_inode **out);
/* Closes; ret, or what closing said when ret was 0. Takes NULL. */
int vol_ntfsw_put(ntfs_inode *ni, int ret);
int vol_ntfsw_attr(struct vol_ntfsw *w, ntfs_inode *ni, struct tree_attr *out);
int vol_ntfsw_name(const char *name, struct vol_ntfsw_name *out);
/* The same for a name that is going to be made. */
int vol_ntfsw_new_name(struct vol_ntfsw *w, const char *name,
		       struct vol_ntfsw_name *out);
/* The record of a name, or -ENOENT. */
int vol_ntfsw_find(ntfs_inode *dir, const struct vol_ntfsw_name *name,
		   u64 *record);
void vol_ntfsw_touch(ntfs_inode *ni, ntfs_time_update_flags mask);
int vol_ntfsw_getattr(struct tree *t, uint64_t id, struct tree_attr *out);
int vol_ntfsw_readlink(struct tree *t, uint64_t id, char *buf, size_t size);
int vol_ntfsw_setattr(struct tree *t, uint64_t id, const struct tree_attr *set,
		      unsigned mask, struct tree_attr *out);

/* vol_ntfsw_link.c */
/* What kind of file; *tag is its reparse tag or 0. */
mode_t vol_ntfsw_type(ntfs_inode *ni, u32 *tag);
/* -EOPNOTSUPP for what we cannot show: WOF, deduplicated, cloud. */
int vol_ntfsw_readable(ntfs_inode *ni);
dev_t vol_ntfsw_rdev(ntfs_inode *ni, u32 tag);
/* A link's target with a NUL; its length. The directories on the way must not
 * be open. */
int vol_ntfsw_link_text(struct vol_ntfsw *w, ntfs_inode *ni, char *buf,
			size_t size);

/* vol_ntfsw_dir.c */
int vol_ntfsw_lookup(struct tree *t, uint64_t dir, const char *name,
		     struct tree_attr *out);
int vol_ntfsw_list(struct tree *t, uint64_t dir, uint64_t from, bool want_attr,
		   tree_emit_fn emit, void *ctx);

/* vol_ntfsw_name.c */
int vol_ntfsw_create(struct tree *t, uint64_t dir, const char *name,
		     const struct tree_new *what, struct tree_attr *out);
int vol_ntfsw_link(struct tree *t, uint64_t id, uint64_t dir, const char *name,
		   struct tree_attr *out);
int vol_ntfsw_remove(struct tree *t, uint64_t dir, const char *name,
		     bool dir_wanted);
int vol_ntfsw_rename(struct tree *t, uint64_t dir, const char *name,
		     uint64_t ndir, const char *nname, unsigned flags);
/* One name away; the record with it when it was the last. */
int vol_ntfsw_unlink(struct vol_ntfsw *w, u64 dir, u64 record,
		     const struct vol_ntfsw_name *name);
/* After the last release of a node: its ghost goes. */
void vol_ntfsw_drop_ghost(struct vol_ntfsw *w, uint64_t id);
void vol_ntfsw_drop_ghosts(struct vol_ntfsw *w);

/* vol_ntfsw_file.c */
int vol_ntfsw_file_open(struct tree *t, uint64_t id, bool write,
			struct tree_file **out);
void vol_ntfsw_file_release(struct tree *t, struct tree_file *f);
ssize_t vol_ntfsw_read(struct tree *t, struct tree_file *f, void *buf,
		       size_t len, uint64_t off);
int vol_ntfsw_extents(struct tree *t, struct tree_file *f, uint64_t off,
		      uint64_t len, bool for_write, struct tree_extent *ext,
		      int max);
off_t vol_ntfsw_seek(struct tree *t, struct tree_file *f, off_t off,
		     int whence);
ssize_t vol_ntfsw_write(struct tree *t, struct tree_file *f, const void *buf,
			size_t len, uint64_t off);
void vol_ntfsw_wrote(struct tree *t, struct tree_file *f);
int vol_ntfsw_allocate(struct tree *t, struct tree_file *f, int mode,
		       uint64_t off, uint64_t len);
/* The unnamed data, or NULL and errno. */
ntfs_attr *vol_ntfsw_data(ntfs_inode *ni);
int vol_ntfsw_resize(struct vol_ntfsw *w, ntfs_inode *ni, uint64_t size);
/* vol_ntfsw_stream.c: names like FILE:STREAM, and their ids */
static inline bool vol_ntfsw_is_stream(uint64_t id)
{
	return id >= NTFS_ID_STREAMS;
}
void vol_ntfsw_streams_free(struct vol_ntfsw *w);
int vol_ntfsw_stream_open(struct vol_ntfsw *w, uint64_t id, ntfs_inode **ni,
			  ntfs_attr **na);
int vol_ntfsw_stream_attr(struct vol_ntfsw *w, uint64_t id,
			  struct tree_attr *out);
/* -ENOENT also when the name is none of a stream. */
int vol_ntfsw_stream_lookup(struct vol_ntfsw *w, uint64_t dir,
			    const char *name, struct tree_attr *out);
int vol_ntfsw_stream_create(struct vol_ntfsw *w, uint64_t dir,
			    const char *name, struct tree_attr *out);
int vol_ntfsw_stream_remove(struct vol_ntfsw *w, uint64_t dir,
			    const char *name);
int vol_ntfsw_stream_resize(struct vol_ntfsw *w, uint64_t id, uint64_t size);

/* vol_ntfsw_xattr.c */
ssize_t vol_ntfsw_getxattr(struct tree *t, uint64_t id, const char *name,
			   void *buf, size_t size);
ssize_t vol_ntfsw_listxattr(struct tree *t, uint64_t id, char *buf,
			    size_t size);
int vol_ntfsw_setxattr(struct tree *t, uint64_t id, const char *name,
		       const void *value, size_t size, int flags);
int vol_ntfsw_removexattr(struct tree *t, uint64_t id, const char *name);

#endif
