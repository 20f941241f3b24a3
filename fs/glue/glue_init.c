/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The ops table, what is agreed with the kernel at its greeting, statfs. */
#include <errno.h>

#include "fs/glue/glue_int.h"

/* The kernel's 12 leave a fast image idle between read-ahead requests. */
#define MAX_BACKGROUND 64

static void want_if(struct fuse_conn_info *conn, unsigned cap, bool yes)
{
	conn->want &= ~cap;
	if (yes)
		conn->want |= conn->capable & cap;
}

/* Not wanted: ATOMIC_O_TRUNC (the kernel truncates by a setattr of its own,
 * and then drops setuid bits as well), HANDLE_KILLPRIV (for the same reason),
 * AUTO_INVAL_DATA (nobody else changes files), WRITEBACK_CACHE (its memory is
 * not bounded by us), locks (the kernel's local ones do), libfuse's splicing
 * (glue_send.c has its own). */
static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct glue *g = userdata;
	bool cheap = g->tree->caps & TREE_CAP_LIST_ATTR;
	bool seeks = g->tree->caps & TREE_CAP_SEEK_LIST;

	conn->want = 0;
	want_if(conn, FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO |
		FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_CACHE_SYMLINKS |
		FUSE_CAP_READDIRPLUS, true);
	want_if(conn, FUSE_CAP_READDIRPLUS_AUTO, !g->frozen || !cheap);
	want_if(conn, FUSE_CAP_AUTO_INVAL_DATA, g->opts.auto_cache);
	want_if(conn, FUSE_CAP_NO_OPEN_SUPPORT,
		g->frozen && !g->opts.direct_io);
	want_if(conn, FUSE_CAP_NO_OPENDIR_SUPPORT, g->frozen && seeks);
	g->no_open = conn->want & FUSE_CAP_NO_OPEN_SUPPORT;
	g->no_opendir = conn->want & FUSE_CAP_NO_OPENDIR_SUPPORT;
	/* libfuse ends a session whose mount words say something else. */
	conn->max_read = g->max_read;
	/* The kernel takes no more than what glue_read_ahead() allowed it. */
	conn->max_readahead = GLUE_READ_AHEAD;
	conn->max_background = MAX_BACKGROUND;
	conn->congestion_threshold = MAX_BACKGROUND * 3 / 4;
	if (g->opts.ready)
		g->opts.ready(g->opts.ctx);
}

void glue_op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st;
	int ret = tree_statfs(glue_of(req)->tree, &st);

	if (ret == -ENOSYS || ret == -EOPNOTSUPP) {
		st = (struct statvfs) {
			.f_bsize = 4096, .f_frsize = 4096, .f_namemax = 255,
		};
		ret = 0;
	}
	if (ret)
		glue_reply_err(req, ret);
	else
		fuse_reply_statfs(req, &st);
}

void glue_fill_ops(struct glue *g, struct fuse_lowlevel_ops *ops)
{
	*ops = (struct fuse_lowlevel_ops) {
		.init = op_init,
		.lookup = glue_op_lookup, .getattr = glue_op_getattr,
		.setattr = glue_op_setattr, .readlink = glue_op_readlink,
		.mknod = glue_op_mknod, .mkdir = glue_op_mkdir,
		.unlink = glue_op_unlink, .rmdir = glue_op_rmdir,
		.symlink = glue_op_symlink, .rename = glue_op_rename,
		.link = glue_op_link, .create = glue_op_create,
		.open = glue_op_open, .read = glue_op_read,
		.write = glue_op_write, .flush = glue_op_flush,
		.release = glue_op_release, .fsync = glue_op_fsync,
		.opendir = glue_op_opendir, .readdir = glue_op_readdir,
		.readdirplus = glue_op_readdirplus,
		.releasedir = glue_op_releasedir,
		.fsyncdir = glue_op_fsyncdir, .statfs = glue_op_statfs,
		.getxattr = glue_op_getxattr, .listxattr = glue_op_listxattr,
		.setxattr = glue_op_setxattr,
		.removexattr = glue_op_removexattr,
		.fallocate = glue_op_fallocate, .lseek = glue_op_lseek,
	};
}
