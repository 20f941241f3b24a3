/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One file of the chain, opened and locked for the merge. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "formats/base/alloc.h"
#include "formats/base/dev_file.h"
#include "formats/merge/merge_int.h"

static void put_guid(char text[40], const struct guid *id, bool vhd)
{
	*text = '\0';
	if (guid_is_zero(id))
		return;
	if (vhd)
		guid_format_be(id, text);
	else
		guid_format(id, text);
}

void merge_link_ids(struct merge_link *l)
{
	if (l->vhd) {
		const struct vhd_info *info = vhd_info(l->vhd);

		put_guid(l->id, &info->id, true);
		put_guid(l->wants, &info->parent_id, true);
	} else {
		const struct vhdx_info *info = vhdx_info(l->vhdx);

		put_guid(l->id, &info->data_write_guid, false);
		put_guid(l->wants, &info->parent_linkage, false);
		put_guid(l->wants2, &info->parent_linkage2, false);
	}
}

bool merge_link_fits(const struct merge_link *child,
		     const struct merge_link *parent)
{
	return child->format == parent->format && *parent->id &&
	       (!strcmp(child->wants, parent->id) ||
		!strcmp(child->wants2, parent->id));
}

void merge_link_close(struct merge_link *l)
{
	if (l->vhd)
		vhd_close(l->vhd);
	else if (l->vhdx)
		vhdx_close(l->vhdx);
	else
		dev_close(l->file);
	free(l->path);
	*l = (struct merge_link) { 0 };
}

static int lock_it(struct merge_link *l, enum dev_lock lock,
		   const struct disk_opts *opts, struct diag *why)
{
	struct diag said = DIAG_INIT;
	int ret;

	if (opts->no_lock)
		return 0;
	ret = dev_lock_set(l->file, DEV_LOCK_NONE, lock, opts->registry, &said);
	/* Reading without is nobody's harm. */
	if (ret == -ENOLCK && lock == DEV_LOCK_READ)
		return 0;
	return ret ? diag_fail_as(why, ret, OUT_LOCKED, "%s", said.text) : 0;
}

static int open_container(struct merge_link *l, const struct disk_opts *opts,
			  struct diag *why)
{
	struct vhd_opts vopts = {
		.size_rule = (enum vhd_size_rule)opts->size_rule,
		.force = opts->force,
	};
	int ret = vhdx_probe(l->file);

	if (!ret) {
		struct vhdx_opts xopts = {
			.refuse_dirty = opts->refuse_dirty_log,
		};

		ret = vhdx_open(l->file, &xopts, &l->vhdx, why);
		l->format = DISK_VHDX;
	} else if (ret == -ERR_NOT_THIS) {
		ret = vhd_open(l->file, &vopts, &l->vhd, why);
		l->format = DISK_VHD;
	}
	if (ret)
		return ret;
	l->low = l->vhd ? vhd_dev(l->vhd) : vhdx_dev(l->vhdx);
	merge_link_ids(l);
	return 0;
}

static int wrap_file(struct merge_link *l, const struct merge_job *job,
		     struct diag *why)
{
	struct dev *wrapped;
	int ret;

	if (!job || !job->wrap)
		return 0;
	ret = job->wrap(job->ctx, l->file, &wrapped);
	if (ret)
		return diag_fail(why, ret, "%s: %s", l->path, strerror(-ret));
	l->file = wrapped;
	return 0;
}

static int fill(struct merge_link *l, bool write, enum dev_lock lock,
		const struct disk_opts *opts, struct diag *why)
{
	struct stat st;
	int ret;

	if (write && !l->file->writable)
		return diag_fail(why, EACCES, "%s: cannot be written to",
				 l->path);
	if (fstat(dev_file_fd(l->file), &st))
		return diag_fail(why, errno, "%s: %s", l->path,
				 strerror(errno));
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	l->stamp = (uint64_t)st.st_mtim.tv_sec * 1000000000u +
		   (uint64_t)st.st_mtim.tv_nsec;
	ret = lock_it(l, lock, opts, why);
	return ret;
}

int merge_link_open(const char *path, bool write, enum dev_lock lock,
		    const struct disk_opts *opts, const struct merge_job *job,
		    struct merge_link *out, struct diag *why)
{
	struct merge_link l = { .path = mem_strdup(path) };
	int ret = l.path ? dev_file_open(path, write, &l.file, why) : -ENOMEM;

	if (!ret)
		ret = fill(&l, write, lock, opts, why);
	if (!ret && write)
		ret = wrap_file(&l, job, why);
	if (!ret) {
		ret = open_container(&l, opts, why);
		if (ret)
			ret = diag_in(why, ret, "%s", path);
	}
	if (ret) {
		merge_link_close(&l);
		return diag_fail(why, ret, "%s: %s", path, strerror(-ret));
	}
	*out = l;
	return 0;
}

int merge_link_set_parent(struct merge_link *l, struct merge_link *parent,
			  struct diag *why)
{
	return l->vhd ? vhd_set_parent(l->vhd, parent->low, why)
		      : vhdx_set_parent(l->vhdx, parent->low, why);
}

uint32_t merge_link_block(const struct merge_link *l)
{
	return l->vhd ? vhd_info(l->vhd)->block_size
		      : vhdx_info(l->vhdx)->block_size;
}

/* The walk goes forward: the same run is asked for again and again. */
int merge_link_layer(struct merge_link *l, uint64_t off, uint64_t max,
		     int *kind, uint64_t *len)
{
	struct layer_run run;
	int n;

	if (!l->layer_len || off < l->layer_off ||
	    off - l->layer_off >= l->layer_len) {
		uint64_t rest = dev_size(l->low) - off;

		n = l->vhd ? vhd_layer(l->vhd, off, rest, &run, 1)
			   : vhdx_layer(l->vhdx, off, rest, &run, 1);
		if (n <= 0)
			return n ? n : -EIO;
		l->layer_off = off;
		l->layer_len = run.len;
		l->layer_kind = (int)run.kind;
	}
	*kind = l->layer_kind;
	*len = l->layer_len - (off - l->layer_off);
	if (*len > max)
		*len = max;
	return 0;
}

/* ---- identities ---- */

int merge_id_new(enum disk_format format, char id[40])
{
	struct guid g;
	int ret = guid_random(&g);

	if (!ret)
		put_guid(id, &g, format == DISK_VHD);
	return ret;
}

/* Text as put_guid() writes it. */
static int parse_id(enum disk_format format, const char *text, struct guid *out)
{
	uint8_t b[4];
	int ret = guid_parse(text, strlen(text), out);

	if (ret || format != DISK_VHD)
		return ret;
	/* The parser swaps the first three groups, as Windows writes them. */
	memcpy(b, out->b, 4);
	for (int i = 0; i < 4; i++)
		out->b[i] = b[3 - i];
	memcpy(b, out->b + 4, 4);
	out->b[4] = b[1];
	out->b[5] = b[0];
	out->b[6] = b[3];
	out->b[7] = b[2];
	return 0;
}

static size_t common_dir(const char *a, const char *b)
{
	size_t n = 0;

	for (size_t i = 0; a[i] && a[i] == b[i]; i++)
		if (a[i] == '/')
			n = i + 1;
	return n;
}

/* to as seen from the directory of from; both are real paths. New. */
static char *relative_path(const char *from, const char *to)
{
	size_t n = common_dir(from, to);
	char *up = mem_strdup("");

	for (const char *p = from + n; up && (p = strchr(p, '/')); p++) {
		char *more = mem_printf("../%s", up);

		free(up);
		up = more;
	}
	if (up) {
		char *all = mem_printf("%s%s", up, to + n);

		free(up);
		up = all;
	}
	return up;
}

static const char *windows_base(const char *path)
{
	const char *base = path;

	for (; *path; path++)
		if ((*path == '\\' || *path == '/') && path[1])
			base = path + 1;
	return base;
}

/*
 * The Windows path of a file is only known where the one of its neighbour is:
 * was, the parent that child names, lies in the same directory. New, or NULL.
 */
static char *windows_path(const struct merge_link *child, const char *parent,
			  const char *was)
{
	size_t n = child->vhd ? vhd_info(child->vhd)->n_parents
			      : vhdx_info(child->vhdx)->n_parents;
	const struct locator *locs = child->vhd
				     ? vhd_info(child->vhd)->parents
				     : vhdx_info(child->vhdx)->parents;
	size_t dir = common_dir(parent, was);

	if (strchr(parent + dir, '/') || strchr(was + dir, '/'))
		return NULL;
	for (size_t i = 0; i < n; i++) {
		const char *base = windows_base(locs[i].path);

		if (locs[i].kind == LOCATOR_ABSOLUTE &&
		    !strcasecmp(base, was + dir))
			return mem_printf("%.*s%s", (int)(base - locs[i].path),
					  locs[i].path, parent + dir);
	}
	return NULL;
}

static int relink(struct merge_link *child, const struct guid *one,
		  const struct guid *two, const char *paths[2],
		  struct diag *why)
{
	int ret = dev_begin_write(child->low, why);

	if (ret)
		return ret;
	if (child->vhd) {
		struct vhd_relink what = { one, paths[0], paths[1] };

		ret = vhd_relink(child->vhd, &what, why);
	} else {
		struct vhdx_relink what = { one, two, paths[0], paths[1] };

		ret = vhdx_relink(child->vhdx, &what, why);
	}
	merge_link_ids(child);
	return ret ? diag_in(why, ret, "%s", child->path) : 0;
}

int merge_link_relink(struct merge_link *child, const char *id,
		      const struct merge_link *parent,
		      const struct merge_link *was, struct diag *why)
{
	char *relative = NULL, *windows = NULL;
	const char *paths[2] = { NULL, NULL };
	struct guid g;
	int ret = parse_id(child->format, id, &g);

	if (parent) {
		relative = relative_path(child->path, parent->path);
		if (!relative)
			return diag_fail(why, ENOMEM, "out of memory");
		windows = windows_path(child, parent->path, was->path);
		paths[0] = relative;
		paths[1] = windows;
	}
	if (!ret)
		ret = relink(child, &g, NULL, paths, why);
	free(relative);
	free(windows);
	return ret;
}

static int rotate_vhd(struct merge_link *target, struct merge_link *child,
		      const struct guid *id, const char *text,
		      struct diag *why)
{
	const char *paths[2] = { NULL, NULL };
	int ret = 0;

	if (strcmp(target->id, text))
		ret = vhd_set_id(target->vhd, id, why);
	merge_link_ids(target);
	if (ret)
		return diag_in(why, ret, "%s", target->path);
	return strcmp(child->wants, text) ? relink(child, id, NULL, paths, why)
					  : 0;
}

int merge_link_rotate(struct merge_link *target, struct merge_link *child,
		      const char *new_id, struct diag *why)
{
	const char *paths[2] = { NULL, NULL };
	struct guid old, new;
	int ret = parse_id(target->format, new_id, &new);

	if (!ret)
		ret = parse_id(target->format, target->id, &old);
	if (ret)
		return diag_fail(why, ret, "%s: bad identity", target->path);
	ret = dev_begin_write(target->low, why);
	if (ret)
		return diag_in(why, ret, "%s", target->path);
	if (target->vhd)
		return rotate_vhd(target, child, &new, new_id, why);
	ret = relink(child, &old, &new, paths, why);
	if (!ret) {
		ret = vhdx_set_data_guid(target->vhdx, &new, why);
		if (ret)
			ret = diag_in(why, ret, "%s", target->path);
	}
	merge_link_ids(target);
	return ret;
}
