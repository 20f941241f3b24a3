/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the parts of merging share. Only for this folder. */
#ifndef IMGFS_MERGE_INT_H
#define IMGFS_MERGE_INT_H

#include "formats/base/dev_lock.h"
#include "formats/merge/merge.h"
#include "formats/merge/merge_copy.h"
#include "formats/vhd/vhd.h"
#include "formats/vhdx/vhdx.h"

/* ---- merge_flat.c ---- */

/* Runs of a dev that were looked up ahead. */
#define MERGE_RUNS 64
struct merge_reader {
	struct dev *dev;
	struct dev_run runs[MERGE_RUNS];
	int n, i;		/* runs[i] begins at off */
	uint64_t off;		/* of the disk */
};

/* A next() of struct merge_copy; ctx begins with a struct merge_reader.
 * What reads as zeros is skipped. */
int merge_reader_next(void *ctx, uint64_t off, uint64_t max,
		      struct merge_seg *seg);

/* ---- merge_clone.c ---- */

/* Shares the bytes of [off, off + len) of src with dst, whose blocks appear
 * for it. -EXDEV: not on this file system; -ERR_UNSUPP: not so aligned. */
int merge_clone(struct dev *dst, struct dev *src, uint64_t off, size_t len);
/* Tried once, on a nameless file in the directory of that path: src, where it
 * is a file at all, can share there. */
bool merge_clone_works(const char *dir_of, struct dev *src);
/* Is that range a plain, aligned one of a file beside dst_fd? */
bool merge_clone_can(int dst_fd, struct dev *src, uint64_t off, size_t len);

/* ---- merge_journal.c ---- */

#define MERGE_LINKS_MAX DISK_CHAIN_MAX
/* Merged files that --tree still knows; each is two ids. */
#define MERGE_PAST_MAX 4096

struct merge_jfile {
	char *path;		/* owned; absolute */
	char id[40];		/* its own; of the target: before the merge */
	char parent[40];	/* what it named before the merge; "" */
	uint64_t stamp;		/* changes when its content does; 0: unknown */
};

struct merge_past {
	char id[40], parent[40];
};

struct merge_journal {
	char *path;		/* owned */
	enum disk_format format;
	enum merge_step step;
	bool remove;
	char new_id[40];	/* VHD: the target's next identity */
	uint64_t done, size;	/* bytes copied for sure, of the disk */
	size_t n, target;	/* files[target]: the one that changes */
	struct merge_jfile *files;	/* owned; child first, base last */
	size_t n_kids;
	struct merge_jfile *kids;	/* owned; grandchildren */
	size_t n_past;
	struct merge_past *past;	/* owned */
};

/* ".NAME.merge" (or ".merged") beside target. New. */
char *merge_journal_path(const char *target, const char *suffix);
/* -ENOENT: there is none. */
int merge_journal_load(const char *path, struct merge_journal *j,
		       struct diag *why);
/* Atomically, durable on return. */
int merge_journal_save(const struct merge_journal *j, struct diag *why);
void merge_journal_free(struct merge_journal *j);
int merge_sync_dir(const char *path);
/* The text of a journal, new; and back. */
char *merge_journal_encode(const struct merge_journal *j);
int merge_journal_decode(struct merge_journal *j, const char *text,
			 struct diag *why);

/* ---- merge_link.c ---- */

struct merge_link {
	char *path;		/* owned */
	struct dev *file;	/* closed by the container */
	enum disk_format format;
	struct vhd *vhd;	/* owned, one of the two, */
	struct vhdx *vhdx;
	struct dev *low;	/* reads as the disk */
	char id[40], wants[40], wants2[40];	/* as opened */
	uint64_t stamp;
	dev_t dev;
	ino_t ino;
	/* The last answer of the layer at layer_off. */
	uint64_t layer_off, layer_len;
	int layer_kind;
};

int merge_link_open(const char *path, bool write, enum dev_lock lock,
		    const struct disk_opts *opts, const struct merge_job *job,
		    struct merge_link *out, struct diag *why);
void merge_link_close(struct merge_link *l);
int merge_link_set_parent(struct merge_link *l, struct merge_link *parent,
			  struct diag *why);
/* The ids anew, after they were changed. */
void merge_link_ids(struct merge_link *l);
bool merge_link_fits(const struct merge_link *child,
		     const struct merge_link *parent);
/* What the file says itself about the range at off; enum layer_kind. */
int merge_link_layer(struct merge_link *l, uint64_t off, uint64_t max,
		     int *kind, uint64_t *len);
uint32_t merge_link_block(const struct merge_link *l);
/* Another identity; the link of child follows, both ids being right in
 * between where the format can say that. */
int merge_link_rotate(struct merge_link *target, struct merge_link *child,
		      const char *new_id, struct diag *why);
/* child names parent (NULL: as it did) with this id. */
int merge_link_relink(struct merge_link *child, const char *id,
		      const struct merge_link *parent,
		      const struct merge_link *was, struct diag *why);
int merge_id_new(enum disk_format format, char id[40]);

/* ---- merge.c ---- */

struct merge {
	struct merge_opts opts;		/* pointers are the caller's */
	struct merge_job job;
	struct merge_journal j;
	struct merge_link *links;	/* owned; j.n of them, as j.files */
	struct merge_link *kids;	/* owned; j.n_kids */
	struct merge_plan plan;
	struct merge_file *files;	/* owned, of plan; paths are owned */
	size_t n_files;
	uint64_t mark_at;		/* when to remember the next time */
	uint64_t reached;		/* copied up to here */
	bool begun;			/* the journal is on disk */
};

static inline struct merge_link *merge_target(struct merge *m)
{
	return &m->links[m->j.target];
}

/* merge_plan.c */
int merge_plan_make(struct merge *m, struct diag *why);
/* merge_kids.c: finds all children of the files that change, and opens those
 * that will be relinked. */
int merge_kids_find(struct merge *m, struct diag *why);
/* merge_walk.c: a next() of struct merge_copy over the links above the target;
 * ctx is the struct merge. */
int merge_walk_next(void *ctx, uint64_t off, uint64_t max,
		    struct merge_seg *seg);
void merge_walk_reset(struct merge *m);
int merge_add_file(struct merge *m, enum merge_role role, const char *path,
		   const char *id, const char *parent, uint64_t size);

#endif
