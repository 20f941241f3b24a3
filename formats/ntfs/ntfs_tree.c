/* SPDX-License-Identifier: GPL-3.0-or-later */
/* NTFS behind the seam of names. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "formats/base/alloc.h"
#include "formats/ntfs/ntfs_int.h"

struct ntfs_file {
	struct tree_file file;
	struct ntfs_stream data;
	int denied;		/* what reading it gives, or 0 */
};

static struct ntfs *volume_of(struct tree *t)
{
	return container_of(t, struct ntfs, tree);
}

static void op_close(struct tree *t)
{
	ntfs_free_volume(volume_of(t));
}

static int op_getattr(struct tree *t, uint64_t id, struct tree_attr *out)
{
	return ntfs_node_getattr(volume_of(t), id, out);
}

static int op_lookup(struct tree *t, uint64_t dir, const char *name,
		     struct tree_attr *out)
{
	struct ntfs *v = volume_of(t);
	uint64_t rec_no = ntfs_record_of_id(dir), ref;
	struct ntfs_info info;
	struct ntfs_rec rec;
	int ret;

	if (dir >= NTFS_ID_STREAMS)
		return -ENOTDIR;
	ret = ntfs_dir_find(v, rec_no, name, &ref);
	if (ret == -ENOENT && v->opts.streams == NTFS_STREAMS_WINDOWS)
		return ntfs_node_lookup(v, rec_no, name, out);
	if (!ret)
		ret = ntfs_rec_get_ref(v, ref, &rec);
	if (ret)
		return ret;
	ret = ntfs_info_load(v, &rec, &info);
	ntfs_rec_put(&rec);
	if (!ret)
		*out = info.a;
	return ret;
}

static int op_list(struct tree *t, uint64_t dir, uint64_t from, bool want_attr,
		   tree_emit_fn emit, void *ctx)
{
	if (dir >= NTFS_ID_STREAMS)
		return -ENOTDIR;
	return ntfs_dir_list(volume_of(t), ntfs_record_of_id(dir), from,
			     want_attr, emit, ctx);
}

static int op_readlink(struct tree *t, uint64_t id, char *buf, size_t size)
{
	struct ntfs *v = volume_of(t);
	struct ntfs_info info;
	struct ntfs_rec rec;
	int ret;

	if (id >= NTFS_ID_STREAMS)
		return -EINVAL;
	ret = ntfs_rec_get_base(v, ntfs_record_of_id(id), &rec);
	if (ret)
		return ret;
	ret = ntfs_info_load(v, &rec, &info);
	if (!ret && !S_ISLNK(info.a.mode))
		ret = -EINVAL;
	if (!ret)
		ret = ntfs_link_target(v, &rec, &info, buf, size);
	ntfs_rec_put(&rec);
	return ret;
}

static int open_data(struct ntfs *v, uint64_t num, const struct ntfs_node *n,
		     struct ntfs_file *f)
{
	struct ntfs_want want = { .type = NTFS_AT_DATA };
	struct ntfs_info info;
	struct ntfs_rec rec;
	int ret = ntfs_rec_get_base(v, num, &rec);

	if (ret)
		return ret;
	if (n) {
		want.name = n->name;
		want.name_len = n->name_len;
	}
	ret = ntfs_info_load(v, &rec, &info);
	if (!ret && !n && S_ISDIR(info.a.mode))
		ret = -EISDIR;
	if (!ret)
		ret = ntfs_stream_load_named(v, &rec, &want, &f->data);
	ntfs_rec_put(&rec);
	/* Some system files have no data at all. */
	if (ret == -ENOENT && !n) {
		f->data = (struct ntfs_stream) { .v = v, .resident = true };
		ret = pthread_mutex_init(&f->data.lock, NULL);
	}
	if (!ret && !n && info.elsewhere)
		f->denied = -EOPNOTSUPP;
	else if (!ret && f->data.flags & NTFS_ATTR_ENCRYPTED)
		f->denied = -EACCES;
	return ret;
}

static int op_open(struct tree *t, uint64_t id, bool write,
		   struct tree_file **out)
{
	struct ntfs *v = volume_of(t);
	struct ntfs_file *f;
	struct ntfs_node n;
	int ret = 0;

	if (id >= NTFS_ID_STREAMS)
		ret = ntfs_node_find(v, id, &n);
	if (ret)
		return ret;
	f = mem_new(struct ntfs_file);
	if (!f)
		return -ENOMEM;
	f->file.id = id;
	if (id >= NTFS_ID_STREAMS)
		ret = open_data(v, n.record, &n, f);
	else
		ret = open_data(v, ntfs_record_of_id(id), NULL, f);
	if (ret)
		free(f);
	else
		*out = &f->file;
	return ret;
}

static struct ntfs_file *file_of(struct tree_file *f)
{
	return container_of(f, struct ntfs_file, file);
}

static void op_release(struct tree *t, struct tree_file *file)
{
	struct ntfs_file *f = file_of(file);

	ntfs_stream_free(&f->data);
	free(f);
}

static ssize_t op_read(struct tree *t, struct tree_file *file, void *buf,
		       size_t len, uint64_t off)
{
	struct ntfs_file *f = file_of(file);
	int ret;

	if (off >= f->data.size)
		return 0;
	if (f->denied)
		return f->denied;
	len = (size_t)min_of((uint64_t)len, f->data.size - off);
	ret = ntfs_stream_read(&f->data, buf, len, off, false);
	return ret ? ret : (ssize_t)len;
}

static int op_extents(struct tree *t, struct tree_file *file, uint64_t off,
		      uint64_t len, bool for_write, struct tree_extent *ext,
		      int max)
{
	struct ntfs_file *f = file_of(file);

	/* Reading says why. Nothing is ever overwritten through this tree. */
	if (f->denied || for_write)
		return -EOPNOTSUPP;
	return ntfs_stream_extents(&f->data, off, len, ext, max);
}

static off_t op_seek(struct tree *t, struct tree_file *file, off_t off,
		     int whence)
{
	return ntfs_stream_seek(&file_of(file)->data, off, whence);
}

/* Free clusters in len bytes of the bitmap. */
static uint64_t count_zeros(const uint8_t *p, size_t len)
{
	uint64_t n = 0, word;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&word, p, 8);
		n += 64 - (unsigned)__builtin_popcountll(word);
	}
	for (; len; p++, len--)
		n += 8 - (unsigned)__builtin_popcount(*p);
	return n;
}

/* Counts len bytes of dev at off; what dev knows to be zeros is not read. */
static int count_extent(struct dev *dev, uint64_t off, uint64_t len,
			uint8_t *buf, uint64_t *n)
{
	while (len) {
		struct dev_run run;
		uint64_t part;
		int ret = dev_map(dev, off, len, &run, 1);

		if (ret <= 0)
			return ret ? ret : -EIO;
		part = min_of(run.len, len);
		if (run.kind == DEV_RUN_ZERO) {
			*n += part * 8;
		} else {
			part = min_of(part, (uint64_t)NTFS_INDEX_MAX);
			ret = dev_read(dev, buf, (size_t)part, off);
			if (ret)
				return ret;
			*n += count_zeros(buf, (size_t)part);
		}
		off += part;
		len -= part;
	}
	return 0;
}

/* Whole bytes by the extents of $Bitmap, the last bits one by one. */
static int count_bitmap(struct ntfs_stream *s, uint64_t n_clusters,
			uint8_t *buf, uint64_t *n)
{
	uint64_t off = 0, len = n_clusters / 8;
	unsigned rest = n_clusters % 8;
	uint8_t last;
	int ret = 0;

	if (s->resident || s->size < div_up(n_clusters, 8))
		return -ERR_CORRUPT;
	while (off < len && !ret) {
		struct tree_extent e;

		ret = ntfs_stream_extents(s, off, len - off, &e, 1);
		if (ret <= 0)
			return ret ? ret : -ERR_CORRUPT;
		ret = 0;
		if (e.dev)
			ret = count_extent(e.dev, e.off, e.len, buf, n);
		else
			*n += e.len * 8;
		off += e.len;
	}
	if (ret || !rest)
		return ret;
	ret = ntfs_stream_read(s, &last, 1, len, false);
	*n += rest - (unsigned)__builtin_popcount(last & ((1u << rest) - 1));
	return ret;
}

static int load_free(struct ntfs *v, uint64_t *out)
{
	struct ntfs_stream s;
	struct ntfs_rec rec;
	uint8_t *buf;
	int ret = ntfs_rec_get_base(v, NTFS_REC_BITMAP, &rec);

	if (ret)
		return ret;
	ret = ntfs_stream_load(v, &rec, NTFS_AT_DATA, "", &s);
	ntfs_rec_put(&rec);
	if (ret)
		return ret;
	*out = 0;
	buf = mem_alloc(NTFS_INDEX_MAX, 1);
	ret = buf ? count_bitmap(&s, v->geo.n_clusters, buf, out) : -ENOMEM;
	free(buf);
	ntfs_stream_free(&s);
	return ret;
}

static int op_statfs(struct tree *t, struct statvfs *out)
{
	struct ntfs *v = volume_of(t);
	int ret = 0;

	pthread_mutex_lock(&v->lock);
	if (!v->free_known)
		ret = load_free(v, &v->n_free);
	v->free_known = !ret;
	pthread_mutex_unlock(&v->lock);
	if (ret)
		return ret;
	*out = (struct statvfs) {
		.f_bsize = v->geo.cluster_size,
		.f_frsize = v->geo.cluster_size,
		.f_blocks = v->geo.n_clusters,
		.f_bfree = v->n_free, .f_bavail = v->n_free,
		.f_files = v->n_records,
		.f_namemax = NTFS_NAME_UNITS,
		.f_fsid = v->geo.serial,
	};
	return 0;
}

const struct tree_ops ntfs_tree_ops = {
	.name = "ntfs",
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
	.getxattr = ntfs_getxattr,
	.listxattr = ntfs_listxattr,
	.statfs = op_statfs,
};
