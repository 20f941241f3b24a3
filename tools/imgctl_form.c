/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which function a verb calls, by what the file holds. */
#include <errno.h>
#include <string.h>

#include "formats/base/dev_file.h"
#include "tools/imgctl.h"

static int find(const struct imgctl_form *forms, size_t n, struct dev *file,
		size_t *at, struct diag *why)
{
	for (size_t i = 0; i < n; i++) {
		int ret = forms[i].probe ? forms[i].probe(file) : 0;

		if (ret && ret != -ERR_NOT_THIS)
			return diag_fail(why, ret, "%s: cannot be read: %s",
					 dev_file_path(file), strerror(-ret));
		*at = i;
		if (!ret)
			return 0;
	}
	return diag_fail(why, ERR_UNSUPP, "%s: there is nothing of this kind "
			 "to do with it", dev_file_path(file));
}

int imgctl_by_content(const struct imgctl_form *forms, size_t n,
		      struct imgctl *c, void *arg)
{
	struct diag why = DIAG_INIT;
	struct dev *file;
	size_t at = 0;
	int ret = dev_file_open(c->files[0], false, &file, &why);

	if (ret)
		return imgctl_fail(c, &why);
	ret = find(forms, n, file, &at, &why);
	dev_close(file);
	return ret ? imgctl_fail(c, &why) : forms[at].run(c, arg);
}
