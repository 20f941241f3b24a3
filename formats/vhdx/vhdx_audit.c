/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VHDX: what is wrong, or odd, in a file that can be opened (FORMAT.md 11).
 * Reads the tables, no data.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/vhdx/vhdx_int.h"

#define STEP	(256u << 10)

struct audit {
	struct vhdx *x;
	struct findings to;
	struct vhdx_stats *stats;
	struct vhdx_space space;
	uint8_t *buf;		/* STEP bytes, owned */
	uint64_t used;		/* bytes of the file that are marked */
	uint64_t n_junk;	/* bitmap entries in a file without parent */
	uint64_t n_behind;	/* entries behind the disk's end */
	uint64_t awaited;	/* see vhdx_check.c */
};

#define SAY(a, w, word, at, ...) \
	finding_say(&(a)->to, (struct finding) { .weight = FINDING_##w, \
		.where = (word), .off = (at) }, __VA_ARGS__)

static void audit_header(struct audit *a, int copy,
			 const struct vhdx_disk_header *raw)
{
	if (memcmp(raw->sig, "head", 4) ||
	    vhdx_crc(raw, sizeof(*raw),
		     offsetof(struct vhdx_disk_header, crc)) != le32(raw->crc))
		SAY(a, WARNING, "header", VHDX_HEADER_OFF(copy),
		    "header %d is damaged", copy + 1);
	else if (!guid_eq(&raw->data_write, &a->x->hdr.data_write))
		SAY(a, WARNING, "header", VHDX_HEADER_OFF(copy), "header %d "
		    "has another identity: without the current one the "
		    "children would be lost", copy + 1);
}

static int audit_headers(struct audit *a)
{
	struct vhdx *x = a->x;
	struct vhdx_disk_header raw;
	int ret = dev_read(x->file, &raw, sizeof(raw),
			   VHDX_HEADER_OFF(!x->hdr_copy));

	if (ret)
		return ret;
	audit_header(a, !x->hdr_copy, &raw);
	if (x->info.log_dirty)
		SAY(a, WARNING, "log", x->hdr.log_offset, "not closed cleanly: "
		    "%u entries to replay", x->info.log_entries);
	if (!x->hdr.log_length)
		SAY(a, WARNING, "log", FINDING_NOWHERE,
		    "there is no log: the file cannot be written");
	if (x->regions_differ)
		SAY(a, WARNING, "regions", VHDX_REGION_OFF(!x->regions_copy),
		    "region table %d is damaged or differs",
		    2 - x->regions_copy);
	if (dev_size(x->file) % VHDX_MIB)
		SAY(a, NOTE, "size", dev_size(x->file), "the file's size is "
		    "no multiple of 1 MiB");
	return 0;
}

static void audit_items(struct audit *a)
{
	static const struct guid locator = VHDX_ITEM_LOCATOR;
	struct vhdx *x = a->x;

	for (size_t i = 0; i < x->n_items && !x->info.has_parent; i++)
		if (guid_eq(&x->items[i].id, &locator))
			SAY(a, WARNING, "parent", x->meta.off +
			    x->items[i].off, "a parent locator, but no "
			    "parent");
	if (x->info.has_parent && !x->info.n_parents)
		SAY(a, WARNING, "parent", FINDING_NOWHERE,
		    "nothing tells where the parent is");
	if (!guid_is_zero(&x->info.parent_linkage2))
		SAY(a, NOTE, "parent", FINDING_NOWHERE, "two parents are "
		    "accepted: a merge may not have ended");
}

static int mark(struct audit *a, uint64_t idx, uint64_t off, uint64_t len)
{
	int ret = off ? vhdx_space_mark(&a->space, off, len) : 0;

	if (ret == -ERR_CORRUPT) {
		SAY(a, ERROR, "overlap", off, "BAT entry %llu: its space "
		    "belongs to something else", (unsigned long long)idx);
		return 0;
	}
	a->used += off ? len : 0;
	return ret;
}

static int audit_bitmap(struct audit *a, uint64_t idx, uint64_t raw)
{
	struct vhdx *x = a->x;
	uint64_t off;

	if (!x->info.has_parent) {
		a->n_junk += raw != 0;
		return 0;
	}
	if (vhdx_bat_decode_bitmap(x, raw, &off)) {
		SAY(a, ERROR, "block", x->bat.off + idx * 8, "BAT entry %llu: "
		    "impossible bitmap block", (unsigned long long)idx);
		return 0;
	}
	if (a->awaited && !off)
		SAY(a, ERROR, "bitmap", x->bat.off + idx * 8, "BAT entry %llu: "
		    "no bitmap for a partial block", (unsigned long long)idx);
	a->awaited = 0;
	a->stats->bitmap_blocks += off != 0;
	return mark(a, idx, off, VHDX_MIB);
}

static int audit_entry(struct audit *a, uint64_t idx, uint64_t raw)
{
	struct vhdx *x = a->x;
	uint64_t per = x->chunk_blocks + 1, blk = idx - idx / per;
	struct vhdx_bat e;

	if (idx >= x->n_entries) {
		a->n_behind++;
		return 0;
	}
	if (idx % per == x->chunk_blocks)
		return audit_bitmap(a, idx, raw);
	if (blk >= x->n_blocks) {
		a->n_behind++;
		return 0;
	}
	if (vhdx_bat_decode(x, blk, raw, &e)) {
		SAY(a, ERROR, "block", x->bat.off + idx * 8, "BAT entry %llu: "
		    "impossible block, 0x%llx", (unsigned long long)idx,
		    (unsigned long long)raw);
		return 0;
	}
	if ((raw & VHDX_BAT_STATE) == VHDX_PARTIAL && !x->info.has_parent)
		SAY(a, WARNING, "partial", x->bat.off + idx * 8, "BAT entry "
		    "%llu: a partial block without a parent",
		    (unsigned long long)idx);
	if (e.state == VHDX_PARTIAL)
		a->awaited = idx / per * per + x->chunk_blocks;
	a->stats->blocks[e.state]++;
	return mark(a, idx, e.off, vhdx_block_size(x));
}

/* Zero entries need no look, but a bitmap's that is awaited. */
static int audit_step(struct audit *a, uint64_t at, size_t len)
{
	int ret = dev_read(a->x->io, a->buf, len, a->x->bat.off + at);

	for (size_t i = 0; i < len && !ret; i += 8) {
		uint64_t raw = le64_at(a->buf + i);
		uint64_t idx = (at + i) / 8;

		if (raw || (a->awaited && idx == a->awaited))
			ret = audit_entry(a, idx, raw);
	}
	return ret;
}

static int audit_bat(struct audit *a)
{
	uint64_t end = a->x->bat.len;

	for (uint64_t at = 0; at < end;) {
		uint64_t off = a->x->bat.off + at;
		uint64_t len = min_of((uint64_t)STEP, end - at);
		uint64_t hole = a->awaited ? 0
				: round_down(vhdx_check_hole(a->x, off,
							     end - at), 8);
		int ret;

		if (hole) {
			at += hole;
			continue;
		}
		ret = audit_step(a, at, (size_t)len);
		if (ret)
			return ret;
		at += len;
	}
	return 0;
}

static void audit_sums(struct audit *a)
{
	struct vhdx_stats *s = a->stats;
	uint64_t size = round_up(dev_size(a->x->io), VHDX_MIB), present = 0;

	for (int i = 1; i < 8; i++)
		present += s->blocks[i];
	s->blocks[VHDX_NOT_PRESENT] = a->x->n_blocks - present;
	s->allocated_bytes = a->used;
	s->unused = size > a->used ? size - a->used : 0;
	if (a->n_junk)
		SAY(a, WARNING, "junk", a->x->bat.off, "%llu bitmap entries in "
		    "a file without a parent, as old qemu left them",
		    (unsigned long long)a->n_junk);
	if (a->n_behind)
		SAY(a, NOTE, "behind", a->x->bat.off, "%llu BAT entries lie "
		    "behind the end of the disk",
		    (unsigned long long)a->n_behind);
	if (s->unused)
		SAY(a, NOTE, "unused", FINDING_NOWHERE, "nothing refers to "
		    "%llu MiB of the file",
		    (unsigned long long)(s->unused / VHDX_MIB));
}

static int audit_all(struct audit *a)
{
	struct vhdx *x = a->x;
	int ret = audit_headers(a);

	audit_items(a);
	for (size_t i = 0; i < x->n_extents && !ret; i++)
		ret = mark(a, 0, x->extents[i].off, x->extents[i].len);
	/* It begins at 0, which mark() takes for nowhere. */
	if (!ret)
		ret = vhdx_space_mark(&a->space, 0, VHDX_MIB);
	a->used += VHDX_MIB;
	if (!ret)
		ret = audit_bat(a);
	if (!ret)
		audit_sums(a);
	return ret;
}

int vhdx_check(struct vhdx *x, finding_fn emit, void *ctx,
	       struct vhdx_stats *stats)
{
	struct vhdx_stats own;
	struct audit a = {
		.x = x, .to = { .emit = emit, .ctx = ctx },
		.stats = stats ? stats : &own,
		.buf = mem_alloc(1, STEP),
	};
	int ret = a.buf ? 0 : -ENOMEM;

	*a.stats = (struct vhdx_stats) { .file_bytes = dev_size(x->file) };
	if (!ret && x->dev.writing)
		ret = vhdx_flush(&x->dev);
	if (!ret)
		ret = vhdx_space_init(&a.space);
	if (!ret)
		ret = audit_all(&a);
	vhdx_space_free(&a.space);
	free(a.buf);
	return ret;
}
