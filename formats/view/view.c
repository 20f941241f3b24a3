/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/view/view_int.h"

#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"

#define NS_PER_S 1000000000LL

static int check_parts(const struct view_what *what, struct diag *why)
{
	if (what->n > VIEW_PARTS_MAX)
		return diag_fail(why, ERR_UNSUPP, "view: %zu partitions",
				 what->n);
	for (size_t i = 0; i < what->n; i++) {
		const struct view_part *p = &what->parts[i];

		if (!range_within(p->off, p->len, dev_size(what->disk)))
			return diag_fail(why, EINVAL, "view: partition %u "
					 "lies outside the disk", p->number);
		for (size_t k = 0; k < i; k++)
			if (what->parts[k].number == p->number)
				return diag_fail(why, EINVAL, "view: partition"
						 " %u comes twice", p->number);
	}
	return 0;
}

int view_new(const struct view_what *what, const struct tree_ops *ops,
	     struct view **out, struct diag *why)
{
	struct view *v;
	int ret = check_parts(what, why);

	if (ret)
		return ret;
	v = mem_new(struct view);
	if (!v)
		return diag_fail(why, ENOMEM, "view: out of memory");
	v->parts = mem_zalloc(what->n + 1, sizeof(*v->parts));
	ret = v->parts ? tree_init(&v->tree, ops) : -ENOMEM;
	if (ret) {
		free(v->parts);
		free(v);
		return diag_fail(why, ret, "view: out of memory");
	}
	if (what->n)
		memcpy(v->parts, what->parts, what->n * sizeof(*v->parts));
	v->n = what->n;
	v->disk = what->disk;
	v->uid = what->uid;
	v->gid = what->gid;
	v->mtime_ns = (int64_t)what->mtime.tv_sec * NS_PER_S +
		      what->mtime.tv_nsec;
	v->tree.turns = TREE_PARALLEL;
	*out = v;
	return 0;
}

void view_close(struct tree *t)
{
	struct view *v = view_of(t);

	for (size_t i = 0; i < v->n; i++) {
		tree_close(v->parts[i].tree);
		dev_close(v->parts[i].dev);
	}
	tree_fini(t);
	free(v->parts);
	free(v);
}
