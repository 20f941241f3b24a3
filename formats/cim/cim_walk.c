/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * All names of a CIM, once, while opening: there is no link count in the
 * format, and a directory that is reached twice must be found before anybody
 * follows it. Later a damaged image can't surprise.
 */
#include <stdlib.h>

#include "formats/base/alloc.h"
#include "formats/cim/cim_int.h"

/* A Windows path has at most 32767 units. */
#define DEPTH_MAX (32767u / 2)
/* Units of names, and some for each name: 30 million files. Directories may
 * share their tables, so a small file could keep us busy for ever. */
#define WORK_MAX (1u << 30)

struct todo {
	uint32_t id, depth;
};

struct walk {
	struct cim *v;
	struct cim_peek peek;
	struct todo *todo;	/* owned; a stack */
	size_t n, max;
	uint64_t work;
};

static int push(struct walk *w, uint32_t id, uint32_t depth)
{
	if (w->n == w->max) {
		size_t max = w->max ? w->max * 2 : 256;
		struct todo *t = mem_realloc(w->todo, max, sizeof(*t));

		if (!t)
			return -ENOMEM;
		w->todo = t;
		w->max = max;
	}
	w->todo[w->n++] = (struct todo) { id, depth };
	return 0;
}

static struct cim_seen *seen_at(struct cim *v, uint32_t id)
{
	struct cim_table *t = &v->tables[(id - 1) / CIM_TABLE_FILES];

	if (!t->seen)
		t->seen = mem_zalloc(t->n, sizeof(*t->seen));
	return t->seen ? &t->seen[(id - 1) % CIM_TABLE_FILES] : NULL;
}

static int visit(struct walk *w, uint32_t id, const struct todo *from,
		 struct diag *why)
{
	struct cim_seen *seen;
	struct cim_file f;
	int ret = cim_file_peek(w->v, &w->peek, id, &f, why);

	if (ret)
		return ret;
	seen = seen_at(w->v, id);
	if (!seen)
		return diag_fail(why, ENOMEM, "out of memory");
	w->v->n_names++;
	w->v->n_files += !seen->n_links;
	if (!seen->n_links++) {
		seen->parent = from->id;
		if (!f.dir)
			return 0;
		if (from->depth >= DEPTH_MAX)
			return diag_fail(why, ERR_CORRUPT, "deeper than %u "
					 "directories", DEPTH_MAX);
		ret = push(w, id, from->depth + 1);
		return ret ? diag_fail(why, ret, "out of memory") : 0;
	}
	if (f.dir)
		return diag_fail(why, ERR_CORRUPT, "directory %u has two "
				 "names, or contains itself", id);
	return 0;
}

static int walk_dir(struct walk *w, const struct todo *at, struct diag *why)
{
	struct cim_dir *d = NULL;
	struct cim_file f;
	uint32_t i = 0;
	int ret = cim_file_peek(w->v, &w->peek, at->id, &f, why);

	if (!ret)
		ret = cim_dir_load(w->v, at->id, &f, &d, why);
	if (ret)
		return ret;
	w->work += 8 + d->links.len / 2;
	if (w->work > WORK_MAX)
		ret = diag_fail(why, ERR_CORRUPT, "cim: the names of all "
				"directories together are more than %u units",
				WORK_MAX);
	for (; i < d->links.n && !ret; i++)
		ret = visit(w, cim_links_id(&d->links, i), at, why);
	cim_dir_free(d);
	return ret ? diag_in(why, ret, "cim: directory %u, name %u", at->id,
			     i - !!i) : 0;
}

int cim_walk(struct cim *v, struct diag *why)
{
	struct walk w = { .v = v };
	struct todo root = { .id = v->root };
	int ret = visit(&w, v->root, &root, why);

	while (w.n && !ret) {
		struct todo at = w.todo[--w.n];

		ret = walk_dir(&w, &at, why);
	}
	cim_peek_end(v, &w.peek);
	free(w.todo);
	return ret;
}
