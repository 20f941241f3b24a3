/* SPDX-License-Identifier: GPL-3.0-or-later */
/* imgctl map: which file of the chain serves which range, as text, JSON or a
 * picture. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "tools/imgctl_map.h"

static const char *const kinds[] = { "nothing", "data", "zero" };

struct totals {
	uint64_t data, zero;
};

struct list {
	struct disk *d;
	json_t *ranges;			/* JSON only */
	struct totals *links;		/* owned; one each */
	uint64_t nothing;
};

/* Where the bytes of the range begin in their file, when that is one place. */
static void add_place(json_t *j, struct disk *d, const struct imgctl_range *r)
{
	struct dev_run run;

	if (r->kind == IMGCTL_DATA &&
	    dev_map(disk_dev(d), r->off, r->len, &run, 1) == 1 &&
	    run.kind == DEV_RUN_FD && run.len == r->len)
		json_object_set_new(j, "file_offset",
				    imgctl_json_u64(run.off));
}

static void count(struct list *l, const struct imgctl_range *r)
{
	if (r->kind == IMGCTL_NOTHING)
		l->nothing += r->len;
	else if (r->kind == IMGCTL_DATA)
		l->links[r->link].data += r->len;
	else
		l->links[r->link].zero += r->len;
}

static int add_json(void *ctx, const struct imgctl_range *r)
{
	struct list *l = ctx;
	json_t *j = json_pack("{s:o, s:o, s:s}",
			      "offset", imgctl_json_u64(r->off),
			      "length", imgctl_json_u64(r->len),
			      "state", kinds[r->kind]);

	if (!j)
		return -ENOMEM;
	if (r->kind != IMGCTL_NOTHING)
		json_object_set_new(j, "link", imgctl_json_u64(r->link));
	add_place(j, l->d, r);
	count(l, r);
	return json_array_append_new(l->ranges, j) ? -ENOMEM : 0;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int put_line(void *ctx, const struct imgctl_range *r)
{
	struct list *l = ctx;
	char size[IMGCTL_SIZE_TEXT];

	count(l, r);
	printf("%16llu %16llu %10s  %s%s\n", (unsigned long long)r->off,
	       (unsigned long long)r->len, imgctl_size_text(r->len, size),
	       r->kind == IMGCTL_NOTHING ? "nothing" :
	       base_name(disk_link(l->d, r->link)->path),
	       r->kind == IMGCTL_ZERO ? " (zeros)" : "");
	return 0;
}

static int map_text(struct imgctl *c, struct list *l, struct diag *why)
{
	char data[IMGCTL_SIZE_TEXT], zero[IMGCTL_SIZE_TEXT];
	int ret;

	printf("%16s %16s %10s  %s\n", "offset", "length", "", "from");
	ret = imgctl_map_walk(l->d, 0, false, put_line, l, why);
	if (ret)
		return imgctl_fail(c, why);
	puts("");
	for (size_t i = 0; i < disk_depth(l->d); i++) {
		const struct totals *t = &l->links[i];

		printf("%s: %s", base_name(disk_link(l->d, i)->path),
		       imgctl_size_text(t->data, data));
		if (t->zero)
			printf(", %s of zeros",
			       imgctl_size_text(t->zero, zero));
		puts("");
	}
	printf("nothing: %s\n", imgctl_size_text(l->nothing, data));
	return OUT_OK;
}

static json_t *links_json(const struct list *l)
{
	json_t *all = json_array();

	for (size_t i = 0; i < disk_depth(l->d); i++)
		json_array_append_new(all, json_pack("{s:o, s:s, s:o, s:o}",
			"path", imgctl_json_text(disk_link(l->d, i)->path),
			"type", disk_link(l->d, i)->kind,
			"data", imgctl_json_u64(l->links[i].data),
			"zero", imgctl_json_u64(l->links[i].zero)));
	return all;
}

static int map_json(struct imgctl *c, struct list *l, struct diag *why)
{
	int ret;

	l->ranges = json_array();
	ret = imgctl_map_walk(l->d, 0, false, add_json, l, why);
	if (ret) {
		json_decref(l->ranges);
		if (!why->code)
			diag_fail(why, ret, "out of memory");
		return imgctl_fail(c, why);
	}
	return imgctl_put_json(c, json_pack("{s:o, s:o, s:o, s:o}",
		"virtual_size", imgctl_json_u64(dev_size(disk_dev(l->d))),
		"links", links_json(l),
		"nothing", imgctl_json_u64(l->nothing),
		"ranges", l->ranges));
}

static int map_svg(struct imgctl *c, struct disk *d, const char *path,
		   struct diag *why)
{
	bool to_stdout = !strcmp(path, "-");
	FILE *f = to_stdout ? stdout : fopen(path, "wxe");
	int ret;

	if (!f) {
		diag_fail(why, errno, "%s: %s", path, strerror(errno));
		return imgctl_fail(c, why);
	}
	ret = imgctl_svg(d, f, why);
	if (to_stdout ? fflush(f) : fclose(f))
		ret = diag_fail(why, errno, "%s: %s", path, strerror(errno));
	if (!ret)
		return OUT_OK;
	if (!to_stdout)
		remove(path);
	return imgctl_fail(c, why);
}

static int map_disk(struct imgctl *c, void *arg)
{
	const char *svg = *(const char **)arg;
	struct diag why = DIAG_INIT;
	struct list l = { 0 };
	int status;

	if (disk_open(c->files[0], &c->disk, &l.d, &why))
		return imgctl_fail(c, &why);
	l.links = mem_zalloc(disk_depth(l.d), sizeof(*l.links));
	if (!l.links)
		diag_fail(&why, ENOMEM, "out of memory");
	if (why.code)
		status = imgctl_fail(c, &why);
	else if (svg)
		status = map_svg(c, l.d, svg, &why);
	else if (c->json)
		status = map_json(c, &l, &why);
	else
		status = map_text(c, &l, &why);
	free(l.links);
	disk_close(l.d);
	return status;
}

int imgctl_map(struct imgctl *c, int argc, char **argv)
{
	static const struct imgctl_form forms[] = { { NULL, map_disk } };
	const char *svg = NULL;
	const struct imgctl_opt own[] = {
		{ "svg", IMGCTL_TEXT, &svg },
		{ NULL, IMGCTL_FLAG, NULL },
	};
	struct diag why = DIAG_INIT;
	int ret = imgctl_args(c, argc, argv, own, 1, 1, &why);

	if (ret == 1)
		return OUT_OK;
	return ret ? imgctl_fail(c, &why)
		   : imgctl_by_content(forms, ARRAY_LEN(forms), c, &svg);
}
