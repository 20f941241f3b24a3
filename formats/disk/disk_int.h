/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the parts of "whatever disk this is" share. Only for this folder. */
#ifndef IMGFS_DISK_INT_H
#define IMGFS_DISK_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "formats/base/dev_lock.h"
#include "formats/disk/disk.h"
#include "formats/vhd/vhd.h"
#include "formats/vhdx/vhdx.h"

/* More than anybody reads; the list must not grow under a reader. */
#define DISK_NOTES_MAX 64
/* Entries of a directory that are looked at for a name in other case: a spool
 * of a million files must not hold up an open. */
#define DISK_NAMES_MAX 65536
/* Files of a directory that are opened to see whether they are images. */
#define DISK_SCAN_MAX 4096

/* One file, opened as what it is. */
struct disk_node {
	struct disk_link pub;	/* pub.file: closed by the container, or (raw)
				 * by us */
	char *path;		/* owned; real path where there is one */
	char *dir;		/* owned; its directory */
	dev_t st_dev;
	ino_t st_ino;
	enum dev_lock lock;
	struct vhd *vhd;	/* owned, one of the two, or neither for raw */
	struct vhdx *vhdx;
	struct dev *low;	/* reads as the disk; owned when raw */
};

struct disk_drive {
	char *prefix;		/* owned; slashes, no \\?\, no end slash */
	char *dir;		/* owned; real path */
};

struct disk {
	struct dev dev;		/* on nodes[0]->low */
	struct disk_node *nodes[DISK_CHAIN_MAX];	/* owned; leaf first */
	size_t n;
	int claim;		/* O_EXCL on a block device, or -1; owned */
	/* Copies of the options that are needed after opening. All owned. */
	struct disk_opts opts;	/* its pointers are not used but registry */
	char *registry;
	char **search;		/* real paths */
	size_t n_search;
	struct disk_drive *drives;
	size_t n_drives;
	/* Never shrinks and never moves: readers need no lock. */
	pthread_mutex_t note_lock;
	char *notes[DISK_NOTES_MAX];
	atomic_size_t n_notes;
};

/* disk_note.c: one line for the user; the same line is kept once. */
void disk_add_note(struct disk *d, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* disk_node.c */
enum {
	DISK_NODE_WRITE = 1 << 0,	/* open for writing if allowed */
	DISK_NODE_LOCK = 1 << 1,	/* for reading */
	DISK_NODE_REAL = 1 << 2,	/* path is a real path: a regular file,
					 * and no symlink on the way by now */
};
int disk_node_open(struct disk *d, const char *path, unsigned flags,
		   struct disk_node **out, struct diag *why);
void disk_node_close(struct disk_node *node);		/* takes NULL */
/* Says in notes what is odd about it. */
void disk_node_note(struct disk *d, const struct disk_node *node);

/* disk_ident.c. Has it a parent? */
bool disk_node_wants_parent(const struct disk_node *node);
/* Is parent what child was made from? */
bool disk_node_fits(const struct disk_node *child,
		    const struct disk_node *parent);
/* The id that the parent must have, in words. */
void disk_node_wanted_id(const struct disk_node *child, char *buf, size_t size);
const struct locator *disk_node_locators(const struct disk_node *node,
					 size_t *n);
const char *disk_format_name(enum disk_format format);

/* disk_probe.c: -ERR_UNSUPP with its name for a container or archive that is
 * not ours; 0 for what may be a raw disk. */
int disk_probe_raw(struct dev *file, const char *path, struct diag *why);

/* disk_path.c. A visitor returns 0 to go on, 1 when it found what it wanted
 * (the walk then returns 1), or -errno. */
typedef int (*disk_path_fn)(void *ctx, const char *path);
/* Every existing file that path (separated by / or \) can mean below dir: the
 * exact name first, then those that differ in case. */
int disk_path_each(const char *dir, const char *path, disk_path_fn fn,
		   void *ctx);
/* Is real, a real path, inside the directory dir? */
bool disk_path_inside(const char *dir, const char *real);
/* The part behind the last separator. */
const char *disk_path_base(const char *path);
/* A Windows path as prefixes are compared: slashes, without \\?\. New. */
char *disk_path_plain(const char *windows);

/* disk_scan.c: every VHD and VHDX in dir, opened without locks and without
 * its parent. node is NULL for a file that could not be read: why says it. */
typedef int (*disk_scan_fn)(void *ctx, const struct disk_node *node,
			    const char *path, const struct diag *why);
/* fn's nonzero result, or 0; a directory that can't be listed or that is too
 * full is a note. */
int disk_scan(struct disk *d, const char *dir, disk_scan_fn fn, void *ctx);

/* Eight locators name hardly more; what is beyond is opened twice. */
#define DISK_TRIED_MAX 64

struct disk_find {
	struct disk *d;
	const struct disk_node *child;
	bool chosen;			/* by parent=: anywhere */
	struct disk_node *found;	/* handed over */
	struct diag hard;		/* the first that could not be opened */
	int code;			/* what to say if nothing was found */
	char said[400];			/* about each file seen */
	char hint[200];
	struct { dev_t dev; ino_t ino; } tried[DISK_TRIED_MAX];
	size_t n_tried;
};

/* disk_try.c: one file that may be the parent. Adds to what is said about the
 * files seen; the worst code stays. */
void disk_find_say(struct disk_find *f, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
bool disk_find_in_chain(const struct disk *d, const struct stat *st);
/* A disk_path_fn whose ctx is a struct disk_find: found is set when it
 * returns 1. */
int disk_find_try(void *ctx, const char *path);

/* disk_find.c: the parent of nodes[n - 1], opened and locked. parent_opt: the
 * explicit one, or NULL. */
int disk_find_parent(struct disk *d, const char *parent_opt,
		     struct disk_node **out, struct diag *why);

/* disk_chain.c: appends all parents. */
int disk_chain_walk(struct disk *d, const struct disk_opts *opts,
		    struct diag *why);

/* disk_merge.c: is the journal of a merge beside this file? */
bool disk_merge_found(const struct disk_node *node);
/* -EBUSY (OUT_BUSY) in words that say how to go on. */
int disk_merge_refuse(const struct disk_node *node, struct diag *why);
/* No link of the chain may have one: before writing. */
int disk_merge_check(const struct disk *d, struct diag *why);
/* For reading: what is merged hides what it is merged into. */
int disk_merge_check_read(const struct disk *d, struct diag *why);

/* disk_guard.c */
int disk_guard_check(struct disk *d, struct diag *why);
/* The leaf is locked for writing when it returns 0. */
int disk_guard_enter(struct disk *d, struct diag *why);
/* Back to a reader's lock. */
void disk_guard_leave(struct disk *d);
/* Notes at opening: a merge under way, sidecars that will be stale. */
void disk_guard_note(struct disk *d);

#endif
