/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VHD footers: FORMAT.md 2 and 3. */
#include "formats/base/wintime.h"
#include "formats/vhd/vhd_int.h"

uint32_t vhd_checksum(const void *raw, size_t len, size_t checksum_off)
{
	const uint8_t *p = raw;
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		if (i < checksum_off || i >= checksum_off + 4)
			sum += p[i];
	return ~sum;
}

static uint32_t footer_checksum(const struct vhd_footer_disk *raw)
{
	return vhd_checksum(raw, sizeof(*raw),
			    offsetof(struct vhd_footer_disk, checksum));
}

/* Early tapdisk changed the hidden byte without a new checksum (2.1). */
static bool checksum_ok(const struct vhd_footer_disk *raw)
{
	struct vhd_footer_disk visible = *raw;
	uint32_t version = be32(raw->creator_version);

	if (be32(raw->checksum) == footer_checksum(raw))
		return true;
	if (memcmp(raw->creator, "tap", 4) ||
	    (version != 0x00000001 && version != 0x00010001))
		return false;
	visible.hidden = 0;
	return be32(raw->checksum) == footer_checksum(&visible);
}

enum quality { NO_FOOTER, POISONED, BAD_CHECKSUM, GOOD };

static enum quality judge(const struct vhd_footer_disk *raw)
{
	if (!memcmp(raw->cookie, VHD_COOKIE_POISON, 8))
		return POISONED;
	if (memcmp(raw->cookie, VHD_COOKIE, 8))
		return NO_FOOTER;
	return checksum_ok(raw) ? GOOD : BAD_CHECKSUM;
}

/* Both places, as found. */
struct places {
	struct vhd_footer_disk end, front;
	enum quality end_is, front_is;
	uint64_t end_off;
	uint32_t end_len;
};

static int load_end(struct dev *file, uint64_t size, struct places *p)
{
	int ret;

	if (size >= sizeof(p->end)) {
		p->end_len = sizeof(p->end);
		p->end_off = size - p->end_len;
		ret = dev_read(file, &p->end, p->end_len, p->end_off);
		if (ret)
			return ret;
		p->end_is = judge(&p->end);
	}
	if (p->end_is == GOOD || size % VHD_SECTOR != VHD_SECTOR - 1)
		return 0;
	/* Old Virtual PC left the last byte out, which is reserved. */
	p->end_len = sizeof(p->end) - 1;
	p->end_off = size - p->end_len;
	memset(&p->end, 0, sizeof(p->end));
	ret = dev_read(file, &p->end, p->end_len, p->end_off);
	if (!ret)
		p->end_is = judge(&p->end);
	return ret;
}

static bool is_sparse(const struct vhd_footer_disk *raw)
{
	return be32(raw->type) == VHD_DYNAMIC ||
	       be32(raw->type) == VHD_DIFFERENCING;
}

static int load_places(struct dev *file, struct places *p)
{
	uint64_t size = dev_size(file);
	int ret;

	*p = (struct places) { .end_off = size };
	ret = load_end(file, size, p);
	if (ret || size < 2 * sizeof(p->front))
		return ret;
	ret = dev_read(file, &p->front, sizeof(p->front), 0);
	if (!ret)
		p->front_is = judge(&p->front);
	/* A fixed disk's sector 0 is the guest's: it may hold anything. */
	if (p->front_is != POISONED && !is_sparse(&p->front))
		p->front_is = NO_FOOTER;
	return ret;
}

int vhd_probe(struct dev *file)
{
	struct places p;
	int ret = load_places(file, &p);

	if (ret)
		return ret;
	return p.end_is || p.front_is ? 0 : -ERR_NOT_THIS;
}

/* Which one counts: the end if it is good, else the copy (FORMAT.md 3). */
static int choose(const struct places *p, bool force,
		  const struct vhd_footer_disk **raw, struct diag *why)
{
	enum quality least = force ? BAD_CHECKSUM : GOOD;

	if (p->end_is == GOOD)
		*raw = &p->end;
	else if (p->front_is >= least)
		*raw = &p->front;
	else if (p->end_is >= least)
		*raw = &p->end;
	else if (p->end_is == POISONED || p->front_is == POISONED)
		return diag_fail(why, ERR_UNSUPP,
				 "vhd: footer, tapdisk has disabled this disk");
	else if (p->end_is || p->front_is)
		return diag_fail(why, ERR_CORRUPT,
				 "vhd: footer, wrong checksum: 0x%08x",
				 be32(p->end_is ? p->end.checksum
				      : p->front.checksum));
	else
		return diag_fail(why, ERR_NOT_THIS, "vhd: no footer");
	return 0;
}

static uint64_t chs_bytes(const struct vhd_footer_disk *raw)
{
	return (uint64_t)be16(raw->cylinders) * raw->heads * raw->sectors *
	       VHD_SECTOR;
}

static int check_fields(const struct vhd_footer_disk *raw, struct diag *why)
{
	uint32_t type = be32(raw->type);

	if (be32(raw->version) >> 16 != VHD_VERSION >> 16)
		return diag_fail(why, ERR_UNSUPP,
				 "vhd: footer, unknown version: 0x%08x",
				 be32(raw->version));
	if (type < VHD_FIXED || type > VHD_DIFFERENCING)
		return diag_fail(why, ERR_UNSUPP,
				 "vhd: footer, unknown disk type: %u", type);
	if (be64(raw->current_size) < VHD_SECTOR)
		return diag_fail(why, ERR_CORRUPT,
				 "vhd: footer, disk without a sector: %llu",
				 (unsigned long long)be64(raw->current_size));
	return 0;
}

static int check_place(const struct vhd_footer *f, uint64_t file_size,
		       struct diag *why)
{
	if (f->type == VHD_FIXED) {
		if (f->current_size <= f->off)
			return 0;
		return diag_fail(why, ERR_CORRUPT,
				 "vhd: footer, the disk is larger than the file"
				 ": %llu of %llu bytes",
				 (unsigned long long)f->current_size,
				 (unsigned long long)f->off);
	}
	if (f->data_off % VHD_SECTOR || f->data_off < VHD_SECTOR ||
	    !range_within(f->data_off, sizeof(struct vhd_header_disk),
			  file_size))
		return diag_fail(why, ERR_CORRUPT,
				 "vhd: footer, header cannot lie at 0x%llx",
				 (unsigned long long)f->data_off);
	return 0;
}

static void decode(const struct vhd_footer_disk *raw, struct vhd_footer *f)
{
	f->raw = *raw;
	f->type = (enum vhd_type)be32(raw->type);
	f->data_off = be64(raw->data_off);
	f->current_size = be64(raw->current_size);
	f->chs_size = chs_bytes(raw);
	f->temporary = be32(raw->features) & VHD_FEATURE_TEMPORARY;
	f->saved_state = raw->saved_state == 1;
}

/* How the copy at 0 stands to the footer that was chosen. */
static void compare_copy(const struct places *p, struct vhd_footer *f)
{
	const struct vhd_footer_disk *c = &p->front;

	f->copy_valid = p->front_is == GOOD;
	f->copy_ok = f->copy_valid && !memcmp(c, &f->raw, sizeof(*c));
	f->copy_conflict = f->copy_valid &&
		(be64(c->current_size) != f->current_size ||
		 be32(c->type) != f->type ||
		 be64(c->data_off) != f->data_off ||
		 memcmp(c->id, f->raw.id, sizeof(c->id)));
}

int vhd_footer_load(struct dev *file, bool force, struct vhd_footer *out,
		    struct diag *why)
{
	const struct vhd_footer_disk *raw = NULL;
	struct vhd_footer f = { 0 };
	struct places p;
	int ret = load_places(file, &p);

	if (ret)
		return diag_fail(why, ret, "vhd: footer, cannot be read");
	ret = choose(&p, force, &raw, why);
	if (!ret)
		ret = check_fields(raw, why);
	if (ret)
		return ret;
	decode(raw, &f);
	/* One that was only taken by force is written as it should be. */
	if (judge(raw) == BAD_CHECKSUM)
		f.raw.checksum = to_be32(footer_checksum(raw));
	f.end_ok = raw == &p.end && p.end_is == GOOD;
	f.off = raw == &p.end ? p.end_off : dev_size(file);
	f.len = raw == &p.end ? p.end_len : 0;
	compare_copy(&p, &f);
	if (f.type == VHD_FIXED && f.copy_valid &&
	    !memcmp(p.front.id, f.raw.id, sizeof(f.raw.id)))
		return diag_fail(why, ERR_CORRUPT, "vhd: footer, fixed at the "
				 "end but dynamic at the start, one id");
	ret = check_place(&f, dev_size(file), why);
	if (!ret)
		*out = f;
	return ret;
}

/* Whose current size qemu believes; else it computes C*H*S (2.4). */
static bool qemu_takes_current(const struct vhd_footer_disk *raw)
{
	static const char creators[][5] = {
		"win ", "d2v ", "qem2", "tap\0", "CTXS",
	};

	if (be16(raw->cylinders) == 65535 && raw->heads == 16 &&
	    raw->sectors == 255)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(creators); i++)
		if (!memcmp(raw->creator, creators[i], 4))
			return true;
	return false;
}

uint64_t vhd_size_by_rule(const struct vhd_footer *f, enum vhd_size_rule rule)
{
	uint64_t current = round_down(f->current_size, VHD_SECTOR);

	if (rule == VHD_SIZE_CURRENT ||
	    (rule == VHD_SIZE_QEMU && qemu_takes_current(&f->raw)))
		return current;
	return f->chs_size && f->chs_size <= current ? f->chs_size : current;
}

struct geometry {
	uint16_t cylinders;
	uint8_t heads, sectors;
};

/* FORMAT.md 2.3; total in sectors. */
static struct geometry geometry_of(uint64_t total)
{
	uint64_t t = min_of(total, (uint64_t)65535 * 16 * 255), tracks;
	uint32_t heads, spt;

	if (t >= 65535 * 16 * 63) {
		spt = 255;
		heads = 16;
		tracks = t / spt;
	} else {
		spt = 17;
		tracks = t / spt;
		heads = max_of((uint32_t)((tracks + 1023) / 1024), 4u);
		if (tracks >= heads * 1024 || heads > 16) {
			spt = 31;
			heads = 16;
			tracks = t / spt;
		}
		if (tracks >= heads * 1024) {
			spt = 63;
			heads = 16;
			tracks = t / spt;
		}
	}
	return (struct geometry) { (uint16_t)(tracks / heads), (uint8_t)heads,
				   (uint8_t)spt };
}

int vhd_footer_encode(struct vhd_footer_disk *out, enum vhd_type type,
		      uint64_t size)
{
	struct geometry g = geometry_of(size / VHD_SECTOR);
	struct vhd_footer_disk f = {
		.features = to_be32(VHD_FEATURE_RESERVED),
		.version = to_be32(VHD_VERSION),
		.data_off = to_be64(type == VHD_FIXED ? VHD_NO_OFFSET
				    : sizeof(f)),
		.timestamp = to_be32(wintime_vhd_now()),
		/* qemu cuts disks of creators that it does not know. */
		.creator = "win ",
		.creator_version = to_be32(0x000A0000),
		.creator_os = "Wi2k",
		.original_size = to_be64(size),
		.current_size = to_be64(size),
		.cylinders = to_be16(g.cylinders),
		.heads = g.heads,
		.sectors = g.sectors,
		.type = to_be32(type),
	};
	struct guid id;
	int ret = guid_random(&id);

	if (ret)
		return ret;
	memcpy(f.cookie, VHD_COOKIE, sizeof(f.cookie));
	memcpy(f.id, id.b, sizeof(f.id));
	f.checksum = to_be32(footer_checksum(&f));
	*out = f;
	return 0;
}
