/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A CIM behind the seam of names. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/base/alloc.h"
#include "formats/base/utf16.h"
#include "formats/cim/cim_int.h"

struct cim_handle {
	struct tree_file file;
	struct cim_data data;
	int denied;		/* what reading it gives, or 0 */
};

static void op_close(struct tree *t)
{
	cim_free(cim_of(t));
}

static int op_getattr(struct tree *t, uint64_t node, struct tree_attr *out)
{
	struct cim *v = cim_of(t);
	uint64_t id = cim_id(v, node);
	struct cim_file f;
	int ret;

	if (cim_node_is_stream(node))
		return cim_stream_attr(v, node, out);
	if (!cim_seen_of(v, id))
		return -ENOENT;
	ret = cim_file_load(v, id, &f, NULL);
	return ret ? ret : cim_attr(v, (uint32_t)id, &f, out);
}

static int op_lookup(struct tree *t, uint64_t dir, const char *name,
		     struct tree_attr *out)
{
	struct cim *v = cim_of(t);
	uint32_t id = 0;
	struct cim_file f;
	struct cim_dir *d;
	int64_t i;
	int ret = cim_node_is_stream(dir) ? -ENOTDIR :
		  cim_dir_get(v, cim_id(v, dir), &d);

	if (ret)
		return ret;
	i = cim_dir_find(v, d, name, v->opts.ignore_case);
	if (i >= 0)
		id = cim_links_id(&d->links, (uint32_t)i);
	else if (i == -ENOENT && v->opts.streams == CIM_STREAMS_WINDOWS)
		ret = cim_stream_lookup(v, d, name, out);
	else
		ret = (int)i;
	cim_dir_put(v, d);
	if (i < 0)
		return ret;
	ret = cim_file_load(v, id, &f, NULL);
	return ret ? ret : cim_attr(v, id, &f, out);
}

struct listing {
	struct cim *v;
	struct cim_peek peek;
	bool want_attr;
	tree_emit_fn emit;
	void *ctx;
};

static int emit_one(struct listing *l, const struct cim_dir *d, uint32_t i)
{
	struct cim_name units = cim_links_name(&d->links, i);
	uint32_t id = cim_links_id(&d->links, i);
	char name[CIM_NAME_UTF8];
	struct tree_attr a;
	struct cim_file f;
	int ret = utf16le_to_utf8(units.units, units.n, name, sizeof(name));

	if (ret >= 0)
		ret = cim_file_peek(l->v, &l->peek, id, &f, NULL);
	if (!ret && l->v->opts.hide_hid_files && f.attrs & NTMETA_HIDDEN)
		return 0;
	if (!ret)
		ret = cim_attr(l->v, id, &f, &a);
	if (ret)
		return ret;
	return l->emit(l->ctx, &(struct tree_entry) {
		.name = name, .id = a.id, .type = a.mode & S_IFMT,
		.next = i + 1ull, .attr = l->want_attr ? &a : NULL,
	});
}

static int op_list(struct tree *t, uint64_t dir, uint64_t from, bool want_attr,
		   tree_emit_fn emit, void *ctx)
{
	struct listing l = {
		.v = cim_of(t), .want_attr = want_attr, .emit = emit,
		.ctx = ctx,
	};
	struct cim_dir *d;
	int ret = cim_node_is_stream(dir) ? -ENOTDIR :
		  cim_dir_get(l.v, cim_id(l.v, dir), &d);

	if (ret)
		return ret;
	for (uint64_t i = from; i < d->links.n && !ret; i++)
		ret = emit_one(&l, d, (uint32_t)i);
	cim_peek_end(l.v, &l.peek);
	cim_dir_put(l.v, d);
	return ret;
}

static int op_readlink(struct tree *t, uint64_t node, char *buf, size_t size)
{
	struct cim *v = cim_of(t);
	uint64_t id = cim_id(v, node);
	struct cim_file f;
	int ret = cim_node_is_stream(node) ? -EINVAL :
		  cim_file_load(v, id, &f, NULL);

	if (ret)
		return ret;
	if (!f.reparse ||
	    !S_ISLNK(ntmeta_type(ntmeta_kind_of(f.tag, f.attrs), f.dir)))
		return -EINVAL;
	return cim_link_text(v, (uint32_t)id, &f, buf, size);
}

/* What reading gives: the stream to read, and whether that is refused. */
static int find_data(struct cim *v, uint64_t node, struct cim_stream *out,
		     int *denied)
{
	struct cim_file f;
	int ret;

	if (cim_node_is_stream(node))
		return cim_stream_load(v, node, &f, out);
	ret = cim_file_load(v, cim_id(v, node), &f, NULL);
	if (ret)
		return ret;
	/* What is stored is the file's data, whatever its tag says; a file
	 * of zeros with such a tag was not captured with its data. */
	if (f.data.sparse &&
	    ntmeta_kind_of(f.tag, f.attrs) == NTMETA_ELSEWHERE)
		*denied = -EOPNOTSUPP;
	*out = f.data;
	return 0;
}

static int op_open(struct tree *t, uint64_t node, bool write,
		   struct tree_file **out)
{
	struct cim *v = cim_of(t);
	struct cim_handle *h = mem_new(struct cim_handle);
	struct cim_stream s;
	int ret;

	if (!h)
		return -ENOMEM;
	h->file.id = node;
	ret = find_data(v, node, &s, &h->denied);
	if (!ret)
		ret = cim_data_load(v, &s, &h->data, NULL);
	if (ret)
		free(h);
	else
		*out = &h->file;
	return ret;
}

static struct cim_handle *handle_of(struct tree_file *f)
{
	return container_of(f, struct cim_handle, file);
}

static void op_release(struct tree *t, struct tree_file *file)
{
	struct cim_handle *h = handle_of(file);

	cim_data_free(&h->data);
	free(h);
}

static ssize_t op_read(struct tree *t, struct tree_file *file, void *buf,
		       size_t len, uint64_t off)
{
	struct cim_handle *h = handle_of(file);
	int ret;

	if (off >= h->data.len)
		return 0;
	if (h->denied)
		return h->denied;
	len = (size_t)min_of((uint64_t)len, h->data.len - off);
	ret = cim_data_read(&h->data, buf, len, off);
	return ret ? ret : (ssize_t)len;
}

static int op_extents(struct tree *t, struct tree_file *file, uint64_t off,
		      uint64_t len, bool for_write, struct tree_extent *ext,
		      int max)
{
	struct cim_handle *h = handle_of(file);

	if (off >= h->data.len || !len)
		return 0;
	/* Reading says why. */
	if (h->denied || for_write)
		return -EOPNOTSUPP;
	return cim_data_extents(&h->data, off, len, ext, max);
}

/* Streams are all data or all hole. */
static off_t op_seek(struct tree *t, struct tree_file *file, off_t off,
		     int whence)
{
	const struct cim_data *d = &handle_of(file)->data;

	if (off < 0 || (uint64_t)off >= d->len)
		return -ENXIO;
	if (whence == SEEK_DATA)
		return d->dev ? off : -ENXIO;
	return d->dev ? (off_t)d->len : off;
}

static int op_statfs(struct tree *t, struct statvfs *out)
{
	const struct cim *v = cim_of(t);

	*out = (struct statvfs) {
		.f_bsize = 4096, .f_frsize = 4096,
		.f_blocks = div_up(v->bytes, 4096), .f_files = v->n_files,
		.f_namemax = CIM_NAME_UNITS,
	};
	return 0;
}

const struct tree_ops cim_tree_ops = {
	.name = "cim",
	.close = op_close,
	.getattr = op_getattr,
	.lookup = op_lookup,
	.list = op_list,
	.readlink = op_readlink,
	.open = op_open,
	.release = op_release,
	.read = op_read,
	.extents = op_extents,
	.seek = op_seek,
	.getxattr = cim_getxattr,
	.listxattr = cim_listxattr,
	.statfs = op_statfs,
};
