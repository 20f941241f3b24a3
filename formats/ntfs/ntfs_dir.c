/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * NTFS directories. A listing goes through root and blocks as they are
 * stored; its cookies are places in them, valid for as long as the volume is
 * open. Nothing of a directory is kept in memory but what the caches hold.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "formats/base/alloc.h"
#include "formats/base/utf16.h"
#include "formats/ntfs/ntfs_int.h"
#include "formats/ntmeta.h"

/* A cookie: slot (0 the root, n + 1 block n), offset in it below 2^17. */
#define COOKIE_SHIFT 17

static int open_dir(struct ntfs *v, uint64_t dir, struct ntfs_index *ix)
{
	struct ntfs_rec rec;
	int ret = ntfs_rec_get_base(v, dir, &rec);

	if (ret)
		return ret;
	ret = -ENOTDIR;
	if (rec.flags & NTFS_RECORD_IS_DIRECTORY)
		ret = ntfs_index_open(v, &rec, "$I30", ix);
	ntfs_rec_put(&rec);
	return ret == -ENOENT ? -ERR_CORRUPT : ret;
}

struct wanted {
	const struct ntfs *v;
	le16_t units[NTFS_NAME_UNITS];
	size_t len;
	bool folded;
	uint64_t ref;
	struct ntfs_name found;
	char *real;		/* NTFS_NAME_UTF8 bytes, or NULL */
	int err;
};

static int compare_name(void *ctx, const struct ntfs_entry *e)
{
	struct wanted *w = ctx;
	struct ntfs_name n;
	int order;

	w->err = ntfs_name_decode(e->key, e->key_len, &n);
	if (w->err)
		return 0;
	order = ntfs_name_compare(w->v, w->units, w->len, n.units, n.len);
	if (w->folded && ntfs_name_same(w->v, w->units, w->len, n.units, n.len))
		order = 0;
	if (order)
		return order;
	w->ref = e->ref;
	if (w->real && !ntfs_name_utf8(n.units, n.len, w->real))
		w->err = -ERR_CORRUPT;
	return 0;
}

static int search(struct ntfs_index *ix, struct wanted *w, bool folded)
{
	int ret;

	w->folded = folded;
	w->err = 0;
	ret = ntfs_index_find(ix, compare_name, w);
	return ret ? ret : w->err;
}

static int find(struct ntfs *v, uint64_t dir, struct wanted *w,
		const char *name, bool nocase)
{
	struct ntfs_index ix;
	int ret = utf8_to_utf16le(name, strlen(name), w->units,
				  NTFS_NAME_UNITS);

	if (ret < 0)
		return ret == -ENAMETOOLONG ? ret : -ENOENT;
	w->v = v;
	w->len = (size_t)ret;
	ret = open_dir(v, dir, &ix);
	if (ret)
		return ret;
	ret = search(&ix, w, false);
	if (ret == -ENOENT && nocase)
		ret = search(&ix, w, true);
	ntfs_index_close(&ix);
	return ret;
}

int ntfs_dir_find(struct ntfs *v, uint64_t dir, const char *name, uint64_t *ref)
{
	struct wanted w = { .real = NULL };
	int ret = find(v, dir, &w, name, v->opts.ignore_case);

	if (!ret)
		*ref = w.ref;
	return ret;
}

int ntfs_dir_find_nocase(struct ntfs *v, uint64_t dir, const char *name,
			 uint64_t *ref, char *real)
{
	struct wanted w = { .real = real };
	int ret = find(v, dir, &w, name, true);

	if (!ret)
		*ref = w.ref;
	return ret;
}

struct listing {
	struct ntfs *v;
	bool want_attr, stopped;
	tree_emit_fn emit;
	void *ctx;
};

static bool hidden(const struct ntfs *v, const struct ntfs_entry *e,
		   const struct ntfs_name *n)
{
	if (n->space == NTFS_NS_DOS)
		return true;
	if (ntfs_ref_record(e->ref) < NTFS_REC_FIRST_USER &&
	    (ntfs_ref_record(e->ref) == NTFS_REC_ROOT ||
	     !v->opts.show_sys_files))
		return true;
	return v->opts.hide_hid_files && n->attrs & NTMETA_HIDDEN;
}

/* What the index says is enough for plain files and directories. */
static mode_t type_of_name(const struct ntfs_name *n)
{
	bool dir = n->attrs & NTFS_NAME_IS_DIRECTORY;

	return ntmeta_type(ntmeta_kind_of(n->tag, n->attrs), dir);
}

static int emit_entry(struct listing *l, const struct ntfs_entry *e,
		      const struct ntfs_name *n, uint64_t next)
{
	char name[NTFS_NAME_UTF8];
	struct tree_entry out = {
		.name = name, .next = next, .type = type_of_name(n),
		.id = ntfs_id_of_record(ntfs_ref_record(e->ref)),
	};
	struct ntfs_info info;
	struct ntfs_rec rec;

	/* No name that Linux could hold. */
	if (!ntfs_name_utf8(n->units, n->len, name))
		return 0;
	if ((l->want_attr || n->attrs & (NTMETA_REPARSE | NTMETA_SYSTEM)) &&
	    !ntfs_rec_get_ref(l->v, e->ref, &rec)) {
		if (!ntfs_info_load(l->v, &rec, &info)) {
			out.attr = &info.a;
			out.type = info.a.mode & S_IFMT;
		}
		ntfs_rec_put(&rec);
	}
	/* A file that can't be read keeps its name: asking for it fails. */
	return l->emit(l->ctx, &out);
}

static int list_node(struct listing *l, const struct ntfs_entries *entries,
		     uint64_t slot, uint32_t pos)
{
	struct ntfs_entry e;
	struct ntfs_name n;
	int ret;

	if (!pos)
		pos = entries->first;
	while ((ret = ntfs_entry_next(entries, &pos, &e)) > 0) {
		ret = ntfs_name_decode(e.key, e.key_len, &n);
		if (ret)
			return ret;
		if (hidden(l->v, &e, &n))
			continue;
		ret = emit_entry(l, &e, &n, slot << COOKIE_SHIFT | pos);
		if (ret) {
			l->stopped = true;
			return 0;
		}
	}
	return ret;
}

static int list_blocks(struct listing *l, struct ntfs_index *ix, uint64_t idx,
		       uint32_t pos)
{
	uint8_t *buf = mem_alloc(ix->block_size, 1);
	struct ntfs_entries entries;
	int ret = buf ? 0 : -ENOMEM;

	for (; !ret && !l->stopped; idx++, pos = 0) {
		uint64_t from = idx;

		ret = ntfs_index_next_block(ix, &idx);
		if (ret <= 0)
			break;
		ret = ntfs_index_block(ix, idx, buf, &entries);
		if (!ret)
			ret = list_node(l, &entries, idx + 1,
					idx == from ? pos : 0);
	}
	free(buf);
	return ret;
}

int ntfs_dir_list(struct ntfs *v, uint64_t dir, uint64_t from, bool want_attr,
		  tree_emit_fn emit, void *ctx)
{
	struct listing l = { v, want_attr, false, emit, ctx };
	uint32_t pos = (uint32_t)(from & ((1u << COOKIE_SHIFT) - 1));
	uint64_t slot = from >> COOKIE_SHIFT;
	struct ntfs_entries entries;
	struct ntfs_index ix;
	int ret = open_dir(v, dir, &ix);

	if (ret)
		return ret;
	if (!slot) {
		ret = ntfs_index_root(&ix, &entries);
		if (!ret)
			ret = list_node(&l, &entries, 0, pos);
		slot = 1;
		pos = 0;
	}
	if (!ret && !l.stopped && ix.large)
		ret = list_blocks(&l, &ix, slot - 1, pos);
	ntfs_index_close(&ix);
	return ret;
}
