/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VHDX: sector bitmap blocks of differencing files (FORMAT.md 6.3). */
#include "formats/vhdx/vhdx_int.h"

#define PAGE_BITS	(VHDX_PAGE * 8u)

/* The first bit in [from, to) that is not `set`, or to. */
static uint32_t run_end(const uint8_t *bits, uint32_t from, uint32_t to,
			bool set)
{
	uint8_t same = set ? 0xff : 0;

	while (from < to) {
		if (from % 8 == 0 && to - from >= 8 && bits[from / 8] == same) {
			from += 8;
			continue;
		}
		if ((bits[from / 8] >> from % 8 & 1) != set)
			return from;
		from++;
	}
	return to;
}

static uint64_t chunk_of(const struct vhdx *x, uint64_t sector)
{
	return sector / VHDX_CHUNK_SECTORS;
}

int vhdx_bitmap_run(struct vhdx *x, uint64_t off, uint64_t len, bool *set,
		    uint64_t *run)
{
	uint32_t lss = x->info.sector_size;
	uint64_t sector = off / lss, bitmap, bytes;
	uint64_t n = div_up(off % lss + len, lss);
	uint32_t bit = sector % PAGE_BITS, end;
	const uint8_t *bits;
	int ret = vhdx_bat_get_bitmap(x, chunk_of(x, sector), &bitmap);

	if (ret || !bitmap)
		return ret ? ret : -ERR_CORRUPT;
	ret = vhdx_page_get(x, bitmap + (sector % VHDX_CHUNK_SECTORS -
					 bit) / 8, &bits);
	if (ret)
		return ret;
	*set = bits[bit / 8] >> bit % 8 & 1;
	end = (uint32_t)min_of((uint64_t)PAGE_BITS, bit + n);
	end = run_end(bits, bit, end, *set);
	vhdx_page_put(x);
	bytes = (uint64_t)(end - bit) * lss - off % lss;
	*run = min_of(bytes, len);
	return 0;
}

static void fill_bits(uint8_t *bits, uint32_t from, uint32_t to, bool set)
{
	while (from < to) {
		if (from % 8 == 0 && to - from >= 8) {
			bits[from / 8] = set ? 0xff : 0;
			from += 8;
			continue;
		}
		bits[from / 8] = (uint8_t)((bits[from / 8] &
					    ~(1u << from % 8)) |
					   (unsigned)set << from % 8);
		from++;
	}
}

int vhdx_bitmap_put(struct vhdx *x, uint64_t off, uint64_t len, bool set)
{
	uint64_t sector = off / x->info.sector_size;
	uint64_t n = len / x->info.sector_size, bitmap;
	int ret = vhdx_bat_get_bitmap(x, chunk_of(x, sector), &bitmap);

	if (ret || !bitmap)
		return ret ? ret : -ERR_CORRUPT;
	while (n) {
		uint32_t bit = sector % PAGE_BITS;
		uint32_t k = (uint32_t)min_of(n, (uint64_t)(PAGE_BITS - bit));
		uint8_t *bits;

		ret = vhdx_page_edit(x, bitmap + (sector % VHDX_CHUNK_SECTORS -
						  bit) / 8, &bits);
		if (ret)
			return ret;
		fill_bits(bits, bit, bit + k, set);
		vhdx_page_put(x);
		sector += k;
		n -= k;
	}
	return 0;
}

int vhdx_bitmap_need(struct vhdx *x, uint64_t chunk)
{
	uint64_t off;
	bool zeros;
	int ret = vhdx_bat_get_bitmap(x, chunk, &off);

	if (ret || off)
		return ret;
	ret = vhdx_space_take(x, VHDX_MIB, &off, &zeros);
	if (ret)
		return ret;
	if (!zeros)
		ret = dev_zero(x->file, off, VHDX_MIB, false);
	if (!ret)
		ret = map_put(&x->new_chunks, off / VHDX_MIB, x);
	if (!ret)
		ret = vhdx_bat_set_bitmap(x, chunk, off);
	if (ret) {
		map_del(&x->new_chunks, off / VHDX_MIB);
		vhdx_space_return(x, off, VHDX_MIB);
	}
	return ret;
}
