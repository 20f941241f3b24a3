/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The block allocation table: FORMAT.md 5.1, 9.2 and 11. */
#include <stdlib.h>

#include "formats/base/alloc.h"
#include "formats/vhd/vhd_int.h"

/* Bytes that are read at a time when the whole table is gone through. */
#define SCAN_BYTES (64u << 10)

int vhd_bat_new(struct vhd *v)
{
	v->n_pages = div_up(v->n_blocks, VHD_PAGE_ENTRIES);
	/* At most 32 MiB (2^32 blocks of 512 bytes), of which the kernel gives
	 * us what we touch. */
	v->pages = mem_zalloc(v->n_pages, sizeof(*v->pages));
	return v->pages ? 0 : -ENOMEM;
}

static void free_page(struct vhd_page *page)
{
	for (size_t i = 0; page && i < VHD_PAGE_ENTRIES; i++)
		free(page->bitmap[i]);
	free(page);
}

void vhd_bat_free(struct vhd *v)
{
	for (uint64_t i = 0; v->pages && i < v->n_pages; i++)
		free_page(v->pages[i]);
	free(v->pages);
	v->pages = NULL;
}

static int load_page(struct vhd *v, uint64_t idx, struct vhd_page **out)
{
	uint64_t first = idx * VHD_PAGE_ENTRIES;
	size_t n = (size_t)min_of(v->n_blocks - first,
				  (uint64_t)VHD_PAGE_ENTRIES);
	struct vhd_page *page = mem_new(struct vhd_page);
	be32_t raw[VHD_PAGE_ENTRIES];
	int ret = page ? 0 : -ENOMEM;

	if (!ret)
		ret = dev_read(v->file, raw, n * sizeof(raw[0]),
			       v->header.bat_off + first * sizeof(raw[0]));
	if (ret) {
		free(page);
		return ret;
	}
	page->idx = idx;
	for (size_t i = 0; i < VHD_PAGE_ENTRIES; i++)
		page->entry[i] = i < n ? be32(raw[i]) : VHD_UNALLOCATED;
	*out = page;
	return 0;
}

/* Two threads may load one page: the first to put it in its place wins. */
static int keep_page(struct vhd *v, uint64_t idx, struct vhd_page **out)
{
	struct vhd_page *old = NULL, *page = NULL;
	int ret = load_page(v, idx, &page);

	if (ret)
		return ret;
	if (__atomic_compare_exchange_n(&v->pages[idx], &old, page, false,
					__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		__atomic_add_fetch(&v->pages_kept, 1, __ATOMIC_RELAXED);
		*out = page;
		return 0;
	}
	free(page);
	*out = old;
	return 0;
}

static struct vhd_page *find_page(struct vhd *v, uint64_t idx)
{
	return __atomic_load_n(&v->pages[idx], __ATOMIC_ACQUIRE);
}

int vhd_bat_page(struct vhd *v, uint64_t blk, struct vhd_page **out)
{
	uint64_t idx = blk / VHD_PAGE_ENTRIES;

	*out = find_page(v, idx);
	return *out ? 0 : keep_page(v, idx, out);
}

/* Blocks lie between the structures and the end footer. */
static bool place_ok(const struct vhd *v, uint64_t start)
{
	uint64_t len = vhd_block_bytes(v);
	uint64_t limit = __atomic_load_n(&v->limit, __ATOMIC_ACQUIRE);

	return range_within(start, len, limit) &&
	       !ranges_overlap(start, len, 0, VHD_SECTOR) &&
	       !ranges_overlap(start, len, v->footer.data_off,
			       sizeof(struct vhd_header_disk)) &&
	       !ranges_overlap(start, len, v->header.bat_off,
			       round_up(v->header.n_entries * 4, VHD_SECTOR));
}

/* An entry of a page that is not kept. */
static int read_entry(struct vhd *v, uint64_t blk, uint32_t *entry)
{
	be32_t raw;
	int ret = dev_read(v->file, &raw, sizeof(raw),
			   v->header.bat_off + blk * sizeof(raw));

	if (!ret)
		*entry = be32(raw);
	return ret;
}

static int find_entry(struct vhd *v, struct vhd_block *b, uint32_t *entry)
{
	uint64_t idx = b->blk / VHD_PAGE_ENTRIES;
	uint32_t kept = __atomic_load_n(&v->pages_kept, __ATOMIC_RELAXED);
	int ret = 0;

	b->slot = (uint32_t)(b->blk % VHD_PAGE_ENTRIES);
	b->page = find_page(v, idx);
	if (!b->page && kept < VHD_PAGES_MAX)
		ret = keep_page(v, idx, &b->page);
	if (ret)
		return ret;
	if (!b->page)
		return read_entry(v, b->blk, entry);
	*entry = __atomic_load_n(&b->page->entry[b->slot], __ATOMIC_ACQUIRE);
	return 0;
}

int vhd_bat_get(struct vhd *v, uint64_t blk, struct vhd_block *b)
{
	uint32_t entry = 0;
	uint8_t flags, *at;
	int ret;

	*b = (struct vhd_block) { .blk = blk };
	ret = find_entry(v, b, &entry);
	if (ret || entry == VHD_UNALLOCATED)
		return ret;
	at = b->page ? &b->page->flags[b->slot] : NULL;
	flags = at ? __atomic_load_n(at, __ATOMIC_ACQUIRE) : 0;
	b->start = (uint64_t)entry * VHD_SECTOR;
	b->data = b->start + v->bitmap_bytes;
	b->full = flags & VHD_BLOCK_FULL;
	if (flags & VHD_BLOCK_CHECKED)
		return 0;
	if (!place_ok(v, b->start))
		return -ERR_CORRUPT;
	if (at)
		__atomic_or_fetch(at, VHD_BLOCK_CHECKED, __ATOMIC_RELEASE);
	return 0;
}

/* The allocated entries of the whole table, for sorting. */
struct scan {
	uint32_t *sectors;	/* owned */
	size_t n, room;
	size_t max;		/* more than that cannot fit without overlap */
};

static int scan_add(struct scan *s, uint32_t sector)
{
	if (s->n == s->room) {
		size_t room = s->room ? s->room * 2 : 1024;
		uint32_t *more = mem_realloc(s->sectors, room,
					     sizeof(*s->sectors));

		if (!more)
			return -ENOMEM;
		s->sectors = more;
		s->room = room;
	}
	s->sectors[s->n++] = sector;
	return 0;
}

static int scan_entry(struct vhd *v, struct scan *s, uint64_t blk,
		      uint32_t entry, struct diag *why)
{
	if (entry == VHD_UNALLOCATED)
		return 0;
	if (!place_ok(v, (uint64_t)entry * VHD_SECTOR))
		return diag_fail(why, ERR_CORRUPT, "vhd: BAT, entry %llu, "
				 "block cannot lie at sector 0x%x",
				 (unsigned long long)blk, entry);
	if (s->n >= s->max)
		return diag_fail(why, ERR_CORRUPT, "vhd: BAT, more blocks than "
				 "fit into the file: %zu", s->n);
	if (scan_add(s, entry))
		return diag_fail(why, ENOMEM, "vhd: BAT, out of memory");
	return 0;
}

static int scan_table(struct vhd *v, struct scan *s, struct diag *why)
{
	be32_t *raw = mem_alloc(SCAN_BYTES, 1);
	uint64_t n = v->header.n_entries, blk = 0;
	int ret = raw ? 0 : -ENOMEM;

	while (!ret && blk < n) {
		size_t k = (size_t)min_of(n - blk, (uint64_t)SCAN_BYTES / 4);

		ret = dev_read(v->file, raw, k * 4,
			       v->header.bat_off + blk * 4);
		for (size_t i = 0; !ret && i < k; i++)
			ret = scan_entry(v, s, blk + i, be32(raw[i]), why);
		blk += k;
	}
	free(raw);
	return ret;
}

static int by_sector(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static int check_overlap(struct vhd *v, struct scan *s, struct diag *why)
{
	uint64_t len = vhd_block_bytes(v) / VHD_SECTOR;

	qsort(s->sectors, s->n, sizeof(*s->sectors), by_sector);
	for (size_t i = 1; i < s->n; i++)
		if (s->sectors[i] - s->sectors[i - 1] < len)
			return diag_fail(why, ERR_CORRUPT, "vhd: BAT, two "
					 "blocks overlap at sector 0x%x",
					 s->sectors[i]);
	return 0;
}

/* tapdisk keeps a bitmap of full blocks behind the BAT (FORMAT.md 7.6). */
static int batmap_end(struct vhd *v, uint64_t bat_end, uint64_t *end,
		      struct diag *why)
{
	struct vhd_batmap_disk raw;
	uint64_t off, len;
	int ret;

	if (memcmp(v->footer.raw.creator, "tap", 4) ||
	    !range_within(bat_end, VHD_SECTOR, v->limit))
		return 0;
	ret = dev_read(v->file, &raw, sizeof(raw), bat_end);
	if (ret)
		return ret;
	if (memcmp(raw.cookie, VHD_BATMAP_COOKIE, sizeof(raw.cookie)))
		return 0;
	off = be64(raw.off);
	len = (uint64_t)be32(raw.n_sectors) * VHD_SECTOR;
	if (be32(raw.version) >> 16 != 1 || !range_within(off, len, v->limit))
		return diag_fail(why, ERR_UNSUPP,
				 "vhd: batmap, unknown version: 0x%08x",
				 be32(raw.version));
	*end = max_of(*end, bat_end + VHD_SECTOR);
	*end = max_of(*end, off + len);
	return 0;
}

static int find_end(struct vhd *v, const struct scan *s, struct diag *why)
{
	uint64_t bat_end = v->header.bat_off +
			   round_up(v->header.n_entries * 4, VHD_SECTOR);
	uint64_t end = max_of(v->footer.data_off +
			      sizeof(struct vhd_header_disk), bat_end);
	int ret = batmap_end(v, bat_end, &end, why);

	if (ret)
		return ret;
	end = vhd_locators_end(v->file, &v->header, end);
	if (s->n)
		end = max_of(end, (uint64_t)s->sectors[s->n - 1] * VHD_SECTOR +
				  vhd_block_bytes(v));
	v->end = end;
	return 0;
}

int vhd_bat_check(struct vhd *v, struct diag *why)
{
	struct scan s = { .max = (size_t)(v->limit / vhd_block_bytes(v)) };
	int ret = scan_table(v, &s, why);

	if (!ret && s.n)
		ret = check_overlap(v, &s, why);
	if (!ret)
		ret = find_end(v, &s, why);
	free(s.sectors);
	if (ret && !(why && why->code))
		return diag_fail(why, ret, "vhd: BAT, cannot be checked");
	return ret;
}
