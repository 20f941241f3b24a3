/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One file's own structure: what its format's library finds. */
#include <errno.h>
#include <string.h>

#include "formats/base/dev_file.h"
#include "tools/imgctl_check.h"

struct hear {
	struct imgctl_check *k;
	const char *path;
};

/* FINDING_* and IMGCTL_* weigh alike. */
static void on_finding(void *ctx, const struct finding *f)
{
	struct hear *h = ctx;
	enum outcome out = f->weight == FINDING_ERROR ? OUT_CORRUPT : OUT_OK;

	imgctl_find(h->k, (enum imgctl_weight)f->weight, out, f->where,
		    "%s: %s", h->path, f->text);
}

void imgctl_check_structure(struct imgctl_check *k, struct imgctl_leaf *l)
{
	struct hear h = { k, dev_file_path(l->file) };
	int ret = 0;

	if (l->vhd)
		ret = vhd_check(l->vhd, on_finding, &h, NULL);
	else if (l->vhdx)
		ret = vhdx_check(l->vhdx, on_finding, &h, NULL);
	if (ret)
		imgctl_find(k, IMGCTL_ERROR, outcome_of_errno(ret), "open",
			    "%s: cannot be checked: %s", h.path,
			    strerror(-ret));
}
