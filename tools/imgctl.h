/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the verbs of imgctl share. A verb is a file: it parses its words, then
 * asks the content of its first file which function does the work, so that
 * another format adds a row to the verb's table and a file.
 */
#ifndef IMGFS_IMGCTL_H
#define IMGFS_IMGCTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/disk/disk.h"
#include "formats/vhd/vhd.h"
#include "formats/vhdx/vhdx.h"

/* More files, parents or directories than anybody names on one line. */
#define IMGCTL_LIST_MAX 256

struct imgctl;

struct imgctl_verb {
	const char *name;
	const char *usage;	/* behind "imgctl NAME" */
	const char *summary;	/* one line for --help */
	int (*run)(struct imgctl *c, int argc, char **argv);
};

struct imgctl {
	const struct imgctl_verb *verb;
	bool json, force;
	struct disk_opts disk;	/* from the options that all verbs take */
	const char *parents[IMGCTL_LIST_MAX], *search[IMGCTL_LIST_MAX],
		   *drives[IMGCTL_LIST_MAX];
	const char *files[2];
	int n_files;
};

/* ---- imgctl_args.c ---- */
enum imgctl_opt_kind { IMGCTL_FLAG, IMGCTL_TEXT, IMGCTL_SIZE };

struct imgctl_opt {		/* ends with a NULL name */
	const char *name;
	enum imgctl_opt_kind kind;
	void *target;		/* bool, const char *, uint64_t */
};

/* Fills c from the shared options and the verb's own; min to max files must
 * remain. 0, -EINVAL; or 1: --help was asked for and printed. */
int imgctl_args(struct imgctl *c, int argc, char **argv,
		const struct imgctl_opt *own, int min, int max,
		struct diag *why);
/* "64g": suffixes k m g t p, powers of 1024; -EINVAL. */
int imgctl_parse_size(const char *text, uint64_t *out);

/* ---- imgctl_out.c ---- */
/* Tells why on stderr, as a line or as JSON; the exit status. */
int imgctl_fail(const struct imgctl *c, const struct diag *why);
/* The usage of the verb on stdout or stderr. */
void imgctl_usage(const struct imgctl *c, bool wrong);
/* Takes j over. 0 or the exit status for a full disk. */
int imgctl_put_json(const struct imgctl *c, json_t *j);
/* "1.5 GiB" */
#define IMGCTL_SIZE_TEXT 32
const char *imgctl_size_text(uint64_t size, char text[IMGCTL_SIZE_TEXT]);
/* A line on a terminal, twice a second; total 0 takes it away. */
void imgctl_progress(uint64_t done, uint64_t total);
json_t *imgctl_json_u64(uint64_t v);
/* text may not be UTF-8 (a path): what is not becomes '?'. */
json_t *imgctl_json_text(const char *text);
/* Where the mounts of this user are written down, or NULL. */
const char *imgctl_registry(void);

/* ---- imgctl_form.c ---- */
struct imgctl_form {
	/* 0: the file is one of these; -ERR_NOT_THIS; or an I/O error. NULL:
	 * takes everything that is left. */
	int (*probe)(struct dev *file);
	int (*run)(struct imgctl *c, void *arg);	/* the exit status */
};

/* Calls run of the first row (of n) that fits the content of c->files[0]. */
int imgctl_by_content(const struct imgctl_form *forms, size_t n,
		      struct imgctl *c, void *arg);

/* ---- imgctl_leaf.c: one file of a chain, without its parents ---- */
struct imgctl_leaf {
	struct dev *file;	/* owned by the container, or by us (raw) */
	struct vhd *vhd;	/* owned, one of the two, or neither */
	struct vhdx *vhdx;
};

/* -EBUSY (OUT_BUSY): a merge into path was begun and is not finished. */
int imgctl_not_merging(const char *path, struct diag *why);
/* Locks the file: for itself with want_write, else as a reader. */
int imgctl_leaf_open(const struct imgctl *c, const char *path, bool want_write,
		     struct imgctl_leaf *out, struct diag *why);
void imgctl_leaf_close(struct imgctl_leaf *l);
struct dev *imgctl_leaf_dev(const struct imgctl_leaf *l);

/* ---- imgctl_new.c: an image under a temporary name until it is whole ---- */
enum imgctl_format { IMGCTL_RAW, IMGCTL_VHD, IMGCTL_VHDX };
enum imgctl_type { IMGCTL_FIXED, IMGCTL_DYNAMIC, IMGCTL_CHILD };

struct imgctl_make {
	enum imgctl_format format;
	enum imgctl_type type;
	uint64_t size;
	uint32_t block_size, sector_size, phys_sector_size;	/* 0: usual */
	const char *parent;		/* path, for a child */
	const char *parent_windows;	/* or NULL */
};

struct imgctl_new {
	char *path, *temp;	/* owned */
	bool data;		/* opened to be filled */
	struct imgctl_leaf leaf;
};

/* By the word, or (NULL) by the suffix of path; -EINVAL. */
int imgctl_format_of(const char *word, const char *path,
		     enum imgctl_format *out, struct diag *why);
/* Makes path's empty disk beside it; for data it is ready to be written
 * (imgctl_new_dev). path must not exist. A signal that ends the program
 * removes what was begun. */
int imgctl_new_open(struct imgctl *c, const char *path,
		    const struct imgctl_make *what, bool data,
		    struct imgctl_new *out, struct diag *why);
struct dev *imgctl_new_dev(const struct imgctl_new *n);
/* On disk, under its name: never over another file. Frees n either way. */
int imgctl_new_finish(struct imgctl_new *n, struct diag *why);
/* Nothing remains. Takes what _open left after a failure too. */
void imgctl_new_abort(struct imgctl_new *n);
/* path as seen from the directory of from; new. */
char *imgctl_relative(const char *from, const char *path);

/* ---- imgctl_copy.c ---- */
struct imgctl_copied {
	uint64_t data, zero, skipped;	/* bytes */
};

/* Ascending ranges of the source whose content is of no interest: left as
 * they are in the destination (zeros). */
struct imgctl_skip {
	struct { uint64_t off, len; } *ranges;	/* owned by the caller */
	size_t n;
};

/* How much at the start of a DEV_RUN_FD run, up to len, the host keeps as a
 * hole: it reads as zeros. */
uint64_t imgctl_hole(const struct dev_run *run, uint64_t len);

/* The content of from into to, which reads as zeros and is at least as large;
 * zeros are not written. skip may be NULL. No flush. */
int imgctl_copy(struct dev *from, struct dev *to,
		const struct imgctl_skip *skip, struct imgctl_copied *out,
		struct diag *why);

/* ---- the verbs ---- */
int imgctl_info(struct imgctl *c, int argc, char **argv);
int imgctl_create(struct imgctl *c, int argc, char **argv);
int imgctl_check(struct imgctl *c, int argc, char **argv);
int imgctl_map(struct imgctl *c, int argc, char **argv);
int imgctl_compare(struct imgctl *c, int argc, char **argv);
int imgctl_convert(struct imgctl *c, int argc, char **argv);
int imgctl_relink(struct imgctl *c, int argc, char **argv);
int imgctl_compact(struct imgctl *c, int argc, char **argv);

#endif
