/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/session/unmount.h"

/* Link texts are compared, not stat()ed: a stat would ask the daemon, which
 * may be gone or stuck. */
static bool below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return !strncmp(path, dir, len) && (!path[len] || path[len] == '/');
}

static bool link_below(const char *link, const char *dir)
{
	char target[PATH_MAX];
	ssize_t n = readlink(link, target, sizeof(target) - 1);

	if (n <= 0)
		return false;
	target[n] = '\0';
	return below(target, dir);
}

static bool fds_below(const char *proc, const char *dir)
{
	char path[PATH_MAX];
	struct dirent *e;
	bool found = false;
	DIR *d;

	snprintf(path, sizeof(path), "%s/fd", proc);
	d = opendir(path);
	while (d && !found && (e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/fd/%s", proc, e->d_name);
		found = link_below(path, dir);
	}
	if (d)
		closedir(d);
	return found;
}

static bool maps_below(const char *proc, const char *dir)
{
	char path[PATH_MAX], *line = NULL;
	size_t room = 0;
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/maps", proc);
	f = fopen(path, "re");
	while (f && !found && getline(&line, &room, f) > 0) {
		char *p = strchr(line, '/');

		if (p) {
			p[strcspn(p, "\n")] = '\0';
			found = below(p, dir);
		}
	}
	free(line);
	if (f)
		fclose(f);
	return found;
}

static bool uses(const char *proc, const char *dir)
{
	static const char *const links[] = { "cwd", "root", "exe" };
	char path[PATH_MAX];

	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", proc, links[i]);
		if (link_below(path, dir))
			return true;
	}
	return fds_below(proc, dir) || maps_below(proc, dir);
}

static void append_name(const char *proc, char *buf, size_t size)
{
	char path[PATH_MAX], comm[64] = "?";
	size_t len = strlen(buf);
	FILE *f;

	snprintf(path, sizeof(path), "%s/comm", proc);
	f = fopen(path, "re");
	if (f && fgets(comm, sizeof(comm), f))
		comm[strcspn(comm, "\n")] = '\0';
	if (f)
		fclose(f);
	snprintf(buf + len, size - len, "%s%s (%s)", len ? ", " : "",
		 proc + strlen("/proc/"), comm);
}

void unmount_users(const char *dir, char *buf, size_t size)
{
	DIR *d = opendir("/proc");
	struct dirent *e;

	*buf = '\0';
	while (d && (e = readdir(d)) && strlen(buf) + 80 < size) {
		char proc[300];

		if (!isdigit((unsigned char)*e->d_name) ||
		    atoi(e->d_name) == getpid())
			continue;
		snprintf(proc, sizeof(proc), "/proc/%s", e->d_name);
		if (uses(proc, dir))
			append_name(proc, buf, size);
	}
	if (d)
		closedir(d);
}
