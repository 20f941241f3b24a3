/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The header (FORMAT.md 3): the only structure at a fixed place. */
#include <string.h>

#include "formats/wim/wim_int.h"

struct wim_reshdr wim_reshdr_decode(const struct wim_disk_reshdr *raw)
{
	uint64_t q = le64(raw->csize_flags);

	return (struct wim_reshdr) {
		.csize = q & 0xffffffffffffffULL,
		.flags = (uint8_t)(q >> 56),
		.off = le64(raw->offset),
		.usize = le64(raw->usize),
	};
}

static bool is_pipable(const struct wim_disk_header *raw)
{
	return !memcmp(raw->magic, WIM_MAGIC_PIPABLE, 8);
}

static int check_version(const struct wim_disk_header *raw, struct diag *why)
{
	uint32_t size = le32(raw->header_size), version = le32(raw->version);

	if (version >= 0x10900 && version < WIM_VERSION)
		return diag_fail(why, ERR_UNSUPP, "wim: header, a Longhorn "
				 "prerelease's version: 0x%x", version);
	if (version != WIM_VERSION && version != WIM_VERSION_SOLID)
		return diag_fail(why, ERR_UNSUPP,
				 "wim: header, unknown version: 0x%x", version);
	if (size != WIM_HEADER_SIZE)
		return diag_fail(why, ERR_CORRUPT,
				 "wim: header, size not 208: %u", size);
	return 0;
}

/* LZX wins over XPRESS over LZMS, as other readers have it. */
static int decode_codec(struct wim_header *h)
{
	if (!(h->flags & WIM_F_COMPRESSION))
		h->codec = CODEC_NONE;
	else if (h->flags & WIM_F_LZX)
		h->codec = CODEC_LZX;
	else if (h->flags & (WIM_F_XPRESS | WIM_F_XPRESS_2))
		h->codec = CODEC_XPRESS;
	else if (h->flags & WIM_F_LZMS)
		h->codec = CODEC_LZMS;
	else
		return -ERR_UNSUPP;
	return 0;
}

static int check_codec(struct wim_header *h, struct diag *why)
{
	if (decode_codec(h))
		return diag_fail(why, ERR_UNSUPP, "wim: header, unknown "
				 "compression, flags: 0x%x", h->flags);
	if (h->codec == CODEC_NONE)
		h->chunk_size = 0;
	else if (!h->chunk_size)
		h->chunk_size = 32768;
	else if (!is_pow2(h->chunk_size) || h->chunk_size < 4096 ||
		 h->chunk_size > WIM_CHUNK_MAX)
		return diag_fail(why, ERR_CORRUPT, "wim: header, chunk size "
				 "that cannot be: %u", h->chunk_size);
	return 0;
}

/* Absent, or inside the file and behind the header. */
static int check_place(const struct wim_reshdr *r, const char *what,
		       uint64_t size, struct diag *why)
{
	if (!r->off && !r->csize)
		return 0;
	if (r->off < WIM_HEADER_SIZE || !range_within(r->off, r->csize, size))
		return diag_fail(why, ERR_CORRUPT, "wim: header, %s outside "
				 "the file: %llu bytes at %llu", what,
				 (unsigned long long)r->csize,
				 (unsigned long long)r->off);
	if (!(r->flags & WIM_R_COMPRESSED) && r->csize != r->usize)
		return diag_fail(why, ERR_CORRUPT, "wim: header, %s with two "
				 "sizes: %llu and %llu", what,
				 (unsigned long long)r->csize,
				 (unsigned long long)r->usize);
	return 0;
}

static int check_numbers(const struct wim_header *h, uint64_t size,
			 struct diag *why)
{
	int ret;

	if (!h->part || h->part > h->n_parts)
		return diag_fail(why, ERR_CORRUPT, "wim: header, part %u of %u",
				 h->part, h->n_parts);
	if (h->n_images > WIM_IMAGES_MAX)
		return diag_fail(why, ERR_CORRUPT,
				 "wim: header, too many images: %u",
				 h->n_images);
	if (!h->blobs.off && !h->xml.off)
		return diag_fail(why, ERR_CORRUPT, "wim: incomplete: whoever "
				 "wrote it did not finish");
	ret = check_place(&h->blobs, "blob table", size, why);
	if (!ret)
		ret = check_place(&h->xml, "XML", size, why);
	if (!ret)
		ret = check_place(&h->integrity, "integrity table", size, why);
	return ret;
}

static int decode(const struct wim_disk_header *raw, uint64_t size,
		  struct wim_header *out, struct diag *why)
{
	struct wim_header h = {
		.version = le32(raw->version), .flags = le32(raw->flags),
		.chunk_size = le32(raw->chunk_size),
		.part = le16(raw->part), .n_parts = le16(raw->n_parts),
		.n_images = le32(raw->n_images),
		.boot_index = le32(raw->boot_index),
		.blobs = wim_reshdr_decode(&raw->blobs),
		.xml = wim_reshdr_decode(&raw->xml),
		.integrity = wim_reshdr_decode(&raw->integrity),
		.pipable = is_pipable(raw),
	};
	int ret = check_version(raw, why);

	memcpy(h.guid.b, raw->guid, sizeof(h.guid.b));
	if (!ret)
		ret = check_codec(&h, why);
	if (!ret)
		ret = check_numbers(&h, size, why);
	if (ret)
		return ret;
	if (h.boot_index > h.n_images)
		h.boot_index = 0;
	*out = h;
	return 0;
}

static int read_raw(struct dev *dev, uint64_t off, struct wim_disk_header *raw,
		    struct diag *why)
{
	int ret = dev_read(dev, raw, sizeof(*raw), off);

	return ret ? diag_fail(why, ret, "wim: header cannot be read: %s",
			       strerror(-ret)) : 0;
}

int wim_header_load(struct dev *dev, struct wim_header *out, struct diag *why)
{
	struct wim_disk_header raw;
	uint64_t size = dev_size(dev);
	int ret;

	if (size < WIM_HEADER_SIZE)
		return diag_fail(why, ERR_NOT_THIS, "wim: shorter than a "
				 "header: %llu bytes",
				 (unsigned long long)size);
	ret = read_raw(dev, 0, &raw, why);
	/* A pipe's writer knows the numbers only at the end. */
	if (!ret && is_pipable(&raw) && !le64(raw.blobs.offset)) {
		ret = read_raw(dev, size - WIM_HEADER_SIZE, &raw, why);
		if (!ret && !is_pipable(&raw))
			return diag_fail(why, ERR_CORRUPT, "wim: pipable, no "
					 "header at the end");
	}
	if (ret)
		return ret;
	if (memcmp(raw.magic, WIM_MAGIC, 8) && !is_pipable(&raw))
		return diag_fail(why, ERR_NOT_THIS, "wim: no WIM magic");
	return decode(&raw, size, out, why);
}
