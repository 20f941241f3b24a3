/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Maintenance of one VHD or VHDX, for tests in Python.
 *
 *	mainttool vhd|vhdx [OPTION]... FILE VERB [, VERB]...
 *
 * Options: --parent FILE (again for its parent), --record FILE, --fail N,
 * --force, --ro. Verbs:
 *
 *	layer OFF LEN		"data+LEN zero+LEN parent+LEN ..."
 *	resize SIZE | id GUID | items FILE
 *	relink ID ID2 REL WIN	"-": NULL
 *	check			"WEIGHT WORD OFFSET TEXT" lines, then numbers
 *	write OFF LEN BYTE | flush
 *
 * One answer line a verb: "ok", the answer, or "error NAME".
 */
#include "tests/c/mainttool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/bounds.h"
#include "formats/base/dev_file.h"
#include "tests/c/dev_record.h"
#include "tests/c/devscript.h"

#define LINKS_MAX 32
#define WRITE_STEP (1u << 20)

struct options {
	const char *paths[LINKS_MAX];	/* 0: the leaf */
	size_t n_paths;
	const char *record;
	unsigned long fail;
	bool force, ro;
};

static const struct maint_ops *ops;

static int complain(const struct diag *why, int ret)
{
	printf("error %s\n", devscript_error(ret));
	fprintf(stderr, "%s\n", why->code ? why->text : strerror(-ret));
	return 1;
}

static int open_one(const struct options *o, const char *path, bool leaf,
		    void **disk, struct diag *why)
{
	struct dev *file = NULL;
	int ret = dev_file_open(path, leaf && !o->ro, &file, why);

	if (!ret && leaf && (o->record || o->fail))
		ret = dev_record_new(file, o->record, o->fail, &file);
	if (!ret)
		ret = ops->open(file, o->force, disk, why);
	if (ret)
		dev_close(file);
	return ret;
}

static int do_layer(void *disk, char **argv)
{
	static const char *const names[] = { "parent", "data", "zero" };
	uint64_t off = devscript_number(argv[0]);
	uint64_t len = devscript_number(argv[1]);
	struct layer_run runs[7];
	const char *space = "";

	while (len) {
		int n = ops->layer(disk, off, len, runs,
				   (int)ARRAY_LEN(runs));

		if (n <= 0)
			return n ? n : -EIO;
		for (int i = 0; i < n; i++) {
			printf("%s%s+%llu", space, names[runs[i].kind],
			       (unsigned long long)runs[i].len);
			space = " ";
			off += runs[i].len;
			len -= runs[i].len;
		}
	}
	putchar('\n');
	return 1;
}

static const struct guid *guid_arg(const char *text, struct guid *g)
{
	return !strcmp(text, "-") || guid_parse(text, strlen(text), g)
		? NULL : g;
}

static const char *text_arg(const char *text)
{
	return strcmp(text, "-") ? text : NULL;
}

static int do_relink(void *disk, char **argv, struct diag *why)
{
	struct guid id, id2;
	struct maint_relink what = {
		guid_arg(argv[0], &id), guid_arg(argv[1], &id2),
		text_arg(argv[2]), text_arg(argv[3]),
	};

	return ops->relink(disk, &what, why);
}

static int do_items(void *disk, const char *path, struct diag *why)
{
	struct options o = { .ro = true };
	void *from = NULL;
	int ret = open_one(&o, path, true, &from, why);

	if (!ret)
		ret = ops->copy_items(disk, from, why);
	ops->close(from);
	return ret;
}

static int do_write(struct dev *dev, char **argv)
{
	uint64_t off = devscript_number(argv[0]);
	uint64_t len = devscript_number(argv[1]);
	static uint8_t buf[WRITE_STEP];
	int ret = 0;

	memset(buf, (int)devscript_number(argv[2]), sizeof(buf));
	while (len && !ret) {
		size_t n = (size_t)min_of(len, (uint64_t)sizeof(buf));

		ret = dev_write(dev, buf, n, off);
		off += n;
		len -= n;
	}
	return ret;
}

static void print_finding(void *ctx, const struct finding *f)
{
	static const char *const weights[] = { "note", "warning", "error" };

	(void)ctx;
	printf("%s %s %lld %s\n", weights[f->weight], f->where,
	       (long long)f->off, f->text);
}

static int do_check(void *disk)
{
	int ret = ops->check(disk, print_finding);

	return ret ? ret : 1;
}

/* 1: the answer has been printed. */
static int run_verb(void *disk, char **argv, struct diag *why)
{
	struct guid id;

	if (!strcmp(argv[0], "layer"))
		return do_layer(disk, argv + 1);
	if (!strcmp(argv[0], "check"))
		return do_check(disk);
	if (!strcmp(argv[0], "resize"))
		return dev_resize(ops->dev(disk), devscript_number(argv[1]),
				  why);
	if (!strcmp(argv[0], "id"))
		return ops->set_id(disk, guid_arg(argv[1], &id), why);
	if (!strcmp(argv[0], "relink"))
		return do_relink(disk, argv + 1, why);
	if (!strcmp(argv[0], "items"))
		return do_items(disk, argv[1], why);
	if (!strcmp(argv[0], "write"))
		return do_write(ops->dev(disk), argv + 1);
	if (!strcmp(argv[0], "flush"))
		return dev_flush(ops->dev(disk));
	fprintf(stderr, "mainttool: no verb %s\n", argv[0]);
	exit(2);
}

static int run_verbs(void *disk, char **argv)
{
	int failed = 0;

	while (*argv) {
		struct diag why = DIAG_INIT;
		int ret = run_verb(disk, argv, &why);

		if (ret < 0)
			failed = complain(&why, ret);
		else if (!ret)
			puts("ok");
		while (*argv && strcmp(*argv, ","))
			argv++;
		argv += *argv != NULL;
	}
	return failed;
}

static int run_all(const struct options *o, char **verbs)
{
	void *links[LINKS_MAX] = { NULL };
	struct diag why = DIAG_INIT;
	int ret = open_one(o, o->paths[0], true, &links[0], &why);

	for (size_t i = 1; i < o->n_paths && !ret; i++) {
		ret = open_one(o, o->paths[i], false, &links[i], &why);
		if (!ret)
			ret = ops->set_parent(links[i - 1],
					      ops->dev(links[i]), &why);
	}
	if (!ret && !o->ro)
		ret = dev_begin_write(ops->dev(links[0]), &why);
	ret = ret ? complain(&why, ret) : run_verbs(links[0], verbs);
	for (size_t i = 0; i < LINKS_MAX; i++)
		ops->close(links[i]);
	return ret;
}

int main(int argc, char **argv)
{
	struct options o = { .n_paths = 1 };
	int i = 2;

	if (argc < 4)
		return 2;
	ops = strcmp(argv[1], "vhd") ? &maint_vhdx : &maint_vhd;
	for (; i < argc && !strncmp(argv[i], "--", 2); i++) {
		if (!strcmp(argv[i], "--force"))
			o.force = true;
		else if (!strcmp(argv[i], "--ro"))
			o.ro = true;
		else if (!strcmp(argv[i], "--parent"))
			o.paths[o.n_paths++] = argv[++i];
		else if (!strcmp(argv[i], "--record"))
			o.record = argv[++i];
		else if (!strcmp(argv[i], "--fail"))
			o.fail = devscript_number(argv[++i]);
	}
	o.paths[0] = argv[i];
	return o.paths[0] ? run_all(&o, argv + i + 1) : 2;
}
