/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A copy of a listing, for trees that cannot go on listing in the middle. */
#include <errno.h>
#include <string.h>

#include "fs/glue/glue_int.h"

/* Attributes are kept for directories of ordinary size only: they are five
 * times as large as the names. */
#define MAX_ATTRS 4096
/* 64 million names of ordinary length; offsets are 32 bits wide. */
#define MAX_TEXT (1ull << 31)

/* Room for one more of size bytes each; *max is how many fit. */
static int grow(void **array, size_t size, size_t *max, size_t want)
{
	size_t n = *max ? *max : 64;
	void *p;

	if (want <= *max)
		return 0;
	while (n < want)
		n *= 2;
	p = mem_realloc(*array, n, size);
	if (!p)
		return -ENOMEM;
	*array = p;
	*max = n;
	return 0;
}

static int add(void *ctx, const struct tree_entry *e)
{
	struct glue_names *v = ctx;
	size_t len = strlen(e->name) + 1;
	bool keep = e->attr && v->n_attrs == v->n && v->n < MAX_ATTRS;

	if (v->text_len + len > MAX_TEXT)
		return -EOVERFLOW;
	if (grow((void **)&v->names, sizeof(*v->names), &v->max, v->n + 1) ||
	    grow((void **)&v->text, 1, &v->text_max, v->text_len + len) ||
	    (keep && grow((void **)&v->attrs, sizeof(*v->attrs), &v->max_attrs,
			  v->n + 1)))
		return -ENOMEM;
	if (keep)
		v->attrs[v->n_attrs++] = *e->attr;
	v->names[v->n++] = (struct glue_name) {
		.id = e->id, .type = e->type, .name = (uint32_t)v->text_len,
	};
	memcpy(v->text + v->text_len, e->name, len);
	v->text_len += len;
	return 0;
}

int glue_names_load(struct glue_names *v, struct tree *t, uint64_t dir)
{
	int ret;

	glue_names_free(v);
	ret = tree_list(t, dir, 0, true, add, v);
	if (ret < 0)
		glue_names_free(v);
	return ret < 0 ? ret : 0;
}

void glue_names_free(struct glue_names *v)
{
	free(v->names);
	free(v->attrs);
	free(v->text);
	*v = (struct glue_names) { 0 };
}
