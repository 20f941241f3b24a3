/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VHDX: new files (FORMAT.md 12.1, 12.2): header MiB, log at 1 MiB, metadata
 * at 2 MiB, then the BAT, then blocks. The signature is written last.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/utf16.h"
#include "formats/vhdx/vhdx_int.h"

#define LOG_OFF		(1u << 20)
#define LOG_LEN		(1u << 20)
#define META_OFF	(2u << 20)
#define ITEMS_OFF	VHDX_KIB64
#define BLOCK_DEFAULT	(32u << 20)
#define BLOCK_DEFAULT_DIFF	(2u << 20)	/* as Hyper-V's cmdlets */

static const char creator[] = "imgfs";

/* What is to be made, with every default filled in. */
struct plan {
	struct dev *file;
	const struct vhdx_create *what;
	struct diag *why;
	uint64_t size, n_blocks, chunk_blocks;
	uint32_t block_size, lss, pss;
	uint8_t *meta;			/* table and items, owned */
	size_t n_items, items_end, meta_cap;
	uint64_t meta_len, bat_off, bat_len, data_off, file_size;
};

static int plan_sizes(struct plan *p)
{
	const struct vhdx_create *w = p->what;
	bool diff = w->type == VHDX_DIFFERENCING;
	const struct vhdx_info *parent = diff ? &w->parent->info : NULL;

	p->size = w->size || !diff ? w->size : parent->size;
	p->lss = diff ? parent->sector_size
		      : w->sector_size ? w->sector_size : 512;
	p->pss = diff ? parent->phys_sector_size
		      : w->phys_sector_size ? w->phys_sector_size : 4096;
	p->block_size = w->block_size ? w->block_size
		      : diff ? BLOCK_DEFAULT_DIFF : BLOCK_DEFAULT;
	if (diff && w->sector_size && w->sector_size != p->lss)
		return diag_fail(p->why, EINVAL, "vhdx: a child's sectors are "
				 "its parent's: %u", p->lss);
	if ((p->lss != 512 && p->lss != 4096) ||
	    (p->pss != 512 && p->pss != 4096))
		return diag_fail(p->why, EINVAL,
				 "vhdx: impossible sector size");
	if (!is_pow2(p->block_size) || p->block_size < VHDX_MIB ||
	    p->block_size > 256 * VHDX_MIB)
		return diag_fail(p->why, EINVAL, "vhdx: impossible block size: "
				 "%u", p->block_size);
	if (!p->size || p->size > VHDX_SIZE_MAX || p->size % p->lss)
		return diag_fail(p->why, EINVAL, "vhdx: impossible disk size: "
				 "%llu", (unsigned long long)p->size);
	return 0;
}

static void plan_layout(struct plan *p)
{
	uint64_t chunks, entries;

	p->n_blocks = div_up(p->size, p->block_size);
	p->chunk_blocks = VHDX_CHUNK_SECTORS * p->lss / p->block_size;
	chunks = div_up(p->n_blocks, p->chunk_blocks);
	entries = p->what->type == VHDX_DIFFERENCING
		? chunks * (p->chunk_blocks + 1) : p->n_blocks + chunks - 1;
	p->meta_len = round_up(p->items_end, VHDX_MIB);
	p->bat_off = META_OFF + p->meta_len;
	p->bat_len = round_up(entries * 8, VHDX_MIB);
	p->data_off = p->file_size = p->bat_off + p->bat_len;
	if (p->what->type == VHDX_FIXED)
		p->file_size += p->n_blocks * p->block_size;
}

static int meta_grow(struct plan *p, size_t need)
{
	size_t cap = p->meta_cap ? p->meta_cap : VHDX_MIB;
	uint8_t *bigger;

	while (cap < need)
		cap *= 2;
	if (cap == p->meta_cap)
		return 0;
	bigger = mem_realloc(p->meta, 1, cap);
	if (!bigger)
		return diag_fail(p->why, ENOMEM, "vhdx: out of memory");
	memset(bigger + p->meta_cap, 0, cap - p->meta_cap);
	p->meta = bigger;
	p->meta_cap = cap;
	return 0;
}

static int add_item(struct plan *p, struct guid id, uint32_t flags,
		    const void *data, size_t len)
{
	size_t at = round_up(p->items_end, 8);
	struct vhdx_disk_item *it;
	int ret = meta_grow(p, at + len);

	if (ret)
		return ret;
	if (p->n_items == VHDX_ITEMS_MAX)
		return diag_fail(p->why, ERR_UNSUPP,
				 "vhdx: the parent has too many items");
	it = (void *)(p->meta + sizeof(struct vhdx_disk_meta));
	it[p->n_items++] = (struct vhdx_disk_item) {
		.id = id, .off = to_le32(len ? (uint32_t)at : 0),
		.len = to_le32((uint32_t)len), .flags = to_le32(flags),
	};
	if (len)
		memcpy(p->meta + at, data, len);
	p->items_end = at + len;
	return 0;
}

static int add_params(struct plan *p)
{
	uint32_t flags = p->what->type == VHDX_FIXED
			? VHDX_PARAM_LEAVE_ALLOCATED
			: p->what->type == VHDX_DIFFERENCING
			? VHDX_PARAM_HAS_PARENT : 0;
	struct vhdx_disk_params params = {
		to_le32(p->block_size), to_le32(flags),
	};

	return add_item(p, (struct guid)VHDX_ITEM_PARAMS, VHDX_ITEM_REQUIRED,
			&params, sizeof(params));
}

static int add_disk_items(struct plan *p)
{
	const uint32_t flags = VHDX_ITEM_REQUIRED | VHDX_ITEM_VIRTUAL;
	le64_t size = to_le64(p->size);
	le32_t lss = to_le32(p->lss), pss = to_le32(p->pss);
	struct guid id;
	int ret = guid_random(&id);

	if (ret)
		return diag_fail(p->why, ret, "vhdx: no random numbers");
	ret = add_item(p, (struct guid)VHDX_ITEM_SIZE, flags, &size,
		       sizeof(size));
	if (!ret)
		ret = add_item(p, (struct guid)VHDX_ITEM_DISK_ID, flags, &id,
			       sizeof(id));
	if (!ret)
		ret = add_item(p, (struct guid)VHDX_ITEM_LSS, flags, &lss,
			       sizeof(lss));
	if (!ret)
		ret = add_item(p, (struct guid)VHDX_ITEM_PSS, flags, &pss,
			       sizeof(pss));
	return ret;
}

static int copy_item(struct plan *p, const struct vhdx_item *it)
{
	static const struct guid id_size = VHDX_ITEM_SIZE;
	le64_t size = to_le64(p->size);
	uint8_t *data;
	int ret = vhdx_meta_read(p->what->parent, it, &data, p->why);

	if (ret)
		return ret;
	if (guid_eq(&it->id, &id_size) && !(it->flags & VHDX_ITEM_USER))
		memcpy(data, &size, sizeof(size));
	ret = add_item(p, it->id, it->flags, data, it->len);
	free(data);
	return ret;
}

/* A child's items about the disk are its parent's, unknown ones too. */
static int add_parent_items(struct plan *p)
{
	struct vhdx *parent = p->what->parent;
	struct vhdx_locator_text text = {
		.linkage = &parent->info.data_write_guid,
		.relative = p->what->parent_relative,
		.absolute = p->what->parent_windows,
	};
	uint8_t *locator;
	size_t len;
	int ret = 0;

	for (size_t i = 0; i < parent->n_items && !ret; i++)
		if (parent->items[i].flags & VHDX_ITEM_VIRTUAL)
			ret = copy_item(p, &parent->items[i]);
	if (!ret)
		ret = vhdx_locator_encode(&text, &locator, &len, p->why);
	if (ret)
		return ret;
	ret = add_item(p, (struct guid)VHDX_ITEM_LOCATOR, VHDX_ITEM_REQUIRED,
		       locator, len);
	free(locator);
	return ret;
}

static int plan_items(struct plan *p)
{
	struct vhdx_disk_meta *t;
	int ret;

	p->items_end = ITEMS_OFF;
	ret = meta_grow(p, VHDX_MIB);
	if (!ret)
		ret = add_params(p);
	if (!ret)
		ret = p->what->parent ? add_parent_items(p) : add_disk_items(p);
	if (ret)
		return ret;
	t = (void *)p->meta;
	memcpy(t->sig, "metadata", sizeof(t->sig));
	t->count = to_le16((uint16_t)p->n_items);
	return 0;
}

static int write_headers(struct plan *p)
{
	struct vhdx_header h = {
		.seq = 1, .version = 1, .log_length = LOG_LEN,
		.log_offset = LOG_OFF,
	};
	struct vhdx_disk_header raw;
	int ret = guid_random(&h.file_write);

	if (!ret)
		ret = guid_random(&h.data_write);
	for (int i = 0; i < 2 && !ret; i++, h.seq++) {
		vhdx_header_encode(&h, &raw);
		ret = dev_write(p->file, &raw, sizeof(raw), VHDX_HEADER_OFF(i));
	}
	return ret;
}

static int write_regions(struct plan *p)
{
	uint8_t *raw = mem_zalloc(1, VHDX_KIB64);
	struct vhdx_disk_regions *t = (void *)raw;
	struct vhdx_disk_region *r = (void *)(t + 1);
	int ret = 0;

	if (!raw)
		return -ENOMEM;
	memcpy(t->sig, "regi", sizeof(t->sig));
	t->count = to_le32(2);
	r[0] = (struct vhdx_disk_region) {
		VHDX_REGION_BAT, to_le64(p->bat_off),
		to_le32((uint32_t)p->bat_len), to_le32(VHDX_REGION_REQUIRED),
	};
	r[1] = (struct vhdx_disk_region) {
		VHDX_REGION_META, to_le64(META_OFF),
		to_le32((uint32_t)p->meta_len), to_le32(VHDX_REGION_REQUIRED),
	};
	t->crc = to_le32(vhdx_crc(raw, VHDX_KIB64,
				  offsetof(struct vhdx_disk_regions, crc)));
	for (int i = 0; i < 2 && !ret; i++)
		ret = dev_write(p->file, raw, VHDX_KIB64, VHDX_REGION_OFF(i));
	free(raw);
	return ret;
}

/* Every block of a fixed disk, one behind the other. */
static int write_bat(struct plan *p)
{
	const size_t per = VHDX_KIB64 / sizeof(le64_t);
	le64_t *raw = mem_alloc(per, sizeof(*raw));
	uint64_t idx = 0, off = p->data_off;
	uint64_t end = p->n_blocks + (p->n_blocks - 1) / p->chunk_blocks;
	int ret = raw ? 0 : -ENOMEM;

	while (idx < end && !ret) {
		size_t n = 0;

		for (; n < per && idx + n < end; n++) {
			bool bitmap = (idx + n) % (p->chunk_blocks + 1) ==
				      p->chunk_blocks;

			raw[n] = to_le64(bitmap ? 0 : off | VHDX_FULL);
			off += bitmap ? 0 : p->block_size;
		}
		ret = dev_write(p->file, raw, n * sizeof(*raw),
				p->bat_off + idx * sizeof(*raw));
		idx += n;
	}
	free(raw);
	return ret;
}

/* Really there where the host can do that; else a sparse file must do. */
static int reserve(struct plan *p)
{
	int fd = dev_file_fd(p->file);

	if (fd < 0 || !fallocate(fd, 0, (off_t)p->data_off,
				 (off_t)(p->file_size - p->data_off)))
		return 0;
	return errno == EOPNOTSUPP ? 0 : -errno;
}

static int write_id(struct plan *p)
{
	struct vhdx_disk_id id = { .sig = "" };
	int ret;

	utf8_to_utf16le(creator, strlen(creator), id.creator,
			sizeof(id.creator) / 2);
	ret = dev_write(p->file, &id, sizeof(id), 0);
	if (!ret)
		ret = dev_flush(p->file);
	/* Until here it is no VHDX at all. */
	if (!ret)
		ret = dev_write(p->file, "vhdxfile", sizeof(id.sig), 0);
	return ret ? ret : dev_flush(p->file);
}

static int write_all(struct plan *p)
{
	int ret = dev_file_extend(p->file, p->file_size);

	if (!ret && p->what->type == VHDX_FIXED)
		ret = reserve(p);
	if (!ret)
		ret = write_headers(p);
	if (!ret)
		ret = write_regions(p);
	if (!ret)
		ret = dev_write(p->file, p->meta, p->items_end, META_OFF);
	if (!ret && p->what->type == VHDX_FIXED)
		ret = write_bat(p);
	if (!ret)
		ret = write_id(p);
	return ret ? diag_fail(p->why, ret, "vhdx: cannot be written: %s",
			       strerror(-ret)) : 0;
}

int vhdx_create(struct dev *file, const struct vhdx_create *what,
		struct diag *why)
{
	struct plan p = { .file = file, .what = what, .why = why };
	int ret;

	if ((what->type == VHDX_DIFFERENCING) != (what->parent != NULL))
		return diag_fail(why, EINVAL, "vhdx: a parent belongs to a "
				 "differencing disk, and to no other");
	if (dev_size(file))
		return diag_fail(why, EEXIST, "vhdx: the file is not empty");
	ret = plan_sizes(&p);
	if (!ret)
		ret = plan_items(&p);
	if (!ret) {
		plan_layout(&p);
		ret = write_all(&p);
	}
	free(p.meta);
	return ret;
}
