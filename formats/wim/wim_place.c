/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From numbers to nodes of images and back, and what their files are. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/base/utf16.h"
#include "formats/base/wintime.h"
#include "formats/ntmeta.h"
#include "formats/wim/wim_int.h"

#define NODE_MASK ((1ULL << WIM_ID_IMAGE_SHIFT) - 1)
#define IMAGE_MASK ((1ULL << (WIM_ID_STREAM_SHIFT - WIM_ID_IMAGE_SHIFT)) - 1)

uint64_t wim_id(const struct wim_place *p)
{
	uint64_t image = p->t->only ? 0 : p->image;

	return (uint64_t)p->stream << WIM_ID_STREAM_SHIFT |
	       image << WIM_ID_IMAGE_SHIFT | (p->node + 1ULL);
}

/* Loads an image when it is first asked for; what failed fails again. */
static int get_image(struct wim_tree *t, unsigned image, struct diag *why,
		     struct wim_meta **out)
{
	struct wim_image *im;

	if (!image || image > t->w->n_images)
		return -ENOENT;
	im = &t->images[image - 1];
	pthread_mutex_lock(&t->lock);
	if (!im->loaded && !im->failed) {
		struct diag bad = DIAG_INIT;
		int ret = wim_meta_load(t->w, image, &im->meta, &bad);

		im->loaded = !ret;
		/* Memory may be there the next time. */
		im->failed = ret == -ENOMEM ? 0 : ret;
		if (ret && why)
			diag_fail(why, ret, "%s", bad.text);
		else if (ret)
			wim_warn(t->w, "%s", bad.text);
	}
	*out = &im->meta;
	pthread_mutex_unlock(&t->lock);
	return im->loaded ? 0 : im->failed ? im->failed : -ENOMEM;
}

int wim_place_image(struct wim_tree *t, unsigned image, struct diag *why,
		    struct wim_place *out)
{
	struct wim_meta *m;
	int ret = get_image(t, image, why, &m);

	if (!ret)
		*out = (struct wim_place) { .t = t, .m = m, .image = image };
	return ret;
}

int wim_place_find(struct wim_tree *t, uint64_t id, struct wim_place *out)
{
	unsigned image = (unsigned)(id >> WIM_ID_IMAGE_SHIFT & IMAGE_MASK);
	uint64_t node = (id & NODE_MASK) - 1;
	int ret = wim_place_image(t, t->only ? t->only : image, NULL, out);

	if (ret)
		return ret;
	if (node >= out->m->n || (t->only && image))
		return -ENOENT;
	out->node = (uint32_t)node;
	out->stream = (unsigned)(id >> WIM_ID_STREAM_SHIFT);
	return 0;
}

struct nth {
	unsigned idx;
	struct wim_stream s;
};

static int take_nth(void *ctx, const struct wim_stream *s)
{
	struct nth *n = ctx;

	if (s->idx != n->idx || s->kind != WIM_S_NAMED)
		return 0;
	n->s = *s;
	return 1;
}

static int take_data(void *ctx, const struct wim_stream *s)
{
	if (s->kind != WIM_S_DATA && s->kind != WIM_S_EFS)
		return 0;
	*(struct wim_stream *)ctx = *s;
	return 1;
}

int wim_place_stream(const struct wim_place *p, struct wim_stream *out)
{
	static const uint8_t nothing[WIM_HASH];
	const struct wim_disk_dentry *d = wim_dentry(p->m, p->node);
	struct nth n = { .idx = p->stream };

	if (!p->stream) {
		*out = (struct wim_stream) { WIM_S_DATA, nothing, NULL, 0, 0 };
		wim_streams_walk(d, take_data, out);
		return 0;
	}
	if (!wim_streams_walk(d, take_nth, &n))
		return -ENOENT;
	*out = n.s;
	return 0;
}

int wim_reparse_value(const struct wim_place *p, uint8_t *buf, size_t *len)
{
	const struct wim_disk_dentry *d = wim_dentry(p->m, p->node);
	const uint8_t *hash = wim_stream_hash(d, WIM_S_REPARSE);
	const struct wim_blob *b = NULL;
	uint32_t tag = le32(d->reparse.tag);
	size_t n = 0;
	le16_t size;
	int ret = 0;

	if (hash && !wim_hash_is_zero(hash)) {
		b = wim_blob_find(p->t->w, hash);
		if (!b)
			return -EIO;
		if (b->size > NTMETA_REPARSE_MAX - 8)
			return -ERR_CORRUPT;
		n = (size_t)b->size;
		ret = wim_blob_read(p->t->w, b, buf + 8, n, 0);
	}
	/* Tags of other makers: their GUID is part of the header. */
	if (!ret && !(tag & 0x80000000u) && n < 16)
		ret = -ERR_CORRUPT;
	if (ret)
		return ret;
	size = to_le16((uint16_t)(tag & 0x80000000u ? n : n - 16));
	memcpy(buf, &d->reparse.tag, 4);
	memcpy(buf + 4, &size, 2);
	memcpy(buf + 6, &d->reparse.reserved, 2);
	*len = n + 8;
	return 0;
}

static int link_parent(void *ctx, uint64_t dir, uint64_t *up)
{
	const struct wim_meta *m = ctx;

	*up = m->nodes[dir].parent;
	return 0;
}

static int link_child(void *ctx, uint64_t dir, const char *name, uint64_t *id,
		      char *real)
{
	const struct wim_meta *m = ctx;
	const uint8_t *units;
	uint32_t node;
	size_t n;
	int ret = wim_meta_child_nocase(m, (uint32_t)dir, name, &node);

	if (ret)
		return ret;
	*id = node;
	units = wim_name(wim_dentry(m, node), &n);
	ret = utf16le_to_utf8(units, n, real, NTMETA_NAME_SIZE);
	return ret < 0 ? ret : 0;
}

int wim_link_text(const struct wim_place *p, char *buf, size_t size)
{
	struct ntmeta_drive drives[26];
	struct ntmeta_place place = {
		.ctx = p->m, .parent = link_parent, .child = link_child,
		.root = 0, .dir = p->m->nodes[p->node].parent,
		.drives = drives, .n_drives = p->t->opts.n_drives,
	};
	struct ntmeta_reparse r;
	uint8_t *value = mem_alloc(NTMETA_REPARSE_MAX, 1);
	size_t len;
	int ret = value ? wim_reparse_value(p, value, &len) : -ENOMEM;

	for (size_t i = 0; i < place.n_drives; i++)
		drives[i] = (struct ntmeta_drive) {
			p->t->drives[i].letter, p->t->drives[i].path
		};
	if (!ret)
		ret = ntmeta_reparse_decode(value, len, &r);
	if (!ret && !r.target)
		ret = -ERR_CORRUPT;
	if (!ret)
		ret = ntmeta_link_text(&r, &place, buf, size);
	free(value);
	return ret;
}

/* Owners and permissions as wimlib keeps them, or 7-Zip in the attributes.
 * What a file is, is said by the attributes: they win. */
static void set_unix(const struct wim_place *p,
		     const struct wim_disk_dentry *d, struct tree_attr *a)
{
	uint32_t len, attrs = le32(d->attrs), mode = 0;
	const uint8_t *item = wim_item_find(d, WIM_ITEM_UNIX, &len);

	a->uid = p->t->opts.uid;
	a->gid = p->t->opts.gid;
	if (item && len >= sizeof(struct wim_disk_unix)) {
		const struct wim_disk_unix *u = (const void *)item;

		a->uid = le32(u->uid);
		a->gid = le32(u->gid);
		mode = le32(u->mode);
		if (S_ISREG(a->mode) && !a->size &&
		    (S_ISCHR(mode) || S_ISBLK(mode) || S_ISFIFO(mode) ||
		     S_ISSOCK(mode))) {
			a->mode = mode;
			a->rdev = le32(u->rdev);
		}
	} else if (attrs & 0x8000 && attrs >> 28) {
		mode = attrs >> 16;
	}
	if (mode)
		a->mode = (a->mode & (mode_t)S_IFMT) | (mode & 07777);
}

static void set_size(const struct wim_place *p, struct tree_attr *a)
{
	const struct wim_blob *b;
	struct wim_stream s;

	if (wim_place_stream(p, &s) || wim_hash_is_zero(s.hash))
		return;
	b = wim_blob_find(p->t->w, s.hash);
	/* What is in another file has no size here; an empty file would be
	 * believed, so reading has to be tried. */
	a->size = b ? min_of(b->size, (uint64_t)INT64_MAX) : 1;
	if (b)
		a->blocks = div_up(b->solid == WIM_NONE ? b->csize : b->size,
				   512);
}

static void set_link_size(const struct wim_place *p, struct tree_attr *a)
{
	char *buf = mem_alloc(PATH_MAX, 1);
	int n = buf ? wim_link_text(p, buf, PATH_MAX) : -ENOMEM;

	free(buf);
	a->blocks = 0;
	/* What can't be read shows itself at readlink. */
	a->size = n < 0 ? 0 : (uint64_t)n;
}

void wim_place_attr(const struct wim_place *p, struct tree_attr *out)
{
	uint32_t node = p->m->nodes[p->node].inode;
	const struct wim_disk_dentry *d = wim_dentry(p->m, node);
	uint32_t attrs = le32(d->attrs);
	bool dir = !p->stream && attrs & NTMETA_DIRECTORY;
	struct wim_place first = *p;
	struct tree_attr a = {
		.atime = wintime_to_timespec(le64(d->accessed)),
		.mtime = wintime_to_timespec(le64(d->modified)),
		.btime = wintime_to_timespec(le64(d->created)),
		.mode = ntmeta_mode(attrs, dir),
		.nlink = p->stream ? 1 : p->m->nodes[node].links,
	};

	first.node = node;
	a.id = wim_id(&first);
	a.ctime = a.mtime;
	if (!p->stream && attrs & NTMETA_REPARSE)
		a.mode = (a.mode & ~(mode_t)S_IFMT) |
			 ntmeta_type(ntmeta_kind_of(le32(d->reparse.tag),
						    attrs), dir);
	if (S_ISLNK(a.mode))
		set_link_size(&first, &a);
	else if (S_ISREG(a.mode))
		set_size(&first, &a);
	if (p->t->opts.unix_data)
		set_unix(p, d, &a);
	*out = a;
}
