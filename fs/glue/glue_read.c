/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The read path. tree_map() is asked first where the bytes are; large answers
 * are handed to the kernel as ranges of files, small ones are read from there
 * into memory, and only what has no place of its own goes through
 * tree_read(). An answer is whole, or it ends where the file ends, or it is an
 * error.
 *
 * While a range is pinned the same file is never mapped again: whoever waits
 * to truncate it would stand between the two holds.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "fs/glue/glue_int.h"

/* Below this copying is faster than two more system calls (measured). */
#define SPLICE_MIN (24u << 10)
#define MAX_RUNS 64

struct reading {
	struct glue *g;
	struct glue_file *f;
	uint64_t off;
};

/* All len bytes or an error. */
static int read_all(struct reading *r, uint8_t *buf, uint64_t len, uint64_t off)
{
	ssize_t got = tree_read(r->g->tree, r->f->file, buf, len, off);

	if (got < 0)
		return (int)got;
	return (uint64_t)got == len ? 0 : -EIO;
}

static int copy_run(struct reading *r, const struct dev_run *run, uint8_t *buf,
		    uint64_t off)
{
	uint64_t done = 0;

	if (run->kind == DEV_RUN_ZERO) {
		memset(buf, 0, run->len);
		return 0;
	}
	while (run->kind == DEV_RUN_FD && done < run->len) {
		ssize_t got = pread(run->fd, buf + done, run->len - done,
				    (off_t)(run->off + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		done += (uint64_t)got;
	}
	if (done == run->len)
		return 0;
	/* The range is not what it was said to be: ask who should know. */
	return read_all(r, buf + done, run->len - done, off + done);
}

static int copy_runs(struct reading *r, const struct dev_run *runs, int n,
		     uint8_t *buf, uint64_t *done)
{
	for (int i = 0; i < n; i++) {
		int ret = copy_run(r, &runs[i], buf + *done, r->off + *done);

		if (ret)
			return ret;
		*done += runs[i].len;
	}
	return 0;
}

/* Reads into memory: how many bytes, fewer than len only at the end. */
static ssize_t copy(struct reading *r, uint8_t *buf, uint64_t len)
{
	uint64_t done = 0;

	while (done < len) {
		struct dev_run runs[MAX_RUNS];
		struct tree_pin pin;
		int ret, n = tree_map(r->g->tree, r->f->file, r->off + done,
				      len - done, runs, MAX_RUNS, &pin);

		if (n == -EOPNOTSUPP) {
			ssize_t got = tree_read(r->g->tree, r->f->file,
						buf + done, len - done,
						r->off + done);

			return got < 0 ? got : (ssize_t)done + got;
		}
		if (n <= 0)
			return n < 0 ? n : (ssize_t)done;
		ret = copy_runs(r, runs, n, buf, &done);
		tree_unmap(r->g->tree, &pin);
		if (ret)
			return ret;
	}
	return (ssize_t)done;
}

static void reply_copy(fuse_req_t req, struct reading *r, size_t size)
{
	struct glue_worker *w = glue_worker_get(r->g);
	uint8_t *buf = w ? glue_worker_buf(w, size) : NULL;
	ssize_t got = buf ? copy(r, buf, size) : -ENOMEM;

	if (got < 0) {
		glue_reply_err(req, (int)got);
		return;
	}
	glue_count(r->g, copied, (uint64_t)got);
	fuse_reply_buf(req, (char *)buf, (size_t)got);
}

static int read_again(void *ctx, void *buf, size_t len)
{
	struct reading *r = ctx;

	return read_all(r, buf, len, r->off);
}

static uint64_t runs_sum(const struct dev_run *runs, int n)
{
	uint64_t sum = 0;

	for (int i = 0; i < n; i++)
		sum += runs[i].len;
	return sum;
}

/* Do sum bytes end where the file ends? */
static bool is_tail(struct reading *r, uint64_t sum)
{
	struct tree_attr a;

	return !tree_getattr(r->g->tree, r->f->id, &a) &&
	       r->off + sum >= a.size;
}

/* Answers with ranges: false when it did not, and nothing was said yet. */
static bool reply_ranges(fuse_req_t req, struct reading *r, size_t size)
{
	struct glue_worker *w = glue_worker_get(r->g);
	struct dev_run runs[MAX_RUNS];
	struct glue_spliced s = { .runs = runs, .again = read_again, .ctx = r };
	struct tree_pin pin;
	bool ok;

	if (!w)
		return false;
	s.n_runs = tree_map(r->g->tree, r->f->file, r->off, size, runs,
			    MAX_RUNS, &pin);
	if (s.n_runs <= 0)
		return false;
	s.len = (size_t)runs_sum(runs, s.n_runs);
	ok = s.len <= size && glue_can_splice(r->g, w, &s) &&
	     (s.len == size || is_tail(r, s.len));
	if (ok)
		glue_reply_spliced(req, w, &s);
	tree_unmap(r->g->tree, &pin);
	return ok;
}

void glue_op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		  struct fuse_file_info *fi)
{
	struct glue *g = glue_of(req);
	struct reading r = { .g = g, .off = (uint64_t)off };
	int ret = off < 0 ? -EINVAL : glue_file_get(g, ino, fi, &r.f);

	if (ret) {
		glue_reply_err(req, ret);
		return;
	}
	glue_count(g, reads, 1);
	size = min_of(size, (size_t)GLUE_READ_MAX);
	if (size < SPLICE_MIN || !reply_ranges(req, &r, size))
		reply_copy(req, &r, size);
	glue_file_put(g, r.f);
}
