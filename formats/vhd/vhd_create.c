/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Empty disks of all three kinds: FORMAT.md 2, 4, 7.4 and 8. */
#include <stdlib.h>

#include "formats/base/alloc.h"
#include "formats/base/dev_file.h"
#include "formats/vhd/vhd_int.h"

#define BLOCK_DEFAULT	(2u << 20)
#define BLOCK_SMALL	(512u << 10)
/* What the BAT is padded to in a differencing disk. */
#define PATH_ROOM	VHD_PATH_ROOM

struct plan {
	const struct vhd_create *what;
	uint64_t size;
	uint32_t block_size;
	uint64_t bat_off, bat_len;	/* padded */
	uint64_t relative_off, windows_off;
	uint64_t footer_off;
	struct vhd_footer_disk footer;
	struct vhd_header_disk header;
	struct vhd_paths paths;
};

static int check_what(const struct vhd_create *what, uint64_t size,
		      struct diag *why)
{
	if (what->type < VHD_FIXED || what->type > VHD_DIFFERENCING)
		return diag_fail(why, EINVAL, "vhd: no such kind of disk: %d",
				 (int)what->type);
	if (!size || size % VHD_SECTOR)
		return diag_fail(why, EINVAL, "vhd: size must be a multiple of "
				 "512: %llu", (unsigned long long)size);
	if (size > VHD_CREATE_MAX)
		return diag_fail(why, ERR_UNSUPP, "vhd: larger than 2040 GiB: "
				 "%llu bytes", (unsigned long long)size);
	if (what->block_size && what->block_size != BLOCK_DEFAULT &&
	    what->block_size != BLOCK_SMALL)
		return diag_fail(why, EINVAL, "vhd: block size must be 512 KiB "
				 "or 2 MiB: %u", what->block_size);
	if (what->type != VHD_DIFFERENCING)
		return 0;
	if (!what->parent || !what->parent_relative)
		return diag_fail(why, EINVAL, "vhd: a differencing disk "
				 "needs a parent and the path to it");
	if (size < what->parent->size)
		return diag_fail(why, EINVAL, "vhd: smaller than its parent: "
				 "%llu bytes", (unsigned long long)size);
	return 0;
}

/* The parent's, where it is one that Windows knows. */
static uint32_t block_size_for(const struct vhd_create *what)
{
	if (what->block_size)
		return what->block_size;
	if (what->type == VHD_DIFFERENCING &&
	    what->parent->block_size == BLOCK_SMALL)
		return BLOCK_SMALL;
	return BLOCK_DEFAULT;
}

/* W2ku before W2ru, as Windows writes them; no invented W2ku. */
static void encode_locators(struct plan *p)
{
	struct vhd_locator_disk *l = p->header.locators;

	if (p->paths.windows_len)
		*l++ = vhd_paths_locator("W2ku", p->windows_off,
					 p->paths.windows_len);
	*l = vhd_paths_locator("W2ru", p->relative_off, p->paths.relative_len);
}

static int plan_parent(struct plan *p, struct diag *why)
{
	int ret = vhd_paths_encode(p->what->parent_relative,
				   p->what->parent_windows, &p->paths, why);

	if (ret)
		return ret;
	memcpy(p->header.parent_name, p->paths.name, sizeof(p->paths.name));
	encode_locators(p);
	memcpy(p->header.parent_id, p->what->parent->id.b,
	       sizeof(p->header.parent_id));
	return 0;
}

/* FORMAT.md 7.4; without a parent as qemu lays it out. */
static void plan_layout(struct plan *p)
{
	uint64_t n = div_up(p->size, p->block_size);

	if (p->what->type == VHD_DIFFERENCING) {
		p->windows_off = 4096;
		p->bat_off = 8192;
		p->bat_len = round_up(n * 4, PATH_ROOM);
		p->relative_off = p->bat_off + p->bat_len;
		p->footer_off = p->relative_off + PATH_ROOM;
	} else {
		p->bat_off = sizeof(p->footer) + sizeof(p->header);
		p->bat_len = round_up(n * 4, VHD_SECTOR);
		p->footer_off = p->bat_off + p->bat_len;
	}
	memcpy(p->header.cookie, VHD_HEADER_COOKIE, sizeof(p->header.cookie));
	p->header.next = to_be64(VHD_NO_OFFSET);
	p->header.bat_off = to_be64(p->bat_off);
	p->header.version = to_be32(VHD_VERSION);
	p->header.n_entries = to_be32((uint32_t)n);
	p->header.block_size = to_be32(p->block_size);
}

static int write_bat(struct dev *file, const struct plan *p)
{
	uint8_t ones[4096];
	uint64_t done = 0;
	int ret = 0;

	memset(ones, 0xFF, sizeof(ones));
	while (done < p->bat_len && !ret) {
		size_t n = (size_t)min_of(p->bat_len - done,
					  (uint64_t)sizeof(ones));

		ret = dev_write(file, ones, n, p->bat_off + done);
		done += n;
	}
	return ret;
}

static int write_structures(struct dev *file, const struct plan *p)
{
	int ret = dev_write(file, &p->header, sizeof(p->header),
			    sizeof(p->footer));

	if (!ret)
		ret = write_bat(file, p);
	if (!ret && p->paths.windows_len)
		ret = dev_write(file, p->paths.windows,
				p->paths.windows_len,
				p->windows_off);
	if (!ret && p->paths.relative_len)
		ret = dev_write(file, p->paths.relative,
				p->paths.relative_len,
				p->relative_off);
	if (!ret)
		ret = dev_write(file, &p->footer, sizeof(p->footer), 0);
	return ret;
}

static int write_plan(struct dev *file, const struct plan *p)
{
	int ret = dev_file_extend(file, p->footer_off + sizeof(p->footer));

	if (!ret && p->what->type != VHD_FIXED)
		ret = write_structures(file, p);
	if (!ret)
		ret = dev_write(file, &p->footer, sizeof(p->footer),
				p->footer_off);
	return ret ? ret : dev_flush(file);
}

static int make_plan(struct plan *p, struct diag *why)
{
	int ret = vhd_footer_encode(&p->footer, p->what->type, p->size);

	if (ret)
		return diag_fail(why, ret, "vhd: no random numbers for an id");
	p->block_size = block_size_for(p->what);
	p->footer_off = p->size;
	if (p->what->type == VHD_FIXED)
		return 0;
	plan_layout(p);
	if (p->what->type == VHD_DIFFERENCING)
		ret = plan_parent(p, why);
	p->header.checksum = to_be32(
		vhd_checksum(&p->header, sizeof(p->header),
			     offsetof(struct vhd_header_disk, checksum)));
	return ret;
}

int vhd_create(struct dev *file, const struct vhd_create *what,
	       struct diag *why)
{
	uint64_t size = !what->size && what->parent ? what->parent->size
			: what->size;
	int ret = check_what(what, size, why);
	struct plan *p;

	if (ret)
		return ret;
	p = mem_new(struct plan);
	if (!p)
		return diag_fail(why, ENOMEM, "vhd: out of memory");
	p->what = what;
	p->size = size;
	ret = make_plan(p, why);
	if (!ret) {
		ret = write_plan(file, p);
		if (ret)
			diag_fail(why, ret, "vhd: new disk cannot be written");
	}
	free(p);
	return ret;
}
