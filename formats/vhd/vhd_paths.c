/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where the parent is, as it is written down: FORMAT.md 6 and 7.4. */
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/base/utf16.h"
#include "formats/vhd/vhd_int.h"

/* dir/p.vhd -> .\dir\p.vhd as Windows expects it, in UTF-16LE. */
static int encode_relative(const char *path, struct vhd_paths *out,
			   struct diag *why)
{
	bool dotted = !strncmp(path, "./", 2) || !strncmp(path, "../", 3) ||
		      !strncmp(path, ".\\", 2) || !strncmp(path, "..\\", 3);
	char *text = mem_printf("%s%s", dotted ? "" : ".\\", path);
	int n;

	if (!text)
		return diag_fail(why, ENOMEM, "vhd: out of memory");
	for (char *c = text; *c; c++)
		if (*c == '/')
			*c = '\\';
	n = utf8_to_utf16le(text, strlen(text), out->relative,
			    VHD_PATH_ROOM / 2);
	free(text);
	if (n < 0)
		return diag_fail(why, n, "vhd: path to the parent cannot be "
				 "stored: %s", path);
	out->relative_len = (size_t)n * 2;
	return 0;
}

static int encode_windows(const char *path, struct vhd_paths *out,
			  struct diag *why)
{
	int n;

	if (!path)
		return 0;
	n = utf8_to_utf16le(path, strlen(path), out->windows,
			    VHD_PATH_ROOM / 2);
	if (n < 0)
		return diag_fail(why, n, "vhd: path to the parent cannot be "
				 "stored: %s", path);
	out->windows_len = (size_t)n * 2;
	return 0;
}

static const char *base_name(const char *path)
{
	const char *base = path;

	for (const char *c = path; *c; c++)
		if (*c == '/' || *c == '\\')
			base = c + 1;
	return base;
}

/* The whole Windows path where it is known and fits, else the file's name. */
static int encode_name(const char *relative, const char *windows,
		       struct vhd_paths *out, struct diag *why)
{
	const char *name = windows;
	be16_t *units = out->name;
	int n = -ENAMETOOLONG;

	if (name)
		n = utf8_to_utf16be(name, strlen(name), units,
				    VHD_NAME_UNITS - 1);
	if (n < 0) {
		name = base_name(relative);
		n = utf8_to_utf16be(name, strlen(name), units,
				    VHD_NAME_UNITS - 1);
	}
	if (n < 0)
		return diag_fail(why, n, "vhd: parent's name cannot be stored: "
				 "%s", name);
	memset(units + n, 0, (VHD_NAME_UNITS - (size_t)n) * sizeof(*units));
	return 0;
}

int vhd_paths_encode(const char *relative, const char *windows,
		     struct vhd_paths *out, struct diag *why)
{
	int ret = encode_relative(relative, out, why);

	if (!ret)
		ret = encode_windows(windows, out, why);
	return ret ? ret : encode_name(relative, windows, out, why);
}

struct vhd_locator_disk vhd_paths_locator(const char *code, uint64_t off,
					  size_t len)
{
	struct vhd_locator_disk l = {
		.space = to_be32(VHD_PATH_ROOM), .len = to_be32((uint32_t)len),
		.off = to_be64(off),
	};

	memcpy(l.code, code, sizeof(l.code));
	return l;
}
