/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VHDX: the two headers (FORMAT.md 3). */
#include <string.h>

#include "formats/base/crc.h"
#include "formats/vhdx/vhdx_int.h"

/* CRC-32C with the four bytes of the checksum itself taken as zero. */
uint32_t vhdx_crc(const void *buf, size_t len, size_t crc_at)
{
	static const uint8_t zero[4];
	const uint8_t *p = buf;
	uint32_t crc = crc32c_update(~0u, p, crc_at);

	crc = crc32c_update(crc, zero, sizeof(zero));
	return ~crc32c_update(crc, p + crc_at + 4, len - crc_at - 4);
}

static bool header_decode(const struct vhdx_disk_header *raw,
			  struct vhdx_header *out)
{
	size_t at = offsetof(struct vhdx_disk_header, crc);

	if (memcmp(raw->sig, "head", 4) ||
	    vhdx_crc(raw, sizeof(*raw), at) != le32(raw->crc))
		return false;
	*out = (struct vhdx_header) {
		.seq = le64(raw->seq),
		.file_write = raw->file_write,
		.data_write = raw->data_write,
		.log = raw->log,
		.log_version = le16(raw->log_version),
		.version = le16(raw->version),
		.log_length = le32(raw->log_length),
		.log_offset = le64(raw->log_offset),
	};
	return true;
}

void vhdx_header_encode(const struct vhdx_header *h,
			struct vhdx_disk_header *raw)
{
	*raw = (struct vhdx_disk_header) {
		.sig = { 'h', 'e', 'a', 'd' },
		.seq = to_le64(h->seq),
		.file_write = h->file_write,
		.data_write = h->data_write,
		.log = h->log,
		.log_version = to_le16(h->log_version),
		.version = to_le16(h->version),
		.log_length = to_le32(h->log_length),
		.log_offset = to_le64(h->log_offset),
	};
	raw->crc = to_le32(vhdx_crc(raw, sizeof(*raw),
				    offsetof(struct vhdx_disk_header, crc)));
}

/* A newer writer may have changed the file: no falling back to the other
 * copy when the current one has a version that we don't know. */
static int header_check(const struct vhdx *x, struct diag *why)
{
	const struct vhdx_header *h = &x->hdr;
	bool clean = guid_is_zero(&h->log);

	if (h->version != 1)
		return diag_fail(why, ERR_UNSUPP,
				 "vhdx: header, unknown version: %u",
				 h->version);
	if (h->log_version && !clean)
		return diag_fail(why, ERR_UNSUPP,
				 "vhdx: header, unknown log version: %u",
				 h->log_version);
	if (!h->log_length && clean)
		return 0;
	if (!h->log_length || h->log_length % VHDX_MIB ||
	    h->log_length > VHDX_LOG_MAX)
		return diag_fail(why, ERR_CORRUPT,
				 "vhdx: header, impossible log length: 0x%x",
				 h->log_length);
	if (h->log_offset < VHDX_MIB || h->log_offset % VHDX_MIB ||
	    !range_within(h->log_offset, h->log_length, dev_size(x->file)))
		return diag_fail(why, ERR_CORRUPT,
				 "vhdx: header, impossible log offset: 0x%llx",
				 (unsigned long long)h->log_offset);
	return 0;
}

static int header_choose(const struct vhdx_header h[2], const bool ok[2],
			 bool same, struct diag *why)
{
	if (!ok[0] && !ok[1])
		return diag_fail(why, ERR_CORRUPT,
				 "vhdx: both headers are damaged");
	if (!ok[0] || !ok[1])
		return ok[1];
	if (h[0].seq == h[1].seq && !same)
		return diag_fail(why, ERR_CORRUPT,
				 "vhdx: headers differ at one sequence number:"
				 " %llu", (unsigned long long)h[0].seq);
	return h[1].seq > h[0].seq;
}

int vhdx_header_load(struct vhdx *x, struct diag *why)
{
	struct vhdx_disk_header raw[2];
	struct vhdx_header h[2];
	bool ok[2];

	for (int i = 0; i < 2; i++) {
		int ret = dev_read(x->file, &raw[i], sizeof(raw[i]),
				   VHDX_HEADER_OFF(i));

		if (ret)
			return diag_fail(why, ret, "vhdx: header %d: %s", i + 1,
					 strerror(-ret));
		ok[i] = header_decode(&raw[i], &h[i]);
	}
	x->hdr_copy = header_choose(h, ok, !memcmp(&raw[0], &raw[1],
						   sizeof(raw[0])), why);
	if (x->hdr_copy < 0)
		return x->hdr_copy;
	x->hdr = h[x->hdr_copy];
	x->info.file_write_guid = x->hdr.file_write;
	x->info.data_write_guid = x->hdr.data_write;
	return header_check(x, why);
}

int vhdx_header_write(struct vhdx *x)
{
	struct vhdx_disk_header raw;
	int copy = !x->hdr_copy, ret;

	if (x->hdr.seq == UINT64_MAX)
		return -ERR_UNSUPP;
	x->hdr.seq++;
	vhdx_header_encode(&x->hdr, &raw);
	ret = dev_write(x->file, &raw, sizeof(raw), VHDX_HEADER_OFF(copy));
	if (!ret)
		x->hdr_copy = copy;
	return ret;
}

int vhdx_header_update(struct vhdx *x)
{
	int ret = 0;

	for (int i = 0; i < 2 && !ret; i++) {
		ret = vhdx_header_write(x);
		if (!ret)
			ret = vhdx_barrier(x);
	}
	x->info.file_write_guid = x->hdr.file_write;
	x->info.data_write_guid = x->hdr.data_write;
	return ret;
}
