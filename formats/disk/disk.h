/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * "Open whatever disk this is, with its parents": VHD, VHDX or raw; walks the
 * chain, checks identities, locks every file, and guards the first write.
 */
#ifndef IMGFS_DISK_H
#define IMGFS_DISK_H

#include "formats/base/dev.h"

#define DISK_CHAIN_MAX 256

struct disk;

struct disk_opts {
	bool want_write;	/* open the leaf so that writing may begin */
	bool force_parent_write;
	bool force;		/* as struct vhd_opts */
	int size_rule;		/* enum vhd_size_rule */
	bool refuse_dirty_log;
	const char *const *parents;	/* parent=FILE, child to base order */
	size_t n_parents;
	const char *const *search;	/* search=DIR */
	size_t n_search;
	const char *const *drives;	/* drive=C:=/mnt/c, as "C:=/mnt/c" */
	size_t n_drives;
	const char *registry;	/* directory of our own mounts' entries, for the
				 * holder's name; or NULL */
};

enum disk_format { DISK_RAW, DISK_VHD, DISK_VHDX };

struct disk_link {			/* one file of the chain */
	const char *path;		/* absolute */
	enum disk_format format;
	const char *kind;		/* "fixed", "dynamic", "differencing", "raw" */
	char id[40];			/* what a child must name */
	uint64_t size;			/* virtual, bytes */
	bool log_dirty;
	struct dev *file;		/* the file itself */
	void *container;		/* struct vhd or struct vhdx */
};

int disk_open(const char *path, const struct disk_opts *opts,
	      struct disk **out, struct diag *why);
/* Flushes nothing; whoever wrote has flushed. Releases the locks last. */
void disk_close(struct disk *d);
/* The whole disk. dev_begin_write() on it runs the guard, then begins. */
struct dev *disk_dev(struct disk *d);
size_t disk_depth(const struct disk *d);
const struct disk_link *disk_link(const struct disk *d, size_t i); /* 0: leaf */
/* Things worth saying once (a damaged footer, a stale .rct), or NULL. */
const char *disk_note(const struct disk *d, size_t i);

#endif
