/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * FUSE, written once: shows a struct tree as a mounted directory. The life of
 * a mount, in this order:
 *
 *	glue_block_signals();		first thing in main, before any thread
 *	glue_new(tree, &opts, &g, &why);
 *	glue_mount(g, dir, &why);
 *	fork, become a daemon ...	no thread runs yet
 *	ret = glue_loop(g);		serves; afterwards nothing is mounted,
 *					and ret says whether all is on disk
 *	glue_free(g);
 *	tree_close(tree); close the disk; release the locks, last
 */
#ifndef IMGFS_GLUE_H
#define IMGFS_GLUE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "formats/base/diag.h"
#include "formats/tree.h"

struct glue;

/* Everything is copied by glue_new but ctx. */
struct glue_opts {
	const char *fsname, *subtype;	/* must be set */
	/* Further -o words for the kernel or fusermount3: allow_other, nosuid,
	 * nodev, noexec, max_read=N ... default_permissions and ro need not
	 * be said. */
	const char *const *mount_words;
	size_t n_mount_words;
	bool read_only;
	bool single_thread;
	bool debug;		/* libfuse's trace of every request */
	/* How the kernel caches file contents; none: what suits the tree. */
	bool direct_io, kernel_cache, auto_cache;
	/* Seconds; below 0: as suits the tree. */
	double attr_timeout, entry_timeout, negative_timeout;
	/* A fake view of owners and permissions. Trees without owners of their
	 * own show uid and gid of the process and 0777 by default. */
	bool has_uid, has_gid, has_umask, has_fmask, has_dmask;
	uid_t uid;
	gid_t gid;
	mode_t umask, fmask, dmask;
	/* Permissions are shown and not enforced: default_permissions off. */
	bool fake_perms;
	unsigned flush_seconds;	/* background flush after writes; 0: 5 */
	/* The kernel has greeted us: the mount answers. From a thread of the
	 * loop, once. May be NULL. */
	void (*ready)(void *ctx);
	/* SIGUSR1: what the caller adds to the status line. May be NULL. */
	void (*status)(void *ctx, char *buf, size_t size);
	void *ctx;
};

/* Defaults: timeouts chosen by the tree, everything else 0. */
#define GLUE_OPTS_INIT \
	{ .attr_timeout = -1, .entry_timeout = -1, .negative_timeout = -1 }

/* Blocks the signals that glue_loop() waits for, in this thread and all that
 * it starts. */
void glue_block_signals(void);

/* The tree must outlive g. */
int glue_new(struct tree *t, const struct glue_opts *opts, struct glue **out,
	     struct diag *why);
/* dir: an absolute path, or /dev/fd/N of an already mounted /dev/fuse. */
int glue_mount(struct glue *g, const char *dir, struct diag *why);
/* Serves until unmounted or until SIGTERM, SIGINT or SIGHUP. 0: ended cleanly
 * and everything that was ever written is on stable storage. */
int glue_loop(struct glue *g);
/* What a signal does: syncs, unmounts, lets glue_loop() return. For other
 * threads; returns at once. */
void glue_stop(struct glue *g);
/* One line about what was served, without a newline. Any thread. */
void glue_status(struct glue *g, char *buf, size_t size);
/* The minor number of the mount's device (0:N), or -1 where the kernel does
 * not tell (before 6.17). */
int glue_device(const struct glue *g);
/* Undoes glue_mount() when glue_loop() was never reached. */
void glue_unmount(struct glue *g);
void glue_free(struct glue *g);			/* takes NULL */

#endif
