/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening and closing a VHD, and what must be so before it is written:
 * FORMAT.md 3, 4, 11. */
#include "formats/vhd/vhd.h"

#include <stdlib.h>

#include "formats/base/alloc.h"
#include "formats/vhd/vhd_int.h"

static void close_dev(struct dev *dev)
{
	struct vhd *v = vhd_of(dev);

	dev_close(v->file);
	vhd_bat_free(v);
	vhd_parents_free(&v->info);
	pthread_mutex_destroy(&v->flush_lock);
	pthread_mutex_destroy(&v->alloc_lock);
	for (size_t i = 0; i < VHD_STRIPES; i++)
		pthread_mutex_destroy(&v->stripe[i]);
	free(v);
}

static bool is_early_tapdisk(const struct vhd *v)
{
	return !memcmp(v->footer.raw.creator, "tap", 4) &&
	       be32(v->footer.raw.creator_version) == 0x00000001;
}

static int check_state(const struct vhd *v, struct diag *why)
{
	if (v->footer.saved_state)
		return diag_fail(why, ERR_UNSUPP, "vhd: footer, a saved "
				 "machine uses this disk");
	if (v->footer.temporary)
		return diag_fail(why, ERR_UNSUPP,
				 "vhd: footer, marked as a temporary disk");
	if (v->footer.copy_conflict)
		return diag_fail(why, ERR_CORRUPT, "vhd: footer, the copy at "
				 "the start is of another disk or size");
	return 0;
}

static int check_sparse(const struct vhd *v, struct diag *why)
{
	if (v->header.has_next)
		return diag_fail(why, ERR_UNSUPP, "vhd: header, an unknown "
				 "structure follows: 0x%llx",
				 (unsigned long long)be64(v->header.raw.next));
	if (is_early_tapdisk(v))
		return diag_fail(why, ERR_UNSUPP, "vhd: bitmap, little-endian "
				 "as tapdisk 0.1 wrote it");
	if (v->info.type == VHD_DIFFERENCING && !v->parent)
		return diag_fail_as(why, ESTALE, OUT_CHAIN,
				    "vhd: differencing disk without parent");
	return 0;
}

/* All that can be said without reading the BAT. */
static int check_cheaply(struct vhd *v, struct diag *why)
{
	int ret = v->opts.force ? 0 : check_state(v, why);

	if (ret)
		return ret;
	if (v->footer.current_size % VHD_SECTOR)
		return diag_fail(why, ERR_UNSUPP, "vhd: footer, size is no "
				 "multiple of 512: %llu",
				 (unsigned long long)v->footer.current_size);
	return v->info.type == VHD_FIXED ? 0 : check_sparse(v, why);
}

static int vhd_check_write(struct dev *dev, struct diag *why)
{
	struct vhd *v = vhd_of(dev);
	int ret = check_cheaply(v, why);

	return ret ? ret : dev_check_write(v->file, why);
}

static int vhd_begin_write(struct dev *dev, struct diag *why)
{
	struct vhd *v = vhd_of(dev);
	int ret = check_cheaply(v, why);

	if (!ret && v->info.type != VHD_FIXED)
		ret = vhd_bat_check(v, why);
	return ret ? ret : dev_begin_write(v->file, why);
}

static const struct dev_ops vhd_ops = {
	.name = "vhd",
	.close = close_dev,
	.read = vhd_read,
	.write = vhd_write,
	.zero = vhd_zero,
	.resize = vhd_resize,
	.flush = vhd_flush,
	.map = vhd_map,
	.begin_write = vhd_begin_write,
	.check_write = vhd_check_write,
};

static void fill_info(struct vhd *v)
{
	const struct vhd_footer *f = &v->footer;
	struct vhd_info *info = &v->info;

	info->type = f->type;
	info->size = vhd_size_by_rule(f, v->opts.size_rule);
	info->current_size = f->current_size;
	info->chs_size = f->chs_size;
	info->timestamp = be32(f->raw.timestamp);
	memcpy(info->id.b, f->raw.id, sizeof(info->id.b));
	memcpy(info->creator, f->raw.creator, sizeof(f->raw.creator));
	info->footer_damaged = f->type != VHD_FIXED && !f->len;
	info->copy_differs = f->copy_valid && f->type != VHD_FIXED &&
			     !f->copy_ok;
	info->saved_state = f->saved_state;
}

static void derive(struct vhd *v)
{
	uint32_t block = v->header.block_size;

	v->info.block_size = block;
	v->block_shift = (uint32_t)__builtin_ctz(block);
	v->sectors_per_block = block / VHD_SECTOR;
	v->bitmap_bytes = (uint32_t)round_up(div_up(v->sectors_per_block, 8),
					     VHD_SECTOR);
	v->bitmap_words = (uint32_t)div_up(v->sectors_per_block, 64);
	v->n_blocks = div_up(v->info.size, block);
	v->lsb_bitmap = is_early_tapdisk(v);
}

static int open_sparse(struct vhd *v, struct diag *why)
{
	int ret = vhd_header_load(v->file, &v->footer, v->opts.force,
				  &v->header, why);

	if (ret)
		return ret;
	derive(v);
	ret = vhd_bat_new(v);
	if (!ret && v->info.type == VHD_DIFFERENCING) {
		v->info.parent_id = v->header.parent_id;
		v->info.parent_timestamp = v->header.parent_timestamp;
		v->parent_raw = guid_is_zero(&v->info.parent_id);
		ret = vhd_parents_load(v->file, &v->header, &v->info);
	}
	if (ret)
		return diag_fail(why, ret, "vhd: header, parents unreadable");
	return 0;
}

static struct vhd *vhd_new(const struct vhd_opts *opts)
{
	struct vhd *v = mem_new(struct vhd);

	if (!v)
		return NULL;
	if (opts)
		v->opts = *opts;
	pthread_mutex_init(&v->flush_lock, NULL);
	pthread_mutex_init(&v->alloc_lock, NULL);
	for (size_t i = 0; i < VHD_STRIPES; i++)
		pthread_mutex_init(&v->stripe[i], NULL);
	return v;
}

static int open_file(struct vhd *v, struct diag *why)
{
	int ret = vhd_footer_load(v->file, v->opts.force, &v->footer, why);

	if (ret)
		return ret;
	fill_info(v);
	v->limit = v->footer.off;
	v->dev = (struct dev) {
		.ops = &vhd_ops, .size = v->info.size,
		.sector_size = VHD_SECTOR, .phys_sector_size = VHD_SECTOR,
		.writable = v->file->writable,
	};
	return v->info.type == VHD_FIXED ? 0 : open_sparse(v, why);
}

int vhd_open(struct dev *file, const struct vhd_opts *opts, struct vhd **out,
	     struct diag *why)
{
	struct vhd *v = vhd_new(opts);
	int ret;

	if (!v)
		return diag_fail(why, ENOMEM, "vhd: out of memory");
	v->file = file;
	ret = open_file(v, why);
	if (!ret) {
		*out = v;
		return 0;
	}
	/* The file stays the caller's when it fails. */
	v->dev.ops = &vhd_ops;
	v->file = NULL;
	vhd_close(v);
	return ret;
}

void vhd_close(struct vhd *v)
{
	if (v)
		dev_close(&v->dev);
}

struct dev *vhd_dev(struct vhd *v)
{
	return &v->dev;
}

const struct vhd_info *vhd_info(const struct vhd *v)
{
	return &v->info;
}

int vhd_set_parent(struct vhd *v, struct dev *parent, struct diag *why)
{
	if (v->info.type != VHD_DIFFERENCING)
		return diag_fail(why, EINVAL,
				 "vhd: only a differencing disk has a parent");
	if (v->parent_raw && !v->opts.force)
		return diag_fail_as(why, ESTALE, OUT_CHAIN, "vhd: header, no "
				    "parent's id; a raw one must be asked for");
	if (parent->sector_size != VHD_SECTOR)
		return diag_fail(why, ERR_UNSUPP, "vhd: parent has sectors of "
				 "%u bytes", parent->sector_size);
	v->parent = parent;
	return 0;
}
