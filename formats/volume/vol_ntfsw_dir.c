/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Directories: looking names up, and listing them. */
#include "formats/volume/vol_ntfsw_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/base/utf16.h"

static bool is_ghost(struct vol_ntfsw *w, u64 dir, u64 record)
{
	return dir == FILE_root && w->ghosts.used &&
		map_get(&w->ghosts, ntfs_id_of_record(record));
}

int vol_ntfsw_lookup(struct tree *t, uint64_t dir, const char *name,
		     struct tree_attr *out)
{
	struct vol_ntfsw *w = VOL_NTFSW(t);
	struct vol_ntfsw_name u;
	ntfs_inode *ni;
	u64 record = 0;
	int ret = vol_ntfsw_name(name, &u);

	/* No such name can be in the volume. */
	if (ret)
		return ret == -EILSEQ ? -ENOENT : ret;
	ret = vol_ntfsw_get(w, dir, &ni);
	if (ret)
		return ret;
	ret = vol_ntfsw_put(ni, vol_ntfsw_find(ni, &u, &record));
	if (ret == -ENOENT)
		return vol_ntfsw_stream_lookup(w, dir, name, out);
	if (ret)
		return ret;
	if (is_ghost(w, ntfs_record_of_id(dir), record) &&
	    !strncmp(name, VOL_NTFSW_GHOST, strlen(VOL_NTFSW_GHOST)))
		return -ENOENT;
	ret = vol_ntfsw_get(w, ntfs_id_of_record(record), &ni);
	if (ret)
		return ret;
	return vol_ntfsw_put(ni, vol_ntfsw_attr(w, ni, out));
}

/* One name of a listing, collected before anything is emitted: the callback
 * may ask for attributes, and the directory is closed by then. */
struct entry {
	u64 record;
	unsigned type;		/* NTFS_DT_* */
	char *name;		/* owned */
};

struct listing {
	struct vol_ntfsw *w;
	u64 dir;
	struct entry *v;	/* owned */
	size_t n, max;
	int error;
};

static int add_entry(struct listing *l, u64 record, unsigned type,
		     const char *name)
{
	struct entry *v = l->v;

	if (l->n == l->max) {
		size_t max = l->max ? l->max * 2 : 64;

		v = mem_realloc(l->v, max, sizeof(*v));
		if (!v)
			return -ENOMEM;
		l->v = v;
		l->max = max;
	}
	v[l->n] = (struct entry) {
		.record = record, .type = type, .name = mem_strdup(name),
	};
	if (!v[l->n].name)
		return -ENOMEM;
	l->n++;
	return 0;
}

static int collect(void *ctx, const ntfschar *uname, const int len,
		   const int name_type, const s64 pos, const MFT_REF mref,
		   const unsigned type)
{
	char name[UTF16_TO_UTF8_MAX(255) + 1];
	struct listing *l = ctx;

	if (name_type == FILE_NAME_DOS)
		return 0;
	if (is_ghost(l->w, l->dir, MREF(mref)))
		return 0;
	if (utf16le_to_utf8(uname, (size_t)len, name, sizeof(name)) <= 0 ||
	    !strcmp(name, ".") || !strcmp(name, "..") || strchr(name, '/'))
		return 0;
	l->error = add_entry(l, MREF(mref), type, name);
	return l->error ? -1 : 0;
}

static mode_t simple_type(unsigned type)
{
	switch (type) {
	case NTFS_DT_DIR: return S_IFDIR;
	case NTFS_DT_REG: return S_IFREG;
	case NTFS_DT_FIFO: return S_IFIFO;
	case NTFS_DT_CHR: return S_IFCHR;
	case NTFS_DT_BLK: return S_IFBLK;
	case NTFS_DT_SOCK: return S_IFSOCK;
	default: return 0;	/* links and reparse points: look inside */
	}
}

static void describe(struct vol_ntfsw *w, const struct entry *e,
		     bool want_attr, struct tree_entry *out,
		     struct tree_attr *attr)
{
	ntfs_inode *ni;

	*out = (struct tree_entry) {
		.name = e->name,
		.id = ntfs_id_of_record(e->record),
		.type = simple_type(e->type),
	};
	if (out->type && !want_attr)
		return;
	if (!vol_ntfsw_get(w, out->id, &ni)) {
		if (!vol_ntfsw_attr(w, ni, attr))
			out->attr = attr;
		ntfs_inode_close(ni);
	}
	if (out->attr)
		out->type = attr->mode & S_IFMT;
	else if (!out->type)
		out->type = S_IFREG;
}

/* The library shows lower case when it ignores case; we show what is there. */
static int read_names(struct vol_ntfsw *w, ntfs_inode *ni, struct listing *l)
{
	bool ignore_case = !NVolCaseSensitive(w->vol);
	s64 pos = 0;
	int ret;

	NVolSetCaseSensitive(w->vol);
	errno = 0;
	ret = ntfs_readdir(ni, &pos, l, collect);
	if (ignore_case)
		NVolClearCaseSensitive(w->vol);
	if (l->error)
		return l->error;
	return ret ? vol_ntfsw_errno() : 0;
}

int vol_ntfsw_list(struct tree *t, uint64_t dir, uint64_t from, bool want_attr,
		   tree_emit_fn emit, void *ctx)
{
	struct vol_ntfsw *w = VOL_NTFSW(t);
	struct listing l = { .w = w, .dir = ntfs_record_of_id(dir) };
	ntfs_inode *ni;
	int ret = vol_ntfsw_get(w, dir, &ni);

	if (ret)
		return ret;
	if (ni->mrec->flags & MFT_RECORD_IS_DIRECTORY)
		ret = read_names(w, ni, &l);
	else
		ret = -ENOTDIR;
	ret = vol_ntfsw_put(ni, ret);
	for (size_t i = from; i < l.n && !ret; i++) {
		struct tree_entry e;
		struct tree_attr attr;

		describe(w, &l.v[i], want_attr, &e, &attr);
		e.next = i + 1;
		ret = emit(ctx, &e);
	}
	for (size_t i = 0; i < l.n; i++)
		free(l.v[i].name);
	free(l.v);
	return ret < 0 ? ret : 0;
}
