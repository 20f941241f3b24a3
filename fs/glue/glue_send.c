/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How bytes get to the kernel. libfuse takes a spliced answer that came up
 * short for a success, and the kernel then shows a shorter file. So the pipe
 * is ours: what went into it is counted before any of it is sent, and when a
 * byte is missing the answer is read again into memory, or is an error.
 *
 * libfuse calls glue_writev() for every answer; one that is announced in
 * worker->spliced has no payload in memory, and takes the way of the pipe.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fs/glue/glue_int.h"

/* Zeros to splice from; one answer may need all of it several times. */
#define ZERO_SIZE (1ull << 30)

static const size_t page = 4096;

struct glue_worker *glue_worker_get(struct glue *g)
{
	struct glue_worker *w = pthread_getspecific(g->worker_key);

	if (w)
		return w;
	w = mem_new(struct glue_worker);
	if (!w)
		return NULL;
	w->pipe[0] = w->pipe[1] = -1;
	if (pthread_setspecific(g->worker_key, w)) {
		free(w);
		return NULL;
	}
	return w;
}

static void pipe_close(struct glue_worker *w)
{
	if (w->pipe[0] < 0)
		return;
	close(w->pipe[0]);
	close(w->pipe[1]);
	w->pipe[0] = w->pipe[1] = -1;
	w->slots = 0;
}

void glue_worker_free(void *worker)
{
	struct glue_worker *w = worker;

	pipe_close(w);
	free(w->buf);
	free(w);
}

uint8_t *glue_worker_buf(struct glue_worker *w, size_t size)
{
	uint8_t *buf;

	if (size <= w->buf_size)
		return w->buf;
	size = (size_t)round_up(size, page);
	buf = mem_alloc(1, size);
	if (!buf)
		return NULL;
	free(w->buf);
	w->buf = buf;
	w->buf_size = size;
	return buf;
}

/* Room for the largest answer: its header, and one page more at each end when
 * it does not begin on one. Without privileges a pipe may have 1 MiB. */
static bool pipe_open(struct glue_worker *w)
{
	int size;

	if (w->pipe[0] >= 0)
		return true;
	if (pipe2(w->pipe, O_CLOEXEC | O_NONBLOCK)) {
		w->pipe[0] = w->pipe[1] = -1;
		return false;
	}
	if (fcntl(w->pipe[1], F_SETPIPE_SZ, 2 * GLUE_READ_MAX) < 0)
		fcntl(w->pipe[1], F_SETPIPE_SZ, GLUE_READ_MAX);
	size = fcntl(w->pipe[1], F_GETPIPE_SZ);
	w->slots = size > 0 ? (size_t)size / page : 0;
	return true;
}

bool glue_can_splice(struct glue *g, struct glue_worker *w,
		     const struct glue_spliced *s)
{
	size_t need = 1;

	for (int i = 0; i < s->n_runs; i++) {
		const struct dev_run *r = &s->runs[i];

		if (r->kind == DEV_RUN_ZERO && r->len > g->zero_size)
			return false;
		if (r->kind == DEV_RUN_READ)
			return false;
		need += (size_t)div_up(r->off % page + r->len, page);
	}
	return pipe_open(w) && need <= w->slots;
}

/* All of one range into the pipe: 0, or -errno (-EIO when it ends early). */
static int fill_run(struct glue *g, int to, const struct dev_run *r)
{
	bool zero = r->kind == DEV_RUN_ZERO;
	off_t off = zero ? 0 : (off_t)r->off;
	uint64_t left = r->len;

	while (left) {
		ssize_t got = splice(zero ? g->zero_fd : r->fd, &off, to, NULL,
				     left, SPLICE_F_NONBLOCK);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		left -= (uint64_t)got;
	}
	return 0;
}

static int fill(struct glue *g, struct glue_worker *w, const struct iovec *head)
{
	const struct glue_spliced *s = w->spliced;
	ssize_t got = write(w->pipe[1], head->iov_base, head->iov_len);

	if (got != (ssize_t)head->iov_len)
		return -EIO;
	for (int i = 0; i < s->n_runs; i++) {
		int ret = fill_run(g, w->pipe[1], &s->runs[i]);

		if (ret)
			return ret;
	}
	return 0;
}

/* The bytes by way of memory, or what is wrong with them. */
static ssize_t send_again(int fd, struct glue *g, struct glue_worker *w,
			  const struct iovec *head)
{
	const struct glue_spliced *s = w->spliced;
	struct fuse_out_header *h = head->iov_base;
	uint8_t *buf = glue_worker_buf(w, s->len);
	int ret = buf ? s->again(s->ctx, buf, s->len) : -ENOMEM;
	struct iovec iov[2] = { *head, { buf, s->len } };

	if (!ret) {
		glue_count(g, copied, s->len);
		return writev(fd, iov, 2);
	}
	glue_count(g, errors, 1);
	h->error = ret;
	h->len = sizeof(*h);
	return writev(fd, iov, 1);
}

static ssize_t send_spliced(int fd, struct glue *g, struct glue_worker *w,
			    const struct iovec *head)
{
	size_t total = head->iov_len + w->spliced->len;
	ssize_t ret;
	int err;

	if (fill(g, w, head)) {
		pipe_close(w);		/* with what is left in it */
		return send_again(fd, g, w, head);
	}
	ret = splice(w->pipe[0], NULL, fd, NULL, total, 0);
	if (ret == (ssize_t)total) {
		glue_count(g, spliced, w->spliced->len);
		return ret;
	}
	err = ret < 0 ? errno : EIO;
	pipe_close(w);
	/* ENOENT: who asked has gone. Otherwise the kernel may still wait. */
	if (err != ENOENT && err != ENODEV)
		return send_again(fd, g, w, head);
	errno = err;
	return -1;
}

static ssize_t glue_writev(int fd, struct iovec *iov, int n, void *userdata)
{
	struct glue *g = userdata;
	struct glue_worker *w = pthread_getspecific(g->worker_key);
	struct fuse_out_header *h = iov[0].iov_base;

	if (w && w->spliced && n == 2 && h->unique)
		return send_spliced(fd, g, w, &iov[0]);
	return writev(fd, iov, n);
}

static ssize_t glue_read_dev(int fd, void *buf, size_t len, void *userdata)
{
	return read(fd, buf, len);
}

void glue_reply_spliced(fuse_req_t req, struct glue_worker *w,
			const struct glue_spliced *s)
{
	static const char stands_for_the_pipe;

	w->spliced = s;
	fuse_reply_buf(req, &stands_for_the_pipe, s->len);
	w->spliced = NULL;
}

static int make_zeros(struct glue *g)
{
	const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW |
			  F_SEAL_WRITE;

	g->zero_fd = memfd_create("zeros", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (g->zero_fd < 0)
		return -errno;
	if (ftruncate(g->zero_fd, (off_t)ZERO_SIZE) ||
	    fcntl(g->zero_fd, F_ADD_SEALS, seals))
		return -errno;
	g->zero_size = ZERO_SIZE;
	return 0;
}

int glue_send_setup(struct glue *g, struct diag *why)
{
	static const struct fuse_custom_io io = {
		.writev = glue_writev, .read = glue_read_dev,
	};
	int ret = make_zeros(g);

	if (ret)
		return diag_fail(why, ret, "glue: no memory file for zeros");
	ret = fuse_session_custom_io(g->se, &io, fuse_session_fd(g->se));
	if (ret)
		return diag_fail(why, ret, "glue: libfuse takes no own output");
	return 0;
}
