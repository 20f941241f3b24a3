/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opens and closes WIM files (FORMAT.md 2.1). */
#include "formats/wim/wim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/base/dev_file.h"
#include "formats/wim/wim_int.h"

void wim_warn(const struct wim *w, const char *fmt, ...)
{
	char text[DIAG_MAX];
	va_list ap;

	if (!w->opts.warn)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	w->opts.warn(w->opts.warn_ctx, text);
}

void wim_close(struct wim *w)
{
	if (!w)
		return;
	wim_cache_free(w);
	wim_xml_free(w);
	for (size_t i = 0; i < w->n_solids; i++)
		free(w->solids[i].ends);
	for (size_t i = 0; i < w->n_files; i++) {
		dev_close(w->files[i]->dev);
		free(w->files[i]->path);
		free(w->files[i]);
	}
	free(w->files);
	free(w->solids);
	free(w->blobs);
	free(w->index.slots);
	free(w->images);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

static int load_blobs(struct wim *w, struct diag *why)
{
	struct guid random;
	int ret = guid_random(&random);

	if (ret)
		return diag_fail(why, ret, "wim: no random numbers");
	w->index.seed = le64_at(random.b);
	for (size_t i = 0; i < w->n_files && !ret; i++) {
		ret = wim_blobs_load(w, i, why);
		if (ret && i)
			diag_in(why, ret, "%s", w->files[i]->path);
	}
	return ret;
}

static void check_counts(const struct wim *w)
{
	const struct wim_header *h = &w->files[0]->hdr;

	if (w->n_images < h->n_images)
		wim_warn(w, "%u of %u images have no metadata",
			 h->n_images - w->n_images, h->n_images);
	if (h->flags & WIM_F_WRITE_IN_PROGRESS)
		wim_warn(w, "somebody writes to it, or died while writing");
}

/* The XML first: it says whether the rest is encrypted. */
static int load(struct wim *w, const char *path, struct diag *why)
{
	int ret = wim_xml_load(w, why);

	if (!ret)
		ret = wim_set_open(w, path, why);
	if (!ret && w->opts.check)
		ret = wim_check_integrity(w, why);
	if (!ret)
		ret = load_blobs(w, why);
	if (!ret)
		check_counts(w);
	return ret;
}

static int open_first(struct dev *dev, const char *path,
		      const struct wim_opts *opts, struct wim **out,
		      struct diag *why)
{
	struct wim *w = mem_new(struct wim);
	int ret;

	if (!w)
		return diag_fail(why, ENOMEM, "wim: no memory");
	pthread_mutex_init(&w->lock, NULL);
	if (opts)
		w->opts = *opts;
	ret = wim_set_add(w, dev, path ? path : "", why);
	if (!ret)
		ret = load(w, path, why);
	/* The caller keeps its dev when this fails. */
	for (size_t i = 0; ret && i < w->n_files; i++)
		if (w->files[i]->dev == dev)
			w->files[i]->dev = NULL;
	if (ret) {
		wim_close(w);
		return ret;
	}
	/* The names in it were the caller's. */
	w->opts.refs = NULL;
	w->opts.n_refs = 0;
	*out = w;
	return 0;
}

int wim_open_dev(struct dev *dev, const struct wim_opts *opts,
		 struct wim **out, struct diag *why)
{
	return open_first(dev, NULL, opts, out, why);
}

int wim_open(const char *path, const struct wim_opts *opts, struct wim **out,
	     struct diag *why)
{
	struct dev *dev;
	int ret = dev_file_open(path, false, &dev, why);

	if (ret)
		return ret;
	ret = open_first(dev, path, opts, out, why);
	if (ret)
		dev_close(dev);
	return ret;
}

void wim_facts(const struct wim *w, struct wim_facts *out)
{
	static const char *const codecs[] = { "none", "XPRESS", "LZX", "LZMS" };
	const struct wim_header *h = &w->files[0]->hdr;

	*out = (struct wim_facts) {
		.guid = h->guid, .version = h->version, .flags = h->flags,
		.chunk_size = h->chunk_size, .codec = codecs[h->codec],
		.part = h->part, .n_parts = h->n_parts,
		.n_missing = w->n_missing, .n_images = w->n_images,
		.boot_index = h->boot_index, .n_blobs = w->n_blobs,
		.n_solid = w->n_solids, .pipable = h->pipable,
		.integrity = h->integrity.off != 0,
	};
}

static bool is_number(const char *text, unsigned *out)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n > WIM_IMAGES_MAX)
		return false;
	*out = (unsigned)n;
	return true;
}

int wim_find_image(const struct wim *w, const char *text, unsigned *out,
		   struct diag *why)
{
	unsigned found = 0;

	for (unsigned i = 1; i <= w->n_images; i++) {
		char *name = wim_text(w, i, "NAME");
		bool same = name && *name && !strcmp(name, text);

		free(name);
		if (same && found)
			return diag_fail(why, EINVAL, "wim: images %u and %u "
					 "are both called %s", found, i, text);
		if (same)
			found = i;
	}
	if (!found && (!is_number(text, &found) || !found ||
		       found > w->n_images))
		return diag_fail(why, ENOENT, "wim: no image %s among %u", text,
				 w->n_images);
	*out = found;
	return 0;
}
