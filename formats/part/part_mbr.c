/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The classic PC partition table and its chain of extended boot records. Each
 * EBR holds one logical partition, placed relative to that EBR, and a link to
 * the next EBR, relative to the start of the extended partition.
 */
#include "formats/part/part_int.h"

#include <stdio.h>
#include <string.h>

#include "formats/base/bounds.h"

static bool is_extended(uint8_t type)
{
	return type == MBR_EXTENDED || type == MBR_EXTENDED_LBA ||
	       type == MBR_EXTENDED_LINUX;
}

static bool in_use(const struct mbr_entry_disk *e)
{
	return e->type && le32(e->count);
}

int part_mbr_read(struct part_scan *s, struct part_mbr *out)
{
	int ret;

	memset(out, 0, sizeof(*out));
	if (dev_size(s->disk) < sizeof(out->raw))
		return 0;
	ret = dev_read(s->disk, &out->raw, sizeof(out->raw), 0);
	if (ret)
		return ret;
	out->table = le16(out->raw.magic) == MBR_MAGIC;
	for (size_t i = 0; i < MBR_ENTRIES; i++) {
		const struct mbr_entry_disk *e = &out->raw.entries[i];

		/* Text of a boot sector's messages has neither value. */
		if (e->boot & ~MBR_BOOTABLE)
			out->table = false;
		if (!in_use(e))
			continue;
		if (e->type == MBR_PROTECTIVE)
			out->protective = true;
		else if (le32(e->first) &&
			 range_within(le32(e->first), le32(e->count),
				      s->sectors))
			out->good++;
		else
			out->bad++;
	}
	return 0;
}

static int add_entry(struct part_scan *s, const struct mbr_entry_disk *e,
		     unsigned number, uint64_t first)
{
	struct part p = { .number = number, .mbr_type = e->type };

	if (e->type == MBR_DYNAMIC)
		part_note(s, "%u: of a Windows dynamic disk", number);
	if (!first) {
		part_note(s, "%u: begins at the partition table", number);
		return 0;
	}
	return part_add(s, &p, first, le32(e->count));
}

struct chain {
	uint64_t start, len;		/* the extended partition */
	uint64_t seen[PART_LOGICAL_MAX];
	unsigned n_seen;
	unsigned *number;		/* of the next logical partition */
};

static bool was_seen(const struct chain *c, uint64_t at)
{
	for (unsigned i = 0; i < c->n_seen; i++)
		if (c->seen[i] == at)
			return true;
	return false;
}

/* The EBR at sector at, judged before it is read: 0 when it is usable. */
static int read_ebr(struct part_scan *s, struct chain *c, uint64_t at,
		    struct mbr_disk *out)
{
	if (was_seen(c, at)) {
		part_note(s, "logical partitions run in a circle at sector "
			  "%llu", (unsigned long long)at);
		return -ELOOP;
	}
	if (c->n_seen == PART_LOGICAL_MAX) {
		part_note(s, "more than %u logical partitions",
			  PART_LOGICAL_MAX);
		return -E2BIG;
	}
	c->seen[c->n_seen++] = at;
	if (!range_within(at, 1, s->sectors) ||
	    dev_read(s->disk, out, sizeof(*out), at * s->sector) ||
	    le16(out->magic) != MBR_MAGIC) {
		part_note(s, "no table of logical partitions at sector %llu",
			  (unsigned long long)at);
		return -ERR_CORRUPT;
	}
	return 0;
}

/* Entries three and four should be empty; some writers left old bytes there,
 * so they count only inside the extended partition (as Linux has it). */
static int add_logical(struct part_scan *s, struct chain *c, uint64_t at,
		       const struct mbr_disk *ebr)
{
	for (size_t i = 0; i < MBR_ENTRIES; i++) {
		const struct mbr_entry_disk *e = &ebr->entries[i];
		uint64_t first = at + le32(e->first);
		int ret;

		if (!in_use(e) || is_extended(e->type))
			continue;
		if (i >= 2 && (first < c->start ||
			       !range_within(first - c->start, le32(e->count),
					     c->len)))
			continue;
		ret = add_entry(s, e, (*c->number)++, first);
		if (ret)
			return ret;
	}
	return 0;
}

static int load_chain(struct part_scan *s, struct chain *c)
{
	uint64_t at = c->start;
	struct mbr_disk ebr;

	while (!read_ebr(s, c, at, &ebr)) {
		const struct mbr_entry_disk *link = NULL;
		int ret = add_logical(s, c, at, &ebr);

		if (ret)
			return ret;
		for (size_t i = 0; i < MBR_ENTRIES && !link; i++)
			if (in_use(&ebr.entries[i]) &&
			    is_extended(ebr.entries[i].type))
				link = &ebr.entries[i];
		if (!link)
			break;
		if (!range_within(le32(link->first), 1, c->len)) {
			part_note(s, "a logical partition lies outside the "
				  "extended one");
			break;
		}
		at = c->start + le32(link->first);
	}
	return 0;
}

static void name_parts(struct part_scan *s, uint32_t signature)
{
	for (size_t i = 0; signature && i < s->t->n; i++)
		snprintf(s->t->parts[i].uuid, sizeof(s->t->parts[i].uuid),
			 "%08x-%02x", signature, s->t->parts[i].number);
}

int part_mbr_load(struct part_scan *s, const struct part_mbr *mbr)
{
	unsigned number = MBR_ENTRIES + 1;
	int ret = 0;

	s->t->scheme = PART_MBR;
	for (unsigned i = 0; i < MBR_ENTRIES && !ret; i++) {
		const struct mbr_entry_disk *e = &mbr->raw.entries[i];

		if (in_use(e) && !is_extended(e->type) &&
		    e->type != MBR_PROTECTIVE)
			ret = add_entry(s, e, i + 1, le32(e->first));
	}
	for (unsigned i = 0; i < MBR_ENTRIES && !ret; i++) {
		const struct mbr_entry_disk *e = &mbr->raw.entries[i];
		struct chain c = {
			.start = le32(e->first), .len = le32(e->count),
			.number = &number,
		};

		if (in_use(e) && is_extended(e->type) && c.start)
			ret = load_chain(s, &c);
	}
	name_parts(s, le32(mbr->raw.signature));
	return ret;
}
