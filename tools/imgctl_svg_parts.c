/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The partitions of a chain's picture, and its words. */
#include <stdlib.h>
#include <string.h>

#include "formats/base/dev_slice.h"
#include "formats/part/part.h"
#include "formats/volume/volume.h"
#include "tools/imgctl_svg.h"

/* What a letter of 12 pixels is wide, about. */
#define LETTER 7

static void put_char(FILE *out, char c)
{
	switch (c) {
	case '<': fputs("&lt;", out); break;
	case '>': fputs("&gt;", out); break;
	case '&': fputs("&amp;", out); break;
	case '"': fputs("&quot;", out); break;
	default: fputc(c, out);
	}
}

/* The start of the character after the one at p. */
static size_t next(const char *text, size_t p)
{
	do
		p++;
	while ((text[p] & 0xc0) == 0x80);
	return p;
}

static size_t letters(const char *text)
{
	size_t n = 0;

	for (size_t p = 0; text[p]; p = next(text, p))
		n++;
	return n;
}

void imgctl_svg_text(FILE *out, const char *text, size_t max)
{
	/* json_string() judges UTF-8: a file's name may be anything. */
	json_t *j = imgctl_json_text(text);
	const char *s = j ? json_string_value(j) : "";
	size_t n = letters(s), k = 0;

	for (size_t p = 0, e; s[p]; p = e, k++) {
		e = next(s, p);
		if (n > max && k == max / 2)
			fputs("\xe2\x80\xa6", out);
		if (n > max && k >= max / 2 && k < n - (max - max / 2 - 1))
			continue;
		for (; p < e; p++)
			/* XML has no control characters. */
			put_char(out, (unsigned char)s[p] < 32 ? '?' : s[p]);
	}
	json_decref(j);
}

static void name_of(struct imgctl_pic *p, const struct part *part, char *text,
		    size_t size)
{
	struct volume_info info = { .mountable = false };
	struct dev *slice;

	if (!dev_slice_new(disk_dev(p->d), part->off, part->len, &slice,
			   NULL)) {
		if (volume_probe(slice, &info, NULL))
			info.type[0] = '\0';
		dev_close(slice);
	}
	snprintf(text, size, "%u %s%s%s", part->number,
		 *info.type ? info.type : *part->label ? part->label
		 : "unknown",
		 *info.label ? " " : "", info.label);
}

static void put_part(struct imgctl_pic *p, const struct part *part, int x,
		     int y)
{
	double scale = IMGCTL_COLS / (double)p->size;
	double at = (double)part->off * scale;
	double width = (double)part->len * scale;
	char size[IMGCTL_SIZE_TEXT], text[400];

	name_of(p, part, text, sizeof(text));
	fprintf(p->out, "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"6\" "
		"rx=\"2\" fill=\"#5b6873\"><title>", x + at, y,
		width < 2 ? 2 : width - 1);
	imgctl_svg_text(p->out, text, 200);
	fprintf(p->out, ", %s</title></rect>\n",
		imgctl_size_text(part->len, size));
	/* A name that does not fit would lie over its neighbour's. */
	if (width < 6 * LETTER)
		return;
	fprintf(p->out, "<text x=\"%.1f\" y=\"%d\" font-size=\"12\" "
		"text-anchor=\"middle\">", x + at + width / 2, y + 20);
	imgctl_svg_text(p->out, text, (size_t)(width / LETTER));
	fputs("</text>\n", p->out);
}

void imgctl_svg_parts(struct imgctl_pic *p, int x, int y, int height)
{
	struct part_table t;

	fprintf(p->out, "<text x=\"24\" y=\"%d\" fill=\"#5b6873\" "
		"font-size=\"12\">partitions</text>\n", y + 12);
	if (part_load(disk_dev(p->d), &t, NULL))
		return;
	if (!t.n)
		fprintf(p->out, "<text x=\"%d\" y=\"%d\" fill=\"#5b6873\" "
			"font-size=\"12\">none</text>\n", x, y + 12);
	for (size_t i = 0; i < t.n; i++)
		put_part(p, &t.parts[i], x, y);
	part_free(&t);
}
