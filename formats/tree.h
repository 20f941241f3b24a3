/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * THE NAME SEAM. A tree is names and files: NTFS or ext4 in a disk, a WIM
 * image, a CIM, an overlay over any of them. Nodes are numbers that stay what
 * they are while the tree is open; files are handles. Only tree.c calls the
 * ops: it checks arguments, adds defaults (-EROFS, -EOPNOTSUPP), takes turns
 * for backends that want it, opens the volume for writing before the first
 * modification, and pins what was mapped.
 */
#ifndef IMGFS_TREE_H
#define IMGFS_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#include "formats/base/dev.h"
#include "formats/base/diag.h"

#define TREE_ROOT 1ULL		/* every backend numbers its root so */
#define TREE_NAME_MAX 1024	/* bytes: 255 UTF-16 units are up to 765 */

struct tree;
struct tree_file;

struct tree_attr {
	uint64_t id;
	uint64_t gen;		/* changes when the number is used again */
	mode_t mode;		/* type and permissions */
	nlink_t nlink;
	uid_t uid;
	gid_t gid;
	dev_t rdev;
	uint64_t size;		/* bytes */
	uint64_t blocks;	/* of 512 bytes, as allocated */
	struct timespec atime, mtime, ctime, btime;
};

/* Which fields of tree_attr a setattr means. */
enum {
	TREE_SET_MODE = 1 << 0,
	TREE_SET_UID = 1 << 1,
	TREE_SET_GID = 1 << 2,
	TREE_SET_SIZE = 1 << 3,
	TREE_SET_ATIME = 1 << 4,
	TREE_SET_MTIME = 1 << 5,
	TREE_SET_CTIME = 1 << 6,
	TREE_SET_BTIME = 1 << 7,
};

/* What a backend is and can do. */
enum {
	/* list() may start anywhere it once said "next" for. */
	TREE_CAP_SEEK_LIST = 1 << 0,
	/* list() fills attributes at no extra cost (readdirplus pays). */
	TREE_CAP_LIST_ATTR = 1 << 1,
	/* No owners and permissions of its own: show the mounter's. */
	TREE_CAP_NO_OWNERS = 1 << 2,
	/* chmod and chown are kept. */
	TREE_CAP_SET_OWNERS = 1 << 3,
	/* Names match without regard to case. */
	TREE_CAP_IGNORE_CASE = 1 << 4,
	/* Symlinks, hard links, device nodes can be made. */
	TREE_CAP_SYMLINK = 1 << 5,
	TREE_CAP_LINK = 1 << 6,
	TREE_CAP_MKNOD = 1 << 7,
};

/* How calls may overlap. tree.c holds the lock. */
enum tree_turns {
	TREE_SERIAL = 0,	/* one call at a time */
	TREE_PARALLEL_READS,	/* reading calls overlap, modifying ones not */
	TREE_PARALLEL,		/* the backend locks for itself */
};

/* What to make. */
struct tree_new {
	mode_t mode;		/* type and permissions; umask applied */
	uid_t uid;
	gid_t gid;
	dev_t rdev;
	const char *target;	/* symlinks */
};

/* Where len bytes of a file are: in dev at off; zeros when dev is NULL. */
struct tree_extent {
	struct dev *dev;
	uint64_t off;
	uint64_t len;
};

/*
 * One name of a directory. next is where a listing goes on behind it (never 0).
 * attr is NULL when the backend would have to fetch it, except for id and type:
 * they are always given. Returns 0 to go on, anything else to stop.
 */
struct tree_entry {
	const char *name;
	uint64_t id;
	mode_t type;		/* S_IFMT bits */
	uint64_t next;
	const struct tree_attr *attr;
};
typedef int (*tree_emit_fn)(void *ctx, const struct tree_entry *entry);

/*
 * What a backend fills in. Reading half first; anything NULL gets a default
 * from tree.c (-EROFS for the writing half, -EOPNOTSUPP for the rest). All
 * return 0 or a count, or -errno. "." and ".." are the glue's. Names are UTF-8
 * (WTF-8 for unpaired surrogates), never empty, without '/' and NUL.
 */
struct tree_ops {
	const char *name;		/* "ntfs", "ext4", "wim" ... */
	void (*close)(struct tree *t);	/* flushes and ends cleanly first */
	int (*getattr)(struct tree *t, uint64_t id, struct tree_attr *out);
	int (*lookup)(struct tree *t, uint64_t dir, const char *name,
		      struct tree_attr *out);
	/* from: 0, or the next of an entry. want_attr: fill attr if cheap. */
	int (*list)(struct tree *t, uint64_t dir, uint64_t from, bool want_attr,
		    tree_emit_fn emit, void *ctx);
	/* The target with a NUL; its length, -ENAMETOOLONG if size is short. */
	int (*readlink)(struct tree *t, uint64_t id, char *buf, size_t size);
	int (*open)(struct tree *t, uint64_t id, bool write,
		    struct tree_file **out);
	void (*release)(struct tree *t, struct tree_file *f);
	/* Up to len bytes; fewer only at the end of the file. */
	ssize_t (*read)(struct tree *t, struct tree_file *f, void *buf,
			size_t len, uint64_t off);
	/* Covers [off, off+n), 0 < n <= len, inside the file. -EOPNOTSUPP:
	 * "ask read" (resident, compressed, encrypted ...). for_write: only
	 * what may be overwritten in place as it is (allocated, initialized,
	 * inside the size). Returns how many. */
	int (*extents)(struct tree *t, struct tree_file *f, uint64_t off,
		       uint64_t len, bool for_write, struct tree_extent *ext,
		       int max);
	/* SEEK_DATA / SEEK_HOLE. */
	off_t (*seek)(struct tree *t, struct tree_file *f, off_t off,
		      int whence);
	/* As getxattr(2): size 0 asks for the length. */
	ssize_t (*getxattr)(struct tree *t, uint64_t id, const char *name,
			    void *buf, size_t size);
	ssize_t (*listxattr)(struct tree *t, uint64_t id, char *buf,
			     size_t size);
	int (*statfs)(struct tree *t, struct statvfs *out);

	/* Would begin_write succeed? Changes nothing. */
	int (*check_write)(struct tree *t, struct diag *why);
	/* Before the first modification; calls dev_begin_write() itself. */
	int (*begin_write)(struct tree *t, struct diag *why);
	int (*create)(struct tree *t, uint64_t dir, const char *name,
		      const struct tree_new *what, struct tree_attr *out);
	int (*link)(struct tree *t, uint64_t id, uint64_t dir, const char *name,
		    struct tree_attr *out);
	/* unlink, or rmdir when dir_wanted. A node that is still open
	 * (tree_is_open) keeps its contents until the last release. */
	int (*remove)(struct tree *t, uint64_t dir, const char *name,
		      bool dir_wanted);
	/* flags: RENAME_NOREPLACE, RENAME_EXCHANGE. */
	int (*rename)(struct tree *t, uint64_t dir, const char *name,
		      uint64_t ndir, const char *nname, unsigned flags);
	int (*setattr)(struct tree *t, uint64_t id, const struct tree_attr *set,
		       unsigned mask, struct tree_attr *out);
	ssize_t (*write)(struct tree *t, struct tree_file *f, const void *buf,
			 size_t len, uint64_t off);
	/* After bytes were overwritten outside the lock: times. */
	void (*wrote)(struct tree *t, struct tree_file *f);
	/* mode as fallocate(2): 0, KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE. */
	int (*allocate)(struct tree *t, struct tree_file *f, int mode,
			uint64_t off, uint64_t len);
	int (*setxattr)(struct tree *t, uint64_t id, const char *name,
			const void *value, size_t size, int flags);
	int (*removexattr)(struct tree *t, uint64_t id, const char *name);
	/* Everything about this node, or (id 0) the whole volume, is on stable
	 * storage when it returns 0. */
	int (*sync)(struct tree *t, uint64_t id, bool data_only);
};

/* A handle; a backend embeds it in its own and lets container_of find it. */
struct tree_file {
	uint64_t id;
	bool write;
};

struct tree_hold_table;

/* A backend embeds this too. tree_init() sets up what belongs to tree.c. */
struct tree {
	const struct tree_ops *ops;
	unsigned caps;
	enum tree_turns turns;
	bool writable;		/* a modification may be tried */
	bool writing;		/* begin_write was done */
	bool frozen;		/* nobody can change it while mounted: caches
				 * in the kernel may keep everything */
	bool shared_bytes;	/* a byte may belong to several files (a disk
				 * and its partitions): what waits for the
				 * readers of one waits for those of all */
	const char *label;	/* of the volume, or NULL */
	/* tree.c's own */
	struct tree_hold_table *holds;
	struct tree_lock *lock;
	int failed;		/* begin_write's error: the same every time */
	struct diag why_not;	/* the words for it */
};

int tree_init(struct tree *t, const struct tree_ops *ops);
/* For a backend's close and failed open: frees what tree_init made. */
void tree_fini(struct tree *t);

/* ---- what callers use ---- */

void tree_close(struct tree *t);		/* takes NULL */
int tree_getattr(struct tree *t, uint64_t id, struct tree_attr *out);
int tree_lookup(struct tree *t, uint64_t dir, const char *name,
		struct tree_attr *out);
int tree_list(struct tree *t, uint64_t dir, uint64_t from, bool want_attr,
	      tree_emit_fn emit, void *ctx);
int tree_readlink(struct tree *t, uint64_t id, char *buf, size_t size);
int tree_open(struct tree *t, uint64_t id, bool write, struct tree_file **out);
void tree_release(struct tree *t, struct tree_file *f);
ssize_t tree_read(struct tree *t, struct tree_file *f, void *buf, size_t len,
		  uint64_t off);
off_t tree_seek(struct tree *t, struct tree_file *f, off_t off, int whence);
ssize_t tree_getxattr(struct tree *t, uint64_t id, const char *name, void *buf,
		      size_t size);
ssize_t tree_listxattr(struct tree *t, uint64_t id, char *buf, size_t size);
int tree_statfs(struct tree *t, struct statvfs *out);
int tree_create(struct tree *t, uint64_t dir, const char *name,
		const struct tree_new *what, struct tree_attr *out);
int tree_link(struct tree *t, uint64_t id, uint64_t dir, const char *name,
	      struct tree_attr *out);
int tree_remove(struct tree *t, uint64_t dir, const char *name,
		bool dir_wanted);
int tree_rename(struct tree *t, uint64_t dir, const char *name, uint64_t ndir,
		const char *nname, unsigned flags);
int tree_setattr(struct tree *t, uint64_t id, const struct tree_attr *set,
		 unsigned mask, struct tree_attr *out);
ssize_t tree_write(struct tree *t, struct tree_file *f, const void *buf,
		   size_t len, uint64_t off);
int tree_allocate(struct tree *t, struct tree_file *f, int mode, uint64_t off,
		  uint64_t len);
int tree_setxattr(struct tree *t, uint64_t id, const char *name,
		  const void *value, size_t size, int flags);
int tree_removexattr(struct tree *t, uint64_t id, const char *name);
int tree_sync(struct tree *t, uint64_t id, bool data_only);
/* Found out at mount time: could the first modification begin? */
int tree_check_write(struct tree *t, struct diag *why);

/*
 * Where the bytes of a file really are, as ranges of file descriptors. Covers
 * [off, off + n) for some 0 < n <= len. The ranges stay true until
 * tree_unmap() with the same pin: truncation, punching and removal of that
 * file wait for it. -EOPNOTSUPP: use tree_read(). 0: at or past the end.
 */
struct tree_pin {
	uint64_t id;		/* 0: nothing held */
};
int tree_map(struct tree *t, struct tree_file *f, uint64_t off, uint64_t len,
	     struct dev_run *runs, int max, struct tree_pin *pin);
void tree_unmap(struct tree *t, struct tree_pin *pin);

/* For trees made of read-only trees: what tree_map() asks the backend, without
 * a pin. Covers [off, off + n); returns how many, -EOPNOTSUPP: ask read. */
int tree_extents(struct tree *t, struct tree_file *f, uint64_t off,
		 uint64_t len, struct tree_extent *ext, int max);

/* For backends, under their lock: does anybody have this node open? */
bool tree_is_open(struct tree *t, uint64_t id);

#endif
