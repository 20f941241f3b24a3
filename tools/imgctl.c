/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The suite's control program: which verb. */
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "formats/base/bounds.h"
#include "tools/imgctl.h"

static const struct imgctl_verb verbs[] = {
	{ "info", "[--json] FILE",
	  "what an image is, its chain, what lies inside, who holds it",
	  imgctl_info },
	{ "create", "fixed|dynamic|child [--size SIZE] [--parent FILE] "
	  "[--format vhd|vhdx] [--block SIZE] [--sector 512|4096] "
	  "[--windows PATH] FILE",
	  "a new, empty disk", imgctl_create },
	{ "check", "[--repair] [--windows] [--json] FILE",
	  "is it sound, and would Windows attach it?", imgctl_check },
	{ "map", "[--json | --svg OUT] FILE",
	  "which file of the chain serves which range", imgctl_map },
	{ "compare", "[--json] A B", "do two disks hold the same?",
	  imgctl_compare },
	{ "convert", "[--format vhd|vhdx|raw] [--type fixed|dynamic] "
	  "[--block SIZE] [--json] IN OUT",
	  "a chain as one new file, VHD, VHDX or raw", imgctl_convert },
	{ "relink", "--parent NEW [--windows PATH] [--force] CHILD",
	  "tells a child where its parent is now", imgctl_relink },
	{ "compact", "[--format vhd|vhdx|raw] [--no-free] [--json] IN OUT",
	  "a copy without blocks that are zero or free inside",
	  imgctl_compact },
};

static void help(void)
{
	puts("imgctl makes, checks and changes disk images.\n\nVerbs:");
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		printf("  %-8s %s\n", verbs[i].name, verbs[i].summary);
	puts("\nOptions that every verb takes:\n"
	     "  --parent FILE    the parent, then its parent, and so on\n"
	     "  --search DIR     look for parents there, too\n"
	     "  --drive C:=DIR   where a Windows drive is\n"
	     "  --force          in spite of wrong checksums or identities\n"
	     "  --no-lock        read without locks\n"
	     "  --json           results and errors for programs\n"
	     "\nimgctl VERB --help: the words of a verb. imgctl(1): the rest.");
}

static const struct imgctl_verb *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

int main(int argc, char **argv)
{
	static struct imgctl c;

	if (argc < 2) {
		fputs("imgctl: which verb? imgctl --help lists them\n",
		      stderr);
		return OUT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help")) {
		help();
		return OUT_OK;
	}
	if (!strcmp(argv[1], "--version")) {
		puts("imgctl " PACKAGE_VERSION);
		return OUT_OK;
	}
	c.verb = find(argv[1]);
	if (!c.verb) {
		fprintf(stderr, "imgctl: no such verb: %s\n", argv[1]);
		return OUT_USAGE;
	}
	return c.verb->run(&c, argc - 1, argv + 1);
}
