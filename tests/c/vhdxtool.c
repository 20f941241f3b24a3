/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VHDX for tests.
 *
 *	vhdxtool open [--ro] [--parent FILE]... [--record F] [--fail N]
 *		[--refuse-dirty] [--nth-alloc N] FILE	lines of devscript.h
 *	vhdxtool info FILE
 *	vhdxtool check FILE		would writing begin?
 *	vhdxtool create fixed|dynamic SIZE BLOCK LSS PSS FILE
 *	vhdxtool diff PARENT REL WIN BLOCK FILE [--parent FILE]...
 *
 * Parents in child to base order. Messages go to stderr, the status is 1.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/base/dev_file.h"
#include "formats/vhdx/vhdx.h"
#include "tests/c/dev_record.h"
#include "tests/c/devscript.h"

#define DEPTH_MAX 256

struct options {
	const char *parents[DEPTH_MAX];
	size_t n_parents;
	const char *record;
	unsigned long fail, nth_alloc;
	bool ro;
	struct vhdx_opts opts;
	const char *words[8];
	int n;
};

static int say(const struct diag *why)
{
	fprintf(stderr, "%s: %s\n", outcome_find(why->out)->name, why->text);
	fprintf(stderr, "errno %s\n", devscript_error(why->code));
	return 1;
}

static void parse(struct options *o, int argc, char **argv)
{
	for (int i = 2; i < argc; i++) {
		const char *a = argv[i];

		if (!strcmp(a, "--ro"))
			o->ro = true;
		else if (!strcmp(a, "--refuse-dirty"))
			o->opts.refuse_dirty = true;
		else if (!strcmp(a, "--parent"))
			o->parents[o->n_parents++] = argv[++i];
		else if (!strcmp(a, "--record"))
			o->record = argv[++i];
		else if (!strcmp(a, "--fail"))
			o->fail = devscript_number(argv[++i]);
		else if (!strcmp(a, "--nth-alloc"))
			o->nth_alloc = devscript_number(argv[++i]);
		else
			o->words[o->n++] = a;
	}
}

static int open_one(const char *path, bool want_write, const struct options *o,
		    struct vhdx **x, struct diag *why)
{
	struct dev *file = NULL;
	int ret = dev_file_open(path, want_write, &file, why);

	if (!ret && o && (o->record || o->fail))
		ret = dev_record_new(file, o->record, o->fail, &file);
	if (!ret)
		ret = vhdx_open(file, o ? &o->opts : NULL, x, why);
	if (ret)
		dev_close(file);
	return ret;
}

static int open_parents(const struct options *o, struct vhdx **chain,
			struct vhdx *child, struct diag *why)
{
	for (size_t i = 0; i < o->n_parents; i++) {
		int ret = open_one(o->parents[i], false, NULL, &chain[i], why);

		if (!ret)
			ret = vhdx_set_parent(i ? chain[i - 1] : child,
					      vhdx_dev(chain[i]), why);
		if (ret)
			return ret;
	}
	return 0;
}

static int do_open(struct options *o)
{
	struct vhdx *x = NULL, *chain[DEPTH_MAX] = { 0 };
	struct diag why = DIAG_INIT;
	int ret;

	if (o->nth_alloc)
		mem_fail_nth(o->nth_alloc);
	ret = open_one(o->words[0], !o->ro, o, &x, &why);
	if (!ret)
		ret = open_parents(o, chain, x, &why);
	if (ret)
		say(&why);
	else
		ret = devscript_run(vhdx_dev(x), stdin, stdout);
	vhdx_close(x);
	for (size_t i = 0; i < o->n_parents; i++)
		vhdx_close(chain[i]);
	return ret != 0;
}

static int do_check(struct options *o)
{
	struct vhdx *x = NULL;
	struct diag why = DIAG_INIT;
	int ret = open_one(o->words[0], true, o, &x, &why);

	if (!ret)
		ret = dev_check_write(vhdx_dev(x), &why);
	if (ret)
		say(&why);
	vhdx_close(x);
	return ret != 0;
}

static void print_guid(const char *name, const struct guid *g)
{
	char text[GUID_TEXT];

	printf("%s %s\n", name, guid_format(g, text));
}

static int do_info(struct options *o)
{
	struct vhdx *x;
	struct diag why = DIAG_INIT;
	const struct vhdx_info *i;

	if (open_one(o->words[0], false, o, &x, &why))
		return say(&why);
	i = vhdx_info(x);
	printf("size %llu\nblock %u\nlss %u\npss %u\n",
	       (unsigned long long)i->size, i->block_size, i->sector_size,
	       i->phys_sector_size);
	printf("fixed %d\nhas_parent %d\nlog_dirty %d\nlog_entries %u\n",
	       i->fixed, i->has_parent, i->log_dirty, i->log_entries);
	print_guid("file_write", &i->file_write_guid);
	print_guid("data_write", &i->data_write_guid);
	print_guid("disk_id", &i->disk_id);
	print_guid("linkage", &i->parent_linkage);
	print_guid("linkage2", &i->parent_linkage2);
	printf("creator %s\n", i->creator);
	for (size_t n = 0; n < i->n_parents; n++)
		printf("parent %d %s\n", i->parents[n].kind,
		       i->parents[n].path);
	vhdx_close(x);
	return 0;
}

static int create(const char *path, const struct options *o,
		  const struct vhdx_create *what)
{
	struct diag why = DIAG_INIT;
	struct dev *file;
	int ret = dev_file_create(path, &file, &why);

	if (!ret && (o->record || o->fail))
		ret = dev_record_new(file, o->record, o->fail, &file);
	if (!ret) {
		ret = vhdx_create(file, what, &why);
		dev_close(file);
	}
	return ret ? say(&why) : 0;
}

static int do_create(struct options *o)
{
	struct vhdx_create what = {
		.type = !strcmp(o->words[0], "fixed") ? VHDX_FIXED
						      : VHDX_DYNAMIC,
		.size = devscript_number(o->words[1]),
		.block_size = (uint32_t)devscript_number(o->words[2]),
		.sector_size = (uint32_t)devscript_number(o->words[3]),
		.phys_sector_size = (uint32_t)devscript_number(o->words[4]),
	};

	return create(o->words[5], o, &what);
}

static int do_diff(struct options *o)
{
	struct diag why = DIAG_INIT;
	struct vhdx *parent;
	struct vhdx_create what = {
		.type = VHDX_DIFFERENCING,
		.parent_relative = *o->words[1] ? o->words[1] : NULL,
		.parent_windows = *o->words[2] ? o->words[2] : NULL,
		.block_size = (uint32_t)devscript_number(o->words[3]),
	};
	int ret;

	if (open_one(o->words[0], false, NULL, &parent, &why))
		return say(&why);
	what.parent = parent;
	ret = create(o->words[4], o, &what);
	vhdx_close(parent);
	return ret;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int words;
		int (*run)(struct options *o);
	} commands[] = {
		{ "open", 1, do_open }, { "info", 1, do_info },
		{ "check", 1, do_check }, { "create", 6, do_create },
		{ "diff", 5, do_diff },
	};
	struct options o = { 0 };

	parse(&o, argc, argv);
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (argc > 1 && !strcmp(argv[1], commands[i].name) &&
		    o.n == commands[i].words)
			return commands[i].run(&o);
	fputs("vhdxtool open|info|check|create|diff ...\n", stderr);
	return 2;
}
