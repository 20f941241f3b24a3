/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VHDX: opens and closes (FORMAT.md 11.1). */
#include "formats/vhdx/vhdx.h"

#include <stdlib.h>
#include <string.h>

#include "formats/base/utf16.h"
#include "formats/vhdx/vhdx_int.h"

static void x_close(struct dev *dev)
{
	vhdx_close(container_of(dev, struct vhdx, dev));
}

static const struct dev_ops vhdx_ops = {
	.name = "vhdx",
	.close = x_close,
	.read = vhdx_read,
	.write = vhdx_write,
	.zero = vhdx_zero,
	.resize = vhdx_resize,
	.flush = vhdx_flush,
	.map = vhdx_map,
	.begin_write = vhdx_begin_write,
	.check_write = vhdx_check_write,
};

int vhdx_probe(struct dev *file)
{
	uint8_t sig[8];
	int ret;

	if (dev_size(file) < sizeof(sig))
		return -ERR_NOT_THIS;
	ret = dev_read(file, sig, sizeof(sig), 0);
	if (ret)
		return ret;
	return memcmp(sig, "vhdxfile", sizeof(sig)) ? -ERR_NOT_THIS : 0;
}

static int load_id(struct vhdx *x, struct diag *why)
{
	struct vhdx_disk_id id;
	size_t n = 0;
	int ret = vhdx_probe(x->file);

	if (ret == -ERR_NOT_THIS)
		return diag_fail(why, ret, "vhdx: no signature");
	if (!ret && dev_size(x->file) < VHDX_MIB)
		return diag_fail(why, ERR_CORRUPT, "vhdx: the file is cut off "
				 "in its headers: %llu bytes",
				 (unsigned long long)dev_size(x->file));
	if (!ret)
		ret = dev_read(x->file, &id, sizeof(id), 0);
	if (ret)
		return diag_fail(why, ret, "vhdx: %s", strerror(-ret));
	while (n < sizeof(id.creator) / 2 && le16_at(id.creator + 2 * n))
		n++;
	if (utf16le_to_utf8(id.creator, n, x->info.creator,
			    sizeof(x->info.creator)) < 0)
		x->info.creator[0] = 0;
	return 0;
}

static int load_log(struct vhdx *x, const struct vhdx_opts *opts,
		    struct diag *why)
{
	if (guid_is_zero(&x->hdr.log))
		return 0;
	if (opts && opts->refuse_dirty)
		return diag_fail_as(why, EROFS, OUT_DIRTY_LOG, "vhdx: the log "
				    "is dirty and was not to be replayed");
	return vhdx_log_load(x, why);
}

/* FORMAT.md 6. Sizes were checked, nothing here can overflow. */
static int geometry(struct vhdx *x, struct diag *why)
{
	uint64_t chunks;

	x->chunk_blocks = VHDX_CHUNK_SECTORS * x->info.sector_size >>
			  x->block_shift;
	x->n_blocks = div_up(x->info.size, vhdx_block_size(x));
	chunks = div_up(x->n_blocks, x->chunk_blocks);
	x->n_entries = x->info.has_parent ? chunks * (x->chunk_blocks + 1)
					  : x->n_blocks + chunks - 1;
	if (x->bat.len / 8 < x->n_entries)
		return diag_fail(why, ERR_CORRUPT, "vhdx: the BAT is too small:"
				 " %llu entries, the disk has %llu",
				 (unsigned long long)x->bat.len / 8,
				 (unsigned long long)x->n_entries);
	return 0;
}

static int load_all(struct vhdx *x, const struct vhdx_opts *opts,
		    struct diag *why)
{
	int ret = load_id(x, why);

	if (!ret)
		ret = vhdx_header_load(x, why);
	if (!ret)
		ret = load_log(x, opts, why);
	if (!ret)
		ret = vhdx_region_load(x, why);
	if (!ret)
		ret = vhdx_meta_load(x, why);
	return ret ? ret : geometry(x, why);
}

/* Everything but the file. */
static void free_parts(struct vhdx *x)
{
	for (size_t i = 0; i < x->info.n_parents; i++)
		free(x->info.parents[i].path);
	vhdx_space_free(&x->space);
	vhdx_pages_free(x);
	map_free(&x->new_chunks);
	dev_close(x->ram);
	pthread_mutex_destroy(&x->lock);
	pthread_mutex_destroy(&x->flush_lock);
	free(x->extents);
	free(x->items);
	free(x);
}

int vhdx_open(struct dev *file, const struct vhdx_opts *opts,
	      struct vhdx **out, struct diag *why)
{
	struct vhdx *x = mem_new(struct vhdx);
	int ret = x ? vhdx_pages_init(x) : -ENOMEM;

	if (ret) {
		free(x);
		return diag_fail(why, ret, "vhdx: out of memory");
	}
	pthread_mutex_init(&x->lock, NULL);
	pthread_mutex_init(&x->flush_lock, NULL);
	x->file = x->io = file;
	x->keep_size = dev_size(file);
	ret = load_all(x, opts, why);
	if (ret) {
		free_parts(x);
		return ret;
	}
	x->dev = (struct dev) {
		.ops = &vhdx_ops, .size = x->info.size,
		.sector_size = x->info.sector_size,
		.phys_sector_size = x->info.phys_sector_size,
		.writable = file->writable,
	};
	*out = x;
	return 0;
}

void vhdx_close(struct vhdx *x)
{
	struct dev *file;

	if (!x)
		return;
	vhdx_end(x);
	file = x->file;
	free_parts(x);
	dev_close(file);
}

struct dev *vhdx_dev(struct vhdx *x)
{
	return &x->dev;
}

const struct vhdx_info *vhdx_info(const struct vhdx *x)
{
	return &x->info;
}

int vhdx_set_parent(struct vhdx *x, struct dev *parent, struct diag *why)
{
	if (!x->info.has_parent)
		return diag_fail_as(why, EINVAL, OUT_CHAIN,
				    "vhdx: not a differencing disk");
	if (parent->sector_size != x->info.sector_size)
		return diag_fail_as(why, ESTALE, OUT_CHAIN, "vhdx: the parent "
				    "has sectors of %u bytes, the child of %u",
				    parent->sector_size, x->info.sector_size);
	x->parent = parent;
	return 0;
}
