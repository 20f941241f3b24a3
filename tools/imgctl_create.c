/* SPDX-License-Identifier: GPL-3.0-or-later */
/* imgctl create: empty disks. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/imgctl.h"

struct words {
	const char *format, *windows;
	uint64_t size, block, sector;
};

static int type_of(const char *word, enum imgctl_type *out, struct diag *why)
{
	static const char *const names[] = { "fixed", "dynamic", "child" };

	for (int i = 0; i < 3; i++)
		if (!strcmp(word, names[i])) {
			*out = (enum imgctl_type)i;
			return 0;
		}
	return diag_fail(why, EINVAL, "%s: should be fixed, dynamic or child",
			 word);
}

/* What belongs together; the formats check the values. */
static int check(const struct imgctl *c, const struct words *w,
		 const struct imgctl_make *m, struct diag *why)
{
	if (w->block > UINT32_MAX || w->sector > UINT32_MAX)
		return diag_fail(why, EINVAL, "--block or --sector: too large");
	if (m->type == IMGCTL_CHILD && !c->disk.n_parents)
		return diag_fail(why, EINVAL, "a child needs --parent FILE");
	if (m->type != IMGCTL_CHILD && c->disk.n_parents)
		return diag_fail(why, EINVAL, "--parent is for a child");
	if (m->type != IMGCTL_CHILD && !w->size)
		return diag_fail(why, EINVAL, "which size? --size 64g");
	if (m->format == IMGCTL_RAW &&
	    (m->type != IMGCTL_FIXED || w->block || w->sector))
		return diag_fail(why, EINVAL, "a raw disk is fixed, and has "
				 "neither blocks nor a sector size");
	return 0;
}

static int plan(struct imgctl *c, const struct words *w, struct imgctl_make *m,
		struct diag *why)
{
	int ret = type_of(c->files[0], &m->type, why);

	if (!ret)
		ret = imgctl_format_of(w->format, c->files[1], &m->format, why);
	if (!ret)
		ret = check(c, w, m, why);
	if (ret)
		return ret;
	m->size = w->size;
	m->block_size = (uint32_t)w->block;
	m->sector_size = (uint32_t)w->sector;
	m->parent = c->disk.n_parents ? c->parents[0] : NULL;
	m->parent_windows = w->windows;
	return 0;
}

int imgctl_create(struct imgctl *c, int argc, char **argv)
{
	struct words w = { 0 };
	const struct imgctl_opt own[] = {
		{ "size", IMGCTL_SIZE, &w.size },
		{ "block", IMGCTL_SIZE, &w.block },
		{ "sector", IMGCTL_SIZE, &w.sector },
		{ "format", IMGCTL_TEXT, &w.format },
		{ "windows", IMGCTL_TEXT, &w.windows },
		{ NULL, IMGCTL_FLAG, NULL },
	};
	struct imgctl_make m = { 0 };
	struct diag why = DIAG_INIT;
	struct imgctl_new n;
	int ret = imgctl_args(c, argc, argv, own, 2, 2, &why);

	if (ret == 1)
		return OUT_OK;
	if (!ret)
		ret = plan(c, &w, &m, &why);
	if (!ret)
		ret = imgctl_new_open(c, c->files[1], &m, false, &n, &why);
	if (!ret)
		ret = imgctl_new_finish(&n, &why);
	if (ret)
		return imgctl_fail(c, &why);
	if (c->json)
		return imgctl_put_json(c, json_pack("{s:o}", "image",
					imgctl_json_text(c->files[1])));
	return OUT_OK;
}
