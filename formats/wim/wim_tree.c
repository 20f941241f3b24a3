/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One image, or all of them, as a tree. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/base/utf16.h"
#include "formats/ntmeta.h"
#include "formats/wim/wim_int.h"

struct handle {
	struct tree_file file;
	struct wim_place place;
	struct wim_blob *blob;	/* NULL: empty, or denied */
	uint64_t size;
	int denied;
};

static struct wim_tree *tree_of(struct tree *t)
{
	return container_of(t, struct wim_tree, tree);
}

static struct handle *handle_of(struct tree_file *f)
{
	return container_of(f, struct handle, file);
}

static void op_close(struct tree *tree)
{
	struct wim_tree *t = tree_of(tree);

	for (unsigned i = 0; t->images && i < t->w->n_images; i++)
		wim_meta_free(&t->images[i].meta);
	for (unsigned i = 0; t->names && i < t->w->n_images; i++)
		free(t->names[i]);
	for (size_t i = 0; t->drives && i < t->opts.n_drives; i++)
		free(t->drives[i].path);
	free(t->images);
	free(t->names);
	free(t->drives);
	free(t->label);
	pthread_mutex_destroy(&t->lock);
	tree_fini(&t->tree);
	free(t);
}

/* Damage is an I/O error to whoever reads a file or lists a directory. */
static int outcome(int ret)
{
	return ret == -ERR_CORRUPT ? -EIO : ret;
}

static int op_getattr(struct tree *tree, uint64_t id, struct tree_attr *out)
{
	struct wim_tree *t = tree_of(tree);
	struct wim_place p;
	int ret;

	if (wim_root_is(t, id))
		return wim_root_attr(t, id, out);
	ret = wim_place_find(t, id, &p);
	if (!ret)
		wim_place_attr(&p, out);
	return outcome(ret);
}

struct by_name {
	const uint8_t *units;
	int n;
	unsigned idx;
};

static int take_name(void *ctx, const struct wim_stream *s)
{
	struct by_name *b = ctx;

	if (s->kind != WIM_S_NAMED || s->units != (size_t)b->n ||
	    memcmp(s->name, b->units, s->units * 2))
		return 0;
	b->idx = s->idx;
	return 1;
}

int wim_place_named(struct wim_place *p, const char *name)
{
	uint8_t units[WIM_NAME_UNITS * 2];
	struct by_name b = { .units = units };

	b.n = utf8_to_utf16le(name, strlen(name), units, WIM_NAME_UNITS);
	if (b.n <= 0 ||
	    !wim_streams_walk(wim_dentry(p->m, p->node), take_name, &b))
		return -ENOENT;
	p->stream = b.idx;
	return 0;
}

/* FILE:STREAM */
static int find_stream(struct wim_place *p, uint32_t dir, const char *name)
{
	const char *colon = strrchr(name, ':');
	char file[TREE_NAME_MAX];
	int ret;

	if (!colon || colon == name || (size_t)(colon - name) >= sizeof(file))
		return -ENOENT;
	memcpy(file, name, (size_t)(colon - name));
	file[colon - name] = 0;
	ret = wim_meta_child(p->m, dir, file, &p->node);
	if (ret)
		return ret;
	p->node = p->m->nodes[p->node].inode;
	return wim_place_named(p, colon + 1);
}

static int op_lookup(struct tree *tree, uint64_t dir, const char *name,
		     struct tree_attr *out)
{
	struct wim_tree *t = tree_of(tree);
	struct wim_place p;
	uint32_t node;
	int ret;

	if (wim_root_is(t, dir))
		return outcome(wim_root_lookup(t, name, out));
	ret = wim_place_find(t, dir, &p);
	if (ret)
		return outcome(ret);
	if (p.stream || !wim_is_dir(wim_dentry(p.m, p.node)))
		return -ENOTDIR;
	node = p.node;
	ret = wim_meta_child(p.m, node, name, &p.node);
	if (ret == -ENOENT && t->opts.streams == WIM_STREAMS_WINDOWS)
		ret = find_stream(&p, node, name);
	if (!ret)
		wim_place_attr(&p, out);
	return ret;
}

static int emit_node(const struct wim_place *p, uint64_t next,
		     tree_emit_fn emit, void *ctx)
{
	char name[WIM_NAME_UTF8];
	struct tree_attr a;
	struct tree_entry e = { .name = name, .next = next, .attr = &a };
	const uint8_t *units;
	size_t n;
	int ret;

	units = wim_name(wim_dentry(p->m, p->node), &n);
	ret = utf16le_to_utf8(units, n, name, sizeof(name));
	if (ret < 0)
		return ret;
	wim_place_attr(p, &a);
	e.id = a.id;
	e.type = a.mode & (mode_t)S_IFMT;
	return emit(ctx, &e);
}

static int op_list(struct tree *tree, uint64_t dir, uint64_t from,
		   bool want_attr, tree_emit_fn emit, void *ctx)
{
	struct wim_tree *t = tree_of(tree);
	const struct wim_node *d;
	struct wim_place p;
	int ret;

	if (wim_root_is(t, dir))
		return wim_root_list(t, from, emit, ctx);
	ret = wim_place_find(t, dir, &p);
	if (ret)
		return outcome(ret);
	d = &p.m->nodes[p.node];
	if (p.stream || !wim_is_dir(wim_dentry(p.m, p.node)))
		return -ENOTDIR;
	for (uint64_t i = from; i < d->n; i++) {
		p.node = d->first + (uint32_t)i;
		if (p.m->nodes[p.node].inode == WIM_NONE)
			continue;
		ret = emit_node(&p, i + 1, emit, ctx);
		if (ret)
			return ret < 0 ? ret : 0;
	}
	return 0;
}

static int op_readlink(struct tree *tree, uint64_t id, char *buf, size_t size)
{
	struct wim_tree *t = tree_of(tree);
	struct tree_attr a;
	struct wim_place p;
	int ret;

	if (wim_root_is(t, id))
		return wim_root_readlink(t, id, buf, size);
	ret = wim_place_find(t, id, &p);
	if (ret)
		return outcome(ret);
	wim_place_attr(&p, &a);
	return S_ISLNK(a.mode) ? outcome(wim_link_text(&p, buf, size))
			       : -EINVAL;
}

/* Why nothing of a file can be read, though its name is here. */
static int denied(const struct wim_place *p, const struct wim_stream *s)
{
	const struct wim_disk_dentry *d = wim_dentry(p->m, p->node);
	uint32_t attrs = le32(d->attrs);

	if (s->kind == WIM_S_EFS)
		return -EACCES;
	if (!p->stream && attrs & NTMETA_REPARSE &&
	    ntmeta_kind_of(le32(d->reparse.tag), attrs) == NTMETA_ELSEWHERE)
		return -EOPNOTSUPP;
	return 0;
}

static int fill_handle(struct handle *h)
{
	const struct wim_disk_dentry *d = wim_dentry(h->place.m, h->place.node);
	struct wim_stream s;
	int ret = wim_place_stream(&h->place, &s);

	if (ret)
		return ret;
	if (!h->place.stream && wim_is_dir(d))
		return -EISDIR;
	h->denied = denied(&h->place, &s);
	if (wim_hash_is_zero(s.hash))
		return 0;
	h->blob = (struct wim_blob *)wim_blob_find(h->place.t->w, s.hash);
	h->size = h->blob ? h->blob->size : 1;
	if (!h->blob && !h->denied)
		h->denied = -EIO;
	return 0;
}

static int op_open(struct tree *tree, uint64_t id, bool write,
		   struct tree_file **out)
{
	struct wim_tree *t = tree_of(tree);
	struct handle *h;
	int ret;

	if (wim_root_is(t, id))
		return -EISDIR;
	h = mem_new(struct handle);
	if (!h)
		return -ENOMEM;
	h->file.id = id;
	ret = wim_place_find(t, id, &h->place);
	if (!ret)
		ret = fill_handle(h);
	if (ret) {
		free(h);
		return outcome(ret);
	}
	*out = &h->file;
	return 0;
}

static void op_release(struct tree *t, struct tree_file *f)
{
	free(handle_of(f));
}

static void tell_bad(const struct handle *h)
{
	const struct wim_meta *m = h->place.m;
	char path[PATH_MAX], hash[41];
	size_t at = sizeof(path) - 1;
	uint32_t i = h->place.node;

	if (__atomic_exchange_n(&h->blob->told, 1, __ATOMIC_ACQ_REL))
		return;
	path[at] = 0;
	for (; i; i = m->nodes[i].parent) {
		char name[WIM_NAME_UTF8];
		size_t n;
		const uint8_t *units = wim_name(wim_dentry(m, i), &n);
		int len = utf16le_to_utf8(units, n, name, sizeof(name));

		if (len < 0 || (size_t)len + 1 > at)
			break;
		at -= (size_t)len;
		memcpy(path + at, name, (size_t)len);
		path[--at] = '/';
	}
	wim_hash_text(h->blob->hash, hash);
	wim_warn(h->place.t->w, "image %u, %s: its contents are damaged "
		 "(SHA-1 %s)", h->place.image, path + at, hash);
}

static int may_read(struct handle *h)
{
	struct wim *w = h->place.t->w;
	int ret = h->denied;

	if (!ret && w->opts.verify == WIM_VERIFY_DATA)
		ret = wim_blob_verify(w, h->blob);
	return ret;
}

static ssize_t op_read(struct tree *t, struct tree_file *file, void *buf,
		       size_t len, uint64_t off)
{
	struct handle *h = handle_of(file);
	int ret;

	if (off >= h->size)
		return 0;
	len = (size_t)min_of((uint64_t)len, h->size - off);
	ret = may_read(h);
	if (!ret)
		ret = wim_blob_read(h->place.t->w, h->blob, buf, len, off);
	if (ret == -ERR_CORRUPT)
		tell_bad(h);
	return ret ? outcome(ret) : (ssize_t)len;
}

/* Plain resources are ranges of their file. */
static int op_extents(struct tree *t, struct tree_file *file, uint64_t off,
		      uint64_t len, bool for_write, struct tree_extent *ext,
		      int max)
{
	struct handle *h = handle_of(file);
	const struct wim_blob *b = h->blob;
	struct dev *dev;

	if (!b || for_write || off >= h->size || may_read(h))
		return -EOPNOTSUPP;
	dev = h->place.t->w->files[b->file]->dev;
	if (b->solid != WIM_NONE || b->flags & WIM_R_COMPRESSED ||
	    b->csize != b->size || !range_within(b->off, b->size,
						 dev_size(dev)))
		return -EOPNOTSUPP;
	ext[0] = (struct tree_extent) {
		.dev = dev, .off = b->off + off,
		.len = min_of(len, h->size - off),
	};
	return 1;
}

static int op_statfs(struct tree *tree, struct statvfs *out)
{
	const struct wim *w = tree_of(tree)->w;
	uint64_t bytes = 0;

	for (size_t i = 0; i < w->n_files; i++)
		bytes += dev_size(w->files[i]->dev);
	*out = (struct statvfs) {
		.f_bsize = 4096, .f_frsize = 4096,
		.f_blocks = div_up(bytes, 4096), .f_files = w->n_blobs,
		.f_namemax = WIM_NAME_UNITS,
	};
	return 0;
}

static const struct tree_ops ops = {
	.name = "wim",
	.close = op_close,
	.getattr = op_getattr,
	.lookup = op_lookup,
	.list = op_list,
	.readlink = op_readlink,
	.open = op_open,
	.release = op_release,
	.read = op_read,
	.extents = op_extents,
	.getxattr = wim_getxattr,
	.listxattr = wim_listxattr,
	.statfs = op_statfs,
};

static int copy_drives(struct wim_tree *t, const struct wim_tree_opts *o,
		       struct diag *why)
{
	t->opts.drives = NULL;
	t->opts.n_drives = 0;
	t->drives = mem_zalloc(27, sizeof(*t->drives));
	if (!t->drives)
		return diag_fail(why, ENOMEM, "wim: no memory");
	for (size_t i = 0; i < o->n_drives && i < 26; i++) {
		struct wim_drive *d = &t->drives[i];
		const char *path;

		if (ntmeta_drive_parse(o->drives[i], &d->letter, &path))
			return diag_fail(why, EINVAL, "wim: no drive: %s",
					 o->drives[i]);
		d->path = mem_strdup(path);
		if (!d->path)
			return diag_fail(why, ENOMEM, "wim: no memory");
		t->opts.n_drives++;
	}
	return 0;
}

/* One image is loaded now, so that its errors are told at once. */
static int prepare(struct wim_tree *t, struct diag *why)
{
	struct wim_place p;

	t->images = mem_zalloc(t->w->n_images + 1, sizeof(*t->images));
	if (!t->images)
		return diag_fail(why, ENOMEM, "wim: no memory");
	if (!t->only)
		return wim_root_names(t);
	t->label = wim_text(t->w, t->only, "NAME");
	t->tree.label = t->label;
	return wim_place_image(t, t->only, why, &p);
}

int wim_tree_open(struct wim *w, unsigned image,
		  const struct wim_tree_opts *opts, struct tree **out,
		  struct diag *why)
{
	static const struct wim_tree_opts none;
	struct wim_tree *t;
	int ret;

	if (image > w->n_images || !w->n_images)
		return diag_fail(why, ENOENT, "wim: no image %u", image);
	t = mem_new(struct wim_tree);
	if (!t)
		return diag_fail(why, ENOMEM, "wim: no memory");
	ret = tree_init(&t->tree, &ops);
	if (ret) {
		free(t);
		return diag_fail(why, ret, "wim: %s", strerror(-ret));
	}
	pthread_mutex_init(&t->lock, NULL);
	t->w = w;
	t->only = image;
	t->opts = opts ? *opts : none;
	t->tree.turns = TREE_PARALLEL;
	t->tree.frozen = true;
	t->tree.caps = TREE_CAP_SEEK_LIST | TREE_CAP_LIST_ATTR |
		       (t->opts.unix_data ? 0 : TREE_CAP_NO_OWNERS);
	ret = copy_drives(t, opts ? opts : &none, why);
	if (!ret)
		ret = prepare(t, why);
	if (ret) {
		op_close(&t->tree);
		return diag_fail(why, ret, "wim: %s", strerror(-ret));
	}
	*out = &t->tree;
	return 0;
}
