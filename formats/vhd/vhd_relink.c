/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Naming another parent: FORMAT.md 9.5. The header is two sectors under one
 * checksum. What lies in the first (the parent's id, the table's place and
 * size) is changed with one write. New paths change the second, too: then a
 * whole new header is laid down behind the disk's end, the copy of the footer
 * at 0 is pointed at it, the old one is rewritten while nobody looks, and the
 * copy is pointed back.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/base/dev_file.h"
#include "formats/vhd/vhd_int.h"

/* Where writers expect it: right behind the copy (FORMAT.md 9.5). */
#define HEADER_HOME	512u
/* The temporary header, and room for two paths behind it. */
#define TEMP_LEN	(3 * VHD_PATH_ROOM)

static void seal(struct vhd_header_disk *raw)
{
	raw->checksum = to_be32(vhd_checksum(raw, sizeof(*raw),
			offsetof(struct vhd_header_disk, checksum)));
}

int vhd_header_change(struct vhd *v, struct vhd_header_disk *raw)
{
	int ret;

	seal(raw);
	ret = dev_write(v->file, raw, VHD_SECTOR, v->footer.data_off);
	if (!ret)
		ret = dev_flush(v->file);
	if (ret)
		__atomic_store_n(&v->failed, true, __ATOMIC_RELEASE);
	return ret;
}

struct place {
	uint64_t off;
	uint32_t room;		/* 0: to be appended */
};

struct relink {
	struct vhd *v;
	struct vhd_header_disk raw;
	struct vhd_paths paths;
	struct place relative, windows;
	uint64_t header;	/* where the header will be */
	uint64_t temp;		/* and where it is meanwhile */
	uint64_t footer;	/* where the end footer will be */
};

/* All entries that say where the old parent was. */
static bool is_path(const struct vhd_locator_disk *l)
{
	static const char codes[][5] = {
		"W2ru", "W2ku", "Wi2r", "Wi2k", "MacX", "Mac ",
	};

	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (!memcmp(l->code, codes[i], 4))
			return true;
	return false;
}

/* No block, structure, or locator that stays; nor the other new path. */
static int is_free(struct relink *r, uint64_t off, uint64_t len)
{
	for (size_t i = 0; i < VHD_LOCATORS; i++) {
		const struct vhd_locator_disk *l =
			&r->v->header.raw.locators[i];

		if (!is_path(l) && be32(l->len) &&
		    ranges_overlap(off, len, be64(l->off),
				   vhd_locator_room(l)))
			return 0;
	}
	if (ranges_overlap(off, len, r->relative.off, r->relative.room) ||
	    ranges_overlap(off, len, r->windows.off, r->windows.room))
		return 0;
	return vhd_walk_free(r->v, off, len);
}

/* Rooms of the old paths are used again where they are large enough and
 * nothing else lies there. */
static int take_room(struct relink *r, size_t len, struct place *out)
{
	uint64_t need = round_up(len, VHD_SECTOR);

	for (size_t i = 0; i < VHD_LOCATORS; i++) {
		const struct vhd_locator_disk *l =
			&r->v->header.raw.locators[i];
		uint64_t off = be64(l->off), room = vhd_locator_room(l);
		int ret;

		if (!is_path(l) || !be32(l->len) || room < need ||
		    off % VHD_SECTOR || room > VHD_PATH_MAX)
			continue;
		ret = is_free(r, off, room);
		if (ret > 0)
			*out = (struct place) { off, (uint32_t)room };
		if (ret)
			return min_of(ret, 0);
	}
	return 0;
}

static void append(struct relink *r, struct place *p)
{
	if (p->room)
		return;
	*p = (struct place) { r->footer, VHD_PATH_ROOM };
	r->footer += VHD_PATH_ROOM;
}

static int plan_places(struct relink *r)
{
	struct vhd *v = r->v;
	uint64_t tail = round_up(v->footer.off + v->footer.len, VHD_SECTOR);
	int ret = take_room(r, r->paths.relative_len, &r->relative);

	if (!ret && r->paths.windows_len)
		ret = take_room(r, r->paths.windows_len, &r->windows);
	if (ret)
		return ret;
	r->footer = round_up(tail, VHD_PATH_ROOM);
	append(r, &r->relative);
	if (r->paths.windows_len)
		append(r, &r->windows);
	/* Nothing was appended: the end footer stays where it is. */
	if (r->footer == round_up(tail, VHD_PATH_ROOM))
		r->footer = round_up(v->footer.off, VHD_SECTOR);
	r->temp = round_up(max_of(tail, r->footer + VHD_SECTOR),
			   VHD_PATH_ROOM);
	r->header = v->footer.data_off;
	if (r->header == HEADER_HOME)
		return 0;
	/* One that an interrupted change left elsewhere goes home. */
	ret = is_free(r, HEADER_HOME, sizeof(r->raw));
	if (ret > 0)
		r->header = HEADER_HOME;
	return min_of(ret, 0);
}

/* W2ku before W2ru, then what we do not know. */
static int put_locators(struct relink *r, struct vhd_header_disk *raw,
			struct place relative, struct place windows)
{
	const struct vhd_locator_disk *old = r->v->header.raw.locators;
	size_t n = 0;

	memset(raw->locators, 0, sizeof(raw->locators));
	if (r->paths.windows_len) {
		raw->locators[n] = vhd_paths_locator("W2ku", windows.off,
						     r->paths.windows_len);
		raw->locators[n++].space = to_be32(windows.room);
	}
	raw->locators[n] = vhd_paths_locator("W2ru", relative.off,
					     r->paths.relative_len);
	raw->locators[n++].space = to_be32(relative.room);
	for (size_t i = 0; i < VHD_LOCATORS; i++) {
		static const uint8_t unused[4];

		if (is_path(&old[i]) || !memcmp(old[i].code, unused, 4))
			continue;
		if (n == VHD_LOCATORS)
			return -ERR_UNSUPP;
		raw->locators[n++] = old[i];
	}
	return 0;
}

static int write_paths(struct relink *r, uint64_t relative, uint64_t windows)
{
	struct vhd *v = r->v;
	int ret = dev_write(v->file, r->paths.relative, r->paths.relative_len,
			    relative);

	if (!ret && r->paths.windows_len)
		ret = dev_write(v->file, r->paths.windows,
				r->paths.windows_len, windows);
	return ret;
}

/* Behind the end footer, which is thereby hidden: the copy at 0 counts. */
static int write_temp(struct relink *r)
{
	struct place relative = { r->temp + VHD_PATH_ROOM, VHD_PATH_ROOM };
	struct place windows = { r->temp + 2 * VHD_PATH_ROOM, VHD_PATH_ROOM };
	struct vhd_header_disk raw = r->raw;
	uint64_t end = r->temp + TEMP_LEN;
	int ret = put_locators(r, &raw, relative, windows);

	seal(&raw);
	if (!ret)
		ret = dev_file_extend(r->v->file, end + VHD_SECTOR);
	if (!ret)
		ret = dev_write(r->v->file, &raw, sizeof(raw), r->temp);
	if (!ret)
		ret = write_paths(r, relative.off, windows.off);
	return ret ? ret : dev_flush(r->v->file);
}

static int point_to(struct relink *r, uint64_t header)
{
	struct vhd_footer_disk *raw = &r->v->footer.raw;

	raw->data_off = to_be64(header);
	raw->checksum = to_be32(vhd_checksum(raw, sizeof(*raw),
			offsetof(struct vhd_footer_disk, checksum)));
	return vhd_footer_put_copy(r->v, raw);
}

static int write_final(struct relink *r)
{
	struct vhd *v = r->v;
	int ret = put_locators(r, &r->raw, r->relative, r->windows);

	seal(&r->raw);
	if (!ret)
		ret = write_paths(r, r->relative.off, r->windows.off);
	if (!ret)
		ret = dev_write(v->file, &r->raw, sizeof(r->raw), r->header);
	return ret ? ret : dev_flush(v->file);
}

/* What is left of the old end footer must not become a guest's data. */
static int move_footer(struct relink *r)
{
	struct vhd *v = r->v;
	uint64_t old = v->footer.off;
	int ret = vhd_footer_show(v, &v->footer.raw, r->footer);

	if (!ret && old < r->footer) {
		ret = dev_zero(v->file, old, VHD_SECTOR, false);
		if (!ret)
			ret = dev_flush(v->file);
		v->end = r->footer;
	}
	v->footer.off = r->footer;
	v->footer.len = sizeof(v->footer.raw);
	v->footer.data_off = r->header;
	__atomic_store_n(&v->limit, r->footer, __ATOMIC_RELEASE);
	return ret;
}

static int relink_paths(struct relink *r)
{
	struct vhd *v = r->v;
	int ret = plan_places(r);

	if (!ret)
		ret = write_temp(r);
	if (ret)
		return ret;
	ret = point_to(r, r->temp);
	if (!ret)
		ret = write_final(r);
	if (!ret)
		ret = point_to(r, r->header);
	if (!ret)
		ret = move_footer(r);
	if (ret)
		__atomic_store_n(&v->failed, true, __ATOMIC_RELEASE);
	return ret;
}

static int reload(struct vhd *v, struct diag *why)
{
	int ret = vhd_header_load(v->file, &v->footer, false, &v->header, why);

	if (ret)
		return ret;
	v->info.parent_id = v->header.parent_id;
	v->info.parent_timestamp = v->header.parent_timestamp;
	v->parent_raw = guid_is_zero(&v->info.parent_id);
	vhd_parents_free(&v->info);
	ret = vhd_parents_load(v->file, &v->header, &v->info);
	return ret ? diag_fail(why, ret, "vhd: header, parents unreadable") : 0;
}

static int change(struct relink *r, const struct vhd_relink *what,
		  struct diag *why)
{
	int ret = 0;

	r->raw = r->v->header.raw;
	if (what->parent_id) {
		memcpy(r->raw.parent_id, what->parent_id->b,
		       sizeof(r->raw.parent_id));
		r->raw.parent_timestamp = to_be32(0);
	}
	if (!what->relative) {
		ret = vhd_header_change(r->v, &r->raw);
	} else {
		ret = vhd_paths_encode(what->relative, what->windows,
				       &r->paths, why);
		if (ret)
			return ret;
		memcpy(r->raw.parent_name, r->paths.name,
		       sizeof(r->paths.name));
		ret = relink_paths(r);
	}
	return ret ? diag_fail(why, ret, "vhd: header, cannot be rewritten")
		   : reload(r->v, why);
}

int vhd_relink(struct vhd *v, const struct vhd_relink *what, struct diag *why)
{
	struct relink *r;
	int ret;

	if (v->info.type != VHD_DIFFERENCING)
		return diag_fail(why, EINVAL, "vhd: only a differencing disk "
				 "has a parent");
	ret = vhd_settle(v, why);
	if (ret)
		return ret;
	r = mem_new(struct relink);
	if (!r)
		return diag_fail(why, ENOMEM, "vhd: out of memory");
	r->v = v;
	ret = change(r, what, why);
	free(r);
	return ret;
}
