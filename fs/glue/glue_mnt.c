/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where we are mounted, as the kernel's own table says it: a mount may have
 * been moved, or have been made by somebody else on a /dev/fuse that we were
 * given; and what is mounted at our place now may no longer be ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/glue/glue_int.h"

/* Kernels before 6.17 do not tell. */
int glue_connection(int fuse_fd)
{
	char path[64], line[128];
	int id = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fuse_fd);
	f = fopen(path, "re");
	while (f && id < 0 && fgets(line, sizeof(line), f))
		if (sscanf(line, "fuse_connection: %d", &id) != 1)
			id = -1;
	if (f)
		fclose(f);
	return id;
}

/* mountinfo writes blanks as \040. In place. */
static void unescape(char *s)
{
	char *d = s;
	unsigned c;

	while (*s) {
		if (*s == '\\' && sscanf(s + 1, "%3o", &c) == 1) {
			*d++ = (char)c;
			s += 4;
		} else {
			*d++ = *s++;
		}
	}
	*d = '\0';
}

/* proc(5): ID PARENT MAJOR:MINOR ROOT DIR OPTIONS ... - TYPE SOURCE WORDS */
struct line {
	int major, minor;
	char *root, *dir, *type, *source;
};

static bool split(char *text, struct line *l)
{
	char *save, *word = strtok_r(text, " ", &save);
	int n = 0, tail = 0;

	*l = (struct line) { 0 };
	for (; word; word = strtok_r(NULL, " \n", &save), n++) {
		if (n == 2 && sscanf(word, "%d:%d", &l->major, &l->minor) != 2)
			return false;
		if (n == 3)
			l->root = word;
		if (n == 4)
			l->dir = word;
		if (tail && n == tail + 1)
			l->type = word;
		if (tail && n == tail + 2)
			l->source = word;
		if (n > 5 && !tail && !strcmp(word, "-"))
			tail = n;
	}
	if (!l->source || strcmp(l->root, "/"))
		return false;
	unescape(l->dir);
	unescape(l->source);
	return true;
}

static bool is_ours(const struct glue *g, const struct line *l)
{
	if (g->minor >= 0)
		return l->major == 0 && l->minor == g->minor;
	return !strcmp(l->dir, g->dir) && !strncmp(l->type, "fuse.", 5) &&
	       !strcmp(l->type + 5, g->subtype) &&
	       !strcmp(l->source, g->fsname);
}

int glue_find_mount(struct glue *g, char **out)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *text = NULL, *found = NULL;
	size_t room = 0;
	struct line l;
	int n = 0;

	*out = NULL;
	if (!f)
		return -errno;
	while (getline(&text, &room, f) > 0) {
		if (!split(text, &l) || !is_ours(g, &l))
			continue;
		n++;
		/* The place that we were told wins over bind mounts. */
		if (!found || !strcmp(l.dir, g->dir)) {
			free(found);
			found = mem_strdup(l.dir);
		}
	}
	free(text);
	fclose(f);
	*out = found;
	return found ? n : 0;
}

static int run_fusermount(const char *dir, bool lazy)
{
	char prog[] = "fusermount3", u[] = "-u", q[] = "-q", z[] = "-z",
	     end[] = "--";
	char *dir_arg = mem_strdup(dir);
	char *argv[] = { prog, u, q, lazy ? z : q, end, dir_arg, NULL };
	char path[] = "PATH=/usr/local/bin:/usr/bin:/bin";
	char *envp[] = { path, NULL };
	int status = 0, err;
	pid_t pid;

	err = dir_arg ? posix_spawnp(&pid, prog, NULL, NULL, argv, envp)
		      : ENOMEM;
	free(dir_arg);
	if (err)
		return -err;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EBUSY;
}

int glue_umount(const char *dir, bool lazy)
{
	int flags = UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0);

	if (!umount2(dir, flags))
		return 0;
	if (errno != EPERM)
		return -errno;
	return run_fusermount(dir, lazy);
}

/* Once nobody serves it, our mount answers ENOTCONN. One that answers belongs
 * to somebody else, who got our number after us. */
static bool is_dead(const char *dir)
{
	struct statx stx;

	return statx(AT_FDCWD, dir, AT_STATX_FORCE_SYNC | AT_NO_AUTOMOUNT,
		     STATX_BASIC_STATS, &stx) && errno == ENOTCONN;
}

void glue_unmount_dead(struct glue *g)
{
	bool again = true;

	/* A limit, in case one cannot be unmounted at all. */
	for (int i = 0; again && i < 64; i++) {
		char *dir = NULL;

		again = glue_find_mount(g, &dir) > 0 && is_dead(dir) &&
			!glue_umount(dir, true);
		free(dir);
	}
}

/* The kernel reads ahead 128 KiB on a FUSE mount. Root alone may change that,
 * the others do without. */
void glue_read_ahead(struct glue *g)
{
	char path[64];
	int fd;

	if (g->minor < 0)
		return;
	snprintf(path, sizeof(path), "/sys/class/bdi/0:%d/read_ahead_kb",
		 g->minor);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (dprintf(fd, "%u", GLUE_READ_AHEAD >> 10) < 0)
		errno = 0;
	close(fd);
}
