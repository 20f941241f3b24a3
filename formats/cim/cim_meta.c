/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What hangs on a CIM file: security descriptor, extended attributes, reparse
 * data, alternate streams. Checked inside, because others trust the lengths
 * in there (FORMAT.md, "File entry" and "Bad input").
 */
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/cim/cim_int.h"

/* The stream table of a file: 65536 streams with the longest names. */
#define STREAMS_MAX (64u << 20)

static int load_bytes(const struct cim *v, uint64_t ro, size_t len,
		      uint8_t **out, struct diag *why)
{
	uint8_t *p = mem_alloc(len + 1, 1);
	int ret;

	if (!p)
		return diag_fail(why, ENOMEM, "out of memory");
	ret = cim_load(v, ro, p, len, why);
	if (ret)
		free(p);
	else
		*out = p;
	return ret;
}

/* A u16 length, then so many bytes. */
static int load_counted(const struct cim *v, uint64_t ro, uint8_t **out,
			size_t *len, struct diag *why)
{
	uint8_t *p;
	le16_t n;
	int ret = cim_load(v, ro, &n, sizeof(n), why);

	if (!ret)
		ret = load_bytes(v, ro, 2u + le16(n), &p, why);
	if (ret)
		return ret;
	memmove(p, p + 2, le16(n));
	*out = p;
	*len = le16(n);
	return 0;
}

/* The parts of a self-relative SECURITY_DESCRIPTOR (MS-DTYP 2.4.6): a SID has
 * its count of 4-byte parts at 1, an ACL its length at 2. */
static int check_sd(const uint8_t *p, size_t len, struct diag *why)
{
	static const char *const names[] = { "owner", "group", "SACL", "DACL" };

	if (len < 20)
		return diag_fail(why, ERR_CORRUPT, "%zu bytes", len);
	for (int i = 0; i < 4; i++) {
		uint32_t off = le32_at(p + 4 + 4 * i), n;

		if (!off)
			continue;
		if (!range_within(off, 8, len))
			return diag_fail(why, ERR_CORRUPT, "%s at %u, length "
					 "%zu", names[i], off, len);
		n = i < 2 ? 8u + 4u * p[off + 1] : le16_at(p + off + 2);
		if (!range_within(off, n, len))
			return diag_fail(why, ERR_CORRUPT, "%s at %u of %u "
					 "bytes, length %zu", names[i], off, n,
					 len);
	}
	return 0;
}

static int finish(int ret, uint8_t *p, uint8_t **out, size_t *len, size_t n)
{
	if (ret) {
		free(p);
		return ret;
	}
	*out = p;
	*len = n;
	return 0;
}

int cim_sd_load(const struct cim *v, const struct cim_file *f, uint8_t **out,
		size_t *len, struct diag *why)
{
	uint8_t *p = NULL;
	size_t n = 0;
	int ret = f->sd ? load_counted(v, f->sd, &p, &n, why) : 0;

	if (!ret && n)
		ret = check_sd(p, n, why);
	if (ret)
		diag_in(why, ret, "security descriptor");
	return finish(ret, p, out, len, n);
}

/* FILE_FULL_EA_INFORMATION entries (MS-FSCC 2.4.15). */
static int check_ea(const uint8_t *p, size_t len, struct diag *why)
{
	size_t off = 0;

	for (;;) {
		uint32_t next;
		size_t used;

		if (!range_within(off, 8, len))
			return diag_fail(why, ERR_CORRUPT, "entry at %zu of "
					 "%zu bytes", off, len);
		next = le32_at(p + off);
		used = 8u + p[off + 5] + 1u + le16_at(p + off + 6);
		if (!range_within(off, used, len))
			return diag_fail(why, ERR_CORRUPT, "entry at %zu of "
					 "%zu bytes is longer", off, len);
		if (!next)
			return 0;
		if (next < used || next > len - off)
			return diag_fail(why, ERR_CORRUPT, "entry at %zu: the "
					 "next one at +%u", off, next);
		off += next;
	}
}

int cim_ea_load(const struct cim *v, const struct cim_file *f, uint8_t **out,
		size_t *len, struct diag *why)
{
	uint8_t *p = NULL;
	int ret = 0;

	if (f->ea && f->ea_len)
		ret = load_bytes(v, f->ea, f->ea_len, &p, why);
	if (!ret && p)
		ret = check_ea(p, f->ea_len, why);
	if (ret)
		diag_in(why, ret, "extended attributes");
	return finish(ret, p, out, len, p ? f->ea_len : 0);
}

/* Bytes of head in front of the data: 8 when the whole buffer is stored (24
 * with another maker's GUID, which does not count), else 0. */
static size_t head_len(uint32_t tag, const uint8_t *p, size_t n)
{
	size_t own = tag & 0x80000000u ? 8 : 24;

	return n >= own && le32_at(p) == tag && le16_at(p + 4) == n - own
		? 8 : 0;
}

/* Both names of symlinks and junctions. */
static int check_reparse(uint32_t tag, const uint8_t *p, size_t n,
			 struct diag *why)
{
	size_t fixed = tag == NTMETA_TAG_SYMLINK ? 12 : 8;

	if (tag != NTMETA_TAG_SYMLINK && tag != NTMETA_TAG_MOUNT_POINT)
		return 0;
	if (n < fixed)
		return diag_fail(why, ERR_CORRUPT, "%zu bytes", n);
	for (int i = 0; i < 8; i += 4)
		if (!range_within(le16_at(p + i), le16_at(p + i + 2),
				  n - fixed))
			return diag_fail(why, ERR_CORRUPT, "name at %u of %u "
					 "bytes leaves the buffer",
					 le16_at(p + i), le16_at(p + i + 2));
	return 0;
}

int cim_reparse_load(const struct cim *v, const struct cim_file *f,
		     uint8_t **out, size_t *len, struct diag *why)
{
	uint8_t *p = NULL;
	size_t n = 0, head;
	int ret = f->reparse ? load_counted(v, f->reparse, &p, &n, why) : 0;

	if (!ret && p) {
		head = head_len(f->tag, p, n);
		ret = check_reparse(f->tag, p + head, n - head, why);
	}
	if (ret)
		diag_in(why, ret, "reparse data");
	return finish(ret, p, out, len, n);
}

int cim_reparse_load_whole(const struct cim *v, const struct cim_file *f,
			   uint8_t **out, size_t *len, struct diag *why)
{
	le16_t counted;
	le32_t tag = to_le32(f->tag);
	uint8_t *p, *whole;
	size_t n;
	int ret = cim_reparse_load(v, f, &p, &n, why);

	if (ret || !p || head_len(f->tag, p, n))
		return finish(ret, ret ? NULL : p, out, len, n);
	whole = mem_zalloc(n + 8, 1);
	if (whole) {
		counted = to_le16((uint16_t)(f->tag & 0x80000000u || n < 16 ?
					     n : n - 16));
		memcpy(whole, &tag, 4);
		memcpy(whole + 4, &counted, 2);
		memcpy(whole + 8, p, n);
	}
	free(p);
	if (!whole)
		return diag_fail(why, ENOMEM, "out of memory");
	return finish(0, whole, out, len, n + 8);
}

int cim_streams_load(const struct cim *v, const struct cim_file *f,
		     struct cim_links *out, struct diag *why)
{
	uint8_t *p = NULL;
	le32_t len;
	int ret;

	*out = (struct cim_links) { .p = NULL };
	if (!f->streams)
		return 0;
	ret = cim_load(v, f->streams, &len, sizeof(len), why);
	if (!ret && f->streams % 8)
		ret = diag_fail(why, ERR_CORRUPT, "not 8-byte aligned");
	if (!ret && le32(len) > STREAMS_MAX)
		ret = diag_fail(why, ERR_CORRUPT, "%u bytes", le32(len));
	if (!ret)
		ret = load_bytes(v, f->streams, le32(len), &p, why);
	if (!ret)
		ret = cim_links_decode(p, le32(len),
				       sizeof(struct cim_disk_stream), out,
				       why);
	if (!ret)
		ret = cim_links_check_order(v->upcase, out, why);
	for (uint32_t i = 0; i < out->n && !ret; i++) {
		struct cim_disk_stream raw;
		struct cim_stream s;

		cim_links_stream(out, i, &raw);
		ret = cim_stream_decode(&raw, &s, why);
		if (!ret && s.type != CIM_DATA)
			ret = diag_fail(why, ERR_CORRUPT, "stream %u is of "
					"type %u", i, s.type);
	}
	if (!ret)
		return 0;
	free(p);
	*out = (struct cim_links) { .p = NULL };
	return diag_in(why, ret, "alternate streams");
}
