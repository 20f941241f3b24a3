/* SPDX-License-Identifier: GPL-3.0-or-later */
/* imgctl check: is a disk sound, are its parents the right ones, were the
 * volumes inside left cleanly, would Windows attach it? */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "formats/base/bounds.h"
#include "tools/imgctl_check.h"

static const char *const weights[] = { "note", "warning", "error" };

void imgctl_find(struct imgctl_check *k, enum imgctl_weight weight,
		 enum outcome out, const char *where, const char *fmt, ...)
{
	char text[DIAG_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	k->n[weight]++;
	if (weight == IMGCTL_ERROR || out == OUT_VOLUME_DIRTY)
		if (!k->worst || k->worst == OUT_VOLUME_DIRTY)
			k->worst = out;
	json_array_append_new(k->findings, json_pack("{s:s, s:s, s:o}",
		"weight", weights[weight], "where", where,
		"text", imgctl_json_text(text)));
}

static void check_alone(struct imgctl_check *k)
{
	struct diag why = DIAG_INIT;
	struct imgctl_leaf l;

	if (imgctl_leaf_open(k->c, k->c->files[0], false, &l, &why)) {
		imgctl_find(k, IMGCTL_ERROR, why.out, "open", "%s", why.text);
		return;
	}
	imgctl_check_structure(k, &l);
	if (k->windows)
		imgctl_check_windows(k, &l);
	imgctl_leaf_close(&l);
}

/* The parents' own tables: their first damage breaks the child, too. */
static void check_links(struct imgctl_check *k, struct disk *d)
{
	for (size_t i = 1; i < disk_depth(d); i++) {
		const struct disk_link *x = disk_link(d, i);
		struct imgctl_leaf l = {
			.file = x->file,
			.vhd = x->format == DISK_VHD ? x->container : NULL,
			.vhdx = x->format == DISK_VHDX ? x->container : NULL,
		};

		imgctl_check_structure(k, &l);
	}
}

static void check_chain(struct imgctl_check *k)
{
	struct diag why = DIAG_INIT;
	struct disk *d;

	if (disk_open(k->c->files[0], &k->c->disk, &d, &why)) {
		imgctl_find(k, IMGCTL_ERROR, why.out,
			    why.out == OUT_CHAIN ? "chain" : "open", "%s",
			    why.text);
		return;
	}
	check_links(k, d);
	imgctl_check_inside(k, disk_dev(d));
	for (size_t i = 0; disk_note(d, i); i++)
		imgctl_find(k, IMGCTL_NOTE, OUT_OK, "disk", "%s",
			    disk_note(d, i));
	disk_close(d);
}

static int say_json(struct imgctl_check *k)
{
	const struct outcome_row *row = outcome_find(k->worst);
	json_t *j = json_pack("{s:o, s:s, s:i, s:b, s:i, s:i, s:i, s:O}",
		"image", imgctl_json_text(k->c->files[0]),
		"result", row->name, "code", (int)k->worst,
		"sound", !k->n[IMGCTL_ERROR],
		"errors", (int)k->n[IMGCTL_ERROR],
		"warnings", (int)k->n[IMGCTL_WARNING],
		"notes", (int)k->n[IMGCTL_NOTE], "findings", k->findings);
	int ret = imgctl_put_json(k->c, j);

	return ret ? ret : (int)k->worst;
}

static int say(struct imgctl_check *k)
{
	size_t i;
	json_t *f;

	if (k->c->json)
		return say_json(k);
	json_array_foreach(k->findings, i, f)
		printf("%s: %s\n",
		       json_string_value(json_object_get(f, "weight")),
		       json_string_value(json_object_get(f, "text")));
	if (k->n[IMGCTL_ERROR])
		printf("%s: errors: %u, warnings: %u\n", k->c->files[0],
		       k->n[IMGCTL_ERROR], k->n[IMGCTL_WARNING]);
	else
		printf("%s: sound%s\n", k->c->files[0],
		       k->n[IMGCTL_WARNING] ? ", with warnings" : "");
	return (int)k->worst;
}

static int check_disk(struct imgctl *c, void *arg)
{
	struct imgctl_check *k = arg;
	struct diag why = DIAG_INIT;
	int ret = 0, status;

	k->c = c;
	k->findings = json_array();
	if (k->repair)
		ret = imgctl_repair(k, &why);
	if (!ret) {
		check_alone(k);
		/* What a damaged file says of its parents is of no use. */
		if (!k->n[IMGCTL_ERROR])
			check_chain(k);
	}
	status = ret ? imgctl_fail(c, &why) : say(k);
	json_decref(k->findings);
	return status;
}

int imgctl_check(struct imgctl *c, int argc, char **argv)
{
	static const struct imgctl_form forms[] = { { NULL, check_disk } };
	struct imgctl_check k = { .repair = false };
	const struct imgctl_opt own[] = {
		{ "repair", IMGCTL_FLAG, &k.repair },
		{ "windows", IMGCTL_FLAG, &k.windows },
		{ NULL, IMGCTL_FLAG, NULL },
	};
	struct diag why = DIAG_INIT;
	int ret = imgctl_args(c, argc, argv, own, 1, 1, &why);

	if (ret == 1)
		return OUT_OK;
	return ret ? imgctl_fail(c, &why)
		   : imgctl_by_content(forms, ARRAY_LEN(forms), c, &k);
}
