/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The floor for find and tar: D directories of N files of B bytes, answered
 * from arithmetic, with everything cached by the kernel that it can cache.
 * nullfs [-n] DIRS FILES BYTES DIR; -n: without ENOSYS to open and readdirplus.
 */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOREVER 86400.0

/* Directory d is node 2 + d; its file f is 2 + dirs + d * files + f. */
struct nullfs {
	unsigned long dirs, files, bytes;
	bool plain;
	char *zeros;
};

static struct nullfs *nullfs_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static bool is_dir(const struct nullfs *n, fuse_ino_t ino)
{
	return ino < 2 + n->dirs;
}

static void fill(const struct nullfs *n, fuse_ino_t ino,
		 struct fuse_entry_param *e)
{
	*e = (struct fuse_entry_param) {
		.ino = ino, .attr_timeout = FOREVER, .entry_timeout = FOREVER,
		.attr = {
			.st_ino = ino, .st_nlink = 2,
			.st_mode = S_IFDIR | 0755, .st_blksize = 4096,
		},
	};
	if (is_dir(n, ino))
		return;
	e->attr.st_mode = S_IFREG | 0644;
	e->attr.st_nlink = 1;
	e->attr.st_size = (off_t)n->bytes;
	e->attr.st_blocks = (blkcnt_t)(n->bytes + 511) / 512;
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	const struct nullfs *n = userdata;
	unsigned want = FUSE_CAP_NO_OPEN_SUPPORT |
			FUSE_CAP_NO_OPENDIR_SUPPORT | FUSE_CAP_READDIRPLUS |
			FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_CACHE_SYMLINKS;

	conn->want &= ~(unsigned)FUSE_CAP_READDIRPLUS_AUTO;
	if (n->plain)
		conn->want &= ~want;
	else
		conn->want |= conn->capable & want;
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	struct fuse_entry_param e;

	fill(nullfs_of(req), ino, &e);
	fuse_reply_attr(req, &e.attr, FOREVER);
}

static void op_lookup(fuse_req_t req, fuse_ino_t dir, const char *name)
{
	const struct nullfs *n = nullfs_of(req);
	unsigned long i = *name ? strtoul(name + 1, NULL, 10) : 0;
	fuse_ino_t ino = dir == 1 ? 2 + i : 2 + n->dirs +
		(dir - 2) * n->files + i;
	struct fuse_entry_param e;

	if (*name != (dir == 1 ? 'd' : 'f') ||
	    i >= (dir == 1 ? n->dirs : n->files)) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	fill(n, ino, &e);
	fuse_reply_entry(req, &e);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (!nullfs_of(req)->plain) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	fi->keep_cache = 1;
	fi->cache_readdir = 1;
	fuse_reply_open(req, fi);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	const struct nullfs *n = nullfs_of(req);
	size_t left = (unsigned long)off < n->bytes ? n->bytes - (size_t)off
						    : 0;

	fuse_reply_buf(req, n->zeros, size < left ? size : left);
}

static void list(fuse_req_t req, fuse_ino_t dir, size_t size, off_t off,
		 bool plus)
{
	const struct nullfs *n = nullfs_of(req);
	unsigned long count = dir == 1 ? n->dirs : n->files;
	char *buf = malloc(size), name[32];
	size_t used = 0;

	for (unsigned long i = (unsigned long)off; buf && i < count; i++) {
		struct fuse_entry_param e;
		size_t len;

		fill(n, dir == 1 ? 2 + i : 2 + n->dirs + (dir - 2) * n->files +
		     i, &e);
		snprintf(name, sizeof(name), "%c%05lu", dir == 1 ? 'd' : 'f',
			 i);
		len = plus ? fuse_add_direntry_plus(req, buf + used,
				size - used, name, &e, (off_t)i + 1)
			   : fuse_add_direntry(req, buf + used, size - used,
				name, &e.attr, (off_t)i + 1);
		if (len > size - used)
			break;
		used += len;
	}
	fuse_reply_buf(req, buf, used);
	free(buf);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	list(req, ino, size, off, false);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size,
			   off_t off, struct fuse_file_info *fi)
{
	list(req, ino, size, off, true);
}

static const struct fuse_lowlevel_ops ops = {
	.init = op_init, .getattr = op_getattr, .lookup = op_lookup,
	.open = op_open, .opendir = op_open, .read = op_read,
	.readdir = op_readdir, .readdirplus = op_readdirplus,
};

int main(int argc, char **argv)
{
	char name[] = "nullfs", o[] = "-o", words[] = "ro,fsname=nullfs";
	char *fuse_argv[] = { name, o, words, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, fuse_argv);
	struct fuse_loop_config *cfg = fuse_loop_cfg_create();
	struct nullfs n = { 0 };
	struct fuse_session *se;
	int ret = 1;

	n.plain = getopt(argc, argv, "n") == 'n';
	if (optind + 4 != argc) {
		fprintf(stderr, "usage: nullfs [-n] DIRS FILES BYTES DIR\n");
		return 1;
	}
	n.dirs = strtoul(argv[optind], NULL, 10);
	n.files = strtoul(argv[optind + 1], NULL, 10);
	n.bytes = strtoul(argv[optind + 2], NULL, 10);
	n.zeros = calloc(1, 1 << 20);
	se = fuse_session_new(&args, &ops, sizeof(ops), &n);
	if (se && cfg && n.zeros && !fuse_set_signal_handlers(se) &&
	    !fuse_session_mount(se, argv[optind + 3])) {
		ret = fuse_session_loop_mt(se, cfg);
		fuse_session_unmount(se);
	}
	fuse_loop_cfg_destroy(cfg);
	return ret < 0;
}
