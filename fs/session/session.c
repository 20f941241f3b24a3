/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fs/session/session.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config.h"
#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "fs/glue/glue.h"
#include "fs/session/cmdline.h"
#include "fs/session/registry.h"
#include "fs/session/report.h"

/* A mount in the making and in its life. */
struct session {
	const struct session_type *type;
	struct cmdline cmd;
	struct session_request req;
	char *image, *dir;	/* absolute, owned */
	struct tree *tree;
	void *state;		/* the type's */
	struct glue *glue;
	int ready_fd;		/* the waiting parent, or -1 */
};

/* What the kernel calls path, without asking the file system there: a mount
 * whose daemon has died has a name, too. */
static char *name_of(const char *path)
{
	char link[64], name[PATH_MAX];
	int fd = open(path, O_PATH | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return NULL;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, name, sizeof(name) - 1);
	close(fd);
	if (n <= 0 || *name != '/')
		return NULL;
	name[n] = '\0';
	return mem_strdup(name);
}

int session_absolute(const char *path, char **out)
{
	char *real = realpath(path, NULL), *cwd;

	if (!real)
		real = name_of(path);
	if (!real && *path == '/')
		real = mem_strdup(path);
	if (!real) {
		cwd = getcwd(NULL, 0);
		real = cwd ? mem_printf("%s/%s", cwd, path) : NULL;
		free(cwd);
	}
	if (!real)
		return -ENOMEM;
	*out = real;
	return 0;
}

int session_absolute_list(struct word_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		char *full;
		int ret = session_absolute(list->items[i], &full);

		if (ret)
			return ret;
		free((char *)(size_t)list->items[i]);
		list->items[i] = full;
	}
	return 0;
}

void session_free_texts(const struct word *table, void *target)
{
	for (; table->name; table++)
		if (table->kind == WORD_TEXT)
			free(*(char **)((char *)target + table->offset));
}

static bool is_fd_mount(const char *dir)
{
	return !strncmp(dir, "/dev/fd/", 8);
}

static int check_empty(const char *dir, struct diag *why)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	bool empty = true;

	if (!d)
		return diag_fail(why, errno, "%s: %s", dir, strerror(errno));
	while (empty && (e = readdir(d)))
		empty = !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..");
	closedir(d);
	return empty ? 0 : diag_fail_as(why, ENOTEMPTY, OUT_USAGE,
		"%s: is not empty (nonempty mounts over it)", dir);
}

/* A dead mount of ours at dir is taken away first. */
static int check_dir(struct session *s, struct diag *why)
{
	struct unmount_opts lazy = { .lazy = true, .force = true };
	struct stat st;

	if (is_fd_mount(s->dir))
		return 0;
	if (stat(s->dir, &st) && unmount_dead(errno))
		unmount_dir(s->type->name, s->dir, &lazy, NULL);
	if (stat(s->dir, &st))
		return diag_fail(why, errno, "%s: %s", s->dir, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return diag_fail_as(why, ENOTDIR, OUT_USAGE,
				    "%s: is not a directory", s->dir);
	return s->cmd.nonempty ? 0 : check_empty(s->dir, why);
}

/* Everything relative is resolved before the daemon changes to /. */
static int resolve(struct session *s, struct diag *why)
{
	int ret = session_absolute(s->cmd.image, &s->image);

	if (!ret && is_fd_mount(s->cmd.dir))
		ret = (s->dir = mem_strdup(s->cmd.dir)) ? 0 : -ENOMEM;
	else if (!ret)
		ret = session_absolute(s->cmd.dir, &s->dir);
	if (ret)
		return diag_fail(why, ret, "out of memory");
	s->req = (struct session_request) {
		.image = s->image,
		.read_only = s->cmd.read_only,
		.must_write = s->cmd.must_write,
		.quiet = s->cmd.quiet,
		.uid = s->cmd.uid.set ? s->cmd.uid.value : getuid(),
		.gid = s->cmd.gid.set ? s->cmd.gid.value : getgid(),
		.registry = registry_dir(),
	};
	ret = s->type->resolve ? s->type->resolve(s->type->opts, why) : 0;
	return ret ? ret : check_dir(s, why);
}

/* Writable if safe, else read-only with one line that says why. */
static int open_tree(struct session *s, struct diag *why)
{
	struct diag not_writable = DIAG_INIT;
	int ret = s->type->open(s->type->opts, &s->req, &s->tree, &s->state,
				&not_writable, why);

	if (ret || s->cmd.read_only || s->tree->writable)
		return ret;
	if (!not_writable.code)
		diag_fail(&not_writable, EROFS, "cannot be written to");
	if (s->cmd.must_write) {
		*why = not_writable;
		return why->code;
	}
	if (!s->cmd.quiet && !s->type->never_writes)
		session_say(s->type->name, "%s: mounted read-only: %s",
			    s->image, not_writable.text);
	return 0;
}

static void tell_ready(void *ctx)
{
	struct session *s = ctx;
	char ok = EXIT_MOUNT_OK;

	if (s->ready_fd < 0)
		return;
	/* The parent may be gone: that is no error of the mount. */
	if (write(s->ready_fd, &ok, 1) != 1)
		ok = 0;
	close(s->ready_fd);
	s->ready_fd = -1;
	if (!s->cmd.foreground) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		report_to_log(s->type->name);
		for (int fd = 0; fd < 3 && null >= 0; fd++)
			dup2(null, fd);
		if (null > 2)
			close(null);
	}
}

static int make_glue(struct session *s, struct diag *why)
{
	const struct cmdline *c = &s->cmd;
	struct glue_opts o = {
		.fsname = c->fsname ? c->fsname : s->image,
		.subtype = c->subtype ? c->subtype : s->type->name,
		.read_only = c->read_only || !s->tree->writable,
		.single_thread = c->single, .debug = c->debug,
		.direct_io = c->direct_io, .kernel_cache = c->kernel_cache,
		.auto_cache = c->auto_cache,
		.attr_timeout = c->attr_timeout,
		.entry_timeout = c->entry_timeout,
		.negative_timeout = c->negative_timeout,
		.has_uid = c->uid.set, .uid = c->uid.value,
		.has_gid = c->gid.set, .gid = c->gid.value,
		.has_umask = c->umask.set, .umask = c->umask.value,
		.has_fmask = c->fmask.set, .fmask = c->fmask.value,
		.has_dmask = c->dmask.set, .dmask = c->dmask.value,
		.fake_perms = c->fake_perms,
		.mount_words = c->pass.items, .n_mount_words = c->pass.n,
		.ready = tell_ready, .ctx = s,
	};

	return glue_new(s->tree, &o, &s->glue, why);
}

static int pass_flag(struct session *s, bool on, const char *word)
{
	return on ? word_list_add(&s->cmd.pass, word, strlen(word)) : 0;
}

static int mount_tree(struct session *s, struct diag *why)
{
	int ret = pass_flag(s, s->cmd.allow_other, "allow_other");

	if (!ret)
		ret = pass_flag(s, s->cmd.allow_root, "allow_root");
	if (!ret)
		ret = pass_flag(s, s->cmd.auto_unmount, "auto_unmount");
	if (ret)
		return diag_fail(why, ret, "out of memory");
	ret = make_glue(s, why);
	return ret ? ret : glue_mount(s->glue, s->dir, why);
}

/* Which of the mounts at this place is ours, if there are several. */
static void enter_device(const struct session *s, json_t *entry)
{
	int minor = glue_device(s->glue);
	char dev[UNMOUNT_DEV];

	if (minor >= 0)
		snprintf(dev, sizeof(dev), "0:%d", minor);
	if (minor >= 0 || unmount_find(s->type->name, s->dir, dev))
		json_object_set_new(entry, "dev", json_string(dev));
}

static void enter_registry(struct session *s)
{
	json_t *entry = json_pack("{s:s, s:o, s:o, s:s}",
		"type", s->type->name, "image", registry_text(s->image),
		"dir", registry_text(s->dir),
		"mode", s->cmd.read_only || !s->tree->writable ? "ro" : "rw");

	if (!entry)
		return;
	enter_device(s, entry);
	if (s->type->describe)
		s->type->describe(s->state, entry);
	registry_add(s->type->name, entry);
	json_decref(entry);
}

/* Serves until the end; then everything is closed, the locks last. */
static int serve(struct session *s, struct diag *why)
{
	int ret, closed;

	enter_registry(s);
	if (chdir("/"))
		session_say(s->type->name, "/: %s", strerror(errno));
	ret = glue_loop(s->glue);
	if (ret)
		diag_fail(why, ret, "not everything could be written: %s",
			  strerror(-ret));
	glue_free(s->glue);
	closed = s->type->close(s->tree, s->state);
	if (closed)
		ret = diag_fail(why, closed, "closing the image: %s",
				strerror(-closed));
	if (ret)
		registry_fail(s->type->name, why->text);
	else
		registry_remove(s->type->name);
	return ret;
}

static int run(struct session *s)
{
	struct diag why = DIAG_INIT;
	int ret = open_tree(s, &why);

	if (ret) {
		if (s->tree)
			s->type->close(s->tree, s->state);
		return report_error(s->type->name, s->image, &why);
	}
	ret = mount_tree(s, &why);
	if (ret) {
		glue_free(s->glue);
		s->type->close(s->tree, s->state);
		return report_error(s->type->name, s->dir, &why);
	}
	ret = serve(s, &why);
	return ret ? report_error(s->type->name, s->image, &why) : 0;
}

/* 0 when the mount answers; else what the daemon exited with before. */
static int wait_daemon(int fd, pid_t child, const char *name)
{
	char status;
	ssize_t n;
	int code;

	do {
		n = read(fd, &status, 1);
	} while (n < 0 && errno == EINTR);
	close(fd);
	if (n == 1)
		return EXIT_MOUNT_OK;
	while (waitpid(child, &code, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(code))
		return WEXITSTATUS(code) ? WEXITSTATUS(code) : EXIT_MOUNT_BUG;
	session_say(name, "the daemon died of signal %d before the mount "
		    "answered", WTERMSIG(code));
	return EXIT_MOUNT_BUG;
}

static int run_in_background(struct session *s)
{
	int ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC)) {
		session_say(s->type->name, "pipe: %s", strerror(errno));
		return EXIT_MOUNT_SYSTEM;
	}
	child = fork();
	if (child < 0) {
		session_say(s->type->name, "fork: %s", strerror(errno));
		return EXIT_MOUNT_SYSTEM;
	}
	if (child) {
		close(ends[1]);
		return wait_daemon(ends[0], child, s->type->name);
	}
	close(ends[0]);
	s->ready_fd = ends[1];
	setsid();
	return run(s);
}

static int do_mount(struct session *s)
{
	struct diag why = DIAG_INIT;
	int ret = resolve(s, &why);

	if (ret)
		return report_error(s->type->name,
				    s->image ? s->image : s->cmd.image, &why);
	if (s->cmd.action == CMD_FAKE)
		return EXIT_MOUNT_OK;
	glue_block_signals();
	return s->cmd.foreground ? run(s) : run_in_background(s);
}

static int do_unmount(struct session *s)
{
	struct diag why = DIAG_INIT;
	int ret = session_absolute(s->cmd.dir, &s->dir);

	if (!ret)
		ret = unmount_dir(s->type->name, s->dir, &s->cmd.unmount, &why);
	return ret ? report_error(s->type->name, NULL, &why) : EXIT_MOUNT_OK;
}

static int act(struct session *s)
{
	switch (s->cmd.action) {
	case CMD_HELP:
		cmdline_help(s->type);
		return EXIT_MOUNT_OK;
	case CMD_VERSION:
		printf("%s (imgfs) %s\n", s->type->name, PACKAGE_VERSION);
		return EXIT_MOUNT_OK;
	case CMD_UNMOUNT:
		return do_unmount(s);
	default:
		return do_mount(s);
	}
}

/* Where nobody gave us 0, 1 and 2, an image must not become one of them: what
 * is said would be written into it. */
static int open_std(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= 2);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

int session_main(int argc, char **argv, const struct session_type *type)
{
	struct session s = { .type = type, .ready_fd = -1 };
	struct diag why = DIAG_INIT;
	int status;

	if (open_std())
		return EXIT_MOUNT_SYSTEM;
	status = cmdline_parse(argc, argv, type, &s.cmd, &why);
	report_as_json(s.cmd.json);
	status = status ? report_error(type->name, NULL, &why) : act(&s);
	cmdline_free(&s.cmd);
	free(s.image);
	free(s.dir);
	return status;
}
