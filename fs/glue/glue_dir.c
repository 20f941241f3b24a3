/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Listing. Positions: 0 is the start, 1 is behind ".", 2 is behind "..", and a
 * position p of the tree is p + 2. Trees that can go on listing anywhere are
 * asked each time; of the others every opendir(3) takes a copy, whose
 * positions are places in it, so that removing while listing skips nothing.
 */
#include <errno.h>
#include <linux/fuse.h>
#include <string.h>

#include "fs/glue/glue_int.h"

#define FIRST 2		/* positions up to here are "." and ".." */

struct glue_dir {
	struct glue_dir *prev, *next;	/* files.lock */
	pthread_mutex_t lock;		/* what follows */
	bool loaded;
	uint64_t changes;		/* counts.changes when it was loaded */
	struct glue_names names;
};

/* An answer being filled. */
struct page {
	fuse_req_t req;
	struct glue *g;
	uint64_t dir;
	bool plus;
	bool no_attr;		/* the copy is old: names alone */
	uint8_t *buf;
	size_t size, used;
};

static bool seeks(const struct glue *g)
{
	return g->tree->caps & TREE_CAP_SEEK_LIST;
}

/* Adds one name: false when the page is full. */
static bool page_add(struct page *p, const struct tree_entry *e, off_t next)
{
	struct fuse_entry_param ent = {
		.attr = { .st_ino = e->id, .st_mode = e->type },
	};
	char *at = (char *)p->buf + p->used;
	size_t left = p->size - p->used, n;

	if (p->plus && e->attr)
		glue_fill_entry(p->g, e->attr, &ent);
	if (p->plus)
		n = fuse_add_direntry_plus(p->req, at, left, e->name, &ent,
					   next);
	else
		n = fuse_add_direntry(p->req, at, left, e->name, &ent.attr,
				      next);
	if (n > left)
		return false;
	p->used += n;
	return true;
}

static int emit(void *ctx, const struct tree_entry *e)
{
	if (e->next > (uint64_t)INT64_MAX - FIRST)
		return -EOVERFLOW;
	return page_add(ctx, e, (off_t)(e->next + FIRST)) ? 0 : 1;
}

/* "." and "..": the kernel resolves both itself, only the names matter. */
static bool add_dots(struct page *p, uint64_t from)
{
	struct tree_entry e = { .name = ".", .id = p->dir, .type = S_IFDIR };

	if (from < 1 && !page_add(p, &e, 1))
		return false;
	e.name = "..";
	return from >= 2 || page_add(p, &e, 2);
}

static int list_copy(struct page *p, struct glue_names *v, uint64_t from)
{
	for (uint64_t i = from; i < v->n; i++) {
		struct tree_entry e = {
			.name = v->text + v->names[i].name,
			.id = v->names[i].id, .type = v->names[i].type,
			.attr = i < v->n_attrs && !p->no_attr ? &v->attrs[i]
							      : NULL,
		};

		if (!page_add(p, &e, (off_t)(i + 1 + FIRST)))
			break;
	}
	return 0;
}

/* A copy is taken at the first call and at rewinddir(3). */
static int list_dir(struct page *p, struct glue_dir *d, uint64_t off)
{
	uint64_t now = __atomic_load_n(&p->g->counts.changes, __ATOMIC_ACQUIRE);
	int ret = 0;

	pthread_mutex_lock(&d->lock);
	if (!d->loaded || (!off && d->changes != now)) {
		ret = glue_names_load(&d->names, p->g->tree, p->dir);
		d->loaded = !ret;
		d->changes = now;
	}
	p->no_attr = d->changes != now;
	if (!ret)
		ret = list_copy(p, &d->names, off > FIRST ? off - FIRST : 0);
	pthread_mutex_unlock(&d->lock);
	return ret;
}

/* Fetches the attributes that the listing did not give: one call here is
 * cheaper than a lookup by the kernel. An entry without a node is allowed. */
static void add_attrs(struct page *p)
{
	size_t at = 0;

	while (at < p->used) {
		struct fuse_direntplus *d = (void *)(p->buf + at);
		struct fuse_entry_param ent;
		char name[TREE_NAME_MAX + 1];
		struct tree_attr a;
		size_t len = d->dirent.namelen;
		off_t next = (off_t)d->dirent.off;

		if (!d->entry_out.nodeid && next > FIRST &&
		    len <= TREE_NAME_MAX &&
		    !tree_getattr(p->g->tree, d->dirent.ino, &a)) {
			memcpy(name, d->dirent.name, len);
			name[len] = '\0';
			glue_fill_entry(p->g, &a, &ent);
			fuse_add_direntry_plus(p->req, (char *)d,
					       p->size - at, name, &ent, next);
		}
		at += FUSE_DIRENTPLUS_SIZE(d);
	}
}

static int fill_page(struct page *p, struct glue_dir *d, uint64_t off)
{
	int ret = 0;

	if (!add_dots(p, off))
		return 0;
	if (d)
		ret = list_dir(p, d, off);
	else
		ret = tree_list(p->g->tree, p->dir,
				off > FIRST ? off - FIRST : 0, p->plus, emit,
				p);
	if (p->plus && !p->no_attr)
		add_attrs(p);
	/* What was listed before the damage is shown; then comes the error. */
	return ret < 0 && !p->used ? ret : 0;
}

static void op_list(fuse_req_t req, struct page *p, off_t off,
		    const struct fuse_file_info *fi)
{
	struct glue *g = glue_of(req);
	struct glue_worker *w = glue_worker_get(g);
	struct glue_dir *d = NULL;
	int ret = -ENOMEM;

	p->req = req;
	p->g = g;
	p->size = min_of(p->size, (size_t)GLUE_READ_MAX);
	p->buf = w ? glue_worker_buf(w, p->size) : NULL;
	if (!seeks(g))
		d = (struct glue_dir *)(uintptr_t)fi->fh;
	if (p->buf)
		ret = off < 0 ? -EINVAL : fill_page(p, d, (uint64_t)off);
	if (ret)
		glue_reply_err(req, ret == -ENOENT ? -ESTALE : ret);
	else
		fuse_reply_buf(req, (char *)p->buf, p->used);
}

void glue_op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	struct page p = { .dir = ino, .size = size };

	op_list(req, &p, off, fi);
}

void glue_op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			 struct fuse_file_info *fi)
{
	struct page p = { .dir = ino, .size = size, .plus = true };

	op_list(req, &p, off, fi);
}

static struct glue_dir *dir_new(struct glue *g)
{
	struct glue_dir *d = mem_new(struct glue_dir);

	if (!d)
		return NULL;
	pthread_mutex_init(&d->lock, NULL);
	pthread_mutex_lock(&g->files.lock);
	d->next = g->files.dirs;
	if (d->next)
		d->next->prev = d;
	g->files.dirs = d;
	pthread_mutex_unlock(&g->files.lock);
	return d;
}

static void dir_free(struct glue *g, struct glue_dir *d)
{
	if (!d)
		return;
	pthread_mutex_lock(&g->files.lock);
	if (d->next)
		d->next->prev = d->prev;
	if (d->prev)
		d->prev->next = d->next;
	else
		g->files.dirs = d->next;
	pthread_mutex_unlock(&g->files.lock);
	pthread_mutex_destroy(&d->lock);
	glue_names_free(&d->names);
	free(d);
}

void glue_dirs_end(struct glue *g)
{
	while (g->files.dirs)
		dir_free(g, g->files.dirs);
}

void glue_op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct glue *g = glue_of(req);
	struct glue_dir *d = NULL;

	if (g->no_opendir) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	if (!seeks(g) && !(d = dir_new(g))) {
		glue_reply_err(req, -ENOMEM);
		return;
	}
	fi->fh = (uintptr_t)d;
	/* A copy's positions mean nothing to another opendir after a change:
	 * the kernel's copy could not be continued from ours. */
	fi->cache_readdir = g->frozen || seeks(g);
	fi->keep_cache = fi->cache_readdir;
	if (fuse_reply_open(req, fi))
		dir_free(g, d);
}

void glue_op_releasedir(fuse_req_t req, fuse_ino_t ino,
			struct fuse_file_info *fi)
{
	struct glue *g = glue_of(req);

	if (!seeks(g))
		dir_free(g, (struct glue_dir *)(uintptr_t)fi->fh);
	fuse_reply_err(req, 0);
}

void glue_op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int data_only,
		      struct fuse_file_info *fi)
{
	glue_reply_err(req, tree_sync(glue_of(req)->tree, 0, false));
}
