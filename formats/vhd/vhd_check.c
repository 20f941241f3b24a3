/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is wrong, or odd, in a VHD that can be opened: FORMAT.md 11. Reads
 * everything but the data, and that only under clear bits.
 */
#include <stdio.h>
#include <stdlib.h>

#include "formats/base/alloc.h"
#include "formats/vhd/vhd_int.h"

/* Smaller gaps come from aligning blocks. */
#define GAP_MIN		4096u
/* What is worth telling; two tables that grew are less. */
#define LEAK_MIN	(64u << 10)

struct extent {
	uint64_t off, len;
	uint64_t room;		/* at least len: its own, if nobody else's */
	uint64_t blk;		/* or one of the names below */
};

enum { NAME_COPY, NAME_HEADER, NAME_BAT, NAME_LOCATOR, NAME_FOOTER, N_NAMES };

#define BLK_NONE(name) (UINT64_MAX - (name))

struct check {
	struct vhd *v;
	struct findings to;
	struct vhd_stats *stats;
	struct extent *extents;		/* owned */
	size_t n, room, max;
	uint64_t n_behind;		/* entries behind the disk's end */
	uint64_t leaked;		/* in gaps that are worth it */
};

#define SAY(c, w, word, at, ...) \
	finding_say(&(c)->to, (struct finding) { .weight = FINDING_##w, \
		.where = (word), .off = (at) }, __VA_ARGS__)

static void check_footers(struct check *c)
{
	const struct vhd_footer *f = &c->v->footer;
	bool sparse = f->type != VHD_FIXED;

	if (sparse && !f->len)
		SAY(c, WARNING, "footer", f->off, "the footer at the end is "
		    "damaged or missing, its copy is used");
	if (sparse && !f->copy_valid)
		SAY(c, WARNING, "footer", 0, "the copy of the footer at the "
		    "start is damaged");
	if (sparse && f->copy_conflict)
		SAY(c, ERROR, "footer", 0, "the copy of the footer is of "
		    "another disk or size");
	else if (sparse && f->copy_valid && !f->copy_ok)
		SAY(c, WARNING, "footer", 0, "the footer and its copy differ");
	if (f->len == VHD_SECTOR - 1)
		SAY(c, NOTE, "footer", f->off, "the footer has 511 bytes, as "
		    "old Virtual PC wrote it");
	if (f->saved_state)
		SAY(c, WARNING, "state", f->off, "belongs to a virtual "
		    "machine in saved state");
	if (f->temporary)
		SAY(c, NOTE, "state", f->off, "marked as a temporary disk");
	if (f->current_size % VHD_SECTOR)
		SAY(c, WARNING, "size", f->off, "the disk's size is no "
		    "multiple of 512: %llu",
		    (unsigned long long)f->current_size);
	if (vhd_size_by_rule(f, VHD_SIZE_QEMU) !=
	    vhd_size_by_rule(f, VHD_SIZE_CURRENT))
		SAY(c, NOTE, "size", f->off, "qemu takes the geometry's size, "
		    "%llu bytes, for this creator: %s",
		    (unsigned long long)f->chs_size, c->v->info.creator);
}

static void check_header(struct check *c)
{
	const struct vhd *v = c->v;

	if (v->header.has_next)
		SAY(c, WARNING, "header", v->footer.data_off,
		    "an unknown structure follows");
	if (v->footer.data_off != VHD_SECTOR)
		SAY(c, NOTE, "header", v->footer.data_off, "the header does "
		    "not lie behind the copy of the footer: qemu might write "
		    "over it");
	if (v->info.type == VHD_DIFFERENCING && !v->info.n_parents)
		SAY(c, WARNING, "parent", v->footer.data_off,
		    "nothing tells where the parent is");
}

static int add(struct check *c, struct extent e)
{
	if (c->n == c->room) {
		size_t room = c->room ? c->room * 2 : 256;
		struct extent *more = mem_realloc(c->extents, room,
						  sizeof(*more));

		if (!more)
			return -ENOMEM;
		c->extents = more;
		c->room = room;
	}
	c->extents[c->n++] = e;
	return 0;
}

static int add_name(struct check *c, int name, uint64_t off, uint64_t len)
{
	struct extent e = { off, len, len, BLK_NONE(name) };

	return len ? add(c, e) : 0;
}

static int add_locators(struct check *c)
{
	const struct vhd_header_disk *raw = &c->v->header.raw;
	uint64_t size = dev_size(c->v->file);
	int ret = 0;

	for (size_t i = 0; i < VHD_LOCATORS && !ret; i++) {
		const struct vhd_locator_disk *l = &raw->locators[i];
		uint64_t off = be64(l->off), len = be32(l->len);

		if (!len)
			continue;
		if (!range_within(off, len, size))
			SAY(c, WARNING, "locator", off, "parent locator %zu "
			    "lies behind the file's end", i + 1);
		else
			ret = add(c, (struct extent) {
				off, len, min_of(vhd_locator_room(l),
						 size - off),
				BLK_NONE(NAME_LOCATOR) });
	}
	return ret;
}

static int add_structures(struct check *c)
{
	const struct vhd *v = c->v;
	int ret = add_name(c, NAME_COPY, 0, VHD_SECTOR);

	if (!ret)
		ret = add_name(c, NAME_HEADER, v->footer.data_off,
			       sizeof(v->header.raw));
	if (!ret)
		ret = add_name(c, NAME_BAT, v->header.bat_off,
			       round_up(v->header.n_entries * 4, VHD_SECTOR));
	if (!ret)
		ret = add_name(c, NAME_FOOTER, v->footer.off, v->footer.len);
	return ret ? ret : add_locators(c);
}

static int add_entry(void *ctx, uint64_t blk, uint32_t sector)
{
	struct check *c = ctx;
	uint64_t off = (uint64_t)sector * VHD_SECTOR;
	uint64_t len = vhd_block_bytes(c->v);
	struct extent e = { off, len, len, blk };

	c->stats->allocated++;
	c->n_behind += blk >= c->v->n_blocks;
	if (!range_within(off, e.len, c->v->limit)) {
		SAY(c, ERROR, "outside", off, "block %llu ends behind the "
		    "file's data", (unsigned long long)blk);
		return 0;
	}
	/* More can't lie there without overlaps: those are told already. */
	return c->n < c->max ? add(c, e) : 0;
}

static int by_offset(const void *a, const void *b)
{
	const struct extent *p = a, *q = b;

	return p->off < q->off ? -1 : p->off > q->off;
}

static const char *name_of(const struct extent *e, char buf[static 32])
{
	static const char *const names[N_NAMES] = {
		"the copy of the footer", "the header", "the BAT",
		"a parent locator", "the footer",
	};

	if (e->blk > UINT64_MAX - N_NAMES)
		return names[UINT64_MAX - e->blk];
	snprintf(buf, 32, "block %llu", (unsigned long long)e->blk);
	return buf;
}

static void count_gap(struct check *c, uint64_t from, uint64_t to)
{
	if (to <= from)
		return;
	c->stats->unused += to - from;
	if (to - from >= GAP_MIN)
		c->leaked += to - from;
}

static void check_places(struct check *c)
{
	struct extent *last = NULL;
	uint64_t end = 0, room_end = 0;
	char a[32], b[32];

	qsort(c->extents, c->n, sizeof(*c->extents), by_offset);
	for (size_t i = 0; i < c->n; i++) {
		struct extent *e = &c->extents[i];

		if (e->off < end)
			SAY(c, ERROR, "overlap", e->off, "%s and %s overlap",
			    name_of(last, a), name_of(e, b));
		count_gap(c, room_end, e->off);
		room_end = max_of(room_end, e->off + e->room);
		if (e->off + e->len > end) {
			end = e->off + e->len;
			last = e;
		}
	}
	count_gap(c, room_end, dev_size(c->v->file));
	if (c->leaked >= LEAK_MIN)
		SAY(c, NOTE, "unused", FINDING_NOWHERE, "nothing refers to "
		    "%llu bytes of the file", (unsigned long long)c->leaked);
	if (c->n_behind)
		SAY(c, WARNING, "behind", FINDING_NOWHERE, "%llu blocks lie "
		    "behind the end of the disk",
		    (unsigned long long)c->n_behind);
}

/* 1 when a sector of the run is not zero, 0, or -errno. */
static int has_data(struct vhd *v, uint64_t off, uint32_t n)
{
	uint8_t buf[16 * VHD_SECTOR];

	while (n) {
		uint32_t k = min_of(n, 16u);
		int ret = dev_read(v->file, buf, k * VHD_SECTOR, off);

		for (size_t i = 0; !ret && i < k * VHD_SECTOR; i++)
			if (buf[i])
				return 1;
		if (ret)
			return ret;
		off += k * VHD_SECTOR;
		n -= k;
	}
	return 0;
}

static int check_bits(struct check *c, struct vhd_block *b)
{
	struct vhd *v = c->v;
	uint32_t n_sectors = vhd_block_sectors(v, b->blk), here_n = 0, n;
	int hidden = 0;

	for (uint32_t at = 0; at < n_sectors; at += n) {
		bool here = true;
		int ret = 0;

		n = n_sectors - at;
		if (!b->full)
			ret = vhd_bitmap_run(v, b, at, n_sectors - at, &here,
					     &n);
		if (ret)
			return ret;
		here_n += here ? n : 0;
		if (!here && !hidden && v->info.type == VHD_DYNAMIC)
			hidden = has_data(v, b->data + (uint64_t)at *
					     VHD_SECTOR, n);
		if (hidden < 0)
			return hidden;
	}
	if (hidden)
		SAY(c, WARNING, "hidden", b->data, "block %llu has data under "
		    "clear bits: some tools show them",
		    (unsigned long long)b->blk);
	c->stats->full += here_n == n_sectors;
	c->stats->partial += here_n != n_sectors;
	c->stats->data_bytes += (uint64_t)here_n * VHD_SECTOR;
	return 0;
}

static int check_blocks(struct check *c)
{
	int ret = 0;

	for (size_t i = 0; i < c->n && !ret; i++) {
		struct vhd_block b;

		if (c->extents[i].blk >= c->v->n_blocks)
			continue;
		ret = vhd_bat_get(c->v, c->extents[i].blk, &b);
		/* Told already: it lies over a structure. */
		if (ret == -ERR_CORRUPT)
			ret = 0;
		else if (!ret && b.start)
			ret = check_bits(c, &b);
	}
	return ret;
}

static int check_sparse(struct check *c)
{
	int ret;

	check_header(c);
	c->stats->blocks = c->v->n_blocks;
	ret = add_structures(c);
	c->max = c->n + (size_t)(c->v->limit / vhd_block_bytes(c->v)) + 16;
	if (!ret)
		ret = vhd_walk(c->v, add_entry, c);
	if (ret)
		return ret;
	check_places(c);
	return check_blocks(c);
}

int vhd_check(struct vhd *v, finding_fn emit, void *ctx,
	      struct vhd_stats *stats)
{
	struct vhd_stats own;
	struct check c = {
		.v = v, .to = { .emit = emit, .ctx = ctx },
		.stats = stats ? stats : &own,
	};
	int ret = v->dev.writing ? vhd_flush(&v->dev) : 0;

	*c.stats = (struct vhd_stats) { .file_bytes = dev_size(v->file) };
	if (ret)
		return ret;
	check_footers(&c);
	if (v->info.type == VHD_FIXED) {
		c.stats->data_bytes = v->info.size;
		c.stats->unused = v->footer.off - v->footer.current_size;
		return 0;
	}
	ret = check_sparse(&c);
	free(c.extents);
	return ret;
}
