/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which table a disk has, when more than one thing claims its first sector. */
#include "formats/part/part_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"

void part_note(struct part_scan *s, const char *fmt, ...)
{
	char *note = s->t->note;
	size_t used = strlen(note), room = sizeof(s->t->note) - used;
	va_list ap;

	if (used && room > 2) {
		memcpy(note + used, "; ", 3);
		used += 2;
		room -= 2;
	}
	va_start(ap, fmt);
	vsnprintf(note + used, room, fmt, ap);
	va_end(ap);
}

static const struct part *find_overlap(const struct part_table *t,
				       const struct part *p)
{
	for (size_t i = 0; i < t->n; i++)
		if (ranges_overlap(t->parts[i].off, t->parts[i].len, p->off,
				   p->len))
			return &t->parts[i];
	return NULL;
}

int part_add(struct part_scan *s, struct part *p, uint64_t first,
	     uint64_t count)
{
	const struct part *other;

	if (!range_within(first, count, s->sectors)) {
		part_note(s, "%u: outside the disk", p->number);
		return 0;
	}
	p->off = first * s->sector;
	p->len = count * s->sector;
	other = find_overlap(s->t, p);
	if (other) {
		part_note(s, "%u: overlaps %u", p->number, other->number);
		return 0;
	}
	if (s->t->n == s->room) {
		size_t room = s->room ? 2 * s->room : 8;
		struct part *parts = mem_realloc(s->t->parts, room,
						 sizeof(*parts));

		if (!parts)
			return -ENOMEM;
		s->t->parts = parts;
		s->room = room;
	}
	s->t->parts[s->t->n++] = *p;
	return 0;
}

/* The table was written onto a disk that a file system owned, and perhaps
 * still could be read from. */
static void note_older(struct part_scan *s, const char *bare)
{
	uint64_t sb = bare ? 0 : part_bare_ext_copy(s->disk, s->t);

	if (bare)
		part_note(s, "%s begins at the disk's start, under the table "
			  "(part=whole)", bare);
	else if (sb)
		part_note(s, "an ext file system owned the whole disk before "
			  "the table (part=whole,sb=%llu)",
			  (unsigned long long)sb);
}

/* Every sector in front of the first partition belongs to the table. */
static bool is_zero_sector(const struct mbr_disk *raw)
{
	const uint8_t *p = (const uint8_t *)raw;

	return !p[0] && !memcmp(p, p + 1, sizeof(*raw) - 1);
}

static int load_gpt(struct part_scan *s, const struct part_mbr *mbr,
		    const char *bare, struct diag *why)
{
	bool told = mbr->table && mbr->protective;
	bool alone = is_zero_sector(&mbr->raw);
	struct diag inner = DIAG_INIT;
	int ret;

	if (!told && (bare || mbr->good))
		return 0;
	ret = part_gpt_load(s, told || alone, &inner);
	if (!ret && !told)
		part_note(s, "no protective MBR");
	if (!ret && mbr->good)
		part_note(s, "hybrid MBR: the GPT is used");
	if (!ret)
		note_older(s, bare);
	if (!ret)
		return 0;
	if (ret == -ENOMEM || (ret == -EIO && !mbr->good))
		return diag_fail(why, ret, "%s", inner.text);
	if (!told || mbr->good || bare) {
		if (told || ret == -ERR_CORRUPT)
			part_note(s, "%s", inner.text);
		return 0;
	}
	return diag_fail(why, ERR_CORRUPT, "%s", inner.text);
}

static int load_mbr(struct part_scan *s, const struct part_mbr *mbr,
		    const char *bare, bool in_first)
{
	int ret;

	/* A boot sector is believed unless all of it is a table as well. */
	if (!mbr->table || (bare && (!mbr->good || (in_first && mbr->bad))))
		return 0;
	/* Only the protective entry, and the GPT is gone. */
	if (bare && mbr->protective)
		return 0;
	ret = part_mbr_load(s, mbr);
	if (!ret)
		note_older(s, bare);
	return ret;
}

static int load_any(struct part_scan *s, struct diag *why)
{
	struct part_mbr mbr;
	bool in_first = false;
	const char *bare;
	int ret = part_mbr_read(s, &mbr);

	if (ret)
		return diag_fail(why, ret, "partitions: reading the disk's "
				 "first sector: %s", strerror(-ret));
	bare = part_bare_find(s->disk, &in_first);
	ret = load_gpt(s, &mbr, bare, why);
	if (ret || s->t->scheme == PART_GPT)
		return ret;
	ret = load_mbr(s, &mbr, bare, in_first);
	if (ret)
		return diag_fail(why, ret, "partitions: %s", strerror(-ret));
	return 0;
}

int part_load(struct dev *disk, struct part_table *out, struct diag *why)
{
	struct part_table t = { .scheme = PART_NONE };
	struct part_scan s = {
		.disk = disk, .sector = disk->sector_size == 4096 ? 4096 : 512,
		.t = &t,
	};
	int ret;

	s.sectors = dev_size(disk) / s.sector;
	ret = load_any(&s, why);
	if (ret) {
		part_free(&t);
		return ret;
	}
	*out = t;
	return 0;
}

void part_free(struct part_table *t)
{
	free(t->parts);
	t->parts = NULL;
	t->n = 0;
}
