/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Several files that are one: split sets and references (FORMAT.md 10, 11). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "formats/base/alloc.h"
#include "formats/base/dev_file.h"
#include "formats/wim/wim_int.h"

static bool is_part_of_set(const struct wim *w, const struct wim_header *h)
{
	const struct wim_header *own = &w->files[0]->hdr;

	return own->n_parts > 1 && guid_eq(&own->guid, &h->guid) &&
	       own->n_parts == h->n_parts;
}

static bool has_part(const struct wim *w, unsigned part)
{
	for (size_t i = 0; i < w->n_files; i++)
		if (is_part_of_set(w, &w->files[i]->hdr) &&
		    w->files[i]->hdr.part == part)
			return true;
	return false;
}

static int append(struct wim *w, struct dev *dev, const char *path,
		  const struct wim_header *h)
{
	struct wim_file **v, *f;

	/* Blobs name their file with 16 bits. */
	if (w->n_files >= UINT16_MAX)
		return -EMFILE;
	v = mem_realloc(w->files, w->n_files + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	w->files = v;
	f = mem_new(struct wim_file);
	if (!f)
		return -ENOMEM;
	f->path = mem_strdup(path);
	if (!f->path) {
		free(f);
		return -ENOMEM;
	}
	f->hdr = *h;
	f->dev = dev;
	v[w->n_files++] = f;
	return 0;
}

int wim_set_add(struct wim *w, struct dev *dev, const char *path,
		struct diag *why)
{
	struct wim_header h;
	int ret = wim_header_load(dev, &h, why);

	if (ret)
		return ret;
	ret = append(w, dev, path, &h);
	return ret ? diag_fail(why, ret, "wim: %s", strerror(-ret)) : 0;
}

/* Another part or a reference, not one that is here already. */
static bool is_wanted(struct wim *w, const struct wim_header *h)
{
	if (is_part_of_set(w, h))
		return !has_part(w, h->part);
	return !guid_eq(&w->files[0]->hdr.guid, &h->guid);
}

static int add_file(struct wim *w, const char *path, bool must,
		    struct diag *why)
{
	struct wim_header h;
	struct dev *dev;
	int ret = dev_file_open(path, false, &dev, why);

	if (ret)
		return ret;
	ret = wim_header_load(dev, &h, why);
	if (!ret && (must ? is_wanted(w, &h)
			  : is_part_of_set(w, &h) && !has_part(w, h.part))) {
		ret = append(w, dev, path, &h);
		if (!ret)
			return 0;
		diag_fail(why, ret, "wim: %s", strerror(-ret));
	}
	dev_close(dev);
	return ret ? diag_in(why, ret, "%s", path) : 0;
}

/* "install3.swm" of part 3 and "install.swm" of part 1: "install", ".swm". */
static int set_name(const char *path, unsigned own, unsigned part, char **out)
{
	const char *name = strrchr(path, '/');
	const char *dot = strrchr(name ? name : path, '.');
	size_t stem = dot ? (size_t)(dot - path) : strlen(path);
	char digits[16] = "", *text = mem_printf("%u", own);
	size_t n = text ? strlen(text) : 0;

	if (!text)
		return -ENOMEM;
	if (own > 1 && stem > n && !memcmp(path + stem - n, text, n))
		stem -= n;
	free(text);
	if (part > 1)
		snprintf(digits, sizeof(digits), "%u", part);
	*out = mem_printf("%.*s%s%s", (int)stem, path, digits, dot ? dot : "");
	return *out ? 0 : -ENOMEM;
}

/* The other parts have their number before the ending. */
static int find_parts(struct wim *w, const char *path, struct diag *why)
{
	unsigned n = w->files[0]->hdr.n_parts, own = w->files[0]->hdr.part;
	unsigned absent = 0;

	/* A gap of many is the end: 65535 parts are a lie. */
	for (unsigned i = 1; i <= n && absent < 100; i++) {
		struct stat st;
		char *name;
		int ret;

		if (has_part(w, i))
			continue;
		ret = set_name(path, own, i, &name);
		if (ret)
			return diag_fail(why, ret, "wim: out of memory");
		if (stat(name, &st) || !S_ISREG(st.st_mode))
			absent++;
		else
			ret = add_file(w, name, false, why);
		free(name);
		if (ret)
			return ret;
	}
	return 0;
}

static void count_missing(struct wim *w)
{
	unsigned n = w->files[0]->hdr.n_parts, have = 0;
	unsigned first = 0;

	for (size_t i = 0; i < w->n_files; i++)
		have += n == 1 ? i == 0
			       : is_part_of_set(w, &w->files[i]->hdr);
	w->n_missing = n - have;
	for (unsigned i = n; i && w->n_missing; i--)
		if (!has_part(w, i))
			first = i;
	if (w->n_missing)
		wim_warn(w, "%u of %u parts are missing, the first is part %u: "
			 "files in them cannot be read", w->n_missing, n,
			 first);
}

/* Images are in part 1. */
static int put_first(struct wim *w, struct diag *why)
{
	unsigned part = w->files[0]->hdr.part;

	for (size_t i = 0; i < w->n_files && part != 1; i++) {
		struct wim_file *f = w->files[i];

		if (!is_part_of_set(w, &f->hdr) || f->hdr.part != 1)
			continue;
		w->files[i] = w->files[0];
		w->files[0] = f;
		part = 1;
	}
	if (part != 1)
		return diag_fail(why, ENOENT, "wim: this is part %u of %u, and "
				 "part 1, which has the names, is not beside "
				 "it (option ref)", part,
				 w->files[0]->hdr.n_parts);
	return 0;
}

int wim_set_open(struct wim *w, const char *path, struct diag *why)
{
	int ret = 0;

	for (size_t i = 0; i < w->opts.n_refs && !ret; i++)
		ret = add_file(w, w->opts.refs[i], true, why);
	if (!ret && path)
		ret = find_parts(w, path, why);
	if (!ret)
		ret = put_first(w, why);
	if (!ret)
		count_missing(w);
	return ret;
}
