/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A CIM (composite image) as a read-only tree that any number of threads may
 * use at once: NAME.cim and the region files beside it. All names are walked
 * once while opening, so link counts are known and cycles refused before
 * anything is shown; memory is bounded by caches of about 40 MiB and eight
 * bytes a file.
 */
#ifndef IMGFS_CIM_H
#define IMGFS_CIM_H

#include "formats/base/guid.h"
#include "formats/tree.h"

/* Alternate streams: user.NAME attributes, or files named FILE:NAME. */
enum cim_streams { CIM_STREAMS_XATTR, CIM_STREAMS_NONE, CIM_STREAMS_WINDOWS };

struct cim_opts {
	bool ignore_case;	/* lookups, by the image's own upcase table */
	bool hide_hid_files;	/* listings leave hidden files out */
	enum cim_streams streams;
	bool cache_regions;	/* ask for all regions to be read ahead */
	bool no_lock;
	const char *registry;	/* names lock holders; see dev_holder.h */
	/* "C:=/mnt/c": where targets with a drive letter lead; copied. */
	const char *const *drives;
	size_t n_drives;
};

/* opts may be NULL. -ENOENT names the file that is missing; -ERR_NOT_THIS: no
 * CIM; -ERR_CORRUPT; -ERR_UNSUPP: a version or kind that is beyond us. */
int cim_open(const char *path, const struct cim_opts *opts, struct tree **out,
	     struct diag *why);

/* Of a tree that cim_open() made. */
struct cim_info {
	uint32_t major, minor;
	struct guid set;	/* its own region set */
	size_t n_regions, n_own_regions, n_parents;
	uint64_t n_names;	/* all, hard links counted apart */
	uint64_t n_files;	/* that have a name; directories too */
	uint64_t bytes;		/* of all region files */
};
void cim_info_of_tree(const struct tree *t, struct cim_info *out);

#endif
