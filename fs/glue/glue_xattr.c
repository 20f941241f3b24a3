/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Extended attributes. The kernel checks user.* and trusted.*; system.* it
 * passes to us unchecked, for anybody who can see the file. */
#include <errno.h>
#include <string.h>

#include "fs/glue/glue_int.h"

#define XATTR_MAX (64u << 10)	/* the kernel's own limit of one value */

static bool starts(const char *name, const char *prefix)
{
	return !strncmp(name, prefix, strlen(prefix));
}

static int may_change(struct glue *g, fuse_req_t req, uint64_t id,
		      const char *name)
{
	if (g->read_only)
		return -EROFS;
	if (starts(name, "trusted."))
		return fuse_req_ctx(req)->uid ? -EPERM : 0;
	if (starts(name, "system.") && !g->opts.fake_perms)
		return glue_is_owner(g, req, id) ? 0 : -EPERM;
	return 0;
}

/* Times, sizes and symlink targets are attributes of these names as well. */
static void changed(struct glue *g, uint64_t id, const char *name)
{
	glue_changed(g);
	if (starts(name, "system."))
		fuse_lowlevel_notify_inval_inode(g->se, id, -1, 0);
}

static void reply_value(fuse_req_t req, size_t size, const void *buf,
			ssize_t ret)
{
	if (ret < 0)
		glue_reply_err(req, (int)ret);
	else if (!size)
		fuse_reply_xattr(req, (size_t)ret);
	else
		fuse_reply_buf(req, buf, (size_t)ret);
}

static uint8_t *value_buf(fuse_req_t req, size_t size)
{
	struct glue_worker *w = glue_worker_get(glue_of(req));
	uint8_t *buf = w ? glue_worker_buf(w, size ? size : 1) : NULL;

	if (!buf)
		glue_reply_err(req, -ENOMEM);
	return buf;
}

void glue_op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
		      size_t size)
{
	struct glue *g = glue_of(req);
	size_t room = min_of(size, (size_t)XATTR_MAX);
	uint8_t *buf = value_buf(req, room);
	ssize_t ret;

	if (!buf)
		return;
	ret = tree_getxattr(g->tree, ino, name, buf, room);
	reply_value(req, room, buf, ret);
}

void glue_op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct glue *g = glue_of(req);
	size_t room = min_of(size, (size_t)XATTR_MAX);
	uint8_t *buf = value_buf(req, room);
	ssize_t ret;

	if (!buf)
		return;
	ret = tree_listxattr(g->tree, ino, (char *)buf, room);
	reply_value(req, room, buf, ret);
}

void glue_op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
		      const char *value, size_t size, int flags)
{
	struct glue *g = glue_of(req);
	int ret = may_change(g, req, ino, name);

	if (!ret) {
		ret = tree_setxattr(g->tree, ino, name, value, size, flags);
		changed(g, ino, name);
	}
	glue_reply_err(req, ret);
}

void glue_op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct glue *g = glue_of(req);
	int ret = may_change(g, req, ino, name);

	if (!ret) {
		ret = tree_removexattr(g->tree, ino, name);
		changed(g, ino, name);
	}
	glue_reply_err(req, ret);
}
