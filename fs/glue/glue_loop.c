/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The loop of several threads. libfuse's own has them all read /dev/fuse, so
 * that who answered one request sleeps while another wakes up, perhaps on
 * another processor, for the next: work by one caller takes twice as long as
 * with one thread (measured: tar of small files, random reads). Here one
 * thread, the reader, reads requests and answers the quick ones as well. It
 * hands its part to another before it answers
 *
 * - when the next request is waiting already,
 * - when the answer is sure to take long (much data, a flush),
 *
 * and loses it to another when an answer has taken a tick of the watch.
 */
#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <time.h>

#include "fs/glue/glue_int.h"

/* Enough to keep a disk and two processors busy; each has its own buffers. */
#define MAX_THREADS 10
/* Bytes that take longer to move than another thread to wake up. */
#define MUCH (64u << 10)
/* Between looking whether the reader is stuck in an answer: what others may
 * lose by that, and far above what an answer from memory takes. */
#define TICK_NS 1000000
/* How long a reader looks out before it goes to sleep. */
#define LINGER_NS 50000
/* So many in which nobody asks, and the watch sleeps too. */
#define QUIET_TICKS 20

struct worker {
	struct loop *l;
	pthread_t thread;
	bool reading;			/* is in read(2), or close to it */
	bool asked;			/* its own: something came last time */
};

struct loop {
	struct glue *g;
	pthread_mutex_t lock;		/* guards what follows */
	pthread_cond_t free_cond;	/* there is no reader */
	struct worker workers[MAX_THREADS];
	int n, n_idle;
	struct worker *reader;		/* NULL: whoever is free becomes it */
	bool answering;			/* it does, instead of reading */
	uint64_t requests;		/* that it read */
	bool asleep;			/* the watch */
	int error;
	sem_t wake;			/* the watch: sleeping, or the end */
};

static void *worker_main(void *arg);

/* Lock held. At worst there is one thread fewer. */
static void start_worker(struct loop *l)
{
	struct worker *w = &l->workers[l->n];

	*w = (struct worker) { .l = l };
	if (!pthread_create(&w->thread, NULL, worker_main, w))
		l->n++;
}

/* Lock held. Lets another thread read. None is started after the end, when
 * glue_loop_mt() has counted those that it waits for. */
static void give_up(struct loop *l)
{
	l->reader = NULL;
	if (l->n_idle)
		pthread_cond_signal(&l->free_cond);
	else if (l->n < MAX_THREADS && !fuse_session_exited(l->g->se))
		start_worker(l);
}

/* Waits until w is the reader: false at the end. */
static bool become_reader(struct loop *l, struct worker *w)
{
	struct fuse_session *se = l->g->se;

	pthread_mutex_lock(&l->lock);
	l->n_idle++;
	while (l->reader && l->reader != w && !fuse_session_exited(se))
		pthread_cond_wait(&l->free_cond, &l->lock);
	l->n_idle--;
	if (!fuse_session_exited(se)) {
		l->reader = w;
		l->answering = false;
		w->reading = true;
	}
	pthread_mutex_unlock(&l->lock);
	return w->reading;
}

static bool takes_long(const struct fuse_buf *b)
{
	const struct fuse_in_header *h = b->mem;
	const struct fuse_read_in *r = (const void *)(h + 1);

	if (b->size < sizeof(*h) + sizeof(*r))
		return false;
	switch (h->opcode) {
	case FUSE_READ:
		return r->size >= MUCH;
	case FUSE_WRITE:
		return h->len >= MUCH;
	case FUSE_FSYNC:
	case FUSE_FSYNCDIR:
	case FUSE_FALLOCATE:
		return true;
	default:
		return false;
	}
}

static bool is_waiting(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

/* Something was read: who reads the next? */
static void got_request(struct loop *l, struct worker *w,
			const struct fuse_buf *b)
{
	bool hand_over = takes_long(b) || is_waiting(fuse_session_fd(l->g->se));

	pthread_mutex_lock(&l->lock);
	w->reading = false;
	l->answering = true;
	l->requests++;
	if (hand_over)
		give_up(l);
	if (!hand_over && l->asleep) {
		l->asleep = false;
		sem_post(&l->wake);
	}
	pthread_mutex_unlock(&l->lock);
}

/* Who has just been answered asks again at once, and a processor that went to
 * sleep takes longer to wake up than the answer did (measured on a virtual
 * machine: 21,000 random reads/s without this, 2 processors). Others may run
 * meanwhile. */
static void linger(struct fuse_session *se)
{
	struct timespec t;
	uint64_t now, end = 0;

	do {
		if (is_waiting(fuse_session_fd(se)))
			return;
		sched_yield();
		clock_gettime(CLOCK_MONOTONIC, &t);
		now = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
		if (!end)
			end = now + LINGER_NS;
	} while (now < end && !fuse_session_exited(se));
}

/* One request, or the end of all: an error, or the mount has gone. */
static void serve_one(struct loop *l, struct worker *w, struct fuse_buf *b)
{
	struct fuse_session *se = l->g->se;
	int ret;

	if (w->asked)
		linger(se);
	ret = fuse_session_receive_buf(se, b);
	w->asked = ret > 0;
	if (ret > 0) {
		got_request(l, w, b);
		fuse_session_process_buf(se, b);
		return;
	}
	pthread_mutex_lock(&l->lock);
	w->reading = false;
	if (ret != -EINTR && ret != -EAGAIN) {
		l->error = ret;
		fuse_session_exit(se);
	}
	pthread_mutex_unlock(&l->lock);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct loop *l = w->l;
	struct fuse_buf b = { .mem = NULL };

	while (become_reader(l, w))
		serve_one(l, w, &b);
	pthread_mutex_lock(&l->lock);
	pthread_cond_broadcast(&l->free_cond);
	pthread_mutex_unlock(&l->lock);
	sem_post(&l->wake);
	free(b.mem);
	return NULL;
}

static void sleep_tick(struct loop *l)
{
	struct timespec at;

	clock_gettime(CLOCK_REALTIME, &at);
	at.tv_nsec += TICK_NS;
	if (at.tv_nsec >= 1000000000) {
		at.tv_nsec -= 1000000000;
		at.tv_sec++;
	}
	sem_timedwait(&l->wake, &at);
}

/* Sees that a slow answer keeps nobody waiting, until the session's end.
 * Signals end the waiting early, too. */
static void watch(struct loop *l)
{
	uint64_t last = 0;
	int quiet = 0;

	while (!fuse_session_exited(l->g->se)) {
		bool sleeps;

		pthread_mutex_lock(&l->lock);
		quiet = l->requests == last ? quiet + 1 : 0;
		if (quiet && l->reader && l->answering)
			give_up(l);
		last = l->requests;
		sleeps = l->asleep = quiet > QUIET_TICKS;
		pthread_mutex_unlock(&l->lock);
		if (sleeps)
			sem_wait(&l->wake);
		else
			sleep_tick(l);
	}
}

/* A reader that sleeps in the kernel learns of the end by a signal; one that
 * comes just before it goes to sleep is lost on it, so they go on. */
static void end_worker(struct loop *l, struct worker *w)
{
	const struct timespec moment = { .tv_nsec = 5000000 };
	bool reading = true;

	while (reading) {
		pthread_mutex_lock(&l->lock);
		reading = w->reading;
		if (reading)
			pthread_kill(w->thread, GLUE_KICK);
		pthread_cond_broadcast(&l->free_cond);
		pthread_mutex_unlock(&l->lock);
		if (reading)
			nanosleep(&moment, NULL);
	}
	pthread_join(w->thread, NULL);
}

int glue_loop_mt(struct glue *g)
{
	struct loop l = {
		.g = g, .lock = PTHREAD_MUTEX_INITIALIZER,
		.free_cond = PTHREAD_COND_INITIALIZER,
	};
	int n;

	sem_init(&l.wake, 0, 0);
	pthread_mutex_lock(&l.lock);
	start_worker(&l);
	n = l.n;
	pthread_mutex_unlock(&l.lock);
	if (n)
		watch(&l);
	pthread_mutex_lock(&l.lock);
	n = l.n;
	pthread_mutex_unlock(&l.lock);
	for (int i = 0; i < n; i++)
		end_worker(&l, &l.workers[i]);
	sem_destroy(&l.wake);
	fuse_session_reset(g->se);
	return n ? l.error : -EAGAIN;
}
