/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The directory of all images: 1, 2, 3 ... and links to them by name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "formats/base/alloc.h"
#include "formats/base/dev_file.h"
#include "formats/wim/wim_int.h"

#define NUMBER_SIZE 16

/* 0: the root; from WIM_ID_LINKS on: a link. */
static uint64_t field_of(uint64_t id)
{
	return id >> WIM_ID_IMAGE_SHIFT;
}

static uint64_t link_id(unsigned image)
{
	return (uint64_t)(WIM_ID_LINKS + image) << WIM_ID_IMAGE_SHIFT | 1;
}

bool wim_root_is(const struct wim_tree *t, uint64_t id)
{
	return !t->only && (!field_of(id) ||
			    (field_of(id) >= WIM_ID_LINKS &&
			     field_of(id) < 2 * WIM_ID_LINKS));
}

static bool is_link(uint64_t id, unsigned *image)
{
	*image = (unsigned)(field_of(id) - WIM_ID_LINKS);
	return field_of(id) >= WIM_ID_LINKS;
}

int wim_root_attr(struct wim_tree *t, uint64_t id, struct tree_attr *out)
{
	int fd = dev_file_fd(t->w->files[0]->dev);
	struct tree_attr a = { .id = id, .nlink = 1 };
	char number[NUMBER_SIZE];
	struct stat st;
	unsigned image;

	a.mode = S_IFDIR | 0777;
	if (is_link(id, &image)) {
		if (!image || image > t->w->n_images || !t->names[image - 1])
			return -ENOENT;
		a.mode = S_IFLNK | 0777;
		a.size = (uint64_t)snprintf(number, sizeof(number), "%u",
					    image);
	} else if (id != TREE_ROOT) {
		return -ENOENT;
	}
	a.uid = t->opts.uid;
	a.gid = t->opts.gid;
	if (fd >= 0 && !fstat(fd, &st))
		a.atime = a.mtime = a.ctime = a.btime = st.st_mtim;
	*out = a;
	return 0;
}

static bool to_image(const struct wim_tree *t, const char *name, unsigned *out)
{
	char number[NUMBER_SIZE];
	unsigned long n = strtoul(name, NULL, 10);

	if (!n || n > t->w->n_images)
		return false;
	snprintf(number, sizeof(number), "%lu", n);
	*out = (unsigned)n;
	return !strcmp(number, name);
}

int wim_root_lookup(struct wim_tree *t, const char *name,
		    struct tree_attr *out)
{
	struct wim_place p;
	unsigned image;
	int ret;

	if (to_image(t, name, &image)) {
		ret = wim_place_image(t, image, NULL, &p);
		if (!ret)
			wim_place_attr(&p, out);
		return ret;
	}
	for (unsigned i = 0; i < t->w->n_images; i++)
		if (t->names[i] && !strcmp(t->names[i], name))
			return wim_root_attr(t, link_id(i + 1), out);
	return -ENOENT;
}

int wim_root_list(struct wim_tree *t, uint64_t from, tree_emit_fn emit,
		  void *ctx)
{
	unsigned n = t->w->n_images;

	for (uint64_t i = from; i < 2 * (uint64_t)n; i++) {
		struct wim_place p = {
			.t = t, .image = (unsigned)(i % n) + 1
		};
		char number[NUMBER_SIZE];
		struct tree_entry e = { .name = number, .next = i + 1 };

		snprintf(number, sizeof(number), "%u", p.image);
		/* Its attributes would cost loading it. */
		e.id = wim_id(&p);
		e.type = S_IFDIR;
		if (i >= n) {
			e.name = t->names[i % n];
			e.id = link_id(p.image);
			e.type = S_IFLNK;
		}
		if (e.name && emit(ctx, &e))
			break;
	}
	return 0;
}

static bool is_good_name(const struct wim_tree *t, const char *name,
			 unsigned before)
{
	unsigned image;

	if (!*name || strlen(name) > 255 || strchr(name, '/') ||
	    !strcmp(name, ".") || !strcmp(name, "..") ||
	    to_image(t, name, &image))
		return false;
	for (unsigned i = 0; i < before; i++)
		if (t->names[i] && !strcmp(t->names[i], name))
			return false;
	return true;
}

int wim_root_names(struct wim_tree *t)
{
	unsigned n = t->w->n_images;

	t->names = mem_zalloc(n + 1, sizeof(*t->names));
	if (!t->names)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		t->names[i] = wim_text(t->w, i + 1, "NAME");
		if (!t->names[i] || is_good_name(t, t->names[i], i))
			continue;
		free(t->names[i]);
		t->names[i] = NULL;
	}
	return 0;
}

int wim_root_readlink(struct wim_tree *t, uint64_t id, char *buf, size_t size)
{
	unsigned image;
	int n;

	if (!is_link(id, &image))
		return -EINVAL;
	n = snprintf(buf, size, "%u", image);
	return (size_t)n < size ? n : -ENAMETOOLONG;
}
