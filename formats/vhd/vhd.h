/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VHD (version 1): fixed, dynamic and differencing disks (FORMAT.md).
 *
 *	vhd_open(file, &opts, &v, why)	-> vhd_dev(v) is the disk
 *	vhd_set_parent(v, parent, why)	   for a differencing one, before I/O
 *	vhd_close(v)
 *
 * The disk's dev obeys dev.h: nothing is changed in the file before
 * dev_begin_write(vhd_dev(v)).
 */
#ifndef IMGFS_VHD_H
#define IMGFS_VHD_H

#include "formats/base/dev.h"
#include "formats/base/finding.h"
#include "formats/base/guid.h"
#include "formats/base/layer.h"
#include "formats/base/locator.h"

enum vhd_type { VHD_FIXED = 2, VHD_DYNAMIC = 3, VHD_DIFFERENCING = 4 };

/* Which of the footer's sizes is the disk's (FORMAT.md 2.4). */
enum vhd_size_rule { VHD_SIZE_CURRENT, VHD_SIZE_CHS, VHD_SIZE_QEMU };

struct vhd;

struct vhd_opts {
	enum vhd_size_rule size_rule;
	bool force;		/* wrong checksums, saved state, raw parent */
};

struct vhd_info {
	enum vhd_type type;
	uint64_t size;		/* bytes, by the size rule */
	uint64_t current_size, chs_size;
	uint32_t block_size;	/* 0 for fixed */
	uint32_t timestamp;	/* seconds since 2000 */
	struct guid id;
	struct guid parent_id;	/* zero unless differencing */
	uint32_t parent_timestamp;
	char creator[5];	/* four characters, NUL */
	bool footer_damaged;	/* the copy at 0 was used */
	bool copy_differs;	/* both valid, not equal: the end wins */
	bool saved_state;
	struct locator parents[LOCATOR_MAX];	/* in the order to try */
	size_t n_parents;
};

/* 0, -ERR_NOT_THIS, or an I/O error. */
int vhd_probe(struct dev *file);
/* Takes file over when it succeeds (vhd_close closes it). */
int vhd_open(struct dev *file, const struct vhd_opts *opts, struct vhd **out,
	     struct diag *why);
void vhd_close(struct vhd *v);			/* takes NULL */
struct dev *vhd_dev(struct vhd *v);
const struct vhd_info *vhd_info(const struct vhd *v);
/* parent outlives v and is not closed with it; ids were compared by the
 * caller. Reading a differencing disk without one fails with -ESTALE. */
int vhd_set_parent(struct vhd *v, struct dev *parent, struct diag *why);

struct vhd_create {
	enum vhd_type type;
	uint64_t size;			/* bytes, multiple of 512 */
	uint32_t block_size;		/* 0: 2 MiB; or 512 KiB, 2 MiB */
	const struct vhd_info *parent;	/* differencing */
	const char *parent_relative;	/* path from the child's directory */
	const char *parent_windows;	/* absolute Windows path or NULL */
};
/* Writes an empty disk into file (dev->writing, empty), durable on return. */
int vhd_create(struct dev *file, const struct vhd_create *what,
	       struct diag *why);

/*
 * For merging and maintenance. The disk is grown with dev_resize(); all of
 * these need dev_begin_write(vhd_dev(v)) first, but vhd_layer(), which only
 * reads. Each is durable on return and leaves an openable file at any crash.
 */

/* Fills 1..max runs covering [off, off + n), 0 < n <= len; their number. */
int vhd_layer(struct vhd *v, uint64_t off, uint64_t len,
	      struct layer_run *runs, int max);
/* Gives the disk another identity: its children no longer fit. */
int vhd_set_id(struct vhd *v, const struct guid *id, struct diag *why);

struct vhd_relink {
	const struct guid *parent_id;	/* NULL: as it is */
	const char *relative;		/* NULL: as they are */
	const char *windows;		/* NULL with relative: none */
};
/* A differencing disk names another parent. Its own identity stays. */
int vhd_relink(struct vhd *v, const struct vhd_relink *what, struct diag *why);

struct vhd_stats {
	uint64_t file_bytes;
	uint64_t blocks;	/* of the disk; the rest is 0 for fixed ones */
	uint64_t allocated;	/* in the file; some may be broken */
	uint64_t full, partial;	/* by their bitmaps */
	uint64_t data_bytes;	/* that the bitmaps say are here */
	uint64_t unused;	/* bytes of the file nothing refers to */
};
/* Tells everything odd about the file; stats may be NULL, emit too. 0, or
 * -errno when the check itself failed. Only reads (flushes first while
 * writing). One thread. Words: footer state size header parent locator outside
 * overlap unused behind hidden. */
int vhd_check(struct vhd *v, finding_fn emit, void *ctx,
	      struct vhd_stats *stats);

#endif
