/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * F_OFD_GETLK knows no process. The lock lines of /proc/PID/fdinfo/FD do (see
 * proc(5)), for the processes that this user may look into; our own mounts
 * tell by their registry entry.
 */
#include "formats/base/dev_holder.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "formats/base/err.h"

/* A daemon with very many files has no more than this; it is only a name. */
#define FDINFO_MAX 65536

struct hunt {
	int fd, at;		/* our descriptor, the byte */
	struct stat st;
	pid_t self, found;	/* found: 0 = nobody yet */
};

/* "lock:\t1: OFDLCK  ADVISORY  READ -1 08:01:1234 100 100" */
static bool line_matches(const struct hunt *h, const char *line)
{
	unsigned long long ino, from, to;
	char end[24];

	if (sscanf(line, "lock: %*d: OFDLCK %*s %*s %*d %*x:%*x:%llu %llu %23s",
		   &ino, &from, end) != 3)
		return false;
	to = strcmp(end, "EOF") ? strtoull(end, NULL, 10) : ~0ULL;
	return ino == h->st.st_ino && from <= (unsigned long long)h->at &&
	       (unsigned long long)h->at <= to;
}

static bool info_matches(const struct hunt *h, int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "re");
	char line[256];
	bool found = false;

	if (!f) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (!found && fgets(line, sizeof(line), f))
		found = line_matches(h, line);
	fclose(f);
	return found;
}

/* The inode number alone could be that of another file system, and a parent
 * that has not exited yet shares the very description that asks. */
static bool is_other(const struct hunt *h, pid_t pid, const char *name)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/fd/%.20s", (int)pid, name);
	if (!stat(path, &st) && (st.st_dev != h->st.st_dev ||
				 st.st_ino != h->st.st_ino))
		return false;
	return syscall(SYS_kcmp, h->self, pid, KCMP_FILE,
		       (unsigned long)h->fd, strtoul(name, NULL, 10)) != 0;
}

static bool process_holds(const struct hunt *h, pid_t pid)
{
	char path[64];
	struct dirent *e;
	bool found = false;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo", (int)pid);
	d = opendir(path);
	for (int n = 0; d && !found && n < FDINFO_MAX && (e = readdir(d)); n++)
		found = *e->d_name != '.' &&
			info_matches(h, dirfd(d), e->d_name) &&
			is_other(h, pid, e->d_name);
	if (d)
		closedir(d);
	return found;
}

static void hunt_processes(struct hunt *h)
{
	DIR *d = opendir("/proc");
	struct dirent *e;

	while (d && !h->found && (e = readdir(d))) {
		pid_t pid = (pid_t)atoi(e->d_name);

		if (pid > 0 && process_holds(h, pid))
			h->found = pid;
	}
	if (d)
		closedir(d);
}

static bool is_file(const struct hunt *h, json_t *path)
{
	const char *text = json_string_value(path);
	struct stat st;

	return text && !stat(text, &st) && st.st_dev == h->st.st_dev &&
	       st.st_ino == h->st.st_ino;
}

static bool entry_names(const struct hunt *h, json_t *entry)
{
	json_t *chain = json_object_get(entry, "chain");
	size_t i;
	json_t *path;

	json_array_foreach(chain, i, path)
		if (is_file(h, path))
			return true;
	return is_file(h, json_object_get(entry, "image"));
}

/* The mount point that entry gives for the holder; sets found if only the
 * entry knows it. */
static bool entry_tells(struct hunt *h, json_t *entry, char *dir, size_t size)
{
	pid_t pid = (pid_t)json_integer_value(json_object_get(entry, "pid"));
	const char *at = json_string_value(json_object_get(entry, "dir"));

	if (pid <= 0 || pid == h->self || !at)
		return false;
	if (h->found ? pid != h->found : !entry_names(h, entry) ||
	    (kill(pid, 0) && errno == ESRCH))
		return false;
	h->found = pid;
	snprintf(dir, size, "%s", at);
	return true;
}

static void ask_registry(struct hunt *h, const char *registry, char *dir,
			 size_t size)
{
	DIR *d = registry ? opendir(registry) : NULL;
	struct dirent *e;
	bool told = false;

	while (d && !told && (e = readdir(d))) {
		int fd = *e->d_name == '.' ? -1
			 : openat(dirfd(d), e->d_name,
				  O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		json_t *entry = fd < 0 ? NULL : json_loadfd(fd, 0, NULL);

		told = entry_tells(h, entry, dir, size);
		json_decref(entry);
		if (fd >= 0)
			close(fd);
	}
	if (d)
		closedir(d);
}

static void process_name(pid_t pid, char *buf, size_t size)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	f = fopen(path, "re");
	if (!f || !fgets(buf, (int)size, f))
		snprintf(buf, size, "?");
	buf[strcspn(buf, "\n")] = '\0';
	if (f)
		fclose(f);
}

void dev_holder_find(int fd, int at, const char *registry, char *buf,
		     size_t size)
{
	struct hunt h = { .fd = fd, .at = at, .self = getpid() };
	struct flock l = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET,
		.l_start = at, .l_len = 1,
	};
	char dir[160] = "", name[32];

	snprintf(buf, size, "a process of another user");
	if (fstat(fd, &h.st))
		return;
	/* Locks of the old kind carry their process. */
	if (!fcntl(fd, F_OFD_GETLK, &l) && l.l_type != F_UNLCK && l.l_pid > 0)
		h.found = l.l_pid;
	else
		hunt_processes(&h);
	ask_registry(&h, registry, dir, sizeof(dir));
	if (!h.found)
		return;
	process_name(h.found, name, sizeof(name));
	if (h.found == h.self)
		snprintf(buf, size, "this process");
	else if (*dir)
		snprintf(buf, size, "process %d (%s), mounted at %s",
			 (int)h.found, name, dir);
	else
		snprintf(buf, size, "process %d (%s)", (int)h.found, name);
}
