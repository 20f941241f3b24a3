/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * WIM, ESD and split SWM files, read-only: the container (struct wim) and the
 * trees of its images (FORMAT.md is the format). Any number of threads may
 * use an open container and its trees.
 */
#ifndef IMGFS_WIM_H
#define IMGFS_WIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "formats/base/dev.h"
#include "formats/base/guid.h"
#include "formats/tree.h"

#define WIM_HASH 20		/* bytes of a SHA-1 */

struct wim;

enum wim_verify {
	WIM_VERIFY_META,	/* the default: metadata only */
	WIM_VERIFY_NONE,
	WIM_VERIFY_DATA,	/* nothing of a blob is given before all of it
				 * was found right */
};

/* Zeros are the defaults. */
struct wim_opts {
	/* Files with parts of the set or with blobs that are missing here;
	 * the other parts beside the image are found without. */
	const char *const *refs;
	size_t n_refs;
	enum wim_verify verify;
	uint64_t cache_size;	/* bytes of decoded chunks; 0: 256 MiB */
	bool check;		/* the integrity table, if there is one */
	void (*warn)(void *ctx, const char *text);
	void *warn_ctx;
};

/* -ERR_NOT_THIS: no WIM; -ERR_CORRUPT; -ERR_UNSUPP: encrypted, a version
 * before Vista's, more than one reader could hold. */
int wim_open(const char *path, const struct wim_opts *opts, struct wim **out,
	     struct diag *why);
/* The same for one file that is open already; taken over when it succeeds. */
int wim_open_dev(struct dev *dev, const struct wim_opts *opts,
		 struct wim **out, struct diag *why);
void wim_close(struct wim *w);		/* takes NULL; trees first */

struct wim_facts {
	struct guid guid;
	uint32_t version, flags, chunk_size;
	const char *codec;	/* "none", "XPRESS", "LZX", "LZMS" */
	unsigned part, n_parts, n_missing;
	unsigned n_images, boot_index;
	size_t n_blobs, n_solid;
	bool pipable, integrity;
};
void wim_facts(const struct wim *w, struct wim_facts *out);

/* An image's XML element, "NAME", "WINDOWS/VERSION/BUILD" ..., image from 1;
 * image 0: of the file ("TOTALBYTES"). NULL: absent. Free it. */
char *wim_text(const struct wim *w, unsigned image, const char *path);
/* By number or NAME; -ENOENT, -EINVAL (several have that name). */
int wim_find_image(const struct wim *w, const char *text, unsigned *out,
		   struct diag *why);

/* Compares every piece of the file with its integrity table; 0 also when
 * there is none. */
int wim_check_integrity(const struct wim *w, struct diag *why);
/* The SHA-1 of blob i of n_blobs, all of it decoded: 0, -ERR_CORRUPT, -EIO. */
int wim_check_blob(struct wim *w, size_t i, struct diag *why);

enum wim_streams { WIM_STREAMS_XATTR, WIM_STREAMS_NONE, WIM_STREAMS_WINDOWS };

struct wim_tree_opts {
	enum wim_streams streams;
	bool unix_data;		/* owners and modes that wimlib stored */
	uid_t uid;		/* with unix_data: of files that have none */
	gid_t gid;
	/* "C:=/mnt/c", as ntfs.h has it; copied. */
	const char *const *drives;
	size_t n_drives;
};

/* The tree of one image, from 1; or 0: a directory of all, by number, with
 * links by name. The container outlives it. */
int wim_tree_open(struct wim *w, unsigned image,
		  const struct wim_tree_opts *opts, struct tree **out,
		  struct diag *why);

#endif
