/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ops on one name: looking up, making, removing, moving. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "fs/glue/glue_int.h"

void glue_reply_err(fuse_req_t req, int ret)
{
	int err = ret < 0 ? -ret : ret;

	if (err == EIO || err == ERR_CORRUPT || err == ENOMEM)
		glue_count(glue_of(req), errors, 1);
	fuse_reply_err(req, err);
}

void glue_changed(struct glue *g)
{
	glue_count(g, changes, 1);
	__atomic_store_n(&g->dirty, 1, __ATOMIC_RELEASE);
}

static void reply_entry(fuse_req_t req, int ret, const struct tree_attr *a)
{
	struct fuse_entry_param e;

	if (ret) {
		glue_reply_err(req, ret);
		return;
	}
	glue_fill_entry(glue_of(req), a, &e);
	fuse_reply_entry(req, &e);
}

void glue_op_lookup(fuse_req_t req, fuse_ino_t dir, const char *name)
{
	struct glue *g = glue_of(req);
	struct fuse_entry_param none = {
		.entry_timeout = g->negative_timeout,
	};
	struct tree_attr a;
	int ret = tree_lookup(g->tree, dir, name, &a);

	if (ret == -ENOENT && g->negative_timeout > 0)
		fuse_reply_entry(req, &none);
	else
		reply_entry(req, ret, &a);
}

void glue_op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char target[PATH_MAX];
	int ret = tree_readlink(glue_of(req)->tree, ino, target,
				sizeof(target));

	if (ret < 0)
		glue_reply_err(req, ret);
	else
		fuse_reply_readlink(req, target);
}

/* In a set-group-ID directory new files get its group, and directories the
 * bit as well; the kernel leaves this to us. */
static int inherit_group(struct glue *g, uint64_t dir, struct tree_new *what)
{
	struct tree_attr a;
	int ret;

	if (!(g->tree->caps & TREE_CAP_SET_OWNERS) || g->fake_mode)
		return 0;
	ret = glue_getattr(g, dir, &a);
	if (ret || !(a.mode & S_ISGID))
		return ret;
	what->gid = a.gid;
	if (S_ISDIR(what->mode))
		what->mode |= S_ISGID;
	return 0;
}

static int create(fuse_req_t req, uint64_t dir, const char *name,
		  struct tree_new *what, struct tree_attr *out)
{
	struct glue *g = glue_of(req);
	int ret;

	if (g->read_only)
		return -EROFS;
	what->uid = fuse_req_ctx(req)->uid;
	what->gid = fuse_req_ctx(req)->gid;
	ret = inherit_group(g, dir, what);
	if (ret)
		return ret;
	ret = tree_create(g->tree, dir, name, what, out);
	glue_changed(g);
	return ret;
}

void glue_op_mknod(fuse_req_t req, fuse_ino_t dir, const char *name,
		   mode_t mode, dev_t rdev)
{
	struct tree_new what = { .mode = mode, .rdev = rdev };
	struct tree_attr a;

	reply_entry(req, create(req, dir, name, &what, &a), &a);
}

void glue_op_mkdir(fuse_req_t req, fuse_ino_t dir, const char *name,
		   mode_t mode)
{
	struct tree_new what = { .mode = S_IFDIR | (mode & 07777) };
	struct tree_attr a;

	reply_entry(req, create(req, dir, name, &what, &a), &a);
}

void glue_op_symlink(fuse_req_t req, const char *target, fuse_ino_t dir,
		     const char *name)
{
	struct tree_new what = { .mode = S_IFLNK | 0777, .target = target };
	struct tree_attr a;

	reply_entry(req, create(req, dir, name, &what, &a), &a);
}

void glue_op_create(fuse_req_t req, fuse_ino_t dir, const char *name,
		    mode_t mode, struct fuse_file_info *fi)
{
	struct tree_new what = { .mode = S_IFREG | (mode & 07777) };
	struct glue *g = glue_of(req);
	struct fuse_entry_param e;
	struct glue_file *f;
	struct tree_attr a;
	int ret = create(req, dir, name, &what, &a);

	if (!ret)
		ret = glue_file_open(g, a.id, true, &f);
	if (ret) {
		glue_reply_err(req, ret);
		return;
	}
	fi->fh = (uintptr_t)f;
	glue_open_flags(g, fi);
	glue_fill_entry(g, &a, &e);
	/* Nobody received it: no release will come. */
	if (fuse_reply_create(req, &e, fi))
		glue_file_close(g, f);
}

void glue_op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t dir,
		  const char *name)
{
	struct glue *g = glue_of(req);
	struct tree_attr a;
	int ret = -EROFS;

	if (!g->read_only) {
		ret = tree_link(g->tree, ino, dir, name, &a);
		glue_changed(g);
	}
	reply_entry(req, ret, &a);
}

static void op_remove(fuse_req_t req, uint64_t dir, const char *name,
		      bool dir_wanted)
{
	struct glue *g = glue_of(req);
	int ret = -EROFS;

	if (!g->read_only) {
		ret = tree_remove(g->tree, dir, name, dir_wanted);
		glue_changed(g);
	}
	glue_reply_err(req, ret);
}

void glue_op_unlink(fuse_req_t req, fuse_ino_t dir, const char *name)
{
	op_remove(req, dir, name, false);
}

void glue_op_rmdir(fuse_req_t req, fuse_ino_t dir, const char *name)
{
	op_remove(req, dir, name, true);
}

void glue_op_rename(fuse_req_t req, fuse_ino_t dir, const char *name,
		    fuse_ino_t ndir, const char *nname, unsigned flags)
{
	struct glue *g = glue_of(req);
	int ret = -EROFS;

	if (!g->read_only) {
		ret = tree_rename(g->tree, dir, name, ndir, nname, flags);
		glue_changed(g);
	}
	glue_reply_err(req, ret);
}
