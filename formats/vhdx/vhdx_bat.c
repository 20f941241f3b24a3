/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VHDX: entries of the block allocation table (FORMAT.md 6). */
#include "formats/vhdx/vhdx_int.h"

uint64_t vhdx_bat_used(const struct vhdx *x, uint64_t blk)
{
	uint64_t off = blk << x->block_shift;

	return min_of((uint64_t)vhdx_block_size(x), x->info.size - off);
}

static uint64_t block_place(const struct vhdx *x, uint64_t blk)
{
	return x->bat.off + (blk + blk / x->chunk_blocks) * 8;
}

static uint64_t bitmap_place(const struct vhdx *x, uint64_t chunk)
{
	return x->bat.off +
	       (chunk * (x->chunk_blocks + 1) + x->chunk_blocks) * 8;
}

/* len bytes of the file must be there; the whole of size must not touch
 * anything else's place. */
static bool place_ok(const struct vhdx *x, uint64_t off, uint64_t len,
		     uint64_t size)
{
	return off >= VHDX_MIB && range_within(off, len, dev_size(x->io)) &&
	       !vhdx_region_hit(x, off, size);
}

int vhdx_bat_decode(const struct vhdx *x, uint64_t blk, uint64_t raw,
		    struct vhdx_bat *out)
{
	struct vhdx_bat e = {
		.state = raw & VHDX_BAT_STATE, .off = raw & VHDX_BAT_OFF,
	};

	if (raw & VHDX_BAT_RESERVED)
		return -ERR_CORRUPT;
	switch (e.state) {
	case VHDX_NOT_PRESENT:
	case VHDX_ZERO:
		e.off = 0;
		break;
	case VHDX_UNDEFINED:
	case VHDX_UNMAPPED:
		if (e.off && !place_ok(x, e.off, vhdx_bat_used(x, blk),
				       vhdx_block_size(x)))
			return -ERR_CORRUPT;
		break;
	case VHDX_FULL:
	case VHDX_PARTIAL:
		if (!place_ok(x, e.off, vhdx_bat_used(x, blk),
			      vhdx_block_size(x)))
			return -ERR_CORRUPT;
		/* Microsoft's reader takes it as full where there is nothing
		 * below. */
		if (!x->info.has_parent)
			e.state = VHDX_FULL;
		break;
	default:
		return -ERR_CORRUPT;
	}
	*out = e;
	return 0;
}

int vhdx_bat_decode_bitmap(const struct vhdx *x, uint64_t raw, uint64_t *off)
{
	uint64_t state = raw & VHDX_BAT_STATE, at = raw & VHDX_BAT_OFF;

	if (raw & VHDX_BAT_RESERVED)
		return -ERR_CORRUPT;
	if (state == VHDX_NOT_PRESENT) {
		*off = 0;
		return 0;
	}
	if ((state != VHDX_FULL && state != VHDX_PARTIAL) ||
	    !place_ok(x, at, VHDX_MIB, VHDX_MIB))
		return -ERR_CORRUPT;
	*off = at;
	return 0;
}

static int load_raw(struct vhdx *x, uint64_t place, uint64_t *raw)
{
	const uint8_t *p;
	int ret = vhdx_page_get(x, place, &p);

	if (ret)
		return ret;
	*raw = le64_at(p);
	vhdx_page_put(x);
	return 0;
}

int vhdx_bat_get(struct vhdx *x, uint64_t blk, struct vhdx_bat *out)
{
	uint64_t raw;
	int ret = load_raw(x, block_place(x, blk), &raw);

	return ret ? ret : vhdx_bat_decode(x, blk, raw, out);
}

int vhdx_bat_get_bitmap(struct vhdx *x, uint64_t chunk, uint64_t *off)
{
	uint64_t raw;
	int ret = load_raw(x, bitmap_place(x, chunk), &raw);

	return ret ? ret : vhdx_bat_decode_bitmap(x, raw, off);
}

static int store_raw(struct vhdx *x, uint64_t place, uint64_t raw)
{
	le64_t v = to_le64(raw);
	uint8_t *p;
	int ret = vhdx_page_edit(x, place, &p);

	if (ret)
		return ret;
	memcpy(p, &v, sizeof(v));
	vhdx_page_put(x);
	return 0;
}

int vhdx_bat_set(struct vhdx *x, uint64_t blk, enum vhdx_state state,
		 uint64_t off)
{
	return store_raw(x, block_place(x, blk), off | state);
}

int vhdx_bat_set_bitmap(struct vhdx *x, uint64_t chunk, uint64_t off)
{
	return store_raw(x, bitmap_place(x, chunk), off | VHDX_FULL);
}
