/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VHDX: fixed, dynamic and differencing disks (FORMAT.md).
 *
 *	vhdx_open(file, &opts, &x, why)	-> vhdx_dev(x) is the disk
 *	vhdx_set_parent(x, parent, why)	   for a differencing one, before I/O
 *	vhdx_close(x)
 *
 * A dirty log is replayed into memory at open; nothing is changed in the file
 * before dev_begin_write(vhdx_dev(x)), which replays it to the file.
 */
#ifndef IMGFS_VHDX_H
#define IMGFS_VHDX_H

#include "formats/base/dev.h"
#include "formats/base/finding.h"
#include "formats/base/guid.h"
#include "formats/base/layer.h"
#include "formats/base/locator.h"

struct vhdx;

struct vhdx_opts {
	bool refuse_dirty;	/* -EROFS/OUT_DIRTY_LOG instead of a replay */
};

struct vhdx_info {
	uint64_t size;			/* bytes */
	uint32_t block_size, sector_size, phys_sector_size;
	bool fixed;			/* LeaveBlockAllocated */
	bool has_parent;
	bool log_dirty;			/* as found at open */
	unsigned log_entries;		/* of the active sequence */
	struct guid file_write_guid, data_write_guid, disk_id;
	struct guid parent_linkage, parent_linkage2;	/* zero: absent */
	char creator[257 * 3];		/* UTF-8, for display */
	struct locator parents[LOCATOR_MAX];	/* in the order to try */
	size_t n_parents;
};

/* 0, -ERR_NOT_THIS, or an I/O error. */
int vhdx_probe(struct dev *file);
/* Takes file over when it succeeds (vhdx_close closes it). */
int vhdx_open(struct dev *file, const struct vhdx_opts *opts,
	      struct vhdx **out, struct diag *why);
/* Ends the log cleanly if it was begun; the last chance to learn of an error
 * is dev_flush() before. Takes NULL. */
void vhdx_close(struct vhdx *x);
struct dev *vhdx_dev(struct vhdx *x);
/* data_write_guid is the current one, also after it changed by writing. */
const struct vhdx_info *vhdx_info(const struct vhdx *x);
/* parent outlives x and is not closed with it; the linkage was compared by the
 * caller, the sector sizes are compared here. */
int vhdx_set_parent(struct vhdx *x, struct dev *parent, struct diag *why);

enum vhdx_type { VHDX_FIXED, VHDX_DYNAMIC, VHDX_DIFFERENCING };

struct vhdx_create {
	enum vhdx_type type;
	uint64_t size;			/* bytes; 0 with parent: the parent's */
	uint32_t block_size;		/* 0: 32 MiB, differencing 2 MiB */
	uint32_t sector_size;		/* 0: 512, or the parent's */
	uint32_t phys_sector_size;	/* 0: 4096, or the parent's */
	struct vhdx *parent;		/* differencing: items are copied */
	const char *parent_relative;	/* path from the child's directory */
	const char *parent_windows;	/* absolute Windows path or NULL */
};
/* Writes an empty disk into file (dev->writing, empty), durable on return. */
int vhdx_create(struct dev *file, const struct vhdx_create *what,
		struct diag *why);

/*
 * For merging and maintenance. The disk is grown with dev_resize(); all of
 * these need dev_begin_write(vhdx_dev(x)) first, but vhdx_layer(), which only
 * reads. Each is durable on return and valid at any crash.
 */

/* Fills 1..max runs covering [off, off + n), 0 < n <= len; their number. */
int vhdx_layer(struct vhdx *x, uint64_t off, uint64_t len,
	       struct layer_run *runs, int max);
/* Another DataWriteGuid, in both headers: children no longer fit, unless
 * their linkage2 names it. Writes of this session keep it. */
int vhdx_set_data_guid(struct vhdx *x, const struct guid *id,
		       struct diag *why);

struct vhdx_relink {
	const struct guid *linkage;	/* NULL: as it is */
	const struct guid *linkage2;	/* NULL: none afterwards */
	const char *relative;		/* NULL: paths stay as they are */
	const char *windows;		/* NULL with relative: none */
};
/* A differencing disk names another parent; its DataWriteGuid stays. */
int vhdx_relink(struct vhdx *x, const struct vhdx_relink *what,
		struct diag *why);
/* Takes over from's metadata items of the virtual disk (size, id, sector
 * sizes, unknown and user ones): FORMAT.md 13.4 d. */
int vhdx_copy_items(struct vhdx *x, struct vhdx *from, struct diag *why);

struct vhdx_stats {
	uint64_t file_bytes;
	uint64_t blocks[8];	/* of the disk, by state (FORMAT.md 6.1) */
	uint64_t bitmap_blocks;
	uint64_t allocated_bytes;	/* with headers, log and regions */
	uint64_t unused;	/* bytes of the file nothing refers to */
};
/* Tells everything odd about the file; stats may be NULL, emit too. 0, or
 * -errno when the check itself failed. Only reads (flushes first while
 * writing). One thread. Words: header log regions size parent block bitmap
 * overlap partial junk behind unused. */
int vhdx_check(struct vhdx *x, finding_fn emit, void *ctx,
	       struct vhdx_stats *stats);

#endif
