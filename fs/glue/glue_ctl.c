/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Around the loop: a thread that takes the signals, one that flushes every few
 * seconds, and, when it is time to go, one that leaves: it opens the mount,
 * syncfs(2), unmounts. The loop serves meanwhile, so that dirty pages of
 * shared mappings still reach us.
 *
 * Leaving may hang where the loop hangs, so the signals are not waited for
 * there: a second one ends the session at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "fs/glue/glue_int.h"

enum {				/* bits of glue_ctl.state */
	STOP = 1 << 0,		/* somebody wants the end */
	LEAVING = 1 << 1,	/* the thread for it runs */
	DETACHED = 1 << 2,	/* the loop must be ended by hand */
	LOOP_OVER = 1 << 3,
	UNMOUNTED = 1 << 4,	/* the loop should end by itself */
};

struct glue_ctl {
	int signals;		/* signalfd; -1 outside the loop */
	int wake;		/* eventfd: state has changed */
	unsigned state;		/* atomic */
	pthread_t loop;		/* who runs glue_loop() */
	pthread_t ctl, flusher, leaver;
	bool has_leaver;	/* of the ctl thread, then of the loop's */
	pthread_mutex_t lock;	/* for over */
	pthread_cond_t over_cond;
	bool over;
	struct sigaction old;	/* of SIGURG */
};

/* Milliseconds from the unmounting to the end of the last request. */
#define LAST_WORDS 2000

static void signal_set(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGUSR1);
}

void glue_block_signals(void)
{
	sigset_t set;

	signal_set(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int glue_ctl_new(struct glue *g, struct diag *why)
{
	struct glue_ctl *c = mem_new(struct glue_ctl);
	pthread_condattr_t attr;

	if (!c)
		return diag_fail(why, ENOMEM, "glue: out of memory");
	c->signals = -1;
	c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->over_cond, &attr);
	pthread_condattr_destroy(&attr);
	g->ctl = c;
	if (c->wake < 0)
		return diag_fail(why, errno, "glue: no eventfd");
	return 0;
}

void glue_ctl_free(struct glue *g)
{
	struct glue_ctl *c = g->ctl;

	if (!c)
		return;
	if (c->wake >= 0)
		close(c->wake);
	pthread_cond_destroy(&c->over_cond);
	pthread_mutex_destroy(&c->lock);
	free(c);
	g->ctl = NULL;
}

static unsigned state_of(struct glue_ctl *c)
{
	return __atomic_load_n(&c->state, __ATOMIC_ACQUIRE);
}

static void set_state(struct glue_ctl *c, unsigned bits)
{
	__atomic_fetch_or(&c->state, bits, __ATOMIC_ACQ_REL);
	eventfd_write(c->wake, 1);
}

void glue_ctl_stop(struct glue *g)
{
	set_state(g->ctl, STOP);
}

/* Pages of shared mappings, written but not sent to us yet. */
static void sync_mount(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return;
	syncfs(fd);
	close(fd);
}

static int unmount_one(const char *dir)
{
	const struct timespec moment = { .tv_nsec = 20000000 };

	for (int i = 0; i < 10; i++) {
		int ret = glue_umount(dir, false);

		if (ret != -EBUSY)
			return ret;
		nanosleep(&moment, NULL);
	}
	return -EBUSY;
}

/* The loop ends by itself when nothing is mounted any more. A mount that
 * others keep busy is only detached: then the loop is told, as it is when
 * the mount lives on in a namespace that we cannot see. The last of several
 * places goes last: until then the device's number is ours. */
static void leave(struct glue *g)
{
	int n, ret = -ENOENT;
	char *dir;

	n = glue_find_mount(g, &dir);
	if (dir)
		sync_mount(dir);
	for (; n > 1 && !glue_umount(dir, true); n = glue_find_mount(g, &dir))
		free(dir);
	if (dir)
		ret = unmount_one(dir);
	if (ret == -EBUSY)
		glue_umount(dir, true);
	free(dir);
	set_state(g->ctl, ret ? DETACHED : UNMOUNTED);
}

static void *leaver_main(void *arg)
{
	leave(arg);
	return NULL;
}

static void on_stop(struct glue *g)
{
	struct glue_ctl *c = g->ctl;

	if (state_of(c) & LEAVING) {
		set_state(c, DETACHED);		/* again: now, then */
		return;
	}
	set_state(c, LEAVING);
	c->has_leaver = !pthread_create(&c->leaver, NULL, leaver_main, g);
	if (!c->has_leaver)
		set_state(c, DETACHED);
}

static void on_signal(struct glue *g)
{
	struct signalfd_siginfo info;
	char line[512];

	if (read(g->ctl->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo != SIGUSR1) {
		on_stop(g);
		return;
	}
	glue_status(g, line, sizeof(line));
	dprintf(STDERR_FILENO, "%s\n", line);
	syslog(LOG_INFO, "%s", line);
}

static void *ctl_main(void *arg)
{
	struct glue *g = arg;
	struct glue_ctl *c = g->ctl;
	struct pollfd p[2] = {
		{ .fd = c->signals, .events = POLLIN },
		{ .fd = c->wake, .events = POLLIN },
	};
	eventfd_t ignored;

	while (!(state_of(c) & LOOP_OVER)) {
		bool kick = state_of(c) & DETACHED;
		bool soon = state_of(c) & UNMOUNTED;
		int n;

		/* A signal that comes just before the loop sleeps is lost on
		 * it: so it is sent until the loop is over. */
		if (kick) {
			fuse_session_exit(g->se);
			pthread_kill(c->loop, GLUE_KICK);
		}
		n = poll(p, 2, kick ? 20 : soon ? LAST_WORDS : -1);
		if (n < 0)
			continue;
		if (!n && soon)
			set_state(c, DETACHED);
		if (p[1].revents)
			eventfd_read(c->wake, &ignored);
		if (p[0].revents)
			on_signal(g);
		if (state_of(c) & STOP && !(state_of(c) & LEAVING))
			on_stop(g);
	}
	return NULL;
}

static void flush_now(struct glue *g)
{
	int ret, none = 0;

	if (!__atomic_exchange_n(&g->dirty, 0, __ATOMIC_ACQ_REL))
		return;
	ret = tree_sync(g->tree, 0, false);
	if (ret)
		__atomic_compare_exchange_n(&g->flush_error, &none, ret, false,
					    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static void *flusher_main(void *arg)
{
	struct glue *g = arg;
	struct glue_ctl *c = g->ctl;
	struct timespec at;

	pthread_mutex_lock(&c->lock);
	while (!c->over) {
		clock_gettime(CLOCK_MONOTONIC, &at);
		at.tv_sec += g->opts.flush_seconds ? g->opts.flush_seconds : 5;
		pthread_cond_timedwait(&c->over_cond, &c->lock, &at);
		if (c->over)
			break;
		pthread_mutex_unlock(&c->lock);
		flush_now(g);
		pthread_mutex_lock(&c->lock);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

static void on_kick(int sig)
{
}

/* Interrupts the loop's thread, and it alone. */
static void allow_kicks(struct glue_ctl *c)
{
	struct sigaction sa = { .sa_handler = on_kick };
	sigset_t set;

	sigaction(GLUE_KICK, &sa, &c->old);
	sigemptyset(&set);
	sigaddset(&set, GLUE_KICK);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int glue_ctl_start(struct glue *g)
{
	struct glue_ctl *c = g->ctl;
	sigset_t set;
	int ret;

	glue_block_signals();
	signal_set(&set);
	c->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (c->signals < 0)
		return -errno;
	c->loop = pthread_self();
	allow_kicks(c);
	ret = pthread_create(&c->ctl, NULL, ctl_main, g);
	if (ret) {
		close(c->signals);
		return -ret;
	}
	ret = pthread_create(&c->flusher, NULL, flusher_main, g);
	if (ret) {
		set_state(c, LOOP_OVER);
		pthread_join(c->ctl, NULL);
		close(c->signals);
	}
	return -ret;
}

void glue_ctl_end(struct glue *g)
{
	struct glue_ctl *c = g->ctl;

	set_state(c, LOOP_OVER);
	pthread_join(c->ctl, NULL);
	pthread_mutex_lock(&c->lock);
	c->over = true;
	pthread_cond_signal(&c->over_cond);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->flusher, NULL);
	sigaction(GLUE_KICK, &c->old, NULL);
	close(c->signals);
	c->signals = -1;
}

void glue_ctl_join(struct glue *g)
{
	if (g->ctl->has_leaver)
		pthread_join(g->ctl->leaver, NULL);
	g->ctl->has_leaver = false;
}
