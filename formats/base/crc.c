/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/base/crc.h"

#include <isa-l/crc.h>

#define STEP (1u << 30)		/* isa-l takes the length as int */

uint32_t crc32c_update(uint32_t crc, const void *buf, size_t len)
{
	/* isa-l does not write through the pointer. */
	unsigned char *p = (unsigned char *)(uintptr_t)buf;

	while (len) {
		size_t n = len < STEP ? len : STEP;

		crc = crc32_iscsi(p, (int)n, crc);
		p += n;
		len -= n;
	}
	return crc;
}

uint32_t crc32c(const void *buf, size_t len)
{
	return ~crc32c_update(~0u, buf, len);
}

uint32_t crc32_zip(const void *buf, size_t len)
{
	return crc32_gzip_refl(0, buf, len);
}
