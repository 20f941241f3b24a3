/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Integers as they lie on disk. They are structs around bytes, so that
 * arithmetic on an unconverted value does not compile and a layout struct
 * has alignment 1 without packing.
 */
#ifndef IMGFS_BASE_ENDIAN_H
#define IMGFS_BASE_ENDIAN_H

#include <assert.h>
#include <endian.h>
#include <stdint.h>
#include <string.h>

#define IMGFS_DISK_INT(bits, order)                                            \
	typedef struct {                                                       \
		uint8_t b[bits / 8];                                           \
	} order##bits##_t;                                                     \
	static_assert(sizeof(order##bits##_t) == bits / 8,                     \
		      "disk integer size");                                    \
	static inline uint##bits##_t order##bits(order##bits##_t raw)          \
	{                                                                      \
		uint##bits##_t v;                                              \
		memcpy(&v, raw.b, sizeof(v));                                  \
		return order##bits##toh(v);                                    \
	}                                                                      \
	static inline order##bits##_t to_##order##bits(uint##bits##_t v)       \
	{                                                                      \
		order##bits##_t raw;                                           \
		v = hto##order##bits(v);                                       \
		memcpy(raw.b, &v, sizeof(v));                                  \
		return raw;                                                    \
	}

IMGFS_DISK_INT(16, le)
IMGFS_DISK_INT(32, le)
IMGFS_DISK_INT(64, le)
IMGFS_DISK_INT(16, be)
IMGFS_DISK_INT(32, be)
IMGFS_DISK_INT(64, be)

/* Read from a place that has no layout struct. */
static inline uint16_t le16_at(const void *p)
{
	le16_t v;
	memcpy(&v, p, sizeof(v));
	return le16(v);
}

static inline uint32_t le32_at(const void *p)
{
	le32_t v;
	memcpy(&v, p, sizeof(v));
	return le32(v);
}

static inline uint64_t le64_at(const void *p)
{
	le64_t v;
	memcpy(&v, p, sizeof(v));
	return le64(v);
}

#endif
