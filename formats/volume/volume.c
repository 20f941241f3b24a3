/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From what the probe found to the backend that shows it. */
#include "formats/volume/volume.h"

#include <string.h>

#include "formats/volume/vol_ext.h"
#include "formats/volume/vol_ntfs.h"

/* What can be shown. A row's type is a word of volume_probe(); the rows must
 * agree with what volume_probe() calls mountable. */
static const struct backend {
	const char *type;
	int (*open)(struct dev *dev, const struct volume_opts *opts,
		    struct tree **out, struct diag *why);
} backends[] = {
	{ "ntfs", vol_ntfs_open },
	{ "ext2", vol_ext_open },
	{ "ext3", vol_ext_open },
	{ "ext4", vol_ext_open },
	{ NULL, NULL },
};

static const struct backend *find_backend(const char *type)
{
	for (const struct backend *b = backends; b->type; b++)
		if (!strcmp(b->type, type))
			return b;
	return NULL;
}

int volume_open(struct dev *dev, const struct volume_opts *opts,
		struct tree **out, struct diag *why)
{
	struct volume_info info;
	const struct backend *b;
	int ret = volume_probe(dev, &info, why);

	if (ret)
		return ret;
	/* Who names a superblock copy says that the first one is gone. */
	b = find_backend(opts->sb && !info.mountable ? "ext4" : info.type);
	if (b)
		return b->open(dev, opts, out, why);
	if (!info.type[0])
		return diag_fail(why, ERR_UNSUPP, "volume: no known file "
				 "system; view=raw shows it as a file");
	return diag_fail(why, ERR_UNSUPP, "volume: %s%s%s%s cannot be shown as "
			 "a tree; view=raw shows it as a file", info.type,
			 info.label[0] ? " \"" : "", info.label,
			 info.label[0] ? "\"" : "");
}
