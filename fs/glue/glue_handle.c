/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Open files. On a tree that may change there is one for each open(2), and the
 * kernel's handle is its address. On a frozen tree the kernel never opens: a
 * bounded number of nodes is kept open here, the one used longest ago goes.
 */
#include "fs/glue/glue_int.h"

/* Each costs a backend an inode or two; tar needs one at a time, a mail server
 * a few dozen. */
#define MAX_SHARED 256

static void ring_init(struct glue_file *ring)
{
	ring->prev = ring->next = ring;
}

static void ring_del(struct glue_file *f)
{
	f->prev->next = f->next;
	f->next->prev = f->prev;
}

static void ring_add(struct glue_file *ring, struct glue_file *f)
{
	f->next = ring->next;
	f->prev = ring;
	ring->next->prev = f;
	ring->next = f;
}

void glue_files_init(struct glue *g)
{
	pthread_mutex_init(&g->files.lock, NULL);
	ring_init(&g->files.open);
	ring_init(&g->files.idle);
}

static int file_new(struct glue *g, uint64_t id, bool write,
		    struct glue_file **out)
{
	struct glue_file *f = mem_new(struct glue_file);
	int ret = f ? tree_open(g->tree, id, write, &f->file) : -ENOMEM;

	if (ret) {
		free(f);
		return ret == -ENOENT ? -ESTALE : ret;
	}
	f->id = id;
	f->refs = 1;
	*out = f;
	return 0;
}

static void file_free(struct glue *g, struct glue_file *f)
{
	if (!f)
		return;
	tree_release(g->tree, f->file);
	free(f);
}

int glue_file_open(struct glue *g, uint64_t id, bool write,
		   struct glue_file **out)
{
	int ret = file_new(g, id, write, out);

	if (ret)
		return ret;
	pthread_mutex_lock(&g->files.lock);
	ring_add(&g->files.open, *out);
	pthread_mutex_unlock(&g->files.lock);
	return 0;
}

void glue_file_close(struct glue *g, struct glue_file *f)
{
	pthread_mutex_lock(&g->files.lock);
	ring_del(f);
	pthread_mutex_unlock(&g->files.lock);
	file_free(g, f);
}

/* files.lock held. The file's place, or NULL. */
static struct glue_file *take_shared(struct glue_files *s, uint64_t id)
{
	struct glue_file *f = map_get(&s->shared, id);

	if (!f)
		return NULL;
	if (!f->refs++)
		ring_del(f);
	return f;
}

/* files.lock held. Makes room: the caller frees what is returned. */
static struct glue_file *evict(struct glue_files *s)
{
	struct glue_file *f = s->idle.prev;

	if (s->n_shared <= MAX_SHARED || f == &s->idle)
		return NULL;
	ring_del(f);
	map_del(&s->shared, f->id);
	s->n_shared--;
	return f;
}

static int shared_get(struct glue *g, uint64_t id, struct glue_file **out)
{
	struct glue_files *s = &g->files;
	struct glue_file *fresh, *f;
	int ret;

	pthread_mutex_lock(&s->lock);
	*out = take_shared(s, id);
	pthread_mutex_unlock(&s->lock);
	if (*out)
		return 0;
	ret = file_new(g, id, false, &fresh);
	if (ret)
		return ret;
	pthread_mutex_lock(&s->lock);
	f = take_shared(s, id);		/* another reader was faster */
	if (!f) {
		ret = map_put(&s->shared, id, fresh);
		s->n_shared += !ret;
	}
	pthread_mutex_unlock(&s->lock);
	if (f || ret)
		file_free(g, fresh);
	*out = f ? f : fresh;
	return ret;
}

int glue_file_get(struct glue *g, uint64_t id, const struct fuse_file_info *fi,
		  struct glue_file **out)
{
	if (g->no_open)
		return shared_get(g, id, out);
	*out = (struct glue_file *)(uintptr_t)fi->fh;
	return 0;
}

void glue_file_put(struct glue *g, struct glue_file *f)
{
	struct glue_file *old = NULL;

	if (!g->no_open)
		return;
	pthread_mutex_lock(&g->files.lock);
	if (!--f->refs) {
		ring_add(&g->files.idle, f);
		old = evict(&g->files);
	}
	pthread_mutex_unlock(&g->files.lock);
	file_free(g, old);
}

void glue_files_end(struct glue *g)
{
	struct glue_files *s = &g->files;

	while (s->open.next != &s->open)
		glue_file_close(g, s->open.next);
	while (s->idle.next != &s->idle)
		glue_file_close(g, s->idle.next);
	map_free(&s->shared);
	s->n_shared = 0;
}
