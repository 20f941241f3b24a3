/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What vhdmerge's options and its messages share. */
#ifndef IMGFS_TOOLS_VHDMERGE_H
#define IMGFS_TOOLS_VHDMERGE_H

#include <jansson.h>
#include <time.h>

#include "formats/merge/merge.h"

/* Each option may be given that often. */
#define LIST_MAX 256

enum verb {
	VERB_MERGE, VERB_OUTPUT, VERB_TREE, VERB_STATUS, VERB_RESUME,
	VERB_ABORT,
};

struct list {
	const char *items[LIST_MAX];
	size_t n;
};

struct options {
	enum verb verb;
	const char *output, *format;
	struct list parents, search, drives;
	struct merge_flat flat;
	bool dry_run, remove, orphan_others, json, quiet;
	unsigned long long rate;
	char **words;
	int n_words;
};

/* The job as CIM_ConcreteJob shows one. */
struct show {
	const struct options *o;
	const char *what;		/* of the progress line */
	bool tty;
	struct timespec start, last;
	uint64_t first;			/* done at the first call */
	bool begun;
	unsigned n_bad;
	char id[40];
};

void show_begin(struct show *s, const struct options *o, const char *what);
/* Callbacks of struct merge_job; ctx is the struct show. */
void show_progress(void *ctx, uint64_t done, uint64_t total);
void show_bad(void *ctx, uint64_t off, uint64_t len);
/* Ends the line; the program's exit status. */
int show_end(struct show *s, int ret, const struct diag *why);
/* The same for what is no job. */
int show_error(const struct options *o, const struct diag *why);

void show_plan(const struct options *o, const struct merge_plan *p);
void show_status(const struct options *o, const char *target,
		 const struct merge_status *st);
void show_tree(const struct options *o, const struct merge_graph *g);
void show_notes(const struct options *o, const struct disk *d);

/* "1.5 GiB" */
const char *show_size(uint64_t bytes, char buf[32]);

#endif
