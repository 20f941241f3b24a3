/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names of images: their format, and how one is seen from another. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "tools/imgctl.h"

static const struct {
	const char *word;
	enum imgctl_format format;
} words[] = {
	{ "vhd", IMGCTL_VHD }, { "vhdx", IMGCTL_VHDX }, { "raw", IMGCTL_RAW },
	{ "avhd", IMGCTL_VHD }, { "avhdx", IMGCTL_VHDX },
	{ "vpc", IMGCTL_VHD }, { "img", IMGCTL_RAW }, { "bin", IMGCTL_RAW },
};

int imgctl_format_of(const char *word, const char *path,
		     enum imgctl_format *out, struct diag *why)
{
	const char *dot = strrchr(path, '.');
	const char *name = word ? word : dot ? dot + 1 : "";

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (!strcasecmp(words[i].word, name)) {
			*out = words[i].format;
			return 0;
		}
	if (word)
		return diag_fail(why, EINVAL, "--format %s: should be vhd, "
				 "vhdx or raw", word);
	return diag_fail(why, EINVAL, "%s: its name does not tell which "
			 "format: say --format", path);
}

/* The real directory of path, which need not exist itself; with an end
 * slash. */
static char *real_dir(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash ? mem_printf("%.*s/", (int)(slash - path), path)
			  : mem_strdup(".");
	char real[PATH_MAX];
	bool found = dir && realpath(dir, real);

	free(dir);
	if (!found)
		return NULL;
	return mem_printf("%s%s", real, real[1] ? "/" : "");
}

char *imgctl_relative(const char *from, const char *path)
{
	char *dir = real_dir(from), up[PATH_MAX] = "";
	size_t same = 0, n = 0;

	if (!dir)
		return NULL;
	for (size_t i = 0; dir[i] && dir[i] == path[i]; i++)
		if (dir[i] == '/')
			same = i + 1;
	for (const char *p = dir + same; *p; p++)
		if (*p == '/' && n + 4 < sizeof(up)) {
			memcpy(up + n, "../", 4);
			n += 3;
		}
	free(dir);
	return mem_printf("%s%s", up, path + same);
}
