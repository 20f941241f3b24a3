/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the mounting daemons share: the command line, becoming a daemon, the
 * registry of mounts, unmounting, and how errors are told. A daemon is a
 * struct session_type and a main() that calls session_main().
 */
#ifndef IMGFS_SESSION_H
#define IMGFS_SESSION_H

#include <jansson.h>
#include <stdbool.h>

#include "formats/base/diag.h"
#include "formats/tree.h"
#include "fs/session/words.h"

/* What the user asked for, as far as every daemon knows it. */
struct session_request {
	const char *image;	/* absolute; the name as given where realpath
				 * fails, for the error */
	bool read_only;		/* ro, -r */
	bool must_write;	/* must_rw, -w, --rw */
	bool quiet;		/* no warnings */
	uid_t uid;		/* of new files in trees without owners */
	gid_t gid;
	const char *registry;	/* directory of mount entries, or NULL */
};

struct session_type {
	const char *name;	/* program and subtype: "vhdfs" */
	const char *usage;	/* after "usage: NAME " */
	const char *help;	/* the daemon's own options, for --help */
	const struct word *words;
	void *opts;		/* the struct that words fills */
	bool never_writes;	/* the format cannot be: nobody is warned */
	/* Makes relative paths among opts absolute: called in the directory
	 * that the user is in. May be NULL. */
	int (*resolve)(void *opts, struct diag *why);
	/* Opens the image; state is what close gets. The tree says by
	 * tree->writable whether it can be written to; not_writable tells why
	 * not, where that was asked for. */
	int (*open)(void *opts, const struct session_request *req,
		    struct tree **tree, void **state, struct diag *not_writable,
		    struct diag *why);
	/* Closes tree and image, releases the locks last. 0 or what failed. */
	int (*close)(struct tree *tree, void *state);
	/* Adds to the registry entry ("chain" ...). May be NULL. */
	void (*describe)(const void *state, json_t *entry);
};

/* Returns the exit status, mount(8)'s bits. */
int session_main(int argc, char **argv, const struct session_type *type);

/* One line on stderr, or in the system log once nobody reads stderr. */
void session_say(const char *name, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* path as an absolute one, in *out (allocated); a path that does not exist is
 * joined to the current directory. */
int session_absolute(const char *path, char **out);
/* The same for every item of a list. */
int session_absolute_list(struct word_list *list);
/* Frees every WORD_TEXT of a table's target. */
void session_free_texts(const struct word *table, void *target);

#endif
