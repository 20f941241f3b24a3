/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The disk and its partitions as files. All of them are windows on one dev, so
 * a byte may belong to two: tree->shared_bytes says so to the seam. */
#include "formats/view/view_int.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/base/alloc.h"

#define NS_PER_S 1000000000LL

void view_name(const struct view_part *p, bool raw, char name[VIEW_NAME])
{
	if (p && p->number)
		snprintf(name, VIEW_NAME, "p%u%s", p->number,
			 raw ? ".raw" : "");
	else
		snprintf(name, VIEW_NAME, "disk%s", raw ? ".raw" : "");
}

/* The window that a node is. A part without a number is disk.raw itself. */
static int find_window(const struct view *v, uint64_t id, uint64_t *off,
		       uint64_t *len)
{
	const struct view_part *p;

	if (id == VIEW_DISK) {
		*off = 0;
		*len = dev_size(v->disk);
		return 0;
	}
	if (id < VIEW_PARTS || id - VIEW_PARTS >= v->n)
		return id == TREE_ROOT ? -EISDIR : -ENOENT;
	p = &v->parts[id - VIEW_PARTS];
	if (!p->number)
		return -ENOENT;
	*off = p->off;
	*len = p->len;
	return 0;
}

int view_raw_getattr(struct tree *t, uint64_t id, struct tree_attr *out)
{
	const struct view *v = view_of(t);
	int64_t ns = __atomic_load_n(&v->mtime_ns, __ATOMIC_RELAXED);
	struct timespec when = { .tv_sec = ns / NS_PER_S,
				 .tv_nsec = ns % NS_PER_S };
	uint64_t off, size = 0;
	int ret = find_window(v, id, &off, &size);

	if (ret && ret != -EISDIR)
		return ret;
	*out = (struct tree_attr) {
		.id = id, .gen = 1, .uid = v->uid, .gid = v->gid,
		.nlink = 1, .size = size, .blocks = size / 512,
		.mode = S_IFREG | (t->writable ? 0644 : 0444),
		.atime = when, .mtime = when, .ctime = when, .btime = when,
	};
	if (!ret)
		return 0;
	out->mode = S_IFDIR | 0555;
	out->nlink = 2;
	for (size_t i = 0; i < v->n; i++)
		out->nlink += !!v->parts[i].tree;
	return 0;
}

/* Places in the listing are nodes: disk.raw's, then one for each part. */
static bool name_of(const struct view *v, uint64_t id, char name[VIEW_NAME])
{
	const struct view_part *p = NULL;

	if (id != VIEW_DISK) {
		p = &v->parts[id - VIEW_PARTS];
		if (!p->number)
			return false;
	}
	view_name(p, true, name);
	return true;
}

int view_raw_lookup(struct tree *t, uint64_t dir, const char *name,
		    struct tree_attr *out)
{
	const struct view *v = view_of(t);
	char own[VIEW_NAME];

	if (dir != TREE_ROOT)
		return -ENOTDIR;
	for (uint64_t id = VIEW_DISK; id < VIEW_PARTS + v->n; id++)
		if (name_of(v, id, own) && !strcmp(own, name))
			return view_raw_getattr(t, id, out);
	return -ENOENT;
}

int view_raw_list(struct tree *t, uint64_t dir, uint64_t from, bool want_attr,
		  tree_emit_fn emit, void *ctx)
{
	const struct view *v = view_of(t);
	char name[VIEW_NAME];

	if (dir != TREE_ROOT)
		return -ENOTDIR;
	for (uint64_t id = max_of(from, (uint64_t)VIEW_DISK);
	     id < VIEW_PARTS + v->n; id++) {
		struct tree_attr a;
		struct tree_entry e = {
			.name = name, .id = id, .type = S_IFREG,
			.next = id + 1, .attr = &a,
		};
		int ret;

		if (!name_of(v, id, name))
			continue;
		ret = view_raw_getattr(t, id, &a);
		if (!ret)
			ret = emit(ctx, &e);
		if (ret)
			return ret;
	}
	return 0;
}

int view_raw_open_file(struct tree *t, uint64_t id, bool write,
		       struct tree_file **out)
{
	uint64_t off, len;
	struct view_file *vf;
	int ret = find_window(view_of(t), id, &off, &len);

	if (ret)
		return ret;
	vf = mem_new(struct view_file);
	if (!vf)
		return -ENOMEM;
	vf->f = (struct tree_file) { .id = id, .write = write };
	vf->off = off;
	vf->len = len;
	*out = &vf->f;
	return 0;
}

void view_raw_release(struct tree *t, struct tree_file *f)
{
	free(view_file_of(f));
}

ssize_t view_raw_read(struct tree *t, struct tree_file *f, void *buf,
		      size_t len, uint64_t off)
{
	struct view_file *vf = view_file_of(f);
	int ret;

	if (off >= vf->len)
		return 0;
	len = (size_t)min_of((uint64_t)len, vf->len - off);
	ret = dev_read(view_of(t)->disk, buf, len, vf->off + off);
	return ret ? ret : (ssize_t)len;
}

int view_raw_extents(struct tree *t, struct tree_file *f, uint64_t off,
		     uint64_t len, bool for_write, struct tree_extent *ext,
		     int max)
{
	const struct view_file *vf = view_file_of(f);

	if (off >= vf->len)
		return 0;
	ext[0] = (struct tree_extent) {
		.dev = view_of(t)->disk, .off = vf->off + off,
		.len = min_of(len, vf->len - off),
	};
	return 1;
}

/* How far into a run data (or a hole) begins; its length: not in here. Holes
 * of a host's file are zeros too; nothing uses the position of a dev's fd. */
static uint64_t seek_in_run(const struct dev_run *run, int whence)
{
	off_t at;

	if (run->kind != DEV_RUN_FD)
		return (run->kind == DEV_RUN_ZERO) == (whence == SEEK_HOLE) ?
			0 : run->len;
	at = lseek(run->fd, (off_t)run->off, whence);
	if (at < 0 && errno == ENXIO)
		return whence == SEEK_DATA ? run->len : 0;
	if (at < 0)
		return whence == SEEK_DATA ? 0 : run->len;
	return min_of((uint64_t)at - run->off, run->len);
}

off_t view_raw_seek(struct tree *t, struct tree_file *f, off_t off, int whence)
{
	const struct view_file *vf = view_file_of(f);
	uint64_t at = (uint64_t)off;

	if (off < 0 || at >= vf->len)
		return -ENXIO;
	while (at < vf->len) {
		struct dev_run runs[64];
		int n = dev_map(view_of(t)->disk, vf->off + at, vf->len - at,
				runs, ARRAY_LEN(runs));

		if (n <= 0)
			return n ? n : -EIO;
		for (int i = 0; i < n; i++) {
			uint64_t in = seek_in_run(&runs[i], whence);

			at += min_of(in, vf->len - at);
			if (in < runs[i].len)
				return (off_t)at;
		}
	}
	return whence == SEEK_HOLE ? (off_t)vf->len : -ENXIO;
}

int view_raw_statfs(struct tree *t, struct statvfs *out)
{
	const struct view *v = view_of(t);

	*out = (struct statvfs) {
		.f_bsize = 4096, .f_frsize = 512,
		.f_blocks = dev_size(v->disk) / 512,
		.f_files = v->n + 2, .f_namemax = VIEW_NAME,
	};
	return 0;
}

static int raw_check_write(struct tree *t, struct diag *why)
{
	return dev_check_write(view_of(t)->disk, why);
}

static int raw_begin_write(struct tree *t, struct diag *why)
{
	return dev_begin_write(view_of(t)->disk, why);
}

static void touch(struct view *v)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	__atomic_store_n(&v->mtime_ns, (int64_t)now.tv_sec * NS_PER_S +
			 now.tv_nsec, __ATOMIC_RELAXED);
}

static void raw_wrote(struct tree *t, struct tree_file *f)
{
	touch(view_of(t));
}

/* Short at the end, as a block device is. */
static ssize_t raw_write(struct tree *t, struct tree_file *f, const void *buf,
			 size_t len, uint64_t off)
{
	struct view_file *vf = view_file_of(f);
	int ret;

	if (off >= vf->len)
		return -ENOSPC;
	len = (size_t)min_of((uint64_t)len, vf->len - off);
	ret = dev_write(view_of(t)->disk, buf, len, vf->off + off);
	touch(view_of(t));
	return ret ? ret : (ssize_t)len;
}

static int raw_setattr(struct tree *t, uint64_t id, const struct tree_attr *set,
		       unsigned mask, struct tree_attr *out)
{
	uint64_t off, size;
	int ret = find_window(view_of(t), id, &off, &size);

	if (ret && ret != -EISDIR)
		return ret;
	if (mask & TREE_SET_SIZE && (ret || set->size != size))
		return ret ? ret : set->size ? -EINVAL : -EPERM;
	if (mask & (TREE_SET_MODE | TREE_SET_UID | TREE_SET_GID))
		return -EPERM;
	/* Times are not kept: nothing of the disk holds them. */
	return view_raw_getattr(t, id, out);
}

static int raw_allocate(struct tree *t, struct tree_file *f, int mode,
			uint64_t off, uint64_t len)
{
	struct view_file *vf = view_file_of(f);
	bool punch = mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
	bool zero = (mode & ~FALLOC_FL_KEEP_SIZE) == FALLOC_FL_ZERO_RANGE;

	if (!punch && !zero)
		return -EOPNOTSUPP;
	if (!(mode & FALLOC_FL_KEEP_SIZE) && !range_within(off, len, vf->len))
		return -ENOSPC;
	if (off >= vf->len)
		return 0;
	touch(view_of(t));
	return dev_zero(view_of(t)->disk, vf->off + off,
			min_of(len, vf->len - off), punch);
}

static int raw_sync(struct tree *t, uint64_t id, bool data_only)
{
	return dev_flush(view_of(t)->disk);
}

/* Whoever wrote and cares has synced; this is for those who forgot. */
static void raw_close(struct tree *t)
{
	if (t->writing)
		dev_flush(view_of(t)->disk);
	view_close(t);
}

static const struct tree_ops raw_ops = {
	.name = "raw",
	.close = raw_close,
	.getattr = view_raw_getattr,
	.lookup = view_raw_lookup,
	.list = view_raw_list,
	.open = view_raw_open_file,
	.release = view_raw_release,
	.read = view_raw_read,
	.extents = view_raw_extents,
	.seek = view_raw_seek,
	.statfs = view_raw_statfs,
	.check_write = raw_check_write,
	.begin_write = raw_begin_write,
	.setattr = raw_setattr,
	.write = raw_write,
	.wrote = raw_wrote,
	.allocate = raw_allocate,
	.sync = raw_sync,
};

int view_raw_open(const struct view_what *what, struct tree **out,
		  struct diag *why)
{
	struct view *v;
	int ret;

	for (size_t i = 0; i < what->n; i++)
		if (what->parts[i].tree || what->parts[i].dev)
			return diag_fail(why, EINVAL, "view: a raw view and a "
					 "tree of the same disk");
	ret = view_new(what, &raw_ops, &v, why);
	if (ret)
		return ret;
	v->tree.writable = what->writable && what->disk->writable;
	v->tree.frozen = !v->tree.writable;
	v->tree.shared_bytes = true;
	/* The files do have an owner and a mode: a disk that everybody could
	 * write to (as files without owners are shown) is nobody's wish. */
	v->tree.caps = TREE_CAP_SEEK_LIST | TREE_CAP_LIST_ATTR;
	*out = &v->tree;
	return 0;
}
