/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 *	parttool probe FILE [SECTOR]		what volume_probe says
 *	parttool table FILE [SECTOR]		the partition table
 *	parttool select FILE SECTOR WANT	what part=WANT means
 *	parttool list FILE [SECTOR]		volume_list's line
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/dev_file.h"
#include "formats/volume/volume_select.h"
#include "tests/c/devscript.h"

static int fail(const struct diag *why)
{
	printf("error %s: %s\n", devscript_error(why->code), why->text);
	return 1;
}

static int do_probe(struct dev *dev, struct diag *why)
{
	struct volume_info info;

	if (volume_probe(dev, &info, why))
		return fail(why);
	printf("type=%s\nlabel=%s\nuuid=%s\nsize=%" PRIu64 "\nmountable=%d\n",
	       info.type, info.label, info.uuid, info.size, info.mountable);
	return 0;
}

static int do_table(const struct part_table *t)
{
	static const char *const words[] = { "none", "mbr", "gpt" };

	printf("%s backup=%d note=%s\n", words[t->scheme], t->backup_used,
	       t->note);
	for (size_t i = 0; i < t->n; i++) {
		const struct part *p = &t->parts[i];
		char type[GUID_TEXT];

		printf("%u %" PRIu64 " %" PRIu64 " %02x %s %s %s\n", p->number,
		       p->off, p->len, p->mbr_type,
		       guid_format(&p->type, type),
		       p->uuid[0] ? p->uuid : "-", p->label);
	}
	return 0;
}

static int do_select(struct dev *dev, const struct part_table *t,
		     const char *want, struct diag *why)
{
	struct volume_choice c;

	if (volume_select(dev, t, want, &c, why))
		return fail(why);
	printf("%u %s %" PRIu64 "\n", c.number,
	       c.info.type[0] ? c.info.type : "-", dev_size(c.dev));
	dev_close(c.dev);
	return 0;
}

static int do_list(struct dev *dev, const struct part_table *t,
		   struct diag *why)
{
	char text[1000];

	if (volume_list(dev, t, text, sizeof(text), why))
		return fail(why);
	puts(text);
	return 0;
}

static int do_disk(struct dev *dev, int argc, char **argv, struct diag *why)
{
	struct part_table t;
	int ret = 2;

	if (part_load(dev, &t, why))
		return fail(why);
	if (!strcmp(argv[1], "table"))
		ret = do_table(&t);
	else if (!strcmp(argv[1], "select") && argc > 4)
		ret = do_select(dev, &t, argv[4], why);
	else if (!strcmp(argv[1], "list"))
		ret = do_list(dev, &t, why);
	part_free(&t);
	return ret;
}

int main(int argc, char **argv)
{
	struct diag why = DIAG_INIT;
	struct dev *dev;
	int ret;

	if (argc < 3) {
		fprintf(stderr, "parttool COMMAND FILE [SECTOR] [WANT]\n");
		return 2;
	}
	if (dev_file_open(argv[2], false, &dev, &why))
		return fail(&why);
	if (argc > 3)
		dev->sector_size = (uint32_t)atoi(argv[3]);
	ret = !strcmp(argv[1], "probe") ? do_probe(dev, &why)
					: do_disk(dev, argc, argv, &why);
	dev_close(dev);
	return ret;
}
