/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vhdmerge: flattens differencing chains offline. Options and messages; the
 * work is formats/merge. */
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config.h"
#include "tools/vhdmerge.h"

static const char usage[] =
"vhdmerge [options] CHILD PARENT     into the parent, or an ancestor\n"
"vhdmerge [options] --output FILE LEAF    the chain as a new file\n"
"vhdmerge --tree DIR...              the graph by identity\n"
"vhdmerge --status|--resume|--abort FILE\n"
"\n"
"  -n, --dry-run          say what would be done\n"
"      --keep             keep the merged files (the default)\n"
"      --delete           remove them at the end\n"
"      --orphan-others    other children may be lost\n"
"  -o, --output FILE      a new file; the sources are only read\n"
"      --format vhd|vhdx  its format (else its suffix)\n"
"      --fixed|--dynamic  its kind (dynamic)\n"
"      --block-size N     its blocks\n"
"      --prealloc         without holes\n"
"      --verify           read it again and compare\n"
"      --replace          even where FILE exists\n"
"      --search DIR, --drive C:=DIR, --parent FILE   where parents lie\n"
"      --limit-rate N     bytes a second (k, m, g)\n"
"      --json             job events, plan, graph and errors as JSON\n"
"  -q, --quiet            no progress, no notes\n";

/* Set by the signal, read by the engine. */
static atomic_bool stopped;

static void on_signal(int sig)
{
	atomic_store(&stopped, true);
}

static bool is_stopped(void *ctx)
{
	return atomic_load(&stopped);
}

enum {
	OPT_KEEP = 256, OPT_DELETE, OPT_ORPHAN, OPT_FORMAT, OPT_FIXED,
	OPT_DYNAMIC, OPT_BLOCK, OPT_PREALLOC, OPT_VERIFY, OPT_REPLACE,
	OPT_SEARCH, OPT_DRIVE, OPT_PARENT, OPT_RATE, OPT_JSON, OPT_TREE,
	OPT_STATUS, OPT_RESUME, OPT_ABORT,
};

static const struct option longs[] = {
	{ "dry-run", 0, NULL, 'n' }, { "output", 1, NULL, 'o' },
	{ "quiet", 0, NULL, 'q' }, { "help", 0, NULL, 'h' },
	{ "version", 0, NULL, 'V' }, { "keep", 0, NULL, OPT_KEEP },
	{ "delete", 0, NULL, OPT_DELETE },
	{ "orphan-others", 0, NULL, OPT_ORPHAN },
	{ "format", 1, NULL, OPT_FORMAT }, { "fixed", 0, NULL, OPT_FIXED },
	{ "dynamic", 0, NULL, OPT_DYNAMIC },
	{ "block-size", 1, NULL, OPT_BLOCK },
	{ "prealloc", 0, NULL, OPT_PREALLOC },
	{ "verify", 0, NULL, OPT_VERIFY },
	{ "replace", 0, NULL, OPT_REPLACE },
	{ "search", 1, NULL, OPT_SEARCH }, { "drive", 1, NULL, OPT_DRIVE },
	{ "parent", 1, NULL, OPT_PARENT },
	{ "limit-rate", 1, NULL, OPT_RATE }, { "json", 0, NULL, OPT_JSON },
	{ "tree", 0, NULL, OPT_TREE }, { "status", 0, NULL, OPT_STATUS },
	{ "resume", 0, NULL, OPT_RESUME }, { "abort", 0, NULL, OPT_ABORT },
	{ NULL, 0, NULL, 0 },
};

static int wrong(const char *text)
{
	fprintf(stderr, "vhdmerge: %s\n%s", text, usage);
	return OUT_USAGE;
}

static bool add(struct list *l, const char *text)
{
	if (l->n == LIST_MAX)
		return false;
	l->items[l->n++] = text;
	return true;
}

/* 10, 64k, 5M; false: not a number. */
static bool number(const char *text, unsigned long long *out)
{
	static const char units[] = "kmgt";
	char *end;
	const char *u;

	*out = strtoull(text, &end, 10);
	if (end == text || *text == '-')
		return false;
	u = *end ? strchr(units, *end | 0x20) : NULL;
	if (u && !end[1])
		*out <<= 10 * (u - units + 1);
	return !*end || (u && !end[1]);
}

static bool set_flag(struct options *o, int c)
{
	switch (c) {
	case 'n': o->dry_run = true; return true;
	case 'q': o->quiet = true; return true;
	case OPT_KEEP: o->remove = false; return true;
	case OPT_DELETE: o->remove = true; return true;
	case OPT_ORPHAN: o->orphan_others = true; return true;
	case OPT_FIXED: o->flat.kind = MERGE_FIXED; return true;
	case OPT_DYNAMIC: o->flat.kind = MERGE_DYNAMIC; return true;
	case OPT_PREALLOC: o->flat.prealloc = true; return true;
	case OPT_VERIFY: o->flat.verify = true; return true;
	case OPT_REPLACE: o->flat.replace = true; return true;
	case OPT_JSON: o->json = true; return true;
	case OPT_TREE: o->verb = VERB_TREE; return true;
	case OPT_STATUS: o->verb = VERB_STATUS; return true;
	case OPT_RESUME: o->verb = VERB_RESUME; return true;
	case OPT_ABORT: o->verb = VERB_ABORT; return true;
	default: return false;
	}
}

static bool set_value(struct options *o, int c, const char *arg)
{
	unsigned long long n;

	switch (c) {
	case 'o':
		o->verb = VERB_OUTPUT;
		o->output = arg;
		return true;
	case OPT_FORMAT:
		o->format = arg;
		return true;
	case OPT_BLOCK:
		if (!number(arg, &n) || n > UINT32_MAX)
			return false;
		o->flat.block_size = (uint32_t)n;
		return true;
	case OPT_SEARCH: return add(&o->search, arg);
	case OPT_DRIVE: return add(&o->drives, arg);
	case OPT_PARENT: return add(&o->parents, arg);
	case OPT_RATE: return number(arg, &o->rate);
	default: return false;
	}
}

/* 0 to go on, else the exit status + 1. */
static int parse(struct options *o, int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "no:qhV", longs, NULL)) != -1) {
		if (c == 'h' || c == 'V') {
			fputs(c == 'h' ? usage : "vhdmerge " PACKAGE_VERSION
			      "\n", stdout);
			return OUT_OK + 1;
		}
		if (c == '?')
			return wrong("wrong use") + 1;
		if (!set_flag(o, c) && !set_value(o, c, optarg))
			return wrong("an option has a wrong value") + 1;
	}
	o->words = argv + optind;
	o->n_words = argc - optind;
	return 0;
}

static bool has_suffix(const char *path, const char *suffix)
{
	const char *dot = strrchr(path, '.');

	return dot && !strcasecmp(dot, suffix);
}

static bool choose_format(struct options *o)
{
	if (o->format ? !strcasecmp(o->format, "vhd")
		      : has_suffix(o->output, ".vhd"))
		o->flat.format = DISK_VHD;
	else if (o->format ? !strcasecmp(o->format, "vhdx")
			   : has_suffix(o->output, ".vhdx"))
		o->flat.format = DISK_VHDX;
	else
		return false;
	return true;
}

static struct disk_opts disk_options(const struct options *o)
{
	return (struct disk_opts) {
		.parents = o->parents.items, .n_parents = o->parents.n,
		.search = o->search.items, .n_search = o->search.n,
		.drives = o->drives.items, .n_drives = o->drives.n,
	};
}

static struct merge_job job_for(const struct options *o, struct show *s)
{
	return (struct merge_job) {
		.ctx = s, .progress = show_progress, .stop = is_stopped,
		.bad = show_bad, .rate = o->rate,
	};
}

static int do_output(struct options *o)
{
	struct disk_opts opts = disk_options(o);
	struct diag why = DIAG_INIT;
	struct merge_done done = { 0 };
	struct merge_job job;
	struct show s;
	struct disk *d;
	int ret;

	if (!choose_format(o))
		return wrong("the new file's format: --format vhd or vhdx");
	ret = disk_open(o->words[0], &opts, &d, &why);
	if (ret)
		return show_error(o, &why);
	show_notes(o, d);
	show_begin(&s, o, "flatten");
	job = job_for(o, &s);
	ret = merge_to_file(d, o->output, &o->flat, &job, &done, &why);
	disk_close(d);
	return show_end(&s, ret, &why);
}

static void say_resume(const struct options *o, const char *target)
{
	if (!o->json && !o->quiet)
		fprintf(stderr, "vhdmerge: go on with: vhdmerge --resume %s\n",
			target);
}

/* A failure after the journal was written can be resumed. */
static bool has_begun(const char *target)
{
	struct merge_status st;

	if (merge_status_read(target, &st, NULL))
		return false;
	merge_status_free(&st);
	return true;
}

static int run(struct options *o, struct merge *m, struct show *s,
	       const char *target)
{
	struct diag why = DIAG_INIT;
	int ret = merge_run(m, &why);

	merge_close(m);
	ret = show_end(s, ret, &why);
	if (ret && has_begun(target))
		say_resume(o, target);
	return ret;
}

static int do_merge(struct options *o)
{
	struct merge_opts opts = {
		.disk = disk_options(o), .orphan_others = o->orphan_others,
		.remove = o->remove,
	};
	struct diag why = DIAG_INIT;
	struct merge_job job;
	struct merge *m;
	struct show s;

	/* A dry run tells what would be lost instead of refusing. */
	if (o->dry_run)
		opts.orphan_others = true;
	else
		show_begin(&s, o, "merge");
	job = job_for(o, &s);
	if (merge_open(o->words[0], o->words[1], &opts, &job, &m, &why))
		return o->dry_run ? show_error(o, &why)
				  : show_end(&s, why.code, &why);
	if (!o->dry_run)
		return run(o, m, &s, o->words[1]);
	show_plan(o, merge_plan(m));
	merge_close(m);
	return OUT_OK;
}

static int do_again(struct options *o)
{
	struct merge_opts opts = { .disk = disk_options(o) };
	struct diag why = DIAG_INIT;
	struct merge_job job;
	struct merge *m;
	struct show s;
	int ret;

	show_begin(&s, o, o->verb == VERB_ABORT ? "abort" : "merge");
	job = job_for(o, &s);
	ret = merge_reopen(o->words[0], &opts, &job, &m, &why);
	if (ret)
		return show_end(&s, ret, &why);
	if (o->verb == VERB_RESUME)
		return run(o, m, &s, o->words[0]);
	ret = merge_abort(m, &why);
	merge_close(m);
	return show_end(&s, ret, &why);
}

static int do_status(struct options *o)
{
	struct diag why = DIAG_INIT;
	struct merge_status st;

	if (merge_status_read(o->words[0], &st, &why))
		return show_error(o, &why);
	show_status(o, o->words[0], &st);
	merge_status_free(&st);
	return OUT_OK;
}

static int do_tree(struct options *o)
{
	struct diag why = DIAG_INIT;
	struct merge_graph g = { 0 };

	if (merge_graph_read((const char *const *)o->words,
			     (size_t)o->n_words, &g, &why))
		return show_error(o, &why);
	show_tree(o, &g);
	merge_graph_free(&g);
	return OUT_OK;
}

static int dispatch(struct options *o)
{
	static const int words[] = {
		[VERB_MERGE] = 2, [VERB_OUTPUT] = 1, [VERB_TREE] = 0,
		[VERB_STATUS] = 1, [VERB_RESUME] = 1, [VERB_ABORT] = 1,
	};

	if (o->verb == VERB_TREE ? o->n_words < 1
				 : o->n_words != words[o->verb])
		return wrong("wrong number of files");
	switch (o->verb) {
	case VERB_MERGE: return do_merge(o);
	case VERB_OUTPUT: return do_output(o);
	case VERB_TREE: return do_tree(o);
	case VERB_STATUS: return do_status(o);
	default: return do_again(o);
	}
}

int main(int argc, char **argv)
{
	struct sigaction stop = { .sa_handler = on_signal };
	static struct options o;
	int status = parse(&o, argc, argv);

	if (status)
		return status - 1;
	/* A second one kills: SA_RESETHAND. */
	stop.sa_flags = SA_RESETHAND;
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGHUP, &stop, NULL);
	return dispatch(&o);
}
