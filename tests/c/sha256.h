/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SHA-256 (FIPS 180-4), for helpers that must say what they read. */
#ifndef IMGFS_TESTS_SHA256_H
#define IMGFS_TESTS_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct sha256 {
	uint32_t h[8];
	uint64_t len;
	uint8_t buf[64];
};

void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t len);
/* 64 digits and a NUL. */
void sha256_hex(struct sha256 *s, char out[65]);

#endif
