/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The dynamic header and its parent locators: FORMAT.md 4, 6 and 7. */
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/base/utf16.h"
#include "formats/vhd/vhd_int.h"

static int check_cookie(const struct vhd_header_disk *raw, bool force,
			struct diag *why)
{
	uint32_t sum = vhd_checksum(raw, sizeof(*raw),
				    offsetof(struct vhd_header_disk, checksum));

	if (memcmp(raw->cookie, VHD_HEADER_COOKIE, sizeof(raw->cookie)))
		return diag_fail(why, ERR_CORRUPT, "vhd: header, no cookie");
	if (be32(raw->checksum) != sum && !force)
		return diag_fail(why, ERR_CORRUPT,
				 "vhd: header, wrong checksum: 0x%08x, not "
				 "0x%08x", be32(raw->checksum), sum);
	if (be32(raw->version) != VHD_VERSION)
		return diag_fail(why, ERR_UNSUPP,
				 "vhd: header, unknown version: 0x%08x",
				 be32(raw->version));
	return 0;
}

static int check_block_size(const struct vhd_header *h,
			    const struct vhd_footer *f, struct diag *why)
{
	if (!is_pow2(h->block_size) || h->block_size < VHD_BLOCK_MIN ||
	    h->block_size > VHD_BLOCK_MAX)
		return diag_fail(why, ERR_CORRUPT,
				 "vhd: header, impossible block size: %u",
				 h->block_size);
	if (h->n_entries < div_up(f->current_size, h->block_size))
		return diag_fail(why, ERR_CORRUPT,
				 "vhd: header, BAT too short: %llu entries",
				 (unsigned long long)h->n_entries);
	if (h->n_entries > VHD_DISK_MAX / h->block_size)
		return diag_fail(why, ERR_CORRUPT,
				 "vhd: header, BAT larger than any disk: %llu "
				 "entries", (unsigned long long)h->n_entries);
	return 0;
}

static int check_bat_place(const struct vhd_header *h,
			   const struct vhd_footer *f, uint64_t file_size,
			   struct diag *why)
{
	uint64_t len = h->n_entries * 4;

	if (h->bat_off % VHD_SECTOR ||
	    !range_within(h->bat_off, len, file_size))
		return diag_fail(why, ERR_CORRUPT, "vhd: header, BAT cannot "
				 "lie at 0x%llx with %llu entries",
				 (unsigned long long)h->bat_off,
				 (unsigned long long)h->n_entries);
	if (ranges_overlap(h->bat_off, len, 0, VHD_SECTOR) ||
	    ranges_overlap(h->bat_off, len, f->data_off, sizeof(h->raw)) ||
	    ranges_overlap(h->bat_off, len, f->off, f->len))
		return diag_fail(why, ERR_CORRUPT, "vhd: header, BAT lies over "
				 "another structure: 0x%llx",
				 (unsigned long long)h->bat_off);
	return 0;
}

/* Some writers store 0 or 32 ones instead of the 64 that the format wants. */
static bool is_no_offset(uint64_t next)
{
	return next == VHD_NO_OFFSET || next == 0xFFFFFFFF || !next;
}

int vhd_header_load(struct dev *file, const struct vhd_footer *f, bool force,
		    struct vhd_header *out, struct diag *why)
{
	struct vhd_header h;
	int ret = dev_read(file, &h.raw, sizeof(h.raw), f->data_off);

	if (ret)
		return diag_fail(why, ret, "vhd: header, cannot be read");
	ret = check_cookie(&h.raw, force, why);
	if (ret)
		return ret;
	h.bat_off = be64(h.raw.bat_off);
	h.n_entries = be32(h.raw.n_entries);
	h.block_size = be32(h.raw.block_size);
	h.has_next = !is_no_offset(be64(h.raw.next));
	h.parent_timestamp = be32(h.raw.parent_timestamp);
	memcpy(h.parent_id.b, h.raw.parent_id, sizeof(h.parent_id.b));
	ret = check_block_size(&h, f, why);
	if (!ret)
		ret = check_bat_place(&h, f, dev_size(file), why);
	if (!ret)
		*out = h;
	return ret;
}

static size_t units_before_nul(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!p[2 * i] && !p[2 * i + 1])
			return i;
	return n;
}

/* Paths are little-endian, but writers exist that got it wrong: ASCII in the
 * high byte gives them away (FORMAT.md 6). */
static bool looks_big_endian(const uint8_t *p, size_t n)
{
	size_t swapped = 0;

	if (n && !p[0] && !p[1])
		return true;
	for (size_t i = 0; i < n; i++)
		if (!p[2 * i] && p[2 * i + 1] && p[2 * i + 1] < 0x80)
			swapped++;
	return swapped > n / 2;
}

static int decode_path(const uint8_t *p, size_t n, bool be, char **out)
{
	size_t size = UTF16_TO_UTF8_MAX(n) + 1;
	char *path = mem_alloc(size, 1);
	int ret;

	if (!path)
		return -ENOMEM;
	ret = be ? utf16be_to_utf8(p, n, path, size)
		 : utf16le_to_utf8(p, n, path, size);
	if (ret <= 0) {
		free(path);
		return ret;
	}
	*out = path;
	return 0;
}

/* *out stays NULL when there is no path. */
static int decode_utf16_path(const uint8_t *p, size_t len, char **out)
{
	size_t n = len / 2;
	bool be = looks_big_endian(p, n);

	if (n && ((p[0] == 0xFF && p[1] == 0xFE) ||
		  (p[0] == 0xFE && p[1] == 0xFF))) {
		be = p[0] == 0xFE;
		p += 2;
		n--;
	}
	return decode_path(p, units_before_nul(p, n), be, out);
}

static int decode_bytes_path(const uint8_t *p, size_t len, char **out)
{
	size_t n = strnlen((const char *)p, len);
	char *path = n ? mem_alloc(n + 1, 1) : NULL;

	if (n && !path)
		return -ENOMEM;
	if (path) {
		memcpy(path, p, n);
		path[n] = '\0';
		*out = path;
	}
	return 0;
}

static bool locator_usable(const struct vhd_locator_disk *l, uint64_t file_size)
{
	uint32_t len = be32(l->len);

	return len && len <= VHD_PATH_MAX &&
	       range_within(be64(l->off), len, file_size);
}

/* Last of all the writers' ANSI paths would come: they are not read. */
static int load_locator(struct dev *file, const struct vhd_locator_disk *l,
			char **path)
{
	uint32_t len = be32(l->len);
	uint8_t *buf;
	int ret;

	if (!locator_usable(l, dev_size(file)))
		return 0;
	buf = mem_alloc(len, 1);
	if (!buf)
		return -ENOMEM;
	ret = dev_read(file, buf, len, be64(l->off));
	if (!ret && l->code[0] == 'W')
		ret = len % 2 ? 0 : decode_utf16_path(buf, len, path);
	else if (!ret)
		ret = decode_bytes_path(buf, len, path);
	free(buf);
	return ret;
}

static void add_parent(struct vhd_info *info, enum locator_kind kind,
		       char *path, size_t max)
{
	if (info->n_parents >= max) {
		free(path);
		return;
	}
	info->parents[info->n_parents++] = (struct locator) { kind, path };
}

/* All locators of one kind; the last place stays free for the name. */
static int load_kind(struct dev *file, const struct vhd_header *h,
		     const char *code, enum locator_kind kind,
		     struct vhd_info *info)
{
	for (size_t i = 0; i < VHD_LOCATORS; i++) {
		char *path = NULL;
		int ret = 0;

		if (!memcmp(h->raw.locators[i].code, code, 4))
			ret = load_locator(file, &h->raw.locators[i], &path);
		if (ret)
			return ret;
		if (path)
			add_parent(info, kind, path, LOCATOR_MAX - 1);
	}
	return 0;
}

/* Windows stores a whole path in the name: only its last part is a hint. */
static int load_name(const struct vhd_header *h, struct vhd_info *info)
{
	const uint8_t *p = h->raw.parent_name[0].b;
	size_t n = units_before_nul(p, VHD_NAME_UNITS), first = 0;
	char *path = NULL;
	int ret;

	for (size_t i = 0; i < n; i++)
		if (!p[2 * i] && (p[2 * i + 1] == '\\' || p[2 * i + 1] == '/'))
			first = i + 1;
	ret = decode_path(p + 2 * first, n - first, true, &path);
	if (!ret && path)
		add_parent(info, LOCATOR_NAME, path, LOCATOR_MAX);
	return ret;
}

int vhd_parents_load(struct dev *file, const struct vhd_header *h,
		     struct vhd_info *info)
{
	int ret = load_kind(file, h, "W2ru", LOCATOR_RELATIVE, info);

	if (!ret)
		ret = load_kind(file, h, "MacX", LOCATOR_URL, info);
	if (!ret)
		ret = load_kind(file, h, "W2ku", LOCATOR_ABSOLUTE, info);
	if (!ret)
		ret = load_name(h, info);
	return ret;
}

void vhd_parents_free(struct vhd_info *info)
{
	for (size_t i = 0; i < info->n_parents; i++)
		free(info->parents[i].path);
	info->n_parents = 0;
}

/* In bytes or, by some, in sectors. */
uint64_t vhd_locator_room(const struct vhd_locator_disk *l)
{
	uint64_t space = be32(l->space), len = be32(l->len);

	if (space && space < VHD_SECTOR)
		space *= VHD_SECTOR;
	else if (space % VHD_SECTOR)
		space = 0;
	return max_of(space, round_up(len, VHD_SECTOR));
}

uint64_t vhd_locators_end(struct dev *file, const struct vhd_header *h,
			  uint64_t low)
{
	uint64_t size = dev_size(file), end = low;

	for (size_t i = 0; i < VHD_LOCATORS; i++) {
		const struct vhd_locator_disk *l = &h->raw.locators[i];
		uint64_t off = be64(l->off), room = vhd_locator_room(l);

		if (!be32(l->len) || off >= size)
			continue;
		room = min_of(room, size - off);
		end = max_of(end, off + room);
	}
	return end;
}
