/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opens and closes a CIM (FORMAT.md). */
#include "formats/cim/cim.h"

#include <stdlib.h>

#include "formats/base/alloc.h"
#include "formats/cim/cim_int.h"

#define DRIVES_MAX 26

static int take_drives(struct cim *v, const struct cim_opts *opts,
		       struct diag *why)
{
	if (opts->n_drives > DRIVES_MAX)
		return diag_fail(why, EINVAL, "cim: %zu drive letters",
				 opts->n_drives);
	v->drives = mem_zalloc(opts->n_drives + 1, sizeof(*v->drives));
	for (size_t i = 0; v->drives && i < opts->n_drives; i++) {
		const char *path;

		if (ntmeta_drive_parse(opts->drives[i], &v->drives[i].letter,
				       &path))
			return diag_fail(why, EINVAL, "drive=%s: not like "
					 "C:=/mnt/c", opts->drives[i]);
		v->drives[i].path = mem_strdup(path);
		if (!v->drives[i].path)
			return diag_fail(why, ENOMEM, "out of memory");
		v->n_drives++;
	}
	return v->drives ? 0 : diag_fail(why, ENOMEM, "out of memory");
}

int cim_new(const struct cim_opts *opts, struct cim **out, struct diag *why)
{
	static const struct cim_opts none;
	struct cim *v = mem_new(struct cim);
	int ret;

	if (!v)
		return diag_fail(why, ENOMEM, "out of memory");
	cim_dirs_init(&v->dirs);
	v->opts = opts ? *opts : none;
	v->opts.drives = NULL;
	ret = opts ? take_drives(v, opts, why) : 0;
	if (!ret && (ret = tree_init(&v->tree, &cim_tree_ops)))
		diag_fail(why, ret, "out of memory");
	if (ret) {
		cim_free(v);
		return ret;
	}
	v->tree.caps = TREE_CAP_SEEK_LIST | TREE_CAP_LIST_ATTR |
		       TREE_CAP_NO_OWNERS;
	if (v->opts.ignore_case)
		v->tree.caps |= TREE_CAP_IGNORE_CASE;
	v->tree.turns = TREE_PARALLEL;
	v->tree.frozen = true;
	*out = v;
	return 0;
}

int cim_start(struct cim *v, struct diag *why)
{
	int ret = cim_fs_load(v, why);

	return ret ? ret : cim_walk(v, why);
}

int cim_open(const char *path, const struct cim_opts *opts, struct tree **out,
	     struct diag *why)
{
	struct cim *v;
	int ret = cim_new(opts, &v, why);

	if (ret)
		return ret;
	ret = cim_image_load(v, path, why);
	if (!ret)
		ret = cim_regions_open(v, path, why);
	if (!ret)
		ret = cim_start(v, why);
	if (ret)
		cim_free(v);
	else
		*out = &v->tree;
	return ret;
}

void cim_free(struct cim *v)
{
	if (!v)
		return;
	cim_dirs_end(&v->dirs);
	cim_tables_free(v);
	for (size_t i = 0; i < v->n_regions; i++)
		dev_close(v->regions[i]);
	free(v->regions);
	dev_close(v->image);
	cim_header_free(&v->head);
	for (size_t i = 0; i < v->n_drives; i++)
		free(v->drives[i].path);
	free(v->drives);
	tree_fini(&v->tree);
	free(v);
}

void cim_info_of_tree(const struct tree *t, struct cim_info *out)
{
	const struct cim *v = cim_of(t);
	const struct cim_set *own = &v->head.sets[v->head.n_sets - 1];

	*out = (struct cim_info) {
		.major = v->head.major, .minor = v->head.minor,
		.set = own->guid, .n_regions = v->head.n_regions,
		.n_own_regions = own->n, .n_parents = v->head.n_sets - 1,
		.n_names = v->n_names, .n_files = v->n_files,
		.bytes = v->bytes,
	};
}
