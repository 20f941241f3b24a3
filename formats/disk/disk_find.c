/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Finding the parent of a child. Where the child says that it is was written
 * by a stranger: a file is only opened inside the child's own directory, or
 * where the user pointed to, and only believed when its identity is right.
 */
#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "formats/base/alloc.h"
#include "formats/disk/disk_int.h"

/* Eight locators name hardly more; what is beyond is opened twice. */
#define TRIED_MAX 64

struct find {
	struct disk *d;
	const struct disk_node *child;
	bool chosen;			/* by parent=: anywhere */
	struct disk_node *found;	/* handed over */
	struct diag hard;		/* the first that could not be opened */
	int code;			/* what to say if nothing was found */
	char said[400];			/* about each file seen */
	char hint[200];
	struct { dev_t dev; ino_t ino; } tried[TRIED_MAX];
	size_t n_tried;
};

static void add(char *buf, size_t size, const char *text)
{
	size_t len = strlen(buf);

	snprintf(buf + len, size - len, "%s%s", len ? "; " : "", text);
}

/* A wrong parent says more than a missing one. */
static int rank(int code)
{
	return code == ESTALE ? 3 : code == ELOOP ? 2 : code == EACCES ? 1 : 0;
}

static void say(struct find *f, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void say(struct find *f, int code, const char *fmt, ...)
{
	char text[DIAG_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	add(f->said, sizeof(f->said), text);
	if (rank(code) >= rank(f->code))
		f->code = code;
}

static bool was_tried(struct find *f, const struct stat *st)
{
	for (size_t i = 0; i < f->n_tried; i++)
		if (f->tried[i].dev == st->st_dev &&
		    f->tried[i].ino == st->st_ino)
			return true;
	if (f->n_tried < TRIED_MAX) {
		f->tried[f->n_tried].dev = st->st_dev;
		f->tried[f->n_tried++].ino = st->st_ino;
	}
	return false;
}

static bool is_allowed(const struct find *f, const char *real)
{
	const struct disk *d = f->d;

	if (f->chosen || disk_path_inside(f->child->dir, real))
		return true;
	for (size_t i = 0; i < d->n_search; i++)
		if (disk_path_inside(d->search[i], real))
			return true;
	for (size_t i = 0; i < d->n_drives; i++)
		if (disk_path_inside(d->drives[i].dir, real))
			return true;
	return false;
}

static void say_outside(struct find *f, const char *real)
{
	const char *base = disk_path_base(real);

	say(f, EACCES, "%s lies outside %s", real, f->child->dir);
	if (!*f->hint)
		snprintf(f->hint, sizeof(f->hint), "add search=%.*s",
			 base - real > 1 ? (int)(base - real) - 1 : 1, real);
}

static bool in_chain(const struct disk *d, const struct stat *st)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->nodes[i]->st_dev == st->st_dev &&
		    d->nodes[i]->st_ino == st->st_ino)
			return true;
	return false;
}

static void say_wrong(struct find *f, const struct disk_node *node)
{
	if (node->pub.format != f->child->pub.format)
		say(f, ESTALE, "%s is a %s, not a %s", node->path,
		    disk_format_name(node->pub.format),
		    disk_format_name(f->child->pub.format));
	else
		say(f, ESTALE, "%s has id %s", node->path, node->pub.id);
}

static int open_candidate(struct find *f, const char *real)
{
	struct diag why = DIAG_INIT;
	struct disk_node *node;
	int ret;

	ret = disk_node_open(f->d, real, DISK_NODE_LOCK |
			     (f->chosen ? 0 : DISK_NODE_REAL), &node, &why);
	if (ret == -ENOMEM)
		return ret;
	if (ret) {
		if (!f->hard.code)
			f->hard = why;
		return 0;
	}
	if (disk_node_fits(f->child, node)) {
		f->found = node;
		return 1;
	}
	say_wrong(f, node);
	disk_node_close(node);
	return 0;
}

/* A disk_path_fn. */
static int try_path(void *ctx, const char *path)
{
	struct find *f = ctx;
	char real[PATH_MAX];
	struct stat st;

	if (!realpath(path, real) || stat(real, &st)) {
		if (errno != ENOENT && errno != ENOTDIR)
			diag_fail(&f->hard, errno, "%s: %s", path,
				  strerror(errno));
		return 0;
	}
	if (was_tried(f, &st))
		return 0;
	if (S_ISDIR(st.st_mode) || (!f->chosen && !S_ISREG(st.st_mode))) {
		say(f, ENOENT, "%s is no regular file", real);
	} else if (!is_allowed(f, real)) {
		say_outside(f, real);
	} else if (in_chain(f->d, &st)) {
		say(f, ELOOP, "%s is in the chain already: a circle", real);
	} else {
		return open_candidate(f, real);
	}
	return 0;
}

/* Through the maps of drive=. The rest of the path in slashes. */
static int try_absolute(struct find *f, const char *windows)
{
	char *plain = disk_path_plain(windows);
	bool mapped = false;
	int ret = plain ? 0 : -ENOMEM;

	for (size_t i = 0; !ret && i < f->d->n_drives; i++) {
		const struct disk_drive *drive = &f->d->drives[i];
		size_t len = strlen(drive->prefix);

		if (strncasecmp(plain, drive->prefix, len) ||
		    (plain[len] && plain[len] != '/'))
			continue;
		mapped = true;
		ret = disk_path_each(drive->dir, plain + len, try_path, f);
	}
	if (!ret && !mapped && isalpha((unsigned char)*plain) &&
	    plain[1] == ':' && !*f->hint)
		snprintf(f->hint, sizeof(f->hint), "add drive=%c:=DIR, "
			 "search=DIR or parent=FILE", *plain);
	free(plain);
	return ret;
}

static int hex(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* file://host/path, as Virtual PC for Mac wrote it. */
static int try_url(struct find *f, const char *url)
{
	char *path, *out;
	const char *p;
	int ret;

	if (strncasecmp(url, "file://", 7) || !(p = strchr(url + 7, '/')))
		return 0;
	path = out = mem_strdup(p);
	if (!path)
		return -ENOMEM;
	for (; *p; p++, out++) {
		if (*p == '%' && isxdigit((unsigned char)p[1]) &&
		    isxdigit((unsigned char)p[2])) {
			*out = (char)(hex(p[1]) << 4 | hex(p[2]));
			p += 2;
		} else {
			*out = *p;
		}
	}
	*out = '\0';
	if (isalpha((unsigned char)path[1]) && path[2] == ':')
		ret = try_absolute(f, path + 1);
	else if (!(ret = try_absolute(f, path)))
		ret = disk_path_each("/", path, try_path, f);
	free(path);
	return ret;
}

static int try_locator(struct find *f, const struct locator *loc)
{
	switch (loc->kind) {
	case LOCATOR_RELATIVE:
		return disk_path_each(f->child->dir, loc->path, try_path, f);
	case LOCATOR_ABSOLUTE:
	case LOCATOR_VOLUME:
		return try_absolute(f, loc->path);
	case LOCATOR_URL:
		return try_url(f, loc->path);
	case LOCATOR_NAME:
		return 0;
	}
	return 0;
}

static int try_names_in(struct find *f, const char *dir)
{
	const struct locator *locs;
	size_t n;
	int ret = 0;

	locs = disk_node_locators(f->child, &n);
	for (size_t i = 0; !ret && i < n; i++)
		ret = disk_path_each(dir, disk_path_base(locs[i].path),
				     try_path, f);
	return ret;
}

/* FORMAT.md 7.2 (VHD) and 8 (VHDX): the format's own order by kinds, then
 * base names. */
static int try_all(struct find *f)
{
	static const enum locator_kind order[] = {
		LOCATOR_RELATIVE, LOCATOR_URL, LOCATOR_VOLUME,
		LOCATOR_ABSOLUTE,
	};
	const struct locator *locs;
	size_t n;
	int ret = 0;

	locs = disk_node_locators(f->child, &n);
	for (size_t k = 0; k < sizeof(order) / sizeof(*order); k++)
		for (size_t i = 0; !ret && i < n; i++)
			if (locs[i].kind == order[k])
				ret = try_locator(f, &locs[i]);
	if (!ret)
		ret = try_names_in(f, f->child->dir);
	for (size_t i = 0; !ret && i < f->d->n_search; i++)
		ret = try_names_in(f, f->d->search[i]);
	return ret;
}

/* A disk_scan_fn: a parent under another name. */
static int find_by_id(void *ctx, const struct disk_node *node,
		      const char *path, const struct diag *why)
{
	struct find *f = ctx;
	struct stat st;

	if (!node || node->pub.format == DISK_RAW ||
	    !disk_node_fits(f->child, node))
		return 0;
	st.st_dev = node->st_dev;
	st.st_ino = node->st_ino;
	if (in_chain(f->d, &st))
		return 0;
	snprintf(f->hint, sizeof(f->hint), "%s has that id: add parent=%s",
		 disk_path_base(path), path);
	return 1;
}

static void suggest(struct find *f)
{
	/* An option that is known to help was named already. */
	if (f->chosen || f->code == EACCES)
		return;
	if (disk_scan(f->d, f->child->dir, find_by_id, f))
		return;
	for (size_t i = 0; i < f->d->n_search; i++)
		if (disk_scan(f->d, f->d->search[i], find_by_id, f))
			return;
}

static void say_missing(struct find *f)
{
	const struct locator *locs;
	size_t n;

	locs = disk_node_locators(f->child, &n);
	say(f, ENOENT, "looked for %.120s in %.120s%s",
	    n ? locs[0].path : "(no name)", f->child->dir,
	    f->d->n_search ? " and search=" : "");
	for (size_t i = 0; i < f->d->n_search; i++)
		say(f, ENOENT, "%s", f->d->search[i]);
}

static int give_up(struct find *f, struct diag *why)
{
	char id[2 * GUID_TEXT + 8];

	if (f->hard.code)
		return diag_fail_as(why, f->hard.code, f->hard.out,
				    "%s: its parent: %s", f->child->path,
				    f->hard.text);
	if (!*f->said)
		say_missing(f);
	suggest(f);
	if (!*f->hint && f->code == ENOENT)
		snprintf(f->hint, sizeof(f->hint),
			 "add search=DIR or parent=FILE");
	disk_node_wanted_id(f->child, id, sizeof(id));
	return diag_fail_as(why, f->code, OUT_CHAIN,
			    "%s: no parent with id %s: %s%s%s", f->child->path,
			    id, f->said, *f->hint ? "; " : "", f->hint);
}

/* Files that lay where the parent should be, and were not it. */
static void note_skipped(struct find *f)
{
	if (f->hard.code)
		disk_add_note(f->d, "%s: not taken for its parent: %s",
			      f->child->path, f->hard.text);
	if (f->code == ESTALE)
		disk_add_note(f->d, "%s: not taken for its parent: %s",
			      f->child->path, f->said);
}

static int try_chosen(struct find *f, const char *path)
{
	int ret;

	f->chosen = true;
	ret = try_path(f, path);
	if (!ret && !*f->said && !f->hard.code)
		say(f, ENOENT, "parent=%s does not exist", path);
	return ret;
}

int disk_find_parent(struct disk *d, const char *parent_opt,
		     struct disk_node **out, struct diag *why)
{
	struct find *f = mem_new(struct find);
	int ret;

	if (!f)
		return diag_fail(why, ENOMEM, "out of memory");
	f->d = d;
	f->child = d->nodes[d->n - 1];
	f->code = ENOENT;
	ret = parent_opt ? try_chosen(f, parent_opt) : try_all(f);
	if (ret == 1) {
		note_skipped(f);
		*out = f->found;
		ret = 0;
	} else if (ret) {
		ret = diag_fail(why, ret, "%s: its parent: %s", f->child->path,
				strerror(-ret));
	} else {
		ret = give_up(f, why);
	}
	free(f);
	return ret;
}
