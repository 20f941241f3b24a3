/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Checksums of the journal: CRC-32 over whole transactions (v1), CRC-32C of
 * every block (v2: 16 bits in a tag, v3: 32). */
#include "formats/volume/vol_jbd2_int.h"

#include "formats/base/crc.h"

#define CSUM_TYPE_CRC32C 4

uint32_t vol_jbd2_crc32_msb(uint32_t crc, const uint8_t *p, size_t len)
{
	/* Remainders of the upper four bits by 0x04c11db7. */
	static const uint32_t nibble[16] = {
		0x00000000, 0x04c11db7, 0x09823b6e, 0x0d4326d9,
		0x130476dc, 0x17c56b6b, 0x1a864db2, 0x1e475005,
		0x2608edb8, 0x22c9f00f, 0x2f8ad6d6, 0x2b4bcb61,
		0x350c9b64, 0x31cd86d3, 0x3c8ea00a, 0x384fbdbd,
	};

	for (; len; len--, p++) {
		crc ^= (uint32_t)*p << 24;
		crc = crc << 4 ^ nibble[crc >> 28];
		crc = crc << 4 ^ nibble[crc >> 28];
	}
	return crc;
}

uint32_t vol_jbd2_super_csum(const struct jbd2_super_disk *sb)
{
	struct jbd2_super_disk copy = *sb;

	copy.checksum = to_be32(0);
	return crc32c_update(~0u, &copy, sizeof(copy));
}

bool vol_jbd2_super_ok(const struct jbd2_super_disk *sb)
{
	uint32_t f = be32(sb->incompat);

	if (!(f & (JBD2_INCOMPAT_CSUM2 | JBD2_INCOMPAT_CSUM3)))
		return true;
	return sb->checksum_type == CSUM_TYPE_CRC32C &&
	       vol_jbd2_super_csum(sb) == be32(sb->checksum);
}

bool vol_jbd2_tail_ok(const struct vol_jbd2 *j, const uint8_t *block)
{
	size_t len = j->src->block_size - 4;
	be32_t stored, zero = to_be32(0);
	uint32_t crc;

	if (j->csum < JBD2_CSUM_V2)
		return true;
	memcpy(&stored, block + len, sizeof(stored));
	crc = crc32c_update(j->seed, block, len);
	return crc32c_update(crc, &zero, sizeof(zero)) == be32(stored);
}

bool vol_jbd2_commit_ok(const struct vol_jbd2 *j, uint8_t *block)
{
	struct jbd2_commit_disk *c = (void *)block;
	be32_t stored = c->csum[0];
	uint32_t crc;

	if (j->csum < JBD2_CSUM_V2)
		return true;
	c->csum[0] = to_be32(0);
	crc = crc32c_update(j->seed, block, j->src->block_size);
	c->csum[0] = stored;
	return crc == be32(stored);
}

bool vol_jbd2_data_ok(const struct vol_jbd2 *j, const struct jbd2_tag *tag,
		      uint32_t seq, const uint8_t *data)
{
	be32_t raw = to_be32(seq);
	uint32_t crc;

	if (j->csum < JBD2_CSUM_V2)
		return true;
	crc = crc32c_update(j->seed, &raw, sizeof(raw));
	crc = crc32c_update(crc, data, j->src->block_size);
	return tag->csum == (j->csum == JBD2_CSUM_V3 ? crc : (crc & 0xffff));
}
