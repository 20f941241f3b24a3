/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Paths that Windows wrote: backslashes, and names in any case. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <wctype.h>

#include "formats/base/alloc.h"
#include "formats/base/endian.h"
#include "formats/base/utf16.h"
#include "formats/disk/disk_int.h"

static bool is_sep(char c)
{
	return c == '/' || c == '\\';
}

const char *disk_path_base(const char *path)
{
	const char *base = path;

	for (; *path; path++)
		if (is_sep(*path) && path[1])
			base = path + 1;
	return base;
}

char *disk_path_plain(const char *windows)
{
	char *plain = mem_strdup(windows), *p;

	if (!plain)
		return NULL;
	for (p = plain; *p; p++)
		if (*p == '\\')
			*p = '/';
	p = plain;
	if (!strncmp(p, "//?/", 4) || !strncmp(p, "//./", 4))
		p += 4;
	if (p != plain && !strncasecmp(p, "UNC/", 4)) {
		p += 2;
		memcpy(p, "//", 2);
	}
	memmove(plain, p, strlen(p) + 1);
	return plain;
}

bool disk_path_inside(const char *dir, const char *real)
{
	size_t len = strlen(dir);

	while (len && dir[len - 1] == '/')
		len--;
	return !strncmp(dir, real, len) && real[len] == '/';
}

static bool is_ascii(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s >= 0x80)
			return false;
	return true;
}

/* NTFS compares UTF-16 units after upper-casing each. The C library's table
 * stands in for $UpCase; the program's own locale may be "C". */
static bool units_equal(const char *a, const char *b)
{
	uint8_t ua[NAME_MAX * 2], ub[NAME_MAX * 2];
	int na = utf8_to_utf16le(a, strlen(a), ua, NAME_MAX);
	int nb = utf8_to_utf16le(b, strlen(b), ub, NAME_MAX);
	locale_t loc;
	bool same = na >= 0 && na == nb;

	loc = same ? newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0) : 0;
	for (int i = 0; same && i < na; i++) {
		wint_t ca = le16_at(ua + 2 * i), cb = le16_at(ub + 2 * i);

		same = ca == cb || (loc && towupper_l(ca, loc) ==
					   towupper_l(cb, loc));
	}
	if (loc)
		freelocale(loc);
	return same;
}

static bool same_name(const char *a, const char *b)
{
	if (is_ascii(a) && is_ascii(b))
		return !strcasecmp(a, b);
	return units_equal(a, b);
}

struct walk {
	disk_path_fn fn;
	void *ctx;
};

static int walk_below(const struct walk *w, const char *dir, const char *rest);

/* dir/name, and what is left of the path behind it. */
static int walk_into(const struct walk *w, const char *dir, const char *name,
		     const char *rest)
{
	char *path = mem_printf("%s/%s", strcmp(dir, "/") ? dir : "", name);
	int ret;

	if (!path)
		return -ENOMEM;
	ret = *rest ? walk_below(w, path, rest) : w->fn(w->ctx, path);
	free(path);
	return ret;
}

/* A directory on the way: the first that fits is the one. The file at the end:
 * all that fit, because its identity decides. */
static int walk_other_case(const struct walk *w, const char *dir,
			   const char *name, const char *rest)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int ret = 0;

	for (int n = 0; d && !ret && n < DISK_NAMES_MAX && (e = readdir(d));
	     n++) {
		if (!strcmp(e->d_name, name) || !same_name(e->d_name, name))
			continue;
		ret = walk_into(w, dir, e->d_name, rest);
		if (*rest)
			break;
	}
	if (d)
		closedir(d);
	return ret;
}

static int walk_name(const struct walk *w, const char *dir, const char *name,
		     const char *rest)
{
	char *path;
	bool exact;
	int ret = 0;

	path = mem_printf("%s/%s", dir, name);
	if (!path)
		return -ENOMEM;
	exact = !faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW);
	free(path);
	if (exact)
		ret = walk_into(w, dir, name, rest);
	if (ret || (exact && *rest) || !strcmp(name, ".."))
		return ret;
	return walk_other_case(w, dir, name, rest);
}

static int walk_below(const struct walk *w, const char *dir, const char *rest)
{
	char name[NAME_MAX + 1];
	size_t len;

	while (is_sep(*rest) || (*rest == '.' && (is_sep(rest[1]) || !rest[1])))
		rest++;
	for (len = 0; rest[len] && !is_sep(rest[len]); len++)
		;
	/* Nothing left, or longer than any name can be: no such file. */
	if (!len || len > NAME_MAX)
		return 0;
	memcpy(name, rest, len);
	name[len] = '\0';
	for (rest += len; is_sep(*rest); rest++)
		;
	return walk_name(w, dir, name, rest);
}

int disk_path_each(const char *dir, const char *path, disk_path_fn fn,
		   void *ctx)
{
	struct walk w = { fn, ctx };

	/* Also bounds the depth of the recursion. */
	if (strlen(path) >= PATH_MAX / 2)
		return 0;
	return walk_below(&w, dir, path);
}
