/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CIM files as POSIX sees them. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "formats/base/alloc.h"
#include "formats/base/utf16.h"
#include "formats/base/wintime.h"
#include "formats/cim/cim_int.h"

static int link_parent(void *ctx, uint64_t dir, uint64_t *up)
{
	const struct cim_seen *seen = cim_seen_of(ctx, dir);

	if (!seen)
		return -ERR_CORRUPT;
	*up = seen->parent;
	return 0;
}

static int link_child(void *ctx, uint64_t dir, const char *name, uint64_t *id,
		      char *real)
{
	struct cim *v = ctx;
	struct cim_name found;
	struct cim_dir *d;
	int64_t i;
	int ret = cim_dir_get(v, dir, &d);

	if (ret)
		return ret;
	i = cim_dir_find(v, d, name, true);
	ret = i < 0 ? (int)i : 0;
	if (!ret) {
		*id = cim_links_id(&d->links, (uint32_t)i);
		found = cim_links_name(&d->links, (uint32_t)i);
		ret = utf16le_to_utf8(found.units, found.n, real,
				      NTMETA_NAME_SIZE);
	}
	cim_dir_put(v, d);
	return ret < 0 ? ret : 0;
}

int cim_link_text(struct cim *v, uint32_t id, const struct cim_file *f,
		  char *buf, size_t size)
{
	const struct cim_seen *seen = cim_seen_of(v, id);
	struct ntmeta_drive drives[26];
	struct ntmeta_place place = {
		.ctx = v, .parent = link_parent, .child = link_child,
		.root = v->root, .dir = seen ? seen->parent : v->root,
		.drives = drives, .n_drives = v->n_drives,
	};
	struct ntmeta_reparse r;
	uint8_t *p;
	size_t len;
	int ret = cim_reparse_load_whole(v, f, &p, &len, NULL);

	if (ret)
		return ret;
	for (size_t i = 0; i < v->n_drives; i++)
		drives[i] = (struct ntmeta_drive) {
			v->drives[i].letter, v->drives[i].path
		};
	ret = p ? ntmeta_reparse_decode(p, len, &r) : -ERR_CORRUPT;
	if (!ret)
		ret = ntmeta_link_text(&r, &place, buf, size);
	free(p);
	return ret;
}

static int link_size(struct cim *v, uint32_t id, const struct cim_file *f,
		     uint64_t *out)
{
	char *buf = mem_alloc(PATH_MAX, 1);
	int ret = buf ? cim_link_text(v, id, f, buf, PATH_MAX) : -ENOMEM;

	free(buf);
	if (ret == -ENOMEM)
		return ret;
	/* What can't be read shows itself at readlink. */
	*out = ret < 0 ? 0 : (uint64_t)ret;
	return 0;
}

/* WSL keeps device numbers in the extended attribute $LXDEV. */
static int load_rdev(struct cim *v, const struct cim_file *f, dev_t *out)
{
	size_t len, off = 0;
	uint8_t *ea;
	int ret = cim_ea_load(v, f, &ea, &len, NULL);

	if (ret == -ENOMEM || !ea)
		return ret == -ENOMEM ? ret : 0;
	for (;;) {
		const uint8_t *p = ea + off;

		if (p[5] == 6 && !memcmp(p + 8, "$LXDEV", 6) &&
		    le16_at(p + 6) == 8)
			*out = makedev(le32_at(p + 15), le32_at(p + 19));
		if (!le32_at(p))
			break;
		off += le32_at(p);
	}
	free(ea);
	return 0;
}

static int take_reparse(struct cim *v, uint32_t id, const struct cim_file *f,
			struct tree_attr *a)
{
	enum ntmeta_kind kind = ntmeta_kind_of(f->tag, f->attrs);

	a->mode = (a->mode & ~(mode_t)S_IFMT) | ntmeta_type(kind, f->dir);
	if (kind == NTMETA_CHR || kind == NTMETA_BLK)
		return load_rdev(v, f, &a->rdev);
	return S_ISLNK(a->mode) ? link_size(v, id, f, &a->size) : 0;
}

int cim_attr(struct cim *v, uint32_t id, const struct cim_file *f,
	     struct tree_attr *out)
{
	const struct cim_seen *seen = cim_seen_of(v, id);
	struct tree_attr a = {
		.id = cim_node(v, id),
		.mode = ntmeta_mode(f->attrs, f->dir),
		.nlink = seen ? seen->n_links : 1,
		.size = f->dir ? 0 : f->data.len,
		.btime = wintime_to_timespec(f->times[0]),
		.mtime = wintime_to_timespec(f->times[1]),
		.ctime = wintime_to_timespec(f->times[2]),
		.atime = wintime_to_timespec(f->times[3]),
	};
	int ret = 0;

	if (!f->data.sparse)
		a.blocks = div_up(a.size, 512);
	if (f->reparse)
		ret = take_reparse(v, id, f, &a);
	if (!ret)
		*out = a;
	return ret;
}
