/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fs/glue/glue_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What libfuse says while it sets up, in pieces, belongs into the caller's
 * diag; it offers no better place than one function for the whole process. */
static _Thread_local struct told {
	struct diag *why;	/* NULL: nobody listens */
	char line[512];
	size_t len;
} told;

static void __attribute__((format(printf, 2, 0)))
on_log(enum fuse_log_level level, const char *fmt, va_list ap)
{
	struct told *t = &told;
	char *text = t->line;
	size_t room = sizeof(t->line) - t->len;
	int n;

	if (!t->why) {
		vfprintf(stderr, fmt, ap);
		return;
	}
	n = vsnprintf(t->line + t->len, room, fmt, ap);
	t->len += n > 0 ? min_of((size_t)n, room - 1) : 0;
	if (!t->len || t->line[t->len - 1] != '\n')
		return;
	t->line[t->len - 1] = '\0';
	t->len = 0;
	if (!strncmp(text, "fuse: ", 6))
		text += 6;
	if (level <= FUSE_LOG_ERR)
		diag_fail(t->why, EINVAL, "%s", text);
}

static void listen_to(struct diag *why)
{
	told.why = why;
	told.len = 0;
}

/* One of the -o words, with its commas escaped. */
static int add_word(char **opts, const char *key, const char *value)
{
	char *word = mem_printf("%s%s", key, value);
	int ret = word ? fuse_opt_add_opt_escaped(opts, word) : -1;

	free(word);
	return ret ? -ENOMEM : 0;
}

static int make_words(const struct glue *g, const struct glue_opts *o,
		      char **opts)
{
	int ret = add_word(opts, "fsname=", g->fsname);

	if (!ret)
		ret = add_word(opts, "subtype=", g->subtype);
	if (!ret && !o->fake_perms)
		ret = add_word(opts, "", "default_permissions");
	if (!ret)
		ret = add_word(opts, "", g->read_only ? "ro" : "rw");
	for (size_t i = 0; !ret && i < o->n_mount_words; i++)
		ret = add_word(opts, "", o->mount_words[i]);
	return ret;
}

static int make_args(const struct glue *g, const struct glue_opts *o,
		     struct fuse_args *args)
{
	char *opts = NULL;
	int ret = make_words(g, o, &opts);

	if (!ret && (fuse_opt_add_arg(args, g->subtype) ||
		     fuse_opt_add_arg(args, "-o") ||
		     fuse_opt_add_arg(args, opts) ||
		     (o->debug && fuse_opt_add_arg(args, "-d"))))
		ret = -ENOMEM;
	free(opts);
	return ret;
}

static int new_session(struct glue *g, const struct glue_opts *o,
		       struct diag *why)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct fuse_lowlevel_ops ops;
	int ret = make_args(g, o, &args);

	glue_fill_ops(g, &ops);
	if (!ret) {
		fuse_set_log_func(on_log);
		listen_to(why);
		g->se = fuse_session_new(&args, &ops, sizeof(ops), g);
		listen_to(NULL);
	}
	fuse_opt_free_args(&args);
	if (ret)
		return diag_fail(why, ret, "glue: out of memory");
	if (!g->se)
		return diag_fail(why, EINVAL, "glue: mount options refused");
	return 0;
}

/* Nobody but us changes a writable tree: only what is known under another
 * name than the kernel's can be out of date. So without regard to case a name
 * is asked for every time; else a while is safe. */
static void choose_timeouts(struct glue *g)
{
	const struct glue_opts *o = &g->opts;
	bool aliases = g->tree->caps & TREE_CAP_IGNORE_CASE;
	double day = 86400, known = aliases ? 0 : 30, absent = aliases ? 0 : 1;

	g->attr_timeout = g->frozen ? day : 30;
	g->entry_timeout = g->frozen ? day : known;
	g->negative_timeout = g->frozen ? day : absent;
	if (o->attr_timeout >= 0)
		g->attr_timeout = o->attr_timeout;
	if (o->entry_timeout >= 0)
		g->entry_timeout = o->entry_timeout;
	if (o->negative_timeout >= 0)
		g->negative_timeout = o->negative_timeout;
}

static unsigned find_max_read(const struct glue_opts *o)
{
	unsigned max = 0;

	for (size_t i = 0; i < o->n_mount_words; i++)
		if (sscanf(o->mount_words[i], "max_read=%u", &max) != 1)
			continue;
	return max;
}

static int set_up(struct glue *g, const struct glue_opts *o, struct diag *why)
{
	int ret;

	g->fsname = mem_strdup(o->fsname);
	g->subtype = mem_strdup(o->subtype);
	if (!g->fsname || !g->subtype ||
	    pthread_key_create(&g->worker_key, glue_worker_free))
		return diag_fail(why, ENOMEM, "glue: out of memory");
	g->has_key = true;
	ret = glue_ctl_new(g, why);
	return ret ? ret : new_session(g, o, why);
}

int glue_new(struct tree *t, const struct glue_opts *opts, struct glue **out,
	     struct diag *why)
{
	struct glue *g = mem_new(struct glue);
	int ret;

	if (!g)
		return diag_fail(why, ENOMEM, "glue: out of memory");
	g->tree = t;
	g->opts = *opts;
	g->opts.mount_words = NULL;
	g->zero_fd = -1;
	g->max_read = find_max_read(opts);
	g->minor = -1;
	g->read_only = opts->read_only || !t->writable;
	g->frozen = g->read_only && t->frozen;
	/* The kernel caches each file by itself: with disk.raw and p1.raw
	 * over the same bytes, one would show what the other has changed. */
	if (t->shared_bytes && !g->read_only)
		g->opts.direct_io = true;
	glue_files_init(g);
	glue_view_init(g);
	choose_timeouts(g);
	ret = set_up(g, opts, why);
	if (ret) {
		glue_free(g);
		return ret;
	}
	*out = g;
	return 0;
}

int glue_mount(struct glue *g, const char *dir, struct diag *why)
{
	int ret;

	g->dir = mem_strdup(dir);
	if (!g->dir)
		return diag_fail(why, ENOMEM, "glue: out of memory");
	errno = 0;
	listen_to(why);
	ret = fuse_session_mount(g->se, dir);
	listen_to(NULL);
	if (ret)
		return diag_fail(why, errno ? errno : EIO, "%s: cannot mount",
				 dir);
	g->mounted = true;
	g->minor = glue_connection(fuse_session_fd(g->se));
	ret = glue_send_setup(g, why);
	if (ret)
		glue_unmount(g);
	return ret;
}

/* Closes our /dev/fuse: what is still mounted answers ENOTCONN from now on.
 * fuse_session_unmount(), which alone frees what the session holds, would
 * detach whatever is at the mount point by now, unless its file says that the
 * mount has gone: so does a pipe that nobody reads. */
static void sever(struct glue *g)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC))
		return;
	close(p[0]);
	dup3(p[1], fuse_session_fd(g->se), O_CLOEXEC);
	close(p[1]);
}

static void end_session(struct glue *g)
{
	if (g->mounted) {
		sever(g);
		fuse_session_unmount(g->se);
	}
	if (g->se)
		fuse_session_destroy(g->se);
	g->se = NULL;
	g->mounted = false;
}

void glue_unmount(struct glue *g)
{
	if (g->mounted)
		fuse_session_unmount(g->se);
	g->mounted = false;
}

static int serve(struct glue *g)
{
	return g->opts.single_thread ? fuse_session_loop(g->se)
				     : glue_loop_mt(g);
}

int glue_loop(struct glue *g)
{
	int ret, err;

	glue_read_ahead(g);
	ret = glue_ctl_start(g);
	if (!ret) {
		ret = serve(g);
		glue_ctl_end(g);
	}
	end_session(g);
	glue_ctl_join(g);
	glue_unmount_dead(g);
	glue_dirs_end(g);
	glue_files_end(g);
	err = tree_sync(g->tree, 0, false);
	if (!err)
		err = __atomic_load_n(&g->flush_error, __ATOMIC_ACQUIRE);
	return err ? err : ret;
}

void glue_stop(struct glue *g)
{
	glue_ctl_stop(g);
}

int glue_device(const struct glue *g)
{
	return g->minor;
}

void glue_status(struct glue *g, char *buf, size_t size)
{
	struct glue_counts c = g->counts;
	int n = snprintf(buf, size, "%s: %llu reads (%llu MiB spliced, "
			 "%llu MiB copied), %llu MiB written, %llu changes, "
			 "%llu errors", g->fsname, (unsigned long long)c.reads,
			 (unsigned long long)c.spliced >> 20,
			 (unsigned long long)c.copied >> 20,
			 (unsigned long long)c.written >> 20,
			 (unsigned long long)c.changes,
			 (unsigned long long)c.errors);

	if (g->opts.status && n > 0 && (size_t)n + 2 < size) {
		memcpy(buf + n, "; ", 3);
		g->opts.status(g->opts.ctx, buf + n + 2, size - (size_t)n - 2);
	}
}

void glue_free(struct glue *g)
{
	if (!g)
		return;
	glue_unmount(g);
	end_session(g);
	glue_dirs_end(g);
	glue_files_end(g);
	glue_ctl_free(g);
	if (g->has_key) {
		struct glue_worker *w = pthread_getspecific(g->worker_key);

		if (w)
			glue_worker_free(w);
		pthread_key_delete(g->worker_key);
	}
	if (g->zero_fd >= 0)
		close(g->zero_fd);
	pthread_mutex_destroy(&g->files.lock);
	free(g->fsname);
	free(g->subtype);
	free(g->dir);
	free(g);
}
