/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The ceiling for reads: host files as /file, /file1, /file2 ... of a mount,
 * replies spliced by libfuse, with nothing in between. passfs [-c] [-s] FILE...
 * DIR; -c copies the replies, -s serves from one thread.
 */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_ID 2		/* of the first file; the others follow */
#define FILES_MAX 8

struct passfs {
	bool copy;
	int n;
	int fds[FILES_MAX];
	struct stat st[FILES_MAX];
};

static void fill(const struct passfs *p, fuse_ino_t ino, struct stat *st)
{
	*st = (struct stat) {
		.st_ino = ino, .st_mode = S_IFDIR | 0755, .st_nlink = 2,
	};
	if (ino < FILE_ID)
		return;
	st->st_mode = S_IFREG | 0444;
	st->st_nlink = 1;
	st->st_size = p->st[ino - FILE_ID].st_size;
	st->st_mtim = p->st[ino - FILE_ID].st_mtim;
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	const struct passfs *p = userdata;
	const unsigned splice = FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE;

	if (!p->copy)
		conn->want |= conn->capable & splice;
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	struct stat st;

	fill(fuse_req_userdata(req), ino, &st);
	fuse_reply_attr(req, &st, 86400);
}

static void op_lookup(fuse_req_t req, fuse_ino_t dir, const char *name)
{
	struct fuse_entry_param e = {
		.attr_timeout = 86400, .entry_timeout = 86400,
	};
	const struct passfs *p = fuse_req_userdata(req);
	long n = strncmp(name, "file", 4) ? -1 : atol(name + 4);

	if (n < 0 || n >= p->n) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	e.ino = FILE_ID + (fuse_ino_t)n;
	fill(p, e.ino, &e.attr);
	fuse_reply_entry(req, &e);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	const struct passfs *p = fuse_req_userdata(req);
	struct fuse_bufvec buf = FUSE_BUFVEC_INIT(size);

	buf.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
	buf.buf[0].fd = p->fds[ino - FILE_ID];
	buf.buf[0].pos = off;
	fuse_reply_data(req, &buf, FUSE_BUF_SPLICE_MOVE);
}

static const struct fuse_lowlevel_ops ops = {
	.init = op_init, .getattr = op_getattr, .lookup = op_lookup,
	.open = op_open, .read = op_read,
};

static int serve(struct passfs *p, const char *dir, bool single)
{
	char name[] = "passfs", o[] = "-o", words[] = "ro,fsname=passfs";
	char *argv[] = { name, o, words, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);
	struct fuse_session *se = fuse_session_new(&args, &ops, sizeof(ops), p);
	struct fuse_loop_config *cfg = fuse_loop_cfg_create();
	int ret = 1;

	if (se && cfg && !fuse_set_signal_handlers(se) &&
	    !fuse_session_mount(se, dir)) {
		ret = single ? fuse_session_loop(se)
			     : fuse_session_loop_mt(se, cfg);
		fuse_session_unmount(se);
	}
	fuse_loop_cfg_destroy(cfg);
	fuse_opt_free_args(&args);
	return ret < 0;
}

int main(int argc, char **argv)
{
	struct passfs p = { 0 };
	bool single = false;
	int c;

	while ((c = getopt(argc, argv, "cs")) != -1) {
		p.copy |= c == 'c';
		single |= c == 's';
	}
	for (; optind + 1 < argc && p.n < FILES_MAX; optind++, p.n++) {
		p.fds[p.n] = open(argv[optind], O_RDONLY | O_CLOEXEC);
		if (p.fds[p.n] < 0 || fstat(p.fds[p.n], &p.st[p.n])) {
			perror(argv[optind]);
			return 1;
		}
	}
	if (!p.n || optind + 1 != argc) {
		fprintf(stderr, "usage: passfs [-c] [-s] FILE... DIR\n");
		return 1;
	}
	return serve(&p, argv[optind], single);
}
