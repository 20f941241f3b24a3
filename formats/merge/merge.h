/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Flattening differencing chains: into an ancestor, in place and restartable
 * at any instant (VHD FORMAT.md 12, VHDX FORMAT.md 13), or to a new file.
 *
 *	merge_open(child, parent, &opts, &m, why)	all checks, all locks
 *	merge_run(m, &job, why)				the work
 *	merge_close(m)
 *
 * Nothing is changed before merge_run().
 */
#ifndef IMGFS_MERGE_H
#define IMGFS_MERGE_H

#include <sys/stat.h>

#include "formats/disk/disk.h"

/* What the caller wants to see, and tests want to break. All may be NULL. */
struct merge_job {
	void *ctx;
	/* Called often: whoever shows it decides how often that is. */
	void (*progress)(void *ctx, uint64_t done, uint64_t total);
	bool (*stop)(void *ctx);	/* true: -ECANCELED at a safe point */
	/* A range that could not be read (only when writing a new file). */
	void (*bad)(void *ctx, uint64_t off, uint64_t len);
	uint64_t rate;			/* bytes a second, 0: no limit */
	/* Every file that will be changed passes through here; takes it over
	 * when it succeeds. */
	int (*wrap)(void *ctx, struct dev *file, struct dev **out);
	/* Before a name is made, changed or removed. */
	int (*step)(void *ctx);
};

/* ---- to a new file ---- */

enum merge_kind { MERGE_DYNAMIC, MERGE_FIXED };

struct merge_flat {
	enum disk_format format;	/* DISK_VHD or DISK_VHDX */
	enum merge_kind kind;
	uint32_t block_size;		/* 0: like the base's */
	bool prealloc;			/* no holes in the new file */
	bool verify;			/* read again and compare */
	bool replace;			/* an existing file */
};

struct merge_done {
	uint64_t size;			/* of the disk */
	uint64_t copied, cloned;	/* bytes */
};

/*
 * The content of d as a new disk: under a temporary name, synced, renamed.
 * Bad ranges of the source: -EIO, after all of it was read and each reported.
 * -ERR_UNSUPP: the target cannot hold it. OUT_VERIFY: it came back different.
 */
int merge_to_file(struct disk *d, const char *path,
		  const struct merge_flat *what, const struct merge_job *job,
		  struct merge_done *done, struct diag *why);

/* ---- in place ---- */

enum merge_step {
	MERGE_START,		/* nothing but the journal */
	MERGE_COPY,		/* the destination has its new identity */
	MERGE_RELINK,		/* all is copied and durable */
	MERGE_FINISH,		/* nobody needs the merged files any more */
};

struct merge_opts {
	struct disk_opts disk;	/* parents, search, drives, registry */
	bool orphan_others;	/* other children may be lost */
	bool remove;		/* the merged files, at the end */
};

struct merge;

/* One file that the merge has to do with. */
enum merge_role {
	MERGE_MERGED,		/* the child, and what lies between */
	MERGE_TARGET,		/* what they are merged into */
	MERGE_BELOW,		/* its own parents: only read */
	MERGE_GRANDCHILD,	/* child of the child: will be relinked */
	MERGE_ORPHAN,		/* another child, which will be lost */
};

struct merge_file {
	enum merge_role role;
	const char *path;
	char id[40], parent[40];
	uint64_t size;		/* virtual, bytes */
};

struct merge_plan {
	enum disk_format format;
	enum merge_step step;
	uint64_t size;		/* after the merge */
	uint64_t grow;		/* by how much the target grows first */
	uint64_t copy, zero;	/* bytes to write, bytes to become zero */
	uint64_t blocks;	/* that have to be allocated */
	uint64_t need, room;	/* bytes of the file system */
	bool remove;
	size_t n_files;
	const struct merge_file *files;
	const char *journal;	/* its path */
};

/*
 * Resolves the chain of child, and takes exclusive locks on everything that
 * will change. OUT_CHAIN: parent is not in child's chain. OUT_HAS_CHILDREN:
 * other children would be lost. OUT_NO_SPACE, OUT_UNSUPP, OUT_LOCKED, OUT_BUSY
 * (a merge into it is not finished) as they say.
 */
int merge_open(const char *child, const char *parent,
	       const struct merge_opts *opts, const struct merge_job *job,
	       struct merge **out, struct diag *why);
/* One that was begun: target has a journal beside it. -ENOENT: it has none. */
int merge_reopen(const char *target, const struct merge_opts *opts,
		 const struct merge_job *job, struct merge **out,
		 struct diag *why);
const struct merge_plan *merge_plan(const struct merge *m);
/* To the end, from wherever it is. -ECANCELED when stopped: it can be resumed,
 * and so it can after every other error. */
int merge_run(struct merge *m, struct diag *why);
/* Takes the journal away; the chain is valid as it was. OUT_BUSY when the
 * children hang on the target already: only forward is safe then. */
int merge_abort(struct merge *m, struct diag *why);
void merge_close(struct merge *m);	/* takes NULL */

struct merge_status {
	enum merge_step step;
	uint64_t done, size;	/* bytes of the disk */
	char *child;		/* path; owned, free with merge_status_free */
};
/* What the journal beside target says, without opening anything else. */
int merge_status_read(const char *target, struct merge_status *out,
		      struct diag *why);
void merge_status_free(struct merge_status *st);

/* ---- the graph ---- */

enum merge_state {
	MERGE_BASE,		/* has no parent */
	MERGE_BRANCH,		/* has a parent and children */
	MERGE_LEAF,		/* has a parent, no children */
	MERGE_LOST,		/* its parent is not here */
	MERGE_GONE,		/* was merged: may be deleted */
	MERGE_UNREADABLE,
};

struct merge_image {
	char *path, *said;	/* said: why it could not be read */
	enum disk_format format;
	const char *kind;
	char id[40], wants[40], wants2[40];	/* "" where there is none */
	uint64_t size;
	dev_t dev;
	ino_t ino;
	enum merge_state state;
	size_t parent;		/* index, or SIZE_MAX */
	size_t n_children;
	bool duplicate;		/* another file has the same id */
	bool journal;		/* a merge into it is not finished */
};

struct merge_graph {
	struct merge_image *images;	/* owned; by path */
	size_t n;
};

/* All images in these directories (not below them), linked by identity. */
int merge_graph_read(const char *const *dirs, size_t n,
		     struct merge_graph *out, struct diag *why);
void merge_graph_free(struct merge_graph *g);

#endif
