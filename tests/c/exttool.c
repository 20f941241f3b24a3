/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An ext volume in a raw file, driven by treescript from standard input.
 *
 *	exttool IMAGE ro|rw [norecovery] [sb=N] [record=FILE] [fail=N]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/dev_file.h"
#include "formats/volume/vol_ext.h"
#include "tests/c/dev_record.h"
#include "tests/c/treescript.h"

static void warn(void *ctx, const char *text)
{
	printf("warning %s\n", text);
}

static int usage(void)
{
	fputs("exttool IMAGE ro|rw [norecovery] [sb=N] [record=FILE] "
	      "[fail=N]\n", stderr);
	return 2;
}

static int fail(const struct diag *why)
{
	printf("failed %s: %s\n", strerrorname_np(-why->code), why->text);
	return 1;
}

int main(int argc, char **argv)
{
	struct volume_opts opts = { .warn = warn };
	struct diag why = DIAG_INIT;
	const char *record = NULL;
	unsigned long fail_after = 0;
	struct tree *t;
	struct dev *dev;
	int ret;

	if (argc < 3)
		return usage();
	opts.want_write = !strcmp(argv[2], "rw");
	for (int i = 3; i < argc; i++) {
		if (!strcmp(argv[i], "norecovery"))
			opts.norecovery = true;
		else if (!strncmp(argv[i], "sb=", 3))
			opts.sb = strtoull(argv[i] + 3, NULL, 0);
		else if (!strncmp(argv[i], "record=", 7))
			record = argv[i] + 7;
		else if (!strncmp(argv[i], "fail=", 5))
			fail_after = strtoul(argv[i] + 5, NULL, 0);
		else
			return usage();
	}
	if (dev_file_open(argv[1], opts.want_write, &dev, &why))
		return fail(&why);
	if (record && dev_record_new(dev, record, fail_after, &dev))
		return usage();
	ret = vol_ext_open(dev, &opts, &t, &why);
	if (ret) {
		dev_close(dev);
		return fail(&why);
	}
	printf("open %s%s\n", t->writable ? "rw" : "ro",
	       t->label ? " labelled" : "");
	fflush(stdout);
	ret = treescript_run(t, stdin, stdout);
	tree_close(t);
	dev_close(dev);
	return ret ? 1 : 0;
}
