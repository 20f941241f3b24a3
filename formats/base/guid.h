/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GUIDs: 16 bytes as in the file. Text is the Windows order (the first three
 * groups little-endian) unless a name says otherwise. */
#ifndef IMGFS_BASE_GUID_H
#define IMGFS_BASE_GUID_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define GUID_TEXT 37		/* 36 characters and the NUL */

struct guid {
	uint8_t b[16];
};

static inline bool guid_eq(const struct guid *a, const struct guid *b)
{
	return !memcmp(a, b, sizeof(*a));
}

bool guid_is_zero(const struct guid *g);
/* 0 or -errno: randomness can be unavailable, and zeros would be a lie. */
int guid_random(struct guid *g);
/* Lower case, no braces. */
const char *guid_format(const struct guid *g, char text[static GUID_TEXT]);
/* The 16 bytes in file order: how VHD ids are shown. */
const char *guid_format_be(const struct guid *g, char text[static GUID_TEXT]);
/* Upper or lower case, braces optional; 0 or -EINVAL. len without NUL. */
int guid_parse(const char *text, size_t len, struct guid *out);

#endif
