/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Two engines, one tree. Our own reader answers any number of threads until
 * the first modification; then libntfs-3g takes over, one call at a time, for
 * good. Both number their nodes alike, and a handle opens its part in the new
 * engine when it is used next.
 */
#include "formats/volume/vol_ntfs.h"

#include <stdlib.h>
#include <unistd.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/ntfs/ntfs.h"
#include "formats/volume/vol_ntfsw.h"

struct vol_ntfs {
	struct tree tree;
	struct dev *dev;	/* not ours */
	struct volume_opts opts;
	struct tree *reader;	/* owned */
	struct tree *writer;	/* owned; NULL before the first modification */
};

struct vol_ntfs_file {
	struct tree_file file;
	struct tree_file *read;		/* owned; of the reader */
	struct tree_file *written;	/* owned; of the writer */
};

#define VOL_NTFS(t) container_of(t, struct vol_ntfs, tree)
#define FILE_OF(f) container_of(f, struct vol_ntfs_file, file)

/* tree.c's lock holds for the engine, too: its own is not needed. */
static struct tree *engine(struct tree *t)
{
	struct vol_ntfs *v = VOL_NTFS(t);

	return v->writer ? v->writer : v->reader;
}

#define CALL(t, op, ...) ({ \
	struct tree *e_ = engine(t); \
	e_->ops->op(e_, ##__VA_ARGS__); })

static void op_close(struct tree *t)
{
	struct vol_ntfs *v = VOL_NTFS(t);

	if (v->writer)
		v->writer->ops->close(v->writer);
	if (v->reader)
		v->reader->ops->close(v->reader);
	tree_fini(&v->tree);
	free(v);
}

static int op_getattr(struct tree *t, uint64_t id, struct tree_attr *out)
{
	return CALL(t, getattr, id, out);
}

static int op_lookup(struct tree *t, uint64_t dir, const char *name,
		     struct tree_attr *out)
{
	return CALL(t, lookup, dir, name, out);
}

static int op_list(struct tree *t, uint64_t dir, uint64_t from, bool want_attr,
		   tree_emit_fn emit, void *ctx)
{
	return CALL(t, list, dir, from, want_attr, emit, ctx);
}

static int op_readlink(struct tree *t, uint64_t id, char *buf, size_t size)
{
	return CALL(t, readlink, id, buf, size);
}

static int op_open(struct tree *t, uint64_t id, bool write,
		   struct tree_file **out)
{
	struct vol_ntfs_file *f = mem_new(struct vol_ntfs_file);
	int ret;

	if (!f)
		return -ENOMEM;
	f->file = (struct tree_file) { .id = id, .write = write };
	ret = CALL(t, open, id, write,
		   VOL_NTFS(t)->writer ? &f->written : &f->read);
	if (ret)
		free(f);
	else
		*out = &f->file;
	return ret;
}

static void op_release(struct tree *t, struct tree_file *file)
{
	struct vol_ntfs_file *f = FILE_OF(file);
	struct vol_ntfs *v = VOL_NTFS(t);

	if (f->read)
		v->reader->ops->release(v->reader, f->read);
	/* A ghost of a file that was only open in the reader goes with the
	 * writer's release: so there always is one. */
	if (v->writer && !f->written)
		v->writer->ops->open(v->writer, file->id, false, &f->written);
	if (f->written)
		v->writer->ops->release(v->writer, f->written);
	free(f);
}

/* The handle in the engine that answers now. Once there is a writer calls take
 * turns, so nobody else opens it at the same time. */
static int handle(struct tree *t, struct tree_file *file,
		  struct tree_file **out)
{
	struct vol_ntfs_file *f = FILE_OF(file);
	struct tree *w = VOL_NTFS(t)->writer;
	int ret = 0;

	if (w && !f->written)
		ret = w->ops->open(w, file->id, file->write, &f->written);
	*out = w ? f->written : f->read;
	return ret;
}

#define CALL_FILE(t, f, op, ...) ({ \
	struct tree_file *inner_; \
	__auto_type ret_ = (__typeof__(engine(t)->ops->op(t, f, __VA_ARGS__))) \
		handle(t, f, &inner_); \
	ret_ ? ret_ : CALL(t, op, inner_, __VA_ARGS__); })

static ssize_t op_read(struct tree *t, struct tree_file *f, void *buf,
		       size_t len, uint64_t off)
{
	return CALL_FILE(t, f, read, buf, len, off);
}

static int op_extents(struct tree *t, struct tree_file *f, uint64_t off,
		      uint64_t len, bool for_write, struct tree_extent *ext,
		      int max)
{
	return CALL_FILE(t, f, extents, off, len, for_write, ext, max);
}

static off_t op_seek(struct tree *t, struct tree_file *f, off_t off, int whence)
{
	return CALL_FILE(t, f, seek, off, whence);
}

static ssize_t op_getxattr(struct tree *t, uint64_t id, const char *name,
			   void *buf, size_t size)
{
	return CALL(t, getxattr, id, name, buf, size);
}

static ssize_t op_listxattr(struct tree *t, uint64_t id, char *buf, size_t size)
{
	return CALL(t, listxattr, id, buf, size);
}

static int op_statfs(struct tree *t, struct statvfs *out)
{
	return CALL(t, statfs, out);
}

static int op_check_write(struct tree *t, struct diag *why)
{
	struct vol_ntfs *v = VOL_NTFS(t);
	struct tree *w;
	int ret = vol_ntfsw_open(v->dev, &v->opts, t, &w, why);

	if (ret)
		return ret;
	ret = w->ops->check_write(w, why);
	w->ops->close(w);
	return ret;
}

/* Under tree.c's lock for writing: no reader is under way, and those to come
 * see the new turns before they get in. */
static int op_begin_write(struct tree *t, struct diag *why)
{
	struct vol_ntfs *v = VOL_NTFS(t);
	struct tree *w;
	int ret = dev_begin_write(v->dev, why);

	if (!ret)
		ret = vol_ntfsw_open(v->dev, &v->opts, t, &w, why);
	if (ret)
		return ret;
	ret = w->ops->begin_write(w, why);
	if (ret) {
		w->ops->close(w);
		return ret;
	}
	v->writer = w;
	__atomic_store_n(&t->turns, TREE_SERIAL, __ATOMIC_RELEASE);
	return 0;
}

/* What modifies comes after op_begin_write(). */
#define WRITER(t) (VOL_NTFS(t)->writer)
#define CALL_WRITER(t, op, ...) WRITER(t)->ops->op(WRITER(t), __VA_ARGS__)

static int op_create(struct tree *t, uint64_t dir, const char *name,
		     const struct tree_new *what, struct tree_attr *out)
{
	return CALL_WRITER(t, create, dir, name, what, out);
}

static int op_link(struct tree *t, uint64_t id, uint64_t dir, const char *name,
		   struct tree_attr *out)
{
	return CALL_WRITER(t, link, id, dir, name, out);
}

static int op_remove(struct tree *t, uint64_t dir, const char *name,
		     bool dir_wanted)
{
	return CALL_WRITER(t, remove, dir, name, dir_wanted);
}

static int op_rename(struct tree *t, uint64_t dir, const char *name,
		     uint64_t ndir, const char *nname, unsigned flags)
{
	return CALL_WRITER(t, rename, dir, name, ndir, nname, flags);
}

static int op_setattr(struct tree *t, uint64_t id, const struct tree_attr *set,
		      unsigned mask, struct tree_attr *out)
{
	return CALL_WRITER(t, setattr, id, set, mask, out);
}

static ssize_t op_write(struct tree *t, struct tree_file *f, const void *buf,
			size_t len, uint64_t off)
{
	return CALL_FILE(t, f, write, buf, len, off);
}

static void op_wrote(struct tree *t, struct tree_file *f)
{
	struct tree_file *inner;

	if (!handle(t, f, &inner))
		CALL_WRITER(t, wrote, inner);
}

static int op_allocate(struct tree *t, struct tree_file *f, int mode,
		       uint64_t off, uint64_t len)
{
	return CALL_FILE(t, f, allocate, mode, off, len);
}

static int op_setxattr(struct tree *t, uint64_t id, const char *name,
		       const void *value, size_t size, int flags)
{
	return CALL_WRITER(t, setxattr, id, name, value, size, flags);
}

static int op_removexattr(struct tree *t, uint64_t id, const char *name)
{
	return CALL_WRITER(t, removexattr, id, name);
}

static int op_sync(struct tree *t, uint64_t id, bool data_only)
{
	return CALL_WRITER(t, sync, id, data_only);
}

static const struct tree_ops ops = {
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
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.statfs = op_statfs,
	.check_write = op_check_write,
	.begin_write = op_begin_write,
	.create = op_create,
	.link = op_link,
	.remove = op_remove,
	.rename = op_rename,
	.setattr = op_setattr,
	.write = op_write,
	.wrote = op_wrote,
	.allocate = op_allocate,
	.setxattr = op_setxattr,
	.removexattr = op_removexattr,
	.sync = op_sync,
};

static int open_reader(struct vol_ntfs *v, struct diag *why)
{
	struct ntfs_opts o = {
		.ignore_case = v->opts.ignore_case,
		.hide_hid_files = v->opts.hide_hid_files,
		.show_sys_files = v->opts.show_sys_files,
		.streams = v->opts.streams == STREAMS_NONE ? NTFS_STREAMS_NONE :
			v->opts.streams == STREAMS_WINDOWS ?
			NTFS_STREAMS_WINDOWS : NTFS_STREAMS_XATTR,
		.drives = v->opts.drives,
		.n_drives = v->opts.n_drives,
	};

	return ntfs_open(v->dev, &o, &v->reader, why);
}

/* Dirty or hibernated is worth a word even to those who only read. */
static void judge(struct vol_ntfs *v)
{
	struct diag why = DIAG_INIT;

	if (!v->tree.writable || !op_check_write(&v->tree, &why))
		return;
	v->tree.writable = false;
	if (v->opts.warn)
		v->opts.warn(v->opts.warn_ctx, why.text);
}

int vol_ntfs_open(struct dev *dev, const struct volume_opts *opts,
		  struct tree **out, struct diag *why)
{
	struct vol_ntfs *v = mem_new(struct vol_ntfs);
	int ret = v ? tree_init(&v->tree, &ops) : -ENOMEM;

	if (ret) {
		free(v);
		return ret;
	}
	v->dev = dev;
	v->opts = *opts;
	ret = open_reader(v, why);
	if (ret) {
		op_close(&v->tree);
		return ret;
	}
	v->tree.turns = v->reader->turns;
	v->tree.label = v->reader->label;
	v->tree.caps = v->reader->caps;
	v->tree.writable = opts->want_write && dev->writable;
	judge(v);
	if (v->tree.writable) {
		/* A place in a listing would mean something else after the
		 * change of engines. */
		v->tree.caps &= ~(unsigned)(TREE_CAP_SEEK_LIST);
		v->tree.caps |= TREE_CAP_SYMLINK | TREE_CAP_LINK |
			TREE_CAP_MKNOD;
	} else {
		v->tree.frozen = v->reader->frozen;
	}
	*out = &v->tree;
	return 0;
}
