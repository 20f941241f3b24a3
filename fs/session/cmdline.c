/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fs/session/cmdline.h"

#include <getopt.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"

#define AT(field) offsetof(struct cmdline, field)

/* Every standard word of fstab is accepted: a harmless one must not stop a
 * boot. rw is what mount(8) passes for every plain line, so it says nothing. */
static const struct word common_words[] = {
	{"rw", WORD_IGNORE, 0},
	{"defaults", WORD_IGNORE, 0},
	{"auto", WORD_IGNORE, 0},
	{"noauto", WORD_IGNORE, 0},
	{"user", WORD_IGNORE, 0},
	{"users", WORD_IGNORE, 0},
	{"nouser", WORD_IGNORE, 0},
	{"nousers", WORD_IGNORE, 0},
	{"owner", WORD_IGNORE, 0},
	{"noowner", WORD_IGNORE, 0},
	{"group", WORD_IGNORE, 0},
	{"nogroup", WORD_IGNORE, 0},
	{"nofail", WORD_IGNORE, 0},
	{"fail", WORD_IGNORE, 0},
	{"_netdev", WORD_IGNORE, 0},
	{"_rnetdev", WORD_IGNORE, 0},
	{"noquota", WORD_IGNORE, 0},
	{"quota", WORD_IGNORE, 0},
	{"comment", WORD_IGNORE, 0},
	{"uhelper", WORD_IGNORE, 0},
	{"helper", WORD_IGNORE, 0},
	{"silent", WORD_IGNORE, 0},
	{"loud", WORD_IGNORE, 0},
	{"relatime", WORD_IGNORE, 0},
	{"norelatime", WORD_IGNORE, 0},
	{"strictatime", WORD_IGNORE, 0},
	{"nostrictatime", WORD_IGNORE, 0},
	{"lazytime", WORD_IGNORE, 0},
	{"nolazytime", WORD_IGNORE, 0},
	{"diratime", WORD_IGNORE, 0},
	{"nodiratime", WORD_IGNORE, 0},
	{"iversion", WORD_IGNORE, 0},
	{"noiversion", WORD_IGNORE, 0},
	{"mand", WORD_IGNORE, 0},
	{"nomand", WORD_IGNORE, 0},
	{"async", WORD_IGNORE, 0},
	{"use_ino", WORD_IGNORE, 0},
	{"big_writes", WORD_IGNORE, 0},
	{"large_read", WORD_IGNORE, 0},
	{"drop_privileges", WORD_IGNORE, 0},
	{"fd", WORD_IGNORE, 0},
	{"rootmode", WORD_IGNORE, 0},
	{"user_id", WORD_IGNORE, 0},
	{"group_id", WORD_IGNORE, 0},
	{"blksize", WORD_IGNORE, 0},
	{"default_permissions", WORD_IGNORE, 0},
	{"fakeroot", WORD_IGNORE, 0},
	{"setuid", WORD_IGNORE, 0},
	{"sync", WORD_PASS, 0},
	{"dirsync", WORD_PASS, 0},
	{"atime", WORD_PASS, 0},
	{"noatime", WORD_PASS, 0},
	{"nodev", WORD_PASS, 0},
	{"dev", WORD_PASS, 0},
	{"nosuid", WORD_PASS, 0},
	{"suid", WORD_PASS, 0},
	{"noexec", WORD_PASS, 0},
	{"exec", WORD_PASS, 0},
	{"max_read", WORD_PASS, 0},
	{"allow_other", WORD_ON, AT(allow_other)},
	{"allow_root", WORD_ON, AT(allow_root)},
	{"auto_unmount", WORD_ON, AT(auto_unmount)},
	{"nonempty", WORD_ON, AT(nonempty)},
	{"ro", WORD_ON, AT(read_only)},
	{"must_rw", WORD_ON, AT(must_write)},
	{"direct_io", WORD_ON, AT(direct_io)},
	{"kernel_cache", WORD_ON, AT(kernel_cache)},
	{"auto_cache", WORD_ON, AT(auto_cache)},
	{"no_default_permissions", WORD_ON, AT(fake_perms)},
	{"json", WORD_ON, AT(json)},
	{"quiet", WORD_ON, AT(quiet)},
	{"debug", WORD_ON, AT(debug)},
	{"attr_timeout", WORD_SECONDS, AT(attr_timeout)},
	{"entry_timeout", WORD_SECONDS, AT(entry_timeout)},
	{"negative_timeout", WORD_SECONDS, AT(negative_timeout)},
	{"uid", WORD_ID, AT(uid)},
	{"gid", WORD_ID, AT(gid)},
	{"umask", WORD_OCTAL, AT(umask)},
	{"fmask", WORD_OCTAL, AT(fmask)},
	{"dmask", WORD_OCTAL, AT(dmask)},
	{"fsname", WORD_TEXT, AT(fsname)},
	{"subtype", WORD_TEXT, AT(subtype)},
	{NULL, WORD_IGNORE, 0},
};

/* mount.fuse3 puts "dev" and "suid" behind the options of every line that does
 * not have their negatives. Nobody asked for them: a stranger's image must not
 * bring setuid programs. Behind other words they do not count. */
static size_t drop_tail(const char *text, size_t len, const char *word)
{
	size_t n = strlen(word);

	if (len <= n || memcmp(text + len - n, word, n))
		return len;
	return text[len - n - 1] == ',' ? len - n - 1 : len;
}

static int take_options(const struct words *w, const char *arg,
			struct diag *why)
{
	size_t len = strlen(arg);
	char *text;
	int ret;

	if (strcmp(arg, "dev,suid"))
		len = drop_tail(arg, drop_tail(arg, len, "suid"), "dev");
	text = mem_alloc(1, len + 1);
	if (!text)
		return diag_fail(why, ENOMEM, "out of memory");
	memcpy(text, arg, len);
	text[len] = '\0';
	ret = words_parse(w, text, why);
	free(text);
	return ret;
}

enum { OPT_JSON = 256, OPT_RW, OPT_LAZY, OPT_TIMEOUT };

static const struct option long_options[] = {
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ "ro", no_argument, NULL, 'r' },
	{ "read-only", no_argument, NULL, 'r' },
	{ "rw", no_argument, NULL, 'w' },
	{ "foreground", no_argument, NULL, 'f' },
	{ "debug", no_argument, NULL, 'd' },
	{ "options", required_argument, NULL, 'o' },
	{ "unmount", no_argument, NULL, 'u' },
	{ "lazy", no_argument, NULL, OPT_LAZY },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "quiet", no_argument, NULL, 'q' },
	{ NULL, 0, NULL, 0 },
};

static int take_switch(int c, struct cmdline *out)
{
	switch (c) {
	case 'f': out->foreground = true; return 0;
	case 'd': out->foreground = out->debug = true; return 0;
	case 's': out->single = true; return 0;
	case 'r': out->read_only = true; return 0;
	case 'w': out->must_write = true; return 0;
	case 'q': out->quiet = true; return 0;
	case 'u': out->action = CMD_UNMOUNT; return 0;
	case 'h': out->action = CMD_HELP; return 0;
	case 'V': out->action = CMD_VERSION; return 0;
	case 'n': case 'v': case 'i': return 0;
	case OPT_JSON: out->json = true; return 0;
	case OPT_LAZY: case 'l': out->unmount.lazy = true; return 0;
	case OPT_TIMEOUT:
		out->unmount.timeout = (unsigned)atoi(optarg);
		return 0;
	default: return -EINVAL;
	}
}

/* mount(8) calls: mount.NAME SPEC DIR [-sfnv] [-N ns] [-o opts] [-t type];
 * there -f means "pretend" and -s "tolerate". */
static int take_helper_switch(int c, struct cmdline *out)
{
	switch (c) {
	case 'f': out->action = CMD_FAKE; return 0;
	case 's': case 'n': case 'v': case 'N': case 't': return 0;
	case 'r': out->read_only = true; return 0;
	case 'w': return 0;
	default: return take_switch(c, out);
	}
}

/* umount(8) calls: umount.fuse.NAME DIR [-flnrv] [-N ns] [-t type]. */
static int take_umount_switch(int c, struct cmdline *out)
{
	switch (c) {
	case 'f': out->unmount.force = true; return 0;
	case 'l': out->unmount.lazy = true; return 0;
	case 'n': case 'r': case 'v': case 'N': case 't': return 0;
	default: return take_switch(c, out);
	}
}

static int place_arguments(int argc, char **argv, struct cmdline *out,
			   struct diag *why)
{
	int n = argc - optind, want = out->action == CMD_UNMOUNT ? 1 : 2;

	if (out->action == CMD_HELP || out->action == CMD_VERSION)
		return 0;
	if (n != want)
		return diag_fail(why, EINVAL, want == 1 ?
				 "one directory to unmount is wanted" :
				 "an image and a directory are wanted (see "
				 "--help)");
	if (want == 2)
		out->image = argv[optind];
	out->dir = argv[argc - 1];
	return 0;
}

int cmdline_parse(int argc, char **argv, const struct session_type *type,
		  struct cmdline *out, struct diag *why)
{
	const char *self = basename(argv[0]);
	bool helper = !strncmp(self, "mount.", 6);
	bool umount = !strncmp(self, "umount.", 7);
	const char *letters = helper ? "sfnvrwo:N:t:hV" :
		umount ? "flnrvN:t:hV" : "fdsrwqunlvo:hV";
	struct words common = { common_words, out, NULL, &out->pass };
	struct words own = { type->words, type->opts, &common, &out->pass };
	int c, ret = 0;

	*out = (struct cmdline) {
		.attr_timeout = -1, .entry_timeout = -1, .negative_timeout = -1,
		.action = umount ? CMD_UNMOUNT : CMD_MOUNT,
	};
	opterr = 0;
	while (!ret && (c = getopt_long(argc, argv, letters, long_options,
					NULL)) != -1) {
		if (c == '?')
			ret = diag_fail(why, EINVAL, "unknown option: %s (see "
					"--help)", argv[optind - 1]);
		else if (c == 'o')
			ret = take_options(&own, optarg, why);
		else
			ret = helper ? take_helper_switch(c, out) :
			      umount ? take_umount_switch(c, out) :
			      take_switch(c, out);
	}
	if (ret)
		return ret;
	if (out->read_only && out->must_write)
		return diag_fail(why, EINVAL,
				 "ro and must_rw (-w) contradict each other");
	return place_arguments(argc, argv, out, why);
}

void cmdline_free(struct cmdline *c)
{
	word_list_free(&c->pass);
	free(c->fsname);
	free(c->subtype);
}

void cmdline_help(const struct session_type *type)
{
	printf("usage: %s %s\n"
	       "       %s -u DIR\n\n"
	       "  -o WORD,WORD=VALUE...  options, see below and %s(1)\n"
	       "  -r, --ro       read-only\n"
	       "  -w, --rw       writable, or fail (must_rw)\n"
	       "  -f             stay in the foreground\n"
	       "  -d             the same, and trace every request\n"
	       "  -s             one thread\n"
	       "  -q             no warnings\n"
	       "  -u             unmount, and return when all is on disk\n"
	       "      --lazy, --timeout=SECONDS   with -u\n"
	       "      --json     errors as JSON on stderr\n"
	       "  -h, -V         this help, the version\n\n"
	       "Options for -o: ro must_rw uid=N gid=N umask=OCTAL "
	       "fmask=OCTAL dmask=OCTAL\n"
	       "  allow_other nonempty noexec nosuid nodev noatime sync "
	       "direct_io kernel_cache\n"
	       "  attr_timeout=S entry_timeout=S fsname=TEXT, and every "
	       "word of fstab(5)\n%s",
	       type->name, type->usage, type->name, type->name, type->help);
}
