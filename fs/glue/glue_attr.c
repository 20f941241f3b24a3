/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The view of attributes: whose the files are, how long the kernel may
 * believe it, and setattr. */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "fs/glue/glue_int.h"

/* A tree without owners is shown as ntfs-3g shows a volume without a user
 * mapping: everything belongs to who mounted it, everybody may everything,
 * and chmod and chown do nothing without complaining. */
void glue_view_init(struct glue *g)
{
	struct glue_opts *o = &g->opts;
	bool none = g->tree->caps & TREE_CAP_NO_OWNERS;
	mode_t mask = o->has_umask ? o->umask : 0;

	g->fake_mode = none || o->has_umask || o->has_fmask || o->has_dmask;
	g->file_mask = (o->has_fmask ? o->fmask : mask) & 07777;
	g->dir_mask = (o->has_dmask ? o->dmask : mask) & 07777;
	if (none && !o->has_uid)
		o->uid = geteuid();
	if (none && !o->has_gid)
		o->gid = getegid();
	o->has_uid |= none;
	o->has_gid |= none;
}

void glue_show(const struct glue *g, const struct tree_attr *a, struct stat *st)
{
	const struct glue_opts *o = &g->opts;
	mode_t type = a->mode & S_IFMT;

	*st = (struct stat) {
		.st_ino = a->id, .st_mode = a->mode, .st_nlink = a->nlink,
		.st_uid = o->has_uid ? o->uid : a->uid,
		.st_gid = o->has_gid ? o->gid : a->gid,
		.st_rdev = a->rdev, .st_size = (off_t)a->size,
		.st_blocks = (blkcnt_t)a->blocks, .st_blksize = 4096,
		.st_atim = a->atime, .st_mtim = a->mtime, .st_ctim = a->ctime,
	};
	if (g->fake_mode && type != S_IFLNK)
		st->st_mode = type | (0777 & ~(type == S_IFDIR ? g->dir_mask
							       : g->file_mask));
}

void glue_fill_entry(const struct glue *g, const struct tree_attr *a,
		     struct fuse_entry_param *e)
{
	*e = (struct fuse_entry_param) {
		.ino = a->id, .generation = a->gen,
		.attr_timeout = g->attr_timeout,
		.entry_timeout = g->entry_timeout,
	};
	glue_show(g, a, &e->attr);
}

/* ESTALE makes the kernel walk the path again: a name of the same file may
 * have been removed by another spelling. */
int glue_getattr(struct glue *g, uint64_t id, struct tree_attr *out)
{
	int ret = tree_getattr(g->tree, id, out);

	return ret == -ENOENT ? -ESTALE : ret;
}

bool glue_is_owner(struct glue *g, fuse_req_t req, uint64_t id)
{
	uid_t uid = fuse_req_ctx(req)->uid;
	struct tree_attr a;
	struct stat st;

	if (!uid)
		return true;
	if (glue_getattr(g, id, &a))
		return false;
	glue_show(g, &a, &st);
	return uid == st.st_uid;
}

void glue_op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct glue *g = glue_of(req);
	struct tree_attr a;
	struct stat st;
	int ret = glue_getattr(g, ino, &a);

	if (ret) {
		glue_reply_err(req, ret);
		return;
	}
	glue_show(g, &a, &st);
	fuse_reply_attr(req, &st, g->attr_timeout);
}

/* What the kernel wants set, as the tree says it. What the view makes up is
 * left out: it would not be seen. */
static unsigned wanted(const struct glue *g, const struct stat *st, int to_set,
		       struct tree_attr *set)
{
	bool owners = g->tree->caps & TREE_CAP_SET_OWNERS;
	struct timespec now;
	unsigned mask = 0;

	clock_gettime(CLOCK_REALTIME, &now);
	*set = (struct tree_attr) {
		.mode = st->st_mode & 07777, .uid = st->st_uid,
		.gid = st->st_gid, .size = (uint64_t)st->st_size,
		.atime = to_set & FUSE_SET_ATTR_ATIME_NOW ? now : st->st_atim,
		.mtime = to_set & FUSE_SET_ATTR_MTIME_NOW ? now : st->st_mtim,
		.ctime = st->st_ctim,
	};
	if (to_set & FUSE_SET_ATTR_MODE && owners && !g->fake_mode)
		mask |= TREE_SET_MODE;
	if (to_set & FUSE_SET_ATTR_UID && owners && !g->opts.has_uid)
		mask |= TREE_SET_UID;
	if (to_set & FUSE_SET_ATTR_GID && owners && !g->opts.has_gid)
		mask |= TREE_SET_GID;
	if (to_set & FUSE_SET_ATTR_SIZE)
		mask |= TREE_SET_SIZE;
	if (to_set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW))
		mask |= TREE_SET_ATIME;
	if (to_set & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW))
		mask |= TREE_SET_MTIME;
	if (to_set & FUSE_SET_ATTR_CTIME)
		mask |= TREE_SET_CTIME;
	return mask;
}

void glue_op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st,
		     int to_set, struct fuse_file_info *fi)
{
	struct glue *g = glue_of(req);
	struct tree_attr set, a;
	unsigned mask = wanted(g, st, to_set, &set);
	struct stat shown;
	int ret;

	if (g->read_only) {
		glue_reply_err(req, -EROFS);
		return;
	}
	ret = mask ? tree_setattr(g->tree, ino, &set, mask, &a)
		   : glue_getattr(g, ino, &a);
	glue_changed(g);
	if (ret) {
		glue_reply_err(req, ret);
		return;
	}
	glue_show(g, &a, &shown);
	fuse_reply_attr(req, &shown, g->attr_timeout);
}
