/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GPT: a header with a checksum, an array of entries with another, and a copy
 * of both at the end of the disk (UEFI specification 5.3). */
#include "formats/part/part_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/base/crc.h"
#include "formats/base/utf16.h"

struct gpt_header {
	uint64_t alternate_lba, entries_lba, last_usable;
	uint32_t n_entries, entry_size, entries_crc;
};

static bool header_crc_fits(uint8_t *sector, uint32_t header_size)
{
	struct gpt_header_disk *raw = (struct gpt_header_disk *)sector;
	uint32_t want = le32(raw->header_crc);

	raw->header_crc = to_le32(0);
	return crc32_zip(sector, header_size) == want;
}

/* sector holds size bytes and is changed. */
static int decode_header(uint8_t *sector, uint32_t size, uint64_t lba,
			 struct gpt_header *out, struct diag *why)
{
	const struct gpt_header_disk *raw = (const void *)sector;
	uint32_t header_size = le32(raw->header_size);

	if (memcmp(raw->signature, GPT_SIGNATURE, sizeof(raw->signature)))
		return diag_fail(why, ERR_NOT_THIS, "gpt: no header at sector "
				 "%" PRIu64, lba);
	if (header_size < GPT_HEADER_MIN || header_size > size)
		return diag_fail(why, ERR_CORRUPT, "gpt: header at sector %"
				 PRIu64 ", size %u", lba, header_size);
	if (!header_crc_fits(sector, header_size))
		return diag_fail(why, ERR_CORRUPT, "gpt: header at sector %"
				 PRIu64 ", checksum does not fit", lba);
	if (le64(raw->my_lba) != lba)
		return diag_fail(why, ERR_CORRUPT, "gpt: header at sector %"
				 PRIu64 " says that it is at %" PRIu64, lba,
				 le64(raw->my_lba));
	*out = (struct gpt_header) {
		.alternate_lba = le64(raw->alternate_lba),
		.entries_lba = le64(raw->entries_lba),
		.last_usable = le64(raw->last_usable),
		.n_entries = le32(raw->n_entries),
		.entry_size = le32(raw->entry_size),
		.entries_crc = le32(raw->entries_crc),
	};
	return 0;
}

static int check_header(const struct part_scan *s, const struct gpt_header *h,
			struct diag *why)
{
	uint64_t array = (uint64_t)h->n_entries * h->entry_size;

	if (h->entry_size < GPT_ENTRY_MIN || h->entry_size % 8 ||
	    h->entry_size > PART_ENTRY_SIZE_MAX)
		return diag_fail(why, ERR_CORRUPT, "gpt: entries of %u bytes",
				 h->entry_size);
	if (!h->n_entries || h->n_entries > PART_ENTRIES_MAX ||
	    array > PART_ARRAY_MAX)
		return diag_fail(why, ERR_CORRUPT, "gpt: %u entries",
				 h->n_entries);
	if (!range_within(h->entries_lba, div_up(array, s->sector), s->sectors))
		return diag_fail(why, ERR_CORRUPT, "gpt: the entries lie "
				 "outside the disk, at sector %" PRIu64,
				 h->entries_lba);
	return 0;
}

static int load_header(struct part_scan *s, uint64_t lba,
		       struct gpt_header *out, struct diag *why)
{
	uint8_t sector[4096];
	int ret;

	if (!range_within(lba, 1, s->sectors))
		return diag_fail(why, ERR_NOT_THIS, "gpt: the disk has only %"
				 PRIu64 " sectors", s->sectors);
	ret = dev_read(s->disk, sector, s->sector, lba * s->sector);
	if (ret)
		return diag_fail(why, ret, "gpt: reading sector %" PRIu64
				 ": %s", lba, strerror(-ret));
	return decode_header(sector, s->sector, lba, out, why);
}

/* *out is the caller's to free. */
static int load_entries(struct part_scan *s, const struct gpt_header *h,
			uint8_t **out, struct diag *why)
{
	size_t len;
	uint8_t *entries = NULL;
	int ret = check_header(s, h, why);

	if (ret)
		return ret;
	len = (size_t)h->n_entries * h->entry_size;
	entries = mem_alloc(len, 1);
	if (!entries)
		return diag_fail(why, ENOMEM, "gpt: out of memory");
	ret = dev_read(s->disk, entries, len, h->entries_lba * s->sector);
	if (ret)
		diag_fail(why, ret, "gpt: reading the entries: %s",
			  strerror(-ret));
	else if (crc32_zip(entries, len) != h->entries_crc)
		ret = diag_fail(why, ERR_CORRUPT, "gpt: entries at sector %"
				PRIu64 ", checksum does not fit",
				h->entries_lba);
	if (ret)
		free(entries);
	else
		*out = entries;
	return ret;
}

/* Partitions whose contents make sense only together with others. */
static const struct foreign {
	const char *type;
	const char *what;
} foreigns[] = {
	{ "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3",
	  "describes a Windows dynamic disk" },
	{ "af9b60a0-1431-4f62-bc68-3311714a69ad",
	  "of a Windows dynamic disk" },
	{ "e75caf8f-f680-4cee-afa3-b001e56efc2d",
	  "of Windows Storage Spaces" },
};

static void note_foreign(struct part_scan *s, const struct part *p)
{
	char type[GUID_TEXT];

	guid_format(&p->type, type);
	for (size_t i = 0; i < ARRAY_LEN(foreigns); i++)
		if (!strcmp(foreigns[i].type, type))
			part_note(s, "%u: %s", p->number, foreigns[i].what);
}

static int add_entry(struct part_scan *s, const struct gpt_entry_disk *e,
		     unsigned number)
{
	struct part p = { .number = number, .type = e->type, .id = e->id };
	uint64_t first = le64(e->first), last = le64(e->last);
	size_t units = 0;

	if (guid_is_zero(&e->type))
		return 0;
	while (units < GPT_NAME_UNITS && le16(e->name[units]))
		units++;
	utf16le_to_utf8(e->name, units, p.label, sizeof(p.label));
	guid_format(&e->id, p.uuid);
	note_foreign(s, &p);
	if (first > last || last == UINT64_MAX) {
		part_note(s, "%u: ends before it begins", number);
		return 0;
	}
	return part_add(s, &p, first, last - first + 1);
}

static int load_at(struct part_scan *s, uint64_t lba, struct gpt_header *h,
		   struct diag *why)
{
	uint8_t *entries = NULL;
	int ret = load_header(s, lba, h, why);

	if (!ret)
		ret = load_entries(s, h, &entries, why);
	if (ret)
		return ret;
	s->t->scheme = PART_GPT;
	if (h->last_usable >= s->sectors)
		part_note(s, "the table was made for a larger disk");
	for (uint32_t i = 0; i < h->n_entries && !ret; i++) {
		const uint8_t *at = entries + (size_t)i * h->entry_size;

		ret = add_entry(s, (const void *)at, i + 1);
	}
	free(entries);
	return ret;
}

/* Failures that the other copy of the table can make good. */
static bool is_damage(int ret)
{
	return ret == -ERR_CORRUPT || ret == -ERR_NOT_THIS || ret == -EIO;
}

/* Both copies, for one sector size. The first one's reason is what is told,
 * unless only the backup is known to have been a table. */
static int load_either(struct part_scan *s, bool use_backup, struct diag *why)
{
	struct diag first_why = DIAG_INIT, backup_why = DIAG_INIT;
	struct gpt_header h = { .alternate_lba = 0 };
	int ret = load_at(s, 1, &h, &first_why), backup = ret;

	if (is_damage(ret) && use_backup && s->sectors > 1)
		backup = load_at(s, s->sectors - 1, &h, &backup_why);
	/* The disk was enlarged: the first header knows where the copy is. */
	if (is_damage(backup) && use_backup && h.alternate_lba > 1 &&
	    h.alternate_lba != s->sectors - 1)
		backup = load_at(s, h.alternate_lba, &h, &backup_why);
	if (!ret)
		return 0;
	if (!backup) {
		s->t->backup_used = true;
		part_note(s, "%s; the backup table is used", first_why.text);
		return 0;
	}
	if (ret == -ERR_NOT_THIS && backup == -ERR_CORRUPT)
		return diag_fail(why, backup, "%s", backup_why.text);
	return diag_fail(why, ret, "%s", first_why.text);
}

int part_gpt_load(struct part_scan *s, bool use_backup, struct diag *why)
{
	const uint32_t mine = s->sector, other = mine == 512 ? 4096 : 512;
	struct diag other_why = DIAG_INIT;
	int ret = load_either(s, use_backup, why);

	if (!is_damage(ret))
		return ret;
	/* The image of a disk with the other kind of sectors. */
	s->sector = other;
	s->sectors = dev_size(s->disk) / other;
	if (!load_either(s, use_backup, &other_why)) {
		part_note(s, "the table counts in sectors of %u bytes", other);
		diag_clear(why);
		return 0;
	}
	s->sector = mine;
	s->sectors = dev_size(s->disk) / mine;
	return ret;
}
