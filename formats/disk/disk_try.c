/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One file that may be the parent. Where the child says that it is was written
 * by a stranger: a file is only opened inside the child's own directory, or
 * where the user pointed to, and only believed when its identity is right.
 */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/disk/disk_int.h"

static void add(char *buf, size_t size, const char *text)
{
	size_t len = strlen(buf);

	/* Several locators may lead to one file. */
	if (strstr(buf, text))
		return;
	snprintf(buf + len, size - len, "%s%s", len ? "; " : "", text);
}

/* A wrong parent says more than a missing one. */
static int rank(int code)
{
	return code == ESTALE ? 3 : code == ELOOP ? 2 : code == EACCES ? 1 : 0;
}

void disk_find_say(struct disk_find *f, int code, const char *fmt, ...)
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

static bool was_tried(struct disk_find *f, const struct stat *st)
{
	for (size_t i = 0; i < f->n_tried; i++)
		if (f->tried[i].dev == st->st_dev &&
		    f->tried[i].ino == st->st_ino)
			return true;
	if (f->n_tried < DISK_TRIED_MAX) {
		f->tried[f->n_tried].dev = st->st_dev;
		f->tried[f->n_tried++].ino = st->st_ino;
	}
	return false;
}

static bool is_allowed(const struct disk_find *f, const char *real)
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

static void say_outside(struct disk_find *f, const char *real)
{
	const char *base = disk_path_base(real);

	disk_find_say(f, EACCES, "%s lies outside %s", real, f->child->dir);
	if (!*f->hint)
		snprintf(f->hint, sizeof(f->hint), "add search=%.*s",
			 base - real > 1 ? (int)(base - real) - 1 : 1, real);
}

bool disk_find_in_chain(const struct disk *d, const struct stat *st)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->nodes[i]->st_dev == st->st_dev &&
		    d->nodes[i]->st_ino == st->st_ino)
			return true;
	return false;
}

static void say_wrong(struct disk_find *f, const struct disk_node *node)
{
	if (node->pub.format != f->child->pub.format)
		disk_find_say(f, ESTALE, "%s is a %s, not a %s", node->path,
		    disk_format_name(node->pub.format),
		    disk_format_name(f->child->pub.format));
	else
		disk_find_say(f, ESTALE, "%s has id %s", node->path,
			      node->pub.id);
}

static int open_candidate(struct disk_find *f, const char *real)
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
	/* Its identity changes at the beginning and at the end. */
	if (disk_merge_found(node) && !f->hard.code)
		disk_merge_refuse(node, &f->hard);
	disk_node_close(node);
	return 0;
}

int disk_find_try(void *ctx, const char *path)
{
	struct disk_find *f = ctx;
	char real[PATH_MAX];
	struct stat st;

	if (!realpath(path, real) || stat(real, &st)) {
		if (errno != ENOENT && errno != ENOTDIR)
			diag_fail(&f->hard, errno, "%s: %s", path,
				  strerror(errno));
		return 0;
	}
	if (S_ISDIR(st.st_mode) || (!f->chosen && !S_ISREG(st.st_mode))) {
		disk_find_say(f, ENOENT, "%s is no regular file", real);
	} else if (!is_allowed(f, real)) {
		say_outside(f, real);
	} else if (disk_find_in_chain(f->d, &st)) {
		disk_find_say(f, ELOOP, "%s is in the chain already: a circle",
			      real);
	} else if (!was_tried(f, &st)) {
		return open_candidate(f, real);
	}
	return 0;
}
