/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which image hangs on which, by identity and not by name. */
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/base/alloc.h"
#include "formats/base/map.h"
#include "formats/merge/merge_int.h"

/* Sixteen full directories: more is a wrong argument. */
#define IMAGES_MAX 65536

struct builder {
	struct merge_graph g;
	size_t room;
	struct merge_past *past;	/* owned */
	size_t n_past;
};

static struct merge_image *new_image(struct builder *b, const char *path)
{
	struct merge_image *img;

	if (b->g.n == b->room) {
		size_t room = b->room ? 2 * b->room : 64;
		void *more = room > IMAGES_MAX ? NULL
			     : mem_realloc(b->g.images, room, sizeof(*img));

		if (!more)
			return NULL;
		b->g.images = more;
		b->room = room;
	}
	img = &b->g.images[b->g.n];
	*img = (struct merge_image) {
		.path = mem_strdup(path), .parent = SIZE_MAX,
	};
	if (!img->path)
		return NULL;
	b->g.n++;
	return img;
}

static bool is_known(const struct builder *b, const struct disk_image *d)
{
	for (size_t i = 0; i < b->g.n; i++) {
		const struct merge_image *img = &b->g.images[i];

		if (img->ino == d->ino && img->dev == d->dev)
			return true;
	}
	return false;
}

static bool has_journal(const char *path)
{
	char *journal = merge_journal_path(path, "merge");
	bool there = journal && !access(journal, F_OK);

	free(journal);
	return there;
}

/* A disk_list_fn. */
static int add_image(void *ctx, const struct disk_image *d, const char *path,
		     const struct diag *why)
{
	struct builder *b = ctx;
	struct merge_image *img;

	if (d && is_known(b, d))
		return 0;
	img = new_image(b, path);
	if (!img)
		return -ENOMEM;
	if (!d) {
		img->state = MERGE_UNREADABLE;
		img->said = mem_strdup(why->text);
		return img->said ? 0 : -ENOMEM;
	}
	img->format = d->format;
	img->kind = d->kind;
	img->size = d->size;
	img->dev = d->dev;
	img->ino = d->ino;
	memcpy(img->id, d->id, sizeof(img->id));
	memcpy(img->wants, d->wants, sizeof(img->wants));
	memcpy(img->wants2, d->wants2, sizeof(img->wants2));
	img->journal = has_journal(path);
	return 0;
}

static int add_past(struct builder *b, const char *id, const char *parent)
{
	struct merge_past *more = mem_realloc(b->past, b->n_past + 1,
					      sizeof(*more));

	if (!more)
		return -ENOMEM;
	b->past = more;
	memcpy(more[b->n_past].id, id, sizeof(more->id));
	memcpy(more[b->n_past++].parent, parent, sizeof(more->parent));
	return 0;
}

/* What a finished merge left: a damaged one only knows less. */
static int add_record(struct builder *b, const char *path)
{
	struct merge_journal j = { 0 };
	int ret = 0;

	if (merge_journal_load(path, &j, NULL))
		return 0;
	for (size_t i = 0; i < j.target && !ret; i++)
		ret = add_past(b, j.files[i].id, j.files[i].parent);
	for (size_t i = 0; i < j.n_past && !ret; i++)
		ret = add_past(b, j.past[i].id, j.past[i].parent);
	merge_journal_free(&j);
	return ret;
}

static int add_records(struct builder *b, const char *dir)
{
	DIR *list = opendir(dir);
	struct dirent *e;
	int ret = 0;

	if (!list)
		return 0;
	while (!ret && (e = readdir(list))) {
		size_t len = strlen(e->d_name);
		char *path;

		if (*e->d_name != '.' || len < 9 ||
		    strcmp(e->d_name + len - 7, ".merged"))
			continue;
		path = mem_printf("%s/%s", dir, e->d_name);
		ret = path ? add_record(b, path) : -ENOMEM;
		free(path);
	}
	closedir(list);
	return ret;
}

static bool was_merged(const struct builder *b, const struct merge_image *img)
{
	for (size_t i = 0; i < b->n_past; i++)
		if (!strcmp(b->past[i].id, img->id) &&
		    !strcmp(b->past[i].parent, img->wants))
			return true;
	return false;
}

static bool has_parent(const struct merge_image *img)
{
	return img->kind && !strcmp(img->kind, "differencing");
}

static size_t find_parent(const struct merge_graph *g, size_t i)
{
	const struct merge_image *img = &g->images[i];

	for (size_t k = 0; k < g->n; k++) {
		const struct merge_image *p = &g->images[k];

		if (k != i && p->format == img->format && *p->id &&
		    (!strcmp(p->id, img->wants) ||
		     !strcmp(p->id, img->wants2)))
			return k;
	}
	return SIZE_MAX;
}

static void link_all(struct merge_graph *g)
{
	for (size_t i = 0; i < g->n; i++) {
		if (has_parent(&g->images[i]))
			g->images[i].parent = find_parent(g, i);
		if (g->images[i].parent != SIZE_MAX)
			g->images[g->images[i].parent].n_children++;
		for (size_t k = 0; k < i; k++)
			if (*g->images[i].id && !strcmp(g->images[i].id,
							g->images[k].id))
				g->images[i].duplicate =
					g->images[k].duplicate = true;
	}
}

static void judge(const struct builder *b, struct merge_image *img)
{
	if (img->state == MERGE_UNREADABLE)
		return;
	if (!has_parent(img))
		img->state = MERGE_BASE;
	else if (img->parent == SIZE_MAX)
		img->state = was_merged(b, img) ? MERGE_GONE : MERGE_LOST;
	else
		img->state = img->n_children ? MERGE_BRANCH : MERGE_LEAF;
}

/* What hangs on nothing but merged files was merged too: links between. */
static void judge_below(const struct builder *b, struct merge_graph *g)
{
	for (size_t i = 0; i < g->n; i++) {
		struct merge_image *img = &g->images[i];
		size_t at = img->parent;

		for (size_t n = 0; at != SIZE_MAX && n < g->n; n++) {
			if (g->images[at].state == MERGE_GONE &&
			    was_merged(b, img))
				img->state = MERGE_GONE;
			at = g->images[at].parent;
		}
	}
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct merge_image *)a)->path,
		      ((const struct merge_image *)b)->path);
}

int merge_graph_read(const char *const *dirs, size_t n,
		     struct merge_graph *out, struct diag *why)
{
	struct builder b = { 0 };
	int ret = 0;

	for (size_t i = 0; i < n && !ret; i++) {
		char real[PATH_MAX];

		if (!realpath(dirs[i], real)) {
			ret = diag_fail(why, errno, "%s: %s", dirs[i],
					strerror(errno));
			break;
		}
		ret = disk_list(real, add_image, &b, why);
		if (!ret)
			ret = add_records(&b, real);
	}
	if (!ret && b.g.n) {
		qsort(b.g.images, b.g.n, sizeof(*b.g.images), by_path);
		link_all(&b.g);
		for (size_t i = 0; i < b.g.n; i++)
			judge(&b, &b.g.images[i]);
		judge_below(&b, &b.g);
	}
	free(b.past);
	if (ret) {
		merge_graph_free(&b.g);
		return diag_fail(why, ret, "cannot be listed: %s",
				 strerror(-ret));
	}
	*out = b.g;
	return 0;
}

void merge_graph_free(struct merge_graph *g)
{
	for (size_t i = 0; i < g->n; i++) {
		free(g->images[i].path);
		free(g->images[i].said);
	}
	free(g->images);
	*g = (struct merge_graph) { 0 };
}
