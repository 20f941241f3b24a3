/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * UTF-16 of Windows <-> UTF-8 of Linux, losslessly: unpaired surrogates become
 * the three bytes that WTF-8 gives them, and come back as they were.
 */
#ifndef IMGFS_BASE_UTF16_H
#define IMGFS_BASE_UTF16_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of UTF-8 that n units can need, without the NUL. */
#define UTF16_TO_UTF8_MAX(n) ((size_t)(n) * 3)

/* n units at src (any alignment) to UTF-8 with a NUL. Returns the length, or
 * -ENAMETOOLONG when size does not hold it. NULs inside are kept: the caller
 * decides whether they are an error. */
int utf16le_to_utf8(const void *src, size_t n, char *dst, size_t size);
int utf16be_to_utf8(const void *src, size_t n, char *dst, size_t size);

/* len bytes of UTF-8 to little-endian units. Returns the number of units, or
 * -ENAMETOOLONG, or -EILSEQ for bytes that are no (W)UTF-8. */
int utf8_to_utf16le(const char *src, size_t len, void *dst, size_t max_units);
int utf8_to_utf16be(const char *src, size_t len, void *dst, size_t max_units);

#endif
