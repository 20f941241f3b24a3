/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fs/session/registry.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "formats/base/alloc.h"

const char *registry_dir(void)
{
	static char path[512];
	const char *run = getenv("XDG_RUNTIME_DIR");
	struct stat st;

	if (*path)
		return path;
	if (!geteuid())
		snprintf(path, sizeof(path), "/run/imgfs");
	else if (run && *run == '/' && strlen(run) < sizeof(path) - 8)
		snprintf(path, sizeof(path), "%s/imgfs", run);
	else
		snprintf(path, sizeof(path), "/tmp/imgfs-%u", geteuid());
	mkdir(path, 0700);
	/* In /tmp somebody else may have been there first. */
	if (!lstat(path, &st) && S_ISDIR(st.st_mode) &&
	    st.st_uid == geteuid() && !(st.st_mode & 022))
		return path;
	*path = '\0';
	return NULL;
}

json_t *registry_text(const char *text)
{
	json_t *j = json_string(text);
	char *plain = j ? NULL : mem_strdup(text);

	for (char *p = plain; p && *p; p++)
		if (*p & 0x80)
			*p = '?';
	if (plain)
		j = json_string(plain);
	free(plain);
	return j;
}

static char *path_in(const char *dir, const char *name, pid_t pid)
{
	return dir ? mem_printf("%s/%s.%d", dir, name, (int)pid) : NULL;
}

static char *entry_path(const char *name, pid_t pid)
{
	return path_in(registry_dir(), name, pid);
}

/* Under another name first: a reader never sees half an entry. */
static int write_entry(const char *name, json_t *entry)
{
	char *path = entry_path(name, getpid());
	char *fresh = path ? mem_printf("%s.new", path) : NULL;
	int ret = fresh ? 0 : -ENOENT;

	if (!ret && json_dump_file(entry, fresh, JSON_INDENT(1)))
		ret = -EIO;
	if (!ret && rename(fresh, path))
		ret = -errno;
	free(fresh);
	free(path);
	return ret;
}

/* When a process began, in clock ticks since boot: with its number, it cannot
 * be mistaken. 0 when it has ended, were it a zombie; -1 unknown. */
static long long born(pid_t pid)
{
	char path[64], line[1024] = "", state = 'X';
	long long ticks = -1;
	const char *rest;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return errno == ENOENT && kill(pid, 0) ? 0 : -1;
	rest = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
	fclose(f);
	/* proc(5): state is the 3rd word, the start the 22nd. */
	if (!rest || sscanf(rest, ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s "
			    "%*s %*s %*s %*s %*s %*s %*s %*s %*s %lld",
			    &state, &ticks) != 2)
		return rest ? -1 : 0;
	return state == 'Z' || state == 'X' ? 0 : ticks;
}

static bool is_alive(pid_t pid, const json_t *entry)
{
	const json_t *was = json_object_get(entry, "born");
	long long now = born(pid);

	return now && (now < 0 || !was || json_integer_value(was) == now);
}

int registry_add(const char *name, json_t *entry)
{
	json_object_set_new(entry, "pid", json_integer(getpid()));
	json_object_set_new(entry, "born", json_integer(born(getpid())));
	json_object_set_new(entry, "start", json_integer(time(NULL)));
	return write_entry(name, entry);
}

static json_t *load_entry(const char *dir, const char *name, pid_t pid)
{
	char *path = path_in(dir, name, pid);
	json_t *j = path ? json_load_file(path, 0, NULL) : NULL;

	free(path);
	return j;
}

static void remove_entry(const char *dir, const char *name, pid_t pid)
{
	char *path = path_in(dir, name, pid);

	if (path)
		unlink(path);
	free(path);
}

void registry_fail(const char *name, const char *text)
{
	json_t *j = load_entry(registry_dir(), name, getpid());

	if (!j)
		return;
	json_object_set_new(j, "error", registry_text(text));
	write_entry(name, j);
	json_decref(j);
}

void registry_remove(const char *name)
{
	remove_entry(registry_dir(), name, getpid());
}

static pid_t pid_of(const char *file, const char *name)
{
	size_t len = strlen(name);
	char *end;
	long pid;

	if (strncmp(file, name, len) || file[len] != '.')
		return 0;
	pid = strtol(file + len + 1, &end, 10);
	return *end || pid <= 0 ? 0 : (pid_t)pid;
}

struct sought {
	const char *name, *dev;
	json_t *dir;
};

static bool matches(const struct sought *s, const json_t *entry)
{
	const char *dev = json_string_value(json_object_get(entry, "dev"));

	return dev ? !strcmp(dev, s->dev)
		   : json_equal(json_object_get(entry, "dir"), s->dir);
}

/* The entry of a live process wins over what one that failed has left. */
static json_t *find_in(const char *place, const struct sought *s)
{
	DIR *d = place ? opendir(place) : NULL;
	json_t *found = NULL;
	struct dirent *e;
	bool alive = false;

	while (d && !alive && (e = readdir(d))) {
		pid_t pid = pid_of(e->d_name, s->name);
		json_t *j = pid ? load_entry(place, s->name, pid) : NULL;

		alive = j && is_alive(pid, j);
		if (j && !alive && !json_object_get(j, "error")) {
			remove_entry(place, s->name, pid);
		} else if (j && matches(s, j)) {
			json_decref(found);
			found = json_incref(j);
		} else {
			alive = false;
		}
		json_decref(j);
	}
	if (d)
		closedir(d);
	return found;
}

/* Root may end anybody's mount, so root looks everywhere. */
static void places(glob_t *g)
{
	memset(g, 0, sizeof(*g));
	if (geteuid())
		return;
	glob("/run/user/*/imgfs", 0, NULL, g);
	glob("/tmp/imgfs-*", g->gl_pathc ? GLOB_APPEND : 0, NULL, g);
}

json_t *registry_find(const char *name, const char *dir, const char *dev)
{
	struct sought s = { name, dev, registry_text(dir) };
	json_t *found = s.dir ? find_in(registry_dir(), &s) : NULL;
	glob_t g;

	places(&g);
	for (size_t i = 0; s.dir && i < g.gl_pathc && !found; i++)
		found = find_in(g.gl_pathv[i], &s);
	globfree(&g);
	json_decref(s.dir);
	return found;
}

json_t *registry_take(const char *name, pid_t pid)
{
	json_t *j = load_entry(registry_dir(), name, pid);
	glob_t g;

	if (j) {
		remove_entry(registry_dir(), name, pid);
		return j;
	}
	places(&g);
	for (size_t i = 0; i < g.gl_pathc && !j; i++) {
		j = load_entry(g.gl_pathv[i], name, pid);
		if (j)
			remove_entry(g.gl_pathv[i], name, pid);
	}
	globfree(&g);
	return j;
}
