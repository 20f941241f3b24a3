/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 *	viewtool raw|rw|all|volumes FILE [SECTOR] < treescript
 *	viewtool image-raw|image-all|image-tree FILE [PART [SB]] < treescript
 * The view of a raw file. In "all", each partition's tree is a raw view of
 * that partition: nodes, handles and ranges pass through two trees. In
 * "volumes" it is that of the volume, where one can be shown. "image-" opens
 * any disk as vhdfs does, read-only, and prints what it would warn of.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/base/dev_file.h"
#include "formats/base/dev_slice.h"
#include "formats/part/part.h"
#include "formats/view/view.h"
#include "formats/view/view_image.h"
#include "formats/volume/volume.h"
#include "tests/c/treescript.h"

#define PARTS 16

static bool is_all(const char *how)
{
	return *how == 'a' || *how == 'v';
}

static int fail(const struct diag *why)
{
	printf("error %s\n", why->text);
	return 1;
}

static int open_volume(struct view_part *p, struct diag *why)
{
	struct volume_opts opts = { .want_write = false };
	struct volume_info info;
	int ret = volume_probe(p->dev, &info, why);

	if (ret || info.mountable)
		return ret ? ret : volume_open(p->dev, &opts, &p->tree, why);
	dev_close(p->dev);
	p->dev = NULL;
	return 0;
}

static int open_sub(struct dev *disk, const char *how, struct view_part *p,
		    struct diag *why)
{
	struct view_what what = { .mtime.tv_sec = 7 };
	int ret = dev_slice_new(disk, p->off, p->len, &p->dev, why);

	if (ret)
		return ret;
	if (*how == 'v')
		return open_volume(p, why);
	what.disk = p->dev;
	return view_raw_open(&what, &p->tree, why);
}

static int open_view(struct dev *disk, const char *how, struct tree **out,
		     struct diag *why)
{
	struct view_part parts[PARTS] = { 0 };
	struct view_what what = {
		.disk = disk, .parts = parts, .writable = !strcmp(how, "rw"),
		.mtime.tv_sec = 1000000000, .uid = 12, .gid = 34,
	};
	struct part_table t;
	int ret = part_load(disk, &t, why);

	for (size_t i = 0; !ret && i < t.n && i < PARTS; i++) {
		parts[i] = (struct view_part) {
			.number = t.parts[i].number, .off = t.parts[i].off,
			.len = t.parts[i].len,
		};
		what.n = i + 1;
		if (is_all(how))
			ret = open_sub(disk, how, &parts[i], why);
	}
	if (!ret && !t.n && is_all(how)) {
		parts[0].len = dev_size(disk);
		what.n = 1;
		ret = open_sub(disk, how, &parts[0], why);
	}
	if (ret)
		return ret;
	part_free(&t);
	return is_all(how) ? view_all_open(&what, out, why)
			   : view_raw_open(&what, out, why);
}

static void warn(void *ctx, const char *text)
{
	printf("warning %s\n", text);
}

static int do_image(int argc, char **argv)
{
	struct view_image_opts opts = {
		.volume.warn = warn, .part = argc > 3 ? argv[3] : NULL,
		.volume.sb = argc > 4 ? strtoull(argv[4], NULL, 0) : 0,
		.kind = !strcmp(argv[1], "image-raw") ? VIEW_RAW :
			!strcmp(argv[1], "image-all") ? VIEW_ALL : VIEW_TREE,
	};
	struct diag why = DIAG_INIT, not_writable = DIAG_INIT;
	struct view_image *v;
	int ret;

	if (view_image_open(argv[2], &opts, &v, &not_writable, &why))
		return fail(&why);
	ret = treescript_run(view_image_tree(v), stdin, stdout);
	return view_image_close(v) || ret;
}

int main(int argc, char **argv)
{
	struct diag why = DIAG_INIT;
	struct dev *disk;
	struct tree *t;
	int ret;

	if (argc < 3) {
		fprintf(stderr, "viewtool raw|rw|all|volumes FILE\n");
		return 2;
	}
	if (!strncmp(argv[1], "image-", 6))
		return do_image(argc, argv);
	if (dev_file_open(argv[2], !strcmp(argv[1], "rw"), &disk, &why))
		return fail(&why);
	if (argc > 3)
		disk->sector_size = (uint32_t)atoi(argv[3]);
	if (open_view(disk, argv[1], &t, &why))
		return fail(&why);
	ret = treescript_run(t, stdin, stdout);
	tree_close(t);
	dev_close(disk);
	return !!ret;
}
