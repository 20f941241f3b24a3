/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Readers fill windows ahead of the writer, which takes them in order. */
#include "formats/merge/merge_copy.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/merge/merge_int.h"

/* Two cores keep three readers busy; more only seek. */
#define READERS 3
/* 24 MiB of buffers: what a reader may be ahead. */
#define SLOTS 12
/* What is read again piece by piece where a window failed. */
#define RETRY 4096u

enum slot_state { SLOT_FREE, SLOT_READING, SLOT_READY };

struct slot {
	uint8_t *buf;			/* MERGE_WINDOW, owned */
	enum slot_state state;
	uint64_t off, len;
	struct merge_seg segs[MERGE_SEGS];
	int n, ret;
	bool cloned;			/* was not read: the writer shares it */
};

struct engine {
	struct merge_copy *c;
	pthread_mutex_t lock;		/* guards all below but buffers */
	pthread_cond_t changed;
	struct slot slots[SLOTS];
	uint64_t n_cut, n_put;		/* windows handed out, written */
	uint64_t pos;			/* of the next window */
	bool end;			/* all are handed out, or nobody
					 * wants more */
	bool clone;
	int ret;			/* of cutting windows */
	struct timespec start;
	uint64_t moved;			/* bytes, for the rate */
	pthread_t threads[READERS];
	int n_threads;
};

/* The next window with something to do; false at the end. */
static bool cut_first(struct engine *e, struct slot *s)
{
	struct merge_copy *c = e->c;

	while (e->pos < c->size) {
		e->ret = c->next(c->ctx, e->pos, c->size - e->pos, s->segs);
		if (e->ret)
			return false;
		if (s->segs[0].kind != MERGE_SKIP)
			return true;
		e->pos += s->segs[0].len;
	}
	return false;
}

/* Adds segments until the window is full. */
static void cut_rest(struct engine *e, struct slot *s, uint64_t end)
{
	struct merge_copy *c = e->c;
	uint64_t pos = s->off + s->len;

	while (pos < end && s->n < MERGE_SEGS && !e->ret) {
		e->ret = c->next(c->ctx, pos, end - pos, &s->segs[s->n]);
		if (!e->ret)
			pos += s->segs[s->n++].len;
	}
	s->len = pos - s->off;
}

static bool cut_window(struct engine *e, struct slot *s)
{
	uint64_t end;

	if (!cut_first(e, s))
		return false;
	s->off = e->pos;
	s->n = 1;
	s->ret = 0;
	s->cloned = false;
	end = min_of(round_down(s->off, MERGE_WINDOW) + MERGE_WINDOW,
		     e->c->size);
	/* Zeros need no buffer: as long as they are. */
	if (s->segs[0].kind == MERGE_DATA)
		s->segs[0].len = min_of(s->segs[0].len, end - s->off);
	s->len = s->segs[0].len;
	if (s->segs[0].kind == MERGE_DATA || s->len < end - s->off)
		cut_rest(e, s, end);
	e->pos = s->off + s->len;
	return !e->ret;
}

/* Sector by sector: what is bad is told, the rest is saved. */
static int read_bad(struct engine *e, const struct merge_seg *seg,
		    uint8_t *buf, uint64_t off)
{
	const struct merge_job *job = e->c->job;
	uint64_t bad = 0;

	for (uint64_t at = 0; at < seg->len;) {
		size_t n = (size_t)min_of(seg->len - at, (uint64_t)RETRY -
					  (off + at) % RETRY);

		if (dev_read(seg->src, buf + at, n, off + at)) {
			memset(buf + at, 0, n);
			bad += n;
			pthread_mutex_lock(&e->lock);
			e->c->n_bad += n;
			if (job->bad)
				job->bad(job->ctx, off + at, n);
			pthread_mutex_unlock(&e->lock);
		}
		at += n;
	}
	return 0;
}

static int read_window(struct engine *e, struct slot *s)
{
	uint64_t off = s->off;
	int ret = 0;

	for (int i = 0; i < s->n && !ret; i++) {
		const struct merge_seg *seg = &s->segs[i];
		uint8_t *to = s->buf + (off - s->off);

		if (seg->kind == MERGE_DATA)
			ret = dev_read(seg->src, to, (size_t)seg->len, off);
		if (ret && e->c->collect && ret != -ENOMEM)
			ret = read_bad(e, seg, to, off);
		off += seg->len;
	}
	return ret;
}

static void *reader(void *arg)
{
	struct engine *e = arg;

	pthread_mutex_lock(&e->lock);
	for (;;) {
		struct slot *s = &e->slots[e->n_cut % SLOTS];

		if (!e->end && s->state != SLOT_FREE) {
			pthread_cond_wait(&e->changed, &e->lock);
			continue;
		}
		if (e->end || !cut_window(e, s))
			break;
		e->n_cut++;
		s->state = SLOT_READING;
		s->cloned = e->clone && s->n == 1 &&
			    s->segs[0].kind == MERGE_DATA;
		pthread_mutex_unlock(&e->lock);
		s->cloned = s->cloned &&
			    merge_clone_can(e->c->clone_fd, s->segs[0].src,
					    s->off, (size_t)s->len);
		if (!s->cloned)
			s->ret = read_window(e, s);
		pthread_mutex_lock(&e->lock);
		s->state = SLOT_READY;
		pthread_cond_broadcast(&e->changed);
	}
	e->end = true;
	pthread_cond_broadcast(&e->changed);
	pthread_mutex_unlock(&e->lock);
	return NULL;
}

/* Neighbours that come from different files are written at once. */
static int put_segs(struct merge_copy *c, const struct slot *s)
{
	uint64_t off = s->off, from = s->off;
	int ret = 0;

	for (int i = 0; i < s->n && !ret; i++) {
		enum merge_seg_kind kind = s->segs[i].kind;

		off += s->segs[i].len;
		if (i + 1 < s->n && s->segs[i + 1].kind == kind)
			continue;
		if (kind == MERGE_DATA) {
			ret = c->data(c->ctx, from, s->buf + (from - s->off),
				      (size_t)(off - from));
			c->copied += off - from;
		} else if (kind == MERGE_ZERO) {
			ret = c->zero(c->ctx, from, off - from);
		}
		from = off;
	}
	return ret;
}

static int put_window(struct engine *e, struct slot *s)
{
	struct merge_copy *c = e->c;
	int ret;

	if (s->ret)
		return s->ret;
	if (!s->cloned)
		return put_segs(c, s);
	ret = e->clone ? c->clone(c->ctx, s->segs[0].src, s->off,
				  (size_t)s->len) : -ERR_UNSUPP;
	if (!ret) {
		c->cloned += s->len;
		return 0;
	}
	if (ret != -ERR_UNSUPP && ret != -EXDEV)
		return ret;
	if (ret == -EXDEV) {
		pthread_mutex_lock(&e->lock);
		e->clone = false;
		pthread_mutex_unlock(&e->lock);
	}
	ret = read_window(e, s);
	return ret ? ret : put_segs(c, s);
}

/* Sleeps until as much may have moved as has. */
static void keep_rate(struct engine *e)
{
	uint64_t rate = e->c->job->rate;
	struct timespec now;
	int64_t due, is;

	if (!rate)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	is = (now.tv_sec - e->start.tv_sec) * 1000000000LL +
	     now.tv_nsec - e->start.tv_nsec;
	due = (int64_t)((double)e->moved * 1e9 / (double)rate);
	if (due > is) {
		struct timespec t = { (due - is) / 1000000000,
				      (due - is) % 1000000000 };

		nanosleep(&t, NULL);
	}
}

static int after_window(struct engine *e, const struct slot *s)
{
	const struct merge_job *job = e->c->job;

	for (int i = 0; i < s->n; i++)
		if (s->segs[i].kind == MERGE_DATA)
			e->moved += s->segs[i].len;
	keep_rate(e);
	if (job->progress)
		job->progress(job->ctx, s->off + s->len, e->c->size);
	if (job->stop && job->stop(job->ctx))
		return -ECANCELED;
	return e->c->mark ? e->c->mark(e->c->ctx, s->off + s->len) : 0;
}

/* The caller's thread. */
static int writer(struct engine *e)
{
	int ret = 0;

	pthread_mutex_lock(&e->lock);
	while (!ret) {
		struct slot *s = &e->slots[e->n_put % SLOTS];

		if (e->n_put == e->n_cut && e->end)
			break;
		if (e->n_put == e->n_cut || s->state != SLOT_READY) {
			pthread_cond_wait(&e->changed, &e->lock);
			continue;
		}
		pthread_mutex_unlock(&e->lock);
		ret = put_window(e, s);
		if (!ret)
			ret = after_window(e, s);
		pthread_mutex_lock(&e->lock);
		s->state = SLOT_FREE;
		e->n_put++;
		pthread_cond_broadcast(&e->changed);
	}
	e->end = true;
	pthread_cond_broadcast(&e->changed);
	pthread_mutex_unlock(&e->lock);
	return ret ? ret : e->ret;
}

static int start(struct engine *e)
{
	for (int i = 0; i < SLOTS; i++)
		if (posix_memalign((void **)&e->slots[i].buf, 4096,
				   MERGE_WINDOW))
			return -ENOMEM;
	while (e->n_threads < READERS) {
		int err = pthread_create(&e->threads[e->n_threads], NULL,
					 reader, e);

		if (err)
			return e->n_threads ? 0 : -err;
		e->n_threads++;
	}
	return 0;
}

int merge_copy_run(struct merge_copy *c)
{
	struct engine *e = mem_new(struct engine);
	int ret;

	if (!e)
		return -ENOMEM;
	e->c = c;
	e->pos = c->from;
	e->clone = c->clone != NULL;
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->changed, NULL);
	clock_gettime(CLOCK_MONOTONIC, &e->start);
	ret = start(e);
	if (!ret)
		ret = writer(e);
	for (int i = 0; i < e->n_threads; i++)
		pthread_join(e->threads[i], NULL);
	for (int i = 0; i < SLOTS; i++)
		free(e->slots[i].buf);
	pthread_cond_destroy(&e->changed);
	pthread_mutex_destroy(&e->lock);
	free(e);
	return ret;
}
