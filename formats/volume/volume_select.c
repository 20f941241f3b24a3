/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/volume/volume_select.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/base/dev_slice.h"

/* What may be chosen: each partition, or the whole disk when it has none. */
struct candidate {
	const struct part *part;	/* NULL: the whole disk */
	uint64_t off, len;
	struct volume_info info;
};

struct candidates {
	struct candidate *list;		/* owned */
	size_t n;
};

static int probe_one(struct dev *disk, struct candidate *c, struct diag *why)
{
	struct dev *slice;
	int ret = dev_slice_new(disk, c->off, c->len, &slice, why);

	if (ret)
		return ret;
	ret = volume_probe(slice, &c->info, why);
	dev_close(slice);
	/* One partition on a bad spot must not hide the others. */
	if (ret == -EIO) {
		diag_clear(why);
		memset(&c->info, 0, sizeof(c->info));
		ret = 0;
	}
	return ret;
}

static int probe_all(struct dev *disk, const struct part_table *t, bool whole,
		     struct candidates *out, struct diag *why)
{
	size_t n = whole || !t->n ? 1 : t->n;
	struct candidate *list = mem_zalloc(n, sizeof(*list));

	if (!list)
		return diag_fail(why, ENOMEM, "volume: out of memory");
	list[0].len = dev_size(disk);
	for (size_t i = 0; i < n; i++) {
		int ret;

		if (!whole && t->n) {
			list[i].part = &t->parts[i];
			list[i].off = t->parts[i].off;
			list[i].len = t->parts[i].len;
		}
		ret = probe_one(disk, &list[i], why);
		if (ret) {
			free(list);
			return ret;
		}
	}
	*out = (struct candidates) { .list = list, .n = n };
	return 0;
}

static void format_size(uint64_t size, char *text, size_t room)
{
	static const char units[][4] = { "KiB", "MiB", "GiB", "TiB", "PiB" };
	double v = (double)size / 1024;
	size_t i = 0;

	while (v >= 1024 && i + 1 < ARRAY_LEN(units)) {
		v /= 1024;
		i++;
	}
	snprintf(text, room, v == (double)(uint64_t)v ? "%.0f %s" : "%.1f %s",
		 v, units[i]);
}

static void describe(const struct candidate *c, char *text, size_t room)
{
	const char *name = c->info.label[0] ? c->info.label :
			   c->part ? c->part->label : "";
	char size[24], number[12] = "whole disk";

	format_size(c->len, size, sizeof(size));
	if (c->part)
		snprintf(number, sizeof(number), "%u", c->part->number);
	snprintf(text, room, "%s: %s%s%s%s %s", number,
		 c->info.type[0] ? c->info.type : "unknown",
		 *name ? " \"" : "", name, *name ? "\"" : "", size);
}

static void list_text(const struct candidates *all, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < all->n && used + 1 < size; i++) {
		char one[400];

		describe(&all->list[i], one, sizeof(one));
		used += (size_t)snprintf(text + used, size - used, "%s%s",
					 i ? ", " : "", one);
	}
}

typedef bool (*match_fn)(const struct candidate *c, const char *text,
			 bool exact);

static bool same(const char *a, const char *b, bool exact)
{
	return *a && !(exact ? strcmp(a, b) : strcasecmp(a, b));
}

static bool match_label(const struct candidate *c, const char *text, bool exact)
{
	return same(c->info.label, text, exact) ||
	       (c->part && same(c->part->label, text, exact));
}

static bool match_uuid(const struct candidate *c, const char *text, bool exact)
{
	return same(c->info.uuid, text, false) ||
	       (c->part && same(c->part->uuid, text, false));
}

static bool match_type(const struct candidate *c, const char *text, bool exact)
{
	return same(c->info.type, text, false);
}

static bool match_number(const struct candidate *c, const char *text,
			 bool exact)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	return c->part && !*end && c->part->number == n;
}

static bool match_mountable(const struct candidate *c, const char *text,
			    bool exact)
{
	return c->info.mountable;
}

static bool match_any(const struct candidate *c, const char *text, bool exact)
{
	return true;
}

static const struct selector {
	const char *word;
	match_fn match;
} selectors[] = {
	{ "label:", match_label },
	{ "uuid:", match_uuid },
	{ "type:", match_type },
};

static match_fn find_selector(const char **want)
{
	if (!*want || !strcmp(*want, "auto"))
		return match_mountable;
	if (!strcmp(*want, "whole"))
		return match_any;
	for (size_t i = 0; i < ARRAY_LEN(selectors); i++) {
		size_t len = strlen(selectors[i].word);

		if (strncmp(*want, selectors[i].word, len) || !(*want)[len])
			continue;
		*want += len;
		return selectors[i].match;
	}
	/* No more digits than any number of a partition has. */
	if (isdigit((unsigned char)**want) && strlen(*want) < 9 &&
	    strspn(*want, "0123456789") == strlen(*want))
		return match_number;
	return NULL;
}

struct matches {
	const struct candidate *first, *largest, *mountable;
	size_t n, n_mountable;
};

static struct matches find_matches(const struct candidates *all, match_fn match,
				   const char *text, bool exact)
{
	struct matches m = { .n = 0 };

	for (size_t i = 0; i < all->n; i++) {
		const struct candidate *c = &all->list[i];

		if (!match(c, text, exact))
			continue;
		if (!m.n++)
			m.first = c;
		if (!m.largest || c->len > m.largest->len)
			m.largest = c;
		if (c->info.mountable && !m.n_mountable++)
			m.mountable = c;
	}
	return m;
}

static int pick(const struct candidates *all, match_fn match, const char *text,
		const struct candidate **out, struct diag *why)
{
	struct matches m = find_matches(all, match, text, true);
	char have[700];

	if (!m.n)
		m = find_matches(all, match, text, false);
	list_text(all, have, sizeof(have));
	if (!m.n && match == match_mountable)
		return diag_fail_as(why, ERR_UNSUPP, OUT_UNSUPP, "no volume "
				    "here can be shown as a tree (view=raw "
				    "shows files); there is: %s", have);
	if (!m.n)
		return diag_fail_as(why, ENOENT, OUT_NOT_FOUND, "no partition "
				    "fits \"%s\"; there is: %s", text, have);
	if (m.n == 1)
		*out = m.first;
	else if (match == match_mountable)
		*out = m.largest;
	else if (m.n_mountable == 1)
		*out = m.mountable;
	else
		return diag_fail_as(why, EINVAL, OUT_USAGE, "%zu partitions "
				    "fit \"%s\", say part=N; there is: %s",
				    m.n, text, have);
	return 0;
}

static int take(struct dev *disk, const struct candidate *c,
		struct volume_choice *out, struct diag *why)
{
	struct dev *dev;
	int ret = dev_slice_new(disk, c->off, c->len, &dev, why);

	if (ret)
		return ret;
	*out = (struct volume_choice) {
		.number = c->part ? c->part->number : 0,
		.dev = dev, .info = c->info,
	};
	return 0;
}

int volume_select(struct dev *disk, const struct part_table *t,
		  const char *want, struct volume_choice *out,
		  struct diag *why)
{
	const char *text = want;
	match_fn match = find_selector(&text);
	const struct candidate *c;
	struct candidates all;
	int ret;

	if (!match)
		return diag_fail_as(why, EINVAL, OUT_USAGE, "part=%s: wanted "
				    "auto, a number, label:X, uuid:X, type:X "
				    "or whole", want);
	ret = probe_all(disk, t, match == match_any, &all, why);
	if (ret)
		return ret;
	ret = pick(&all, match, text, &c, why);
	if (!ret)
		ret = take(disk, c, out, why);
	free(all.list);
	return ret;
}

int volume_list(struct dev *disk, const struct part_table *t, char *text,
		size_t size, struct diag *why)
{
	struct candidates all;
	int ret = probe_all(disk, t, false, &all, why);

	if (ret)
		return ret;
	list_text(&all, text, size);
	free(all.list);
	return 0;
}
