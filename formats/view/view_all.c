/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Raw files and the trees of all volumes under one root. Read-only: so the
 * trees below need no holds, the bytes under a mapped range never move. */
#include "formats/view/view_int.h"

#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"

#define SUB_MASK ((1ULL << VIEW_SUB_SHIFT) - 1)

/* Whose a node is; NULL: ours. *id becomes the number in that tree. */
static const struct view_part *part_of(const struct view *v, uint64_t *id)
{
	uint64_t i = *id >> VIEW_SUB_SHIFT;

	if (!i || i > v->n || !v->parts[i - 1].tree)
		return NULL;
	*id &= SUB_MASK;
	return &v->parts[i - 1];
}

static int wrap_id(const struct view *v, const struct view_part *p,
		   uint64_t *id)
{
	if (*id > SUB_MASK)
		return -EOVERFLOW;
	*id |= (uint64_t)(p - v->parts + 1) << VIEW_SUB_SHIFT;
	return 0;
}

static int wrap_attr(const struct view *v, const struct view_part *p,
		     struct tree_attr *a)
{
	/* The raw files have an owner, so the view cannot say that there is
	 * none: who has none gets ours here. */
	if (p->tree->caps & TREE_CAP_NO_OWNERS) {
		a->uid = v->uid;
		a->gid = v->gid;
	}
	return wrap_id(v, p, &a->id);
}

static int all_getattr(struct tree *t, uint64_t id, struct tree_attr *out)
{
	const struct view *v = view_of(t);
	const struct view_part *p = part_of(v, &id);
	struct tree_attr a;
	int ret;

	if (!p)
		return view_raw_getattr(t, id, out);
	ret = tree_getattr(p->tree, id, &a);
	if (!ret)
		ret = wrap_attr(v, p, &a);
	if (!ret)
		*out = a;
	return ret;
}

static uint64_t root_of(const struct view *v, const struct view_part *p)
{
	return (uint64_t)(p - v->parts + 1) << VIEW_SUB_SHIFT | TREE_ROOT;
}

static int lookup_root(struct tree *t, const char *name, struct tree_attr *out)
{
	const struct view *v = view_of(t);
	char own[VIEW_NAME];

	for (size_t i = 0; i < v->n; i++) {
		view_name(&v->parts[i], false, own);
		if (v->parts[i].tree && !strcmp(own, name))
			return all_getattr(t, root_of(v, &v->parts[i]), out);
	}
	return view_raw_lookup(t, TREE_ROOT, name, out);
}

static int all_lookup(struct tree *t, uint64_t dir, const char *name,
		      struct tree_attr *out)
{
	const struct view *v = view_of(t);
	const struct view_part *p = part_of(v, &dir);
	struct tree_attr a;
	int ret;

	if (!p)
		return dir == TREE_ROOT ? lookup_root(t, name, out) : -ENOTDIR;
	ret = tree_lookup(p->tree, dir, name, &a);
	if (!ret)
		ret = wrap_attr(v, p, &a);
	if (!ret)
		*out = a;
	return ret;
}

struct wrap {
	const struct view *v;
	const struct view_part *p;
	tree_emit_fn emit;
	void *ctx;
};

static int emit_wrapped(void *ctx, const struct tree_entry *entry)
{
	const struct wrap *w = ctx;
	struct tree_entry e = *entry;
	struct tree_attr a;
	int ret = wrap_id(w->v, w->p, &e.id);

	if (!ret && e.attr) {
		a = *e.attr;
		e.attr = &a;
		ret = wrap_attr(w->v, w->p, &a);
	}
	return ret ? ret : w->emit(w->ctx, &e);
}

/* Behind the raw files: their places end at VIEW_PARTS + n. */
static int list_root(struct tree *t, uint64_t from, bool want_attr,
		     tree_emit_fn emit, void *ctx)
{
	const struct view *v = view_of(t);
	uint64_t first = VIEW_PARTS + v->n;
	char name[VIEW_NAME];
	int ret = from < first ? view_raw_list(t, TREE_ROOT, from, want_attr,
					       emit, ctx) : 0;

	for (uint64_t i = from > first ? from - first : 0; !ret && i < v->n;
	     i++) {
		const struct view_part *p = &v->parts[i];
		struct tree_attr a;
		struct tree_entry e = {
			.name = name, .id = root_of(v, p), .type = S_IFDIR,
			.next = first + i + 1,
		};

		if (!p->tree)
			continue;
		view_name(p, false, name);
		if (!all_getattr(t, e.id, &a))
			e.attr = &a;
		ret = emit(ctx, &e);
	}
	return ret;
}

static int all_list(struct tree *t, uint64_t dir, uint64_t from, bool want_attr,
		    tree_emit_fn emit, void *ctx)
{
	struct wrap w = { .v = view_of(t), .emit = emit, .ctx = ctx };

	w.p = part_of(w.v, &dir);
	if (w.p)
		return tree_list(w.p->tree, dir, from, want_attr, emit_wrapped,
				 &w);
	return dir == TREE_ROOT ? list_root(t, from, want_attr, emit, ctx)
				: -ENOTDIR;
}

static int all_readlink(struct tree *t, uint64_t id, char *buf, size_t size)
{
	const struct view_part *p = part_of(view_of(t), &id);

	return p ? tree_readlink(p->tree, id, buf, size) : -EINVAL;
}

static int all_open(struct tree *t, uint64_t id, bool write,
		    struct tree_file **out)
{
	uint64_t outer = id;
	const struct view_part *p = part_of(view_of(t), &id);
	struct view_file *vf;
	int ret;

	if (!p)
		return view_raw_open_file(t, id, write, out);
	vf = mem_new(struct view_file);
	if (!vf)
		return -ENOMEM;
	ret = tree_open(p->tree, id, false, &vf->sub_file);
	if (ret) {
		free(vf);
		return ret;
	}
	vf->f.id = outer;
	vf->sub = p->tree;
	*out = &vf->f;
	return 0;
}

static void all_release(struct tree *t, struct tree_file *f)
{
	struct view_file *vf = view_file_of(f);

	if (vf->sub)
		tree_release(vf->sub, vf->sub_file);
	free(vf);
}

static ssize_t all_read(struct tree *t, struct tree_file *f, void *buf,
			size_t len, uint64_t off)
{
	struct view_file *vf = view_file_of(f);

	return vf->sub ? tree_read(vf->sub, vf->sub_file, buf, len, off)
		       : view_raw_read(t, f, buf, len, off);
}

static int all_extents(struct tree *t, struct tree_file *f, uint64_t off,
		       uint64_t len, bool for_write, struct tree_extent *ext,
		       int max)
{
	struct view_file *vf = view_file_of(f);

	if (vf->sub)
		return tree_extents(vf->sub, vf->sub_file, off, len, ext, max);
	return view_raw_extents(t, f, off, len, for_write, ext, max);
}

static off_t all_seek(struct tree *t, struct tree_file *f, off_t off,
		      int whence)
{
	struct view_file *vf = view_file_of(f);

	return vf->sub ? tree_seek(vf->sub, vf->sub_file, off, whence)
		       : view_raw_seek(t, f, off, whence);
}

static ssize_t all_getxattr(struct tree *t, uint64_t id, const char *name,
			    void *buf, size_t size)
{
	const struct view_part *p = part_of(view_of(t), &id);

	return p ? tree_getxattr(p->tree, id, name, buf, size) : -ENODATA;
}

static ssize_t all_listxattr(struct tree *t, uint64_t id, char *buf,
			     size_t size)
{
	const struct view_part *p = part_of(view_of(t), &id);

	return p ? tree_listxattr(p->tree, id, buf, size) : 0;
}

static void add_statfs(struct statvfs *sum, const struct statvfs *one)
{
	uint64_t each = (one->f_frsize ? one->f_frsize : one->f_bsize) /
			sum->f_frsize;

	sum->f_blocks += one->f_blocks * each;
	sum->f_bfree += one->f_bfree * each;
	sum->f_bavail += one->f_bavail * each;
	sum->f_files += one->f_files;
	sum->f_ffree += one->f_ffree;
	sum->f_namemax = max_of(sum->f_namemax, one->f_namemax);
}

/* The sum of the volumes; the disk where there are none. */
static int all_statfs(struct tree *t, struct statvfs *out)
{
	const struct view *v = view_of(t);
	struct statvfs sum = { .f_bsize = 4096, .f_frsize = 512 }, one;

	for (size_t i = 0; i < v->n; i++)
		if (v->parts[i].tree && !tree_statfs(v->parts[i].tree, &one))
			add_statfs(&sum, &one);
	if (!sum.f_blocks)
		return view_raw_statfs(t, out);
	*out = sum;
	return 0;
}

static const struct tree_ops all_ops = {
	.name = "all",
	.close = view_close,
	.getattr = all_getattr,
	.lookup = all_lookup,
	.list = all_list,
	.readlink = all_readlink,
	.open = all_open,
	.release = all_release,
	.read = all_read,
	.extents = all_extents,
	.seek = all_seek,
	.getxattr = all_getxattr,
	.listxattr = all_listxattr,
	.statfs = all_statfs,
};

/* What all trees can do, and what any of them needs. */
static void merge_caps(struct view *v)
{
	unsigned every = TREE_CAP_SEEK_LIST | TREE_CAP_LIST_ATTR;
	bool frozen = true;

	for (size_t i = 0; i < v->n; i++) {
		const struct tree *sub = v->parts[i].tree;

		if (!sub)
			continue;
		every &= sub->caps;
		v->tree.caps |= sub->caps & TREE_CAP_IGNORE_CASE;
		frozen = frozen && sub->frozen;
	}
	v->tree.caps |= every;
	v->tree.frozen = frozen;
}

int view_all_open(const struct view_what *what, struct tree **out,
		  struct diag *why)
{
	struct view *v;
	int ret;

	for (size_t i = 0; i < what->n; i++)
		if (what->parts[i].tree && what->parts[i].tree->writable)
			return diag_fail(why, EINVAL, "view: partition %u is "
					 "open for writing",
					 what->parts[i].number);
	ret = view_new(what, &all_ops, &v, why);
	if (ret)
		return ret;
	merge_caps(v);
	*out = &v->tree;
	return 0;
}
