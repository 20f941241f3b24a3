/* SPDX-License-Identifier: GPL-3.0-or-later */
/* parttool probe FILE [SECTOR]: what volume_probe says of a raw file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/dev_file.h"
#include "formats/volume/volume.h"

static int fail(const struct diag *why)
{
	printf("error %s\n", why->text);
	return 1;
}

static int do_probe(struct dev *dev)
{
	struct diag why = DIAG_INIT;
	struct volume_info info;

	if (volume_probe(dev, &info, &why))
		return fail(&why);
	printf("type=%s\nlabel=%s\nuuid=%s\nsize=%llu\nmountable=%d\n",
	       info.type, info.label, info.uuid,
	       (unsigned long long)info.size, info.mountable);
	return 0;
}

int main(int argc, char **argv)
{
	struct diag why = DIAG_INIT;
	struct dev *dev;
	int ret = 2;

	if (argc < 3) {
		fprintf(stderr, "parttool probe FILE [SECTOR]\n");
		return 2;
	}
	if (dev_file_open(argv[2], false, &dev, &why))
		return fail(&why);
	if (argc > 3)
		dev->sector_size = (uint32_t)atoi(argv[3]);
	if (!strcmp(argv[1], "probe"))
		ret = do_probe(dev);
	dev_close(dev);
	return ret;
}
