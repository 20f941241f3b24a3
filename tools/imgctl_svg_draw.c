/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The picture's ink. */
#include <string.h>

#include "formats/base/bounds.h"
#include "tools/imgctl_svg.h"

/* Left of the disk: names; right of it: sizes. */
#define LEFT	256
#define RIGHT	210
#define WIDTH	(LEFT + IMGCTL_COLS + RIGHT)
#define TOP	96
#define SEEN	46		/* height of the disk as it is seen */
#define STRIP	24		/* of the partitions */
#define LANES	(TOP + SEEN + 10 + STRIP + 30)

/* Told apart by people who see few colours, too (Okabe and Ito). */
static const char *const colours[] = {
	"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00",
};

static const char *colour(size_t link)
{
	return colours[link % ARRAY_LEN(colours)];
}

/* Long chains get narrow lanes, so that they fit on a screen. */
static int pitch(const struct imgctl_pic *p)
{
	return p->n <= 8 ? 58 : p->n <= 16 ? 40 : 22;
}

static int foot(const struct imgctl_pic *p)
{
	return LANES + (int)p->n * pitch(p) + 8;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void put_head(struct imgctl_pic *p)
{
	const struct disk_link *leaf = disk_link(p->d, 0);
	char size[IMGCTL_SIZE_TEXT];
	int height = foot(p) + 96;

	fprintf(p->out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" "
		"height=\"%d\" viewBox=\"0 0 %d %d\" font-family=\"'Noto Sans',"
		"'DejaVu Sans',Helvetica,Arial,sans-serif\" font-size=\"13\" "
		"fill=\"#1c2733\">\n"
		"<defs><pattern id=\"zero\" width=\"6\" height=\"6\" "
		"patternUnits=\"userSpaceOnUse\" patternTransform=\""
		"rotate(45)\"><rect width=\"6\" height=\"6\" fill=\"#fff\"/>"
		"<rect width=\"2\" height=\"6\" fill=\"#77828d\"/></pattern>"
		"</defs>\n<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n",
		WIDTH, height, WIDTH, height, WIDTH, height);
	fputs("<text x=\"24\" y=\"40\" font-size=\"22\" font-weight=\"bold\">",
	      p->out);
	imgctl_svg_text(p->out, base_name(leaf->path), 80);
	fprintf(p->out, "</text>\n<text x=\"24\" y=\"64\" fill=\"#5b6873\">"
		"a disk of %s, served by %zu file%s</text>\n",
		imgctl_size_text(p->size, size), p->n, p->n == 1 ? "" : "s");
}

static void put_box(struct imgctl_pic *p, int y, int height)
{
	fprintf(p->out, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" "
		"fill=\"#eef1f4\"/>\n", LEFT, y, IMGCTL_COLS, height);
}

static void put_frame(struct imgctl_pic *p, int y, int height)
{
	fprintf(p->out, "<rect x=\"%d.5\" y=\"%d.5\" width=\"%d\" height=\""
		"%d\" fill=\"none\" stroke=\"#9aa5b0\"/>\n", LEFT, y,
		IMGCTL_COLS, height);
}

/* Few steps are what an eye can tell; the least is never invisible. */
static int step(float part)
{
	int s = part <= 0 ? 0 : 3 + (int)(part * 5.01f);

	return min_of(s, 8);
}

struct ink {
	const char *fill;
	float strength;
	int y, height;
};

/* Columns of one strength are one rectangle. part(x) is given by field. */
static void put_field(struct imgctl_pic *p, const struct imgctl_lane *lane,
		      int field, const struct ink *ink)
{
	for (int x = 0, end; x < IMGCTL_COLS; x = end) {
		int s = step(lane->cols[x].part[field]);

		for (end = x + 1; end < IMGCTL_COLS &&
		     step(lane->cols[end].part[field]) == s; end++)
			;
		if (!s)
			continue;
		fprintf(p->out, "<rect x=\"%d\" y=\"%d\" width=\"%d\" "
			"height=\"%d\" fill=\"%s\" fill-opacity=\"%.2f\"/>\n",
			LEFT + x, ink->y, end - x, ink->height, ink->fill,
			(double)(ink->strength * (float)s / 8));
	}
}

static void put_seen(struct imgctl_pic *p)
{
	fprintf(p->out, "<text x=\"24\" y=\"%d\" font-weight=\"bold\">"
		"What a reader sees</text>\n<text x=\"24\" y=\"%d\" fill=\""
		"#5b6873\" font-size=\"12\">in the colour of who serves it"
		"</text>\n", TOP + 20, TOP + 37);
	put_box(p, TOP, SEEN);
	for (size_t i = 0; i < p->n; i++) {
		struct ink data = { colour(i), 1, TOP, SEEN };
		struct ink zero = { "url(#zero)", 1, TOP, SEEN };

		put_field(p, &p->lanes[i], IMGCTL_SERVED, &data);
		put_field(p, &p->lanes[i], IMGCTL_HIDE, &zero);
	}
	put_frame(p, TOP, SEEN);
	imgctl_svg_parts(p, LEFT, TOP + SEEN + 8, STRIP);
}

static void put_names(struct imgctl_pic *p, size_t i, int y, bool two)
{
	const struct disk_link *k = disk_link(p->d, i);
	static const char *const formats[] = { "raw", "VHD", "VHDX" };

	fprintf(p->out, "<rect x=\"24\" y=\"%d\" width=\"10\" height=\"10\" "
		"rx=\"2\" fill=\"%s\"/><text x=\"42\" y=\"%d\">", y + 3,
		colour(i), y + 13);
	imgctl_svg_text(p->out, base_name(k->path), 25);
	fputs("</text>\n", p->out);
	if (two)
		fprintf(p->out, "<text x=\"42\" y=\"%d\" fill=\"#5b6873\" "
			"font-size=\"12\">%s, %s</text>\n", y + 30,
			formats[k->format], k->format == DISK_RAW ? "a base"
			: k->kind);
}

static void put_sizes(struct imgctl_pic *p, size_t i, int y, bool two)
{
	const struct imgctl_lane *l = &p->lanes[i];
	char served[IMGCTL_SIZE_TEXT], own[IMGCTL_SIZE_TEXT];
	int x = LEFT + IMGCTL_COLS + 14;

	fprintf(p->out, "<text x=\"%d\" y=\"%d\">serves %s</text>\n", x,
		y + 13, imgctl_size_text(l->served, served));
	if (!two)
		return;
	fprintf(p->out, "<text x=\"%d\" y=\"%d\" fill=\"#5b6873\" "
		"font-size=\"12\">of %s", x, y + 30,
		imgctl_size_text(l->own, own));
	if (l->zero)
		fprintf(p->out, ", zeros %s", imgctl_size_text(l->zero, own));
	fputs("</text>\n", p->out);
}

static void put_lane(struct imgctl_pic *p, size_t i)
{
	int y = LANES + (int)i * pitch(p), height = pitch(p) * 2 / 3;
	bool two = pitch(p) >= 40;
	struct ink own = { colour(i), 0.3f, y, height };
	struct ink served = { colour(i), 1, y, height };
	struct ink zero = { "url(#zero)", 1, y, height };

	put_names(p, i, y, two);
	put_box(p, y, height);
	put_field(p, &p->lanes[i], IMGCTL_OWN, &own);
	put_field(p, &p->lanes[i], IMGCTL_SERVED, &served);
	put_field(p, &p->lanes[i], IMGCTL_HIDE, &zero);
	put_frame(p, y, height);
	put_sizes(p, i, y, two);
}

/* A power of two that gives four to eight steps. */
static uint64_t tick(uint64_t size)
{
	uint64_t t = 512;

	while (size / t > 8)
		t *= 2;
	return t;
}

static void put_axis(struct imgctl_pic *p)
{
	int y = foot(p);
	char text[IMGCTL_SIZE_TEXT];

	for (uint64_t at = 0; at <= p->size; at += tick(p->size)) {
		int x = LEFT + (int)((double)at * IMGCTL_COLS /
				     (double)p->size);

		fprintf(p->out, "<path d=\"M%d.5 %dv6\" stroke=\"#9aa5b0\"/>"
			"<text x=\"%d\" y=\"%d\" text-anchor=\"middle\" "
			"font-size=\"12\" fill=\"#5b6873\">%s</text>\n", x, y,
			x, y + 21, at ? imgctl_size_text(at, text) : "0");
		if (at > UINT64_MAX - tick(p->size))
			break;
	}
}

static void put_legend(struct imgctl_pic *p)
{
	static const struct {
		const char *fill, *opacity, *text;
		int width;
	} all[] = {
		{ "#0072b2", "1", "serves the reader", 160 },
		{ "#0072b2", "0.3", "has data, but a younger file hides it",
		  280 },
		{ "url(#zero)", "1", "says zeros", 120 },
		{ "#eef1f4", "1", "says nothing", 120 },
	};
	int x = LEFT, y = foot(p) + 48;

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		fprintf(p->out, "<rect x=\"%d\" y=\"%d\" width=\"22\" "
			"height=\"14\" fill=\"%s\" fill-opacity=\"%s\" "
			"stroke=\"#9aa5b0\"/><text x=\"%d\" y=\"%d\">%s"
			"</text>\n", x, y, all[i].fill, all[i].opacity, x + 30,
			y + 12, all[i].text);
		x += all[i].width + 30;
	}
}

void imgctl_svg_draw(struct imgctl_pic *p)
{
	put_head(p);
	put_seen(p);
	for (size_t i = 0; i < p->n; i++)
		put_lane(p, i);
	put_axis(p);
	put_legend(p);
	fputs("</svg>\n", p->out);
}
