/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Words of the command line. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/bounds.h"
#include "tools/imgctl.h"

/* Shared and own options together. */
#define OPTS_MAX 24

enum { OPT_HELP = 1000, OPT_JSON, OPT_FORCE, OPT_NO_LOCK, OPT_PARENT,
       OPT_SEARCH, OPT_DRIVE, OPT_OWN };

static const struct option shared[] = {
	{ "help", no_argument, NULL, OPT_HELP },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "force", no_argument, NULL, OPT_FORCE },
	{ "no-lock", no_argument, NULL, OPT_NO_LOCK },
	{ "parent", required_argument, NULL, OPT_PARENT },
	{ "search", required_argument, NULL, OPT_SEARCH },
	{ "drive", required_argument, NULL, OPT_DRIVE },
};

static unsigned shift_of(char suffix)
{
	const char *all = "kmgtp", *p;

	p = strchr(all, tolower((unsigned char)suffix));
	return p && *p ? 10 * (unsigned)(p - all + 1) : 0;
}

int imgctl_parse_size(const char *text, uint64_t *out)
{
	unsigned long long v;
	unsigned shift;
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno)
		return -EINVAL;
	shift = *end ? shift_of(*end) : 0;
	if (shift) {
		end++;
		end += !strcasecmp(end, "ib") ? 2 : !strcasecmp(end, "b");
	}
	if (*end || v > (UINT64_MAX >> shift))
		return -EINVAL;
	*out = (uint64_t)v << shift;
	return 0;
}

static int set_own(const struct imgctl_opt *o, const char *arg,
		   struct diag *why)
{
	switch (o->kind) {
	case IMGCTL_FLAG:
		*(bool *)o->target = true;
		return 0;
	case IMGCTL_TEXT:
		*(const char **)o->target = arg;
		return 0;
	case IMGCTL_SIZE:
		break;
	}
	if (imgctl_parse_size(arg, o->target))
		return diag_fail(why, EINVAL, "--%s %s: not a size like 512, "
				 "64m or 2t", o->name, arg);
	return 0;
}

static int add(const char **list, size_t *n, const char *arg, struct diag *why)
{
	if (*n == IMGCTL_LIST_MAX)
		return diag_fail(why, EINVAL, "%s: too many of them", arg);
	list[(*n)++] = arg;
	return 0;
}

static int set_shared(struct imgctl *c, int opt, const char *arg,
		      struct diag *why)
{
	switch (opt) {
	case OPT_JSON:
		c->json = true;
		return 0;
	case OPT_FORCE:
		c->force = c->disk.force = true;
		return 0;
	case OPT_NO_LOCK:
		c->disk.no_lock = true;
		return 0;
	case OPT_PARENT:
		return add(c->parents, &c->disk.n_parents, arg, why);
	case OPT_SEARCH:
		return add(c->search, &c->disk.n_search, arg, why);
	default:
		return add(c->drives, &c->disk.n_drives, arg, why);
	}
}

static void fill_table(struct option *all, const struct imgctl_opt *own)
{
	size_t n = ARRAY_LEN(shared);

	memcpy(all, shared, sizeof(shared));
	for (size_t i = 0; own && own[i].name && n < OPTS_MAX; i++)
		all[n++] = (struct option) {
			own[i].name,
			own[i].kind == IMGCTL_FLAG ? no_argument
						   : required_argument,
			NULL, OPT_OWN + (int)i,
		};
	all[n] = (struct option) { NULL, 0, NULL, 0 };
}

/* How the words begin that getopt does not tell: 1 for --help. */
static int each_word(struct imgctl *c, int argc, char **argv,
		     const struct imgctl_opt *own, struct diag *why)
{
	struct option all[OPTS_MAX + 1];
	int opt, ret = 0;

	fill_table(all, own);
	opterr = 0;
	while (!ret && (opt = getopt_long(argc, argv, ":", all, NULL)) != -1) {
		const char *word = argv[optind - 1];

		if (opt == ':')
			return diag_fail(why, EINVAL, "%s: needs a value",
					 word);
		if (opt == '?')
			return diag_fail(why, EINVAL, "%s: no such option",
					 word);
		if (opt == OPT_HELP)
			return 1;
		ret = opt >= OPT_OWN ? set_own(&own[opt - OPT_OWN], optarg, why)
				     : set_shared(c, opt, optarg, why);
	}
	return ret;
}

int imgctl_args(struct imgctl *c, int argc, char **argv,
		const struct imgctl_opt *own, int min, int max,
		struct diag *why)
{
	int ret;

	/* Errors of later words are JSON, too, wherever --json stands. */
	for (int i = 1; i < argc; i++)
		c->json |= !strcmp(argv[i], "--json");
	c->disk.parents = c->parents;
	c->disk.search = c->search;
	c->disk.drives = c->drives;
	c->disk.registry = imgctl_registry();
	ret = each_word(c, argc, argv, own, why);
	if (ret) {
		if (ret == 1)
			imgctl_usage(c, false);
		return ret;
	}
	c->n_files = argc - optind;
	if (c->n_files < min || c->n_files > max) {
		return diag_fail(why, EINVAL, "wrong use: imgctl %s %s",
				 c->verb->name, c->verb->usage);
	}
	for (int i = 0; i < c->n_files; i++)
		c->files[i] = argv[optind + i];
	return 0;
}
