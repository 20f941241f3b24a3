/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ops on open files, except reading. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "fs/glue/glue_int.h"

/* The kernel sees every change to a file that is made through us, and nobody
 * else makes any: it may keep what it has cached. */
void glue_open_flags(const struct glue *g, struct fuse_file_info *fi)
{
	fi->direct_io = g->opts.direct_io;
	fi->keep_cache = !g->opts.direct_io;
}

void glue_op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct glue *g = glue_of(req);
	bool write = (fi->flags & O_ACCMODE) != O_RDONLY;
	struct glue_file *f;
	int ret;

	if (g->no_open || (write && g->read_only)) {
		glue_reply_err(req, write ? -EROFS : -ENOSYS);
		return;
	}
	ret = glue_file_open(g, ino, write, &f);
	if (ret) {
		glue_reply_err(req, ret);
		return;
	}
	fi->fh = (uintptr_t)f;
	glue_open_flags(g, fi);
	if (fuse_reply_open(req, fi))
		glue_file_close(g, f);
}

void glue_op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct glue *g = glue_of(req);

	if (!g->no_open)
		glue_file_close(g, (struct glue_file *)(uintptr_t)fi->fh);
	fuse_reply_err(req, 0);
}

void glue_op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size,
		   off_t off, struct fuse_file_info *fi)
{
	struct glue *g = glue_of(req);
	struct glue_file *f = (struct glue_file *)(uintptr_t)fi->fh;
	ssize_t ret = -EROFS;

	if (!g->read_only && off >= 0) {
		ret = tree_write(g->tree, f->file, buf, size, (uint64_t)off);
		glue_changed(g);
	}
	if (ret < 0) {
		glue_reply_err(req, (int)ret);
		return;
	}
	glue_count(g, written, (uint64_t)ret);
	fuse_reply_write(req, (size_t)ret);
}

/* Closing promises nothing: every write has been answered by then, and fsync
 * is what makes it last. ENOSYS: the kernel need not ask again. */
void glue_op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_err(req, ENOSYS);
}

void glue_op_fsync(fuse_req_t req, fuse_ino_t ino, int data_only,
		   struct fuse_file_info *fi)
{
	glue_reply_err(req, tree_sync(glue_of(req)->tree, ino, data_only));
}

void glue_op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off,
		       off_t len, struct fuse_file_info *fi)
{
	const int known = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE |
			  FALLOC_FL_ZERO_RANGE;
	struct glue *g = glue_of(req);
	struct glue_file *f = (struct glue_file *)(uintptr_t)fi->fh;
	int ret = -EROFS;

	if (mode & ~known) {
		ret = -EOPNOTSUPP;
	} else if (off < 0 || len <= 0) {
		ret = -EINVAL;
	} else if (!g->read_only) {
		ret = tree_allocate(g->tree, f->file, mode, (uint64_t)off,
				    (uint64_t)len);
		glue_changed(g);
	}
	glue_reply_err(req, ret);
}

void glue_op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
		   struct fuse_file_info *fi)
{
	struct glue *g = glue_of(req);
	struct glue_file *f;
	off_t pos;
	int ret;

	if (whence != SEEK_DATA && whence != SEEK_HOLE) {
		glue_reply_err(req, -EINVAL);
		return;
	}
	ret = glue_file_get(g, ino, fi, &f);
	if (ret) {
		glue_reply_err(req, ret);
		return;
	}
	pos = tree_seek(g->tree, f->file, off, whence);
	glue_file_put(g, f);
	if (pos < 0)
		glue_reply_err(req, (int)pos);
	else
		fuse_reply_lseek(req, pos);
}
