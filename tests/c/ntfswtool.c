/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ntfswtool [-r] [-w] [-o WORD[,WORD...]] [-W FILE [-F N]] IMAGE: a raw NTFS
 * image as a tree, driven by the treescript on stdin. -r: read-only; -w: only
 * the writing engine, from the start; -W FILE: changes of the image go into a
 * record for tests/crash.py, and the N-th fails. Warnings come out as lines
 * "warning: ...".
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/base/dev_file.h"
#include "formats/volume/vol_ntfs.h"
#include "formats/volume/vol_ntfsw.h"
#include "tests/c/dev_record.h"
#include "tests/c/treescript.h"

static void warn(void *ctx, const char *text)
{
	printf("warning: %s\n", text);
}

static int set_option(struct volume_opts *o, const char *word)
{
	struct {
		const char *word;
		bool *flag;
	} flags[] = {
		{ "recover", &o->recover },
		{ "remove_hiberfile", &o->remove_hiberfile },
		{ "ignore_case", &o->ignore_case },
		{ "windows_names", &o->windows_names },
		{ "hide_hid_files", &o->hide_hid_files },
		{ "hide_dot_files", &o->hide_dot_files },
		{ "show_sys_files", &o->show_sys_files },
	};

	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
		if (!strcmp(flags[i].word, word))
			return *flags[i].flag = true;
	if (!strcmp(word, "streams=none"))
		o->streams = STREAMS_NONE;
	else if (!strcmp(word, "streams=windows"))
		o->streams = STREAMS_WINDOWS;
	else
		return 0;
	return 1;
}

static void fail(const char *what)
{
	fprintf(stderr, "%s\n", what);
	exit(1);
}

int main(int argc, char **argv)
{
	struct volume_opts o = { .want_write = true, .warn = warn };
	struct diag why = DIAG_INIT;
	const char *record = NULL;
	unsigned long fail_after = 0;
	bool engine = false;
	struct dev *dev;
	struct tree *t;
	int c, ret;

	while ((c = getopt(argc, argv, "rwo:W:F:")) != -1) {
		if (c == 'r')
			o.want_write = false;
		else if (c == 'w')
			engine = true;
		else if (c == 'W')
			record = optarg;
		else if (c == 'F')
			fail_after = strtoul(optarg, NULL, 10);
		else if (c != 'o')
			return 1;
		for (char *p = c == 'o' ? strtok(optarg, ",") : NULL; p;
		     p = strtok(NULL, ","))
			if (!set_option(&o, p))
				fail("unknown option");
	}
	if (optind + 1 != argc)
		fail("usage: ntfswtool [-rw] [-o OPTIONS] [-W RECORD] IMAGE");
	if (dev_file_open(argv[optind], o.want_write, &dev, &why))
		fail(why.text);
	if (record && dev_record_new(dev, record, fail_after, &dev))
		fail("record");
	ret = engine ? vol_ntfsw_open(dev, &o, NULL, &t, &why)
		     : vol_ntfs_open(dev, &o, &t, &why);
	if (ret)
		fail(why.text);
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	ret = treescript_run(t, stdin, stdout);
	tree_close(t);
	dev_close(dev);
	return ret ? 1 : 0;
}
