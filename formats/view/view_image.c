/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/view/view_image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "formats/base/alloc.h"
#include "formats/base/dev_slice.h"
#include "formats/part/part.h"
#include "formats/view/view.h"
#include "formats/volume/volume_select.h"

struct view_image {
	struct disk *disk;		/* owned */
	struct part_table table;	/* owned */
	struct dev *volume;		/* VIEW_TREE: the chosen slice, owned */
	struct view_part *parts;	/* the other views: one a partition */
	size_t n_parts;
	struct tree *tree;		/* owned */
};

/* Everything that may have been written is on disk before anything closes:
 * closing can tell nobody of an error. */
static int flush(struct view_image *v)
{
	int ret = v->tree && v->tree->writing ? tree_sync(v->tree, 0, false)
					      : 0;
	int flushed;

	tree_close(v->tree);
	v->tree = NULL;
	flushed = v->disk ? dev_flush(disk_dev(v->disk)) : 0;
	return ret ? ret : flushed;
}

/* What view_all_open() has not taken over. */
static void free_parts(struct view_image *v)
{
	for (size_t i = 0; i < v->n_parts; i++) {
		tree_close(v->parts[i].tree);
		dev_close(v->parts[i].dev);
	}
	free(v->parts);
	v->parts = NULL;
	v->n_parts = 0;
}

int view_image_close(struct view_image *v)
{
	int ret;

	if (!v)
		return 0;
	ret = flush(v);
	free_parts(v);
	dev_close(v->volume);
	part_free(&v->table);
	disk_close(v->disk);
	free(v);
	return ret;
}

struct tree *view_image_tree(struct view_image *v)
{
	return v->tree;
}

struct disk *view_image_disk(struct view_image *v)
{
	return v->disk;
}

/* What a volume says while it is opened: words for the user, and the reason
 * why it cannot be written to. */
struct hearing {
	const struct volume_opts *opts;
	char first[DIAG_MAX / 2];
};

static void heard(void *ctx, const char *text)
{
	struct hearing *h = ctx;

	if (!h->first[0])
		snprintf(h->first, sizeof(h->first), "%s", text);
	else if (h->opts->warn)
		h->opts->warn(h->opts->warn_ctx, text);
}

/* The first thing said is either the reason or a warning like the others. */
static void judge(struct view_image *v, const struct hearing *h, bool wanted,
		  struct diag *not_writable)
{
	if (wanted && v->tree->writable)
		v->tree->writable = !tree_check_write(v->tree, not_writable);
	else if (wanted && h->first[0] && !not_writable->code)
		diag_fail_as(not_writable, EROFS, OUT_VOLUME_DIRTY, "%s",
			     h->first);
	if (h->first[0] && strcmp(h->first, not_writable->text) &&
	    h->opts->warn)
		h->opts->warn(h->opts->warn_ctx, h->first);
}

static int open_volume(struct view_image *v, const struct view_image_opts *opts,
		       bool write, struct diag *not_writable, struct diag *why)
{
	struct hearing hearing = { .opts = &opts->volume };
	struct volume_opts vo = opts->volume;
	struct volume_choice choice;
	int ret = volume_select(disk_dev(v->disk), &v->table, opts->part,
				&choice, why);

	if (ret)
		return ret;
	v->volume = choice.dev;
	vo.want_write = write;
	vo.warn = heard;
	vo.warn_ctx = &hearing;
	ret = volume_open(v->volume, &vo, &v->tree, why);
	if (!ret)
		judge(v, &hearing, write, not_writable);
	return ret;
}

/* One row a partition; a disk without a table is one volume, number 0. */
static int list_parts(struct view_image *v, bool whole, struct diag *why)
{
	size_t n = v->table.n;

	v->parts = mem_zalloc(n + 1, sizeof(*v->parts));
	if (!v->parts)
		return diag_fail(why, ENOMEM, "view: out of memory");
	for (; v->n_parts < n; v->n_parts++) {
		const struct part *p = &v->table.parts[v->n_parts];

		v->parts[v->n_parts] = (struct view_part) {
			.number = p->number, .off = p->off, .len = p->len,
		};
	}
	if (!n && whole)
		v->parts[v->n_parts++].len = dev_size(disk_dev(v->disk));
	return 0;
}

/* A volume that cannot be shown is one raw file fewer explained, no error. */
static int open_part(struct view_image *v, struct view_part *p,
		     const struct view_image_opts *opts, struct diag *why)
{
	struct volume_opts vo = opts->volume;
	struct volume_info info;
	struct diag reason = DIAG_INIT;
	int ret = dev_slice_new(disk_dev(v->disk), p->off, p->len, &p->dev,
				why);

	if (ret)
		return ret;
	vo.want_write = false;
	if (volume_probe(p->dev, &info, NULL) || !info.mountable)
		return 0;
	if (volume_open(p->dev, &vo, &p->tree, &reason) && vo.warn)
		vo.warn(vo.warn_ctx, reason.text);
	return 0;
}

static int open_parts(struct view_image *v, const struct view_image_opts *opts,
		      bool write, struct diag *why)
{
	struct view_what what = {
		.disk = disk_dev(v->disk), .writable = write,
		.uid = opts->volume.uid, .gid = opts->volume.gid,
	};
	bool all = opts->kind == VIEW_ALL;
	struct stat st;
	int ret = list_parts(v, all, why);

	for (size_t i = 0; all && !ret && i < v->n_parts; i++)
		ret = open_part(v, &v->parts[i], opts, why);
	if (ret)
		return ret;
	if (!stat(disk_link(v->disk, 0)->path, &st))
		what.mtime = st.st_mtim;
	what.parts = v->parts;
	what.n = v->n_parts;
	ret = all ? view_all_open(&what, &v->tree, why)
		  : view_raw_open(&what, &v->tree, why);
	if (!ret && all)
		v->n_parts = 0;	/* taken over */
	return ret;
}

/* Raw files are what a ruined table is repaired with: disk.raw needs none. */
static int load_table(struct view_image *v, const struct view_image_opts *opts,
		      struct diag *why)
{
	const struct volume_opts *vo = &opts->volume;
	int ret = part_load(disk_dev(v->disk), &v->table, why);

	if (!ret && v->table.note[0] && vo->warn)
		vo->warn(vo->warn_ctx, v->table.note);
	if (ret != -ERR_CORRUPT || opts->kind != VIEW_RAW)
		return ret;
	if (vo->warn)
		vo->warn(vo->warn_ctx, why->text);
	diag_clear(why);
	return 0;
}

static int open_kind(struct view_image *v, const struct view_image_opts *opts,
		     bool write, struct diag *not_writable, struct diag *why)
{
	if (opts->kind == VIEW_TREE)
		return open_volume(v, opts, write, not_writable, why);
	return open_parts(v, opts, write, why);
}

int view_image_open(const char *path, const struct view_image_opts *opts,
		    struct view_image **out, struct diag *not_writable,
		    struct diag *why)
{
	struct view_image *v = mem_new(struct view_image);
	bool write = opts->disk.want_write && opts->kind != VIEW_ALL;
	struct disk_opts disk = opts->disk;
	int ret;

	if (!v)
		return diag_fail(why, ENOMEM, "view: out of memory");
	disk.want_write = write;
	ret = disk_open(path, &disk, &v->disk, why);
	if (ret)
		goto fail;
	if (write && dev_check_write(disk_dev(v->disk), not_writable))
		write = false;
	ret = load_table(v, opts, why);
	if (!ret)
		ret = open_kind(v, opts, write, not_writable, why);
	if (ret)
		goto fail;
	if (opts->disk.want_write && opts->kind == VIEW_ALL)
		diag_fail(not_writable, EROFS, "view=all is always read-only");
	v->tree->frozen = !v->tree->writable;
	*out = v;
	return 0;
fail:
	view_image_close(v);
	return ret;
}
