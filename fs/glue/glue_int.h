/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the parts of the glue share. Only this folder includes it. */
#ifndef IMGFS_GLUE_INT_H
#define IMGFS_GLUE_INT_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <pthread.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/base/map.h"
#include "formats/tree.h"
#include "fs/glue/glue.h"

#define GLUE_READ_MAX (1u << 20)	/* bytes in one request */
/* What the kernel shall ask for ahead: four times as much as it would. With
 * its header it fits into a pipe of 1 MiB, more than which a process without
 * CAP_SYS_RESOURCE cannot have; asking for 1 MiB measured slower anyway. */
#define GLUE_READ_AHEAD (512u << 10)

/* One open file: of one open(2) on trees that change, else of one node. */
struct glue_file {
	struct glue_file *prev, *next;	/* in files.open or idle */
	struct tree_file *file;		/* owned */
	uint64_t id;
	unsigned refs;			/* shared ones; files.lock */
};

struct glue_dir;			/* glue_dir.c's own */

struct glue_files {
	pthread_mutex_t lock;
	struct glue_file open;		/* ring: one per open(2) */
	struct glue_file idle;		/* ring: shared, newest first */
	struct map shared;		/* id -> glue_file, frozen trees only */
	size_t n_shared;
	struct glue_dir *dirs;		/* list: one per opendir(3) */
};

/* What one thread of the loop owns. */
struct glue_worker {
	int pipe[2];			/* -1: none */
	size_t slots;			/* pages that the pipe holds */
	uint8_t *buf;
	size_t buf_size;
	const struct glue_spliced *spliced;	/* the answer being sent */
};

struct glue_counts {
	uint64_t reads, spliced, copied, written, changes, errors;
};

struct glue {
	struct tree *tree;		/* not owned */
	struct glue_opts opts;		/* strings are not kept */
	char *fsname, *subtype;		/* owned */
	char *dir;			/* owned; NULL before glue_mount */
	struct fuse_session *se;	/* owned; NULL after the loop */
	bool read_only;
	bool frozen;			/* read-only, and nobody else writes */
	bool no_open, no_opendir;	/* the kernel agreed */
	double attr_timeout, entry_timeout, negative_timeout;
	mode_t file_mask, dir_mask;	/* of the made up modes */
	bool fake_mode;
	bool mounted;
	unsigned max_read;		/* of the mount words; 0: any */
	int minor;			/* of the mount's device; -1: unknown */
	bool has_key;
	pthread_key_t worker_key;
	int zero_fd;			/* sealed, sparse: zeros to splice */
	uint64_t zero_size;
	struct glue_files files;
	struct glue_counts counts;	/* atomic */
	unsigned dirty;			/* since the last flush; atomic */
	int flush_error;		/* the first that failed; atomic */
	struct glue_ctl *ctl;		/* glue_ctl.c's own */
};

#define glue_count(g, what, n) \
	__atomic_fetch_add(&(g)->counts.what, (n), __ATOMIC_RELAXED)

static inline struct glue *glue_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* glue_init.c: the ops table and what is agreed with the kernel */
void glue_fill_ops(struct glue *g, struct fuse_lowlevel_ops *ops);
void glue_op_statfs(fuse_req_t req, fuse_ino_t ino);

/* glue_attr.c: the view of attributes */
void glue_view_init(struct glue *g);
void glue_show(const struct glue *g, const struct tree_attr *a,
	       struct stat *st);
void glue_fill_entry(const struct glue *g, const struct tree_attr *a,
		     struct fuse_entry_param *e);
/* tree_getattr for a node that the kernel knows: gone is -ESTALE. */
int glue_getattr(struct glue *g, uint64_t id, struct tree_attr *out);
/* Is the caller allowed what only owners are? */
bool glue_is_owner(struct glue *g, fuse_req_t req, uint64_t id);
void glue_op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void glue_op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st,
		     int to_set, struct fuse_file_info *fi);

/* Before every reply of an op that modified, or tried to. */
void glue_changed(struct glue *g);
/* Replies with an error (either sign), or 0. */
void glue_reply_err(fuse_req_t req, int ret);

/* glue_name.c: one name at a time */
void glue_op_lookup(fuse_req_t req, fuse_ino_t dir, const char *name);
void glue_op_readlink(fuse_req_t req, fuse_ino_t ino);
void glue_op_mknod(fuse_req_t req, fuse_ino_t dir, const char *name,
		   mode_t mode, dev_t rdev);
void glue_op_mkdir(fuse_req_t req, fuse_ino_t dir, const char *name,
		   mode_t mode);
void glue_op_symlink(fuse_req_t req, const char *target, fuse_ino_t dir,
		     const char *name);
void glue_op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t dir,
		  const char *name);
void glue_op_unlink(fuse_req_t req, fuse_ino_t dir, const char *name);
void glue_op_rmdir(fuse_req_t req, fuse_ino_t dir, const char *name);
void glue_op_rename(fuse_req_t req, fuse_ino_t dir, const char *name,
		    fuse_ino_t ndir, const char *nname, unsigned flags);
void glue_op_create(fuse_req_t req, fuse_ino_t dir, const char *name,
		    mode_t mode, struct fuse_file_info *fi);

/* glue_handle.c: open files */
void glue_files_init(struct glue *g);
/* Closes what the kernel left open. */
void glue_files_end(struct glue *g);
int glue_file_open(struct glue *g, uint64_t id, bool write,
		   struct glue_file **out);
void glue_file_close(struct glue *g, struct glue_file *f);
/* The file of a request, to be put back. */
int glue_file_get(struct glue *g, uint64_t id, const struct fuse_file_info *fi,
		  struct glue_file **out);
void glue_file_put(struct glue *g, struct glue_file *f);

/* glue_file.c: everything on open files but reading */
void glue_open_flags(const struct glue *g, struct fuse_file_info *fi);
void glue_op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void glue_op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void glue_op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size,
		   off_t off, struct fuse_file_info *fi);
void glue_op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void glue_op_fsync(fuse_req_t req, fuse_ino_t ino, int data_only,
		   struct fuse_file_info *fi);
void glue_op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off,
		       off_t len, struct fuse_file_info *fi);
void glue_op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
		   struct fuse_file_info *fi);

/* glue_read.c: the read path */
void glue_op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		  struct fuse_file_info *fi);

/* glue_send.c: how bytes get to the kernel */
/* An answer whose bytes are in files. The ranges stay true meanwhile. */
struct glue_spliced {
	const struct dev_run *runs;	/* DEV_RUN_FD and DEV_RUN_ZERO only */
	int n_runs;
	size_t len;			/* the sum of the runs */
	/* Reads the same bytes into buf: 0 or -errno. Called when a range was
	 * short or could not be read. */
	int (*again)(void *ctx, void *buf, size_t len);
	void *ctx;
};
struct glue_worker *glue_worker_get(struct glue *g);	/* NULL: no memory */
void glue_worker_free(void *worker);
/* At least size bytes of this thread, until the next call; NULL: no memory. */
uint8_t *glue_worker_buf(struct glue_worker *w, size_t size);
/* Do the ranges fit into what this thread may hand over at once? */
bool glue_can_splice(struct glue *g, struct glue_worker *w,
		     const struct glue_spliced *s);
void glue_reply_spliced(fuse_req_t req, struct glue_worker *w,
			const struct glue_spliced *s);
int glue_send_setup(struct glue *g, struct diag *why);

/* glue_dir.c: listing */
void glue_dirs_end(struct glue *g);
void glue_op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void glue_op_releasedir(fuse_req_t req, fuse_ino_t ino,
			struct fuse_file_info *fi);
void glue_op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		     struct fuse_file_info *fi);
void glue_op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			 struct fuse_file_info *fi);
void glue_op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int data_only,
		      struct fuse_file_info *fi);

/* glue_names.c: a copy of a listing */
struct glue_name {
	uint64_t id;
	mode_t type;
	uint32_t name;		/* offset in text */
};
struct glue_names {
	struct glue_name *names;
	size_t n, max;
	struct tree_attr *attrs;	/* of the first n_attrs names */
	size_t n_attrs, max_attrs;
	char *text;
	size_t text_len, text_max;
};
int glue_names_load(struct glue_names *v, struct tree *t, uint64_t dir);
void glue_names_free(struct glue_names *v);

/* glue_xattr.c */
void glue_op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
		      size_t size);
void glue_op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void glue_op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
		      const char *value, size_t size, int flags);
void glue_op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

/* Interrupts a read of requests. Nobody else uses it, and by default it does
 * nothing. */
#define GLUE_KICK SIGURG

/* glue_loop.c: serves until the session's end. Of glue_loop()'s thread, which
 * a GLUE_KICK wakes. */
int glue_loop_mt(struct glue *g);

/* glue_ctl.c: signals, the background flush, the end */
int glue_ctl_new(struct glue *g, struct diag *why);
void glue_ctl_free(struct glue *g);
/* Starts and ends the threads around the loop; of the loop's own thread. */
int glue_ctl_start(struct glue *g);
void glue_ctl_end(struct glue *g);
/* Waits for whoever was unmounting; after the session's end, which frees it. */
void glue_ctl_join(struct glue *g);
void glue_ctl_stop(struct glue *g);

/* glue_mnt.c: where we are mounted */
/* The minor number of a mount's device, from its /dev/fuse, or -1. */
int glue_connection(int fd);
/* The mount point, from the kernel's own table: *out is the caller's, NULL
 * when nothing of ours is mounted. Returns at how many places we are. */
int glue_find_mount(struct glue *g, char **out);
/* 0, or -EBUSY and the like; lazy: detaches a busy one. */
int glue_umount(const char *dir, bool lazy);
/* After the session's end: detaches what is still mounted of us. */
void glue_unmount_dead(struct glue *g);
void glue_read_ahead(struct glue *g);

#endif
