/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where the parent of a child can be, and what to say when it is nowhere. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/disk/disk_int.h"

/* Through the maps of drive=. The rest of the path in slashes. */
static int try_absolute(struct disk_find *f, const char *windows)
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
		ret = disk_path_each(drive->dir, plain + len, disk_find_try, f);
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
static int try_url(struct disk_find *f, const char *url)
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
		ret = disk_path_each("/", path, disk_find_try, f);
	free(path);
	return ret;
}

static int try_locator(struct disk_find *f, const struct locator *loc)
{
	switch (loc->kind) {
	case LOCATOR_RELATIVE:
		return disk_path_each(f->child->dir, loc->path, disk_find_try,
				      f);
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

static int try_names_in(struct disk_find *f, const char *dir)
{
	const struct locator *locs;
	size_t n;
	int ret = 0;

	locs = disk_node_locators(f->child, &n);
	for (size_t i = 0; !ret && i < n; i++)
		ret = disk_path_each(dir, disk_path_base(locs[i].path),
				     disk_find_try, f);
	return ret;
}

/* FORMAT.md 7.2 (VHD) and 8 (VHDX): the format's own order by kinds, then
 * base names. */
static int try_all(struct disk_find *f)
{
	static const enum locator_kind order[] = {
		LOCATOR_RELATIVE, LOCATOR_URL, LOCATOR_VOLUME,
		LOCATOR_ABSOLUTE,
	};
	const struct locator *locs;
	size_t n;
	int ret = 0;

	locs = disk_node_locators(f->child, &n);
	for (size_t k = 0; k < ARRAY_LEN(order); k++)
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
	struct disk_find *f = ctx;
	struct stat st;

	if (!node || node->pub.format == DISK_RAW ||
	    !disk_node_fits(f->child, node))
		return 0;
	st.st_dev = node->st_dev;
	st.st_ino = node->st_ino;
	if (disk_find_in_chain(f->d, &st))
		return 0;
	snprintf(f->hint, sizeof(f->hint), "%s has that id: add parent=%s",
		 disk_path_base(path), path);
	return 1;
}

static void suggest(struct disk_find *f)
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

static void say_missing(struct disk_find *f)
{
	const struct locator *locs;
	size_t n;

	locs = disk_node_locators(f->child, &n);
	disk_find_say(f, ENOENT, "looked for %.120s in %.120s%s",
	    n ? locs[0].path : "(no name)", f->child->dir,
	    f->d->n_search ? " and search=" : "");
	for (size_t i = 0; i < f->d->n_search; i++)
		disk_find_say(f, ENOENT, "%s", f->d->search[i]);
}

static int give_up(struct disk_find *f, struct diag *why)
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
static void note_skipped(struct disk_find *f)
{
	if (f->hard.code)
		disk_add_note(f->d, "%s: not taken for its parent: %s",
			      f->child->path, f->hard.text);
	if (f->code == ESTALE)
		disk_add_note(f->d, "%s: not taken for its parent: %s",
			      f->child->path, f->said);
}

static int try_chosen(struct disk_find *f, const char *path)
{
	int ret;

	f->chosen = true;
	ret = disk_find_try(f, path);
	if (!ret && !*f->said && !f->hard.code)
		disk_find_say(f, ENOENT, "parent=%s does not exist", path);
	return ret;
}

int disk_find_parent(struct disk *d, const char *parent_opt,
		     struct disk_node **out, struct diag *why)
{
	struct disk_find *f = mem_new(struct disk_find);
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
