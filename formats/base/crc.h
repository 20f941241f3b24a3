/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CRC-32C (Castagnoli; VHDX, ext4, jbd2) and CRC-32 (GPT). */
#ifndef IMGFS_BASE_CRC_H
#define IMGFS_BASE_CRC_H

#include <stddef.h>
#include <stdint.h>

/* Raw update: no inversion before or after; ext4 and jbd2 chain these with a
 * seed of ~0 or of a UUID's CRC. */
uint32_t crc32c_update(uint32_t crc, const void *buf, size_t len);
/* Complete checksum: 0xE3069283 for "123456789". */
uint32_t crc32c(const void *buf, size_t len);
/* Complete CRC-32 of GPT, zip and gzip: 0xCBF43926 for "123456789". */
uint32_t crc32_zip(const void *buf, size_t len);

#endif
