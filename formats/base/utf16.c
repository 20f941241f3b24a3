/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/base/utf16.h"

#include <errno.h>

static uint32_t unit_at(const uint8_t *p, bool be)
{
	return be ? (uint32_t)p[0] << 8 | p[1] : (uint32_t)p[1] << 8 | p[0];
}

static size_t put_utf8(uint32_t c, uint8_t *d)
{
	if (c < 0x80) {
		d[0] = (uint8_t)c;
		return 1;
	}
	if (c < 0x800) {
		d[0] = (uint8_t)(0xc0 | c >> 6);
		d[1] = (uint8_t)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		d[0] = (uint8_t)(0xe0 | c >> 12);
		d[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		d[2] = (uint8_t)(0x80 | (c & 0x3f));
		return 3;
	}
	d[0] = (uint8_t)(0xf0 | c >> 18);
	d[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
	d[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	d[3] = (uint8_t)(0x80 | (c & 0x3f));
	return 4;
}

static int to_utf8(const uint8_t *src, size_t n, bool be, char *dst,
		   size_t size)
{
	size_t out = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t c = unit_at(src + 2 * i, be);
		uint8_t buf[4];
		size_t len;

		if (c >= 0xd800 && c < 0xdc00 && i + 1 < n) {
			uint32_t low = unit_at(src + 2 * i + 2, be);

			if (low >= 0xdc00 && low < 0xe000) {
				c = 0x10000 + ((c - 0xd800) << 10) +
				    (low - 0xdc00);
				i++;
			}
		}
		len = put_utf8(c, buf);
		if (size < 1 || len > size - 1 - out)
			return -ENAMETOOLONG;
		for (size_t k = 0; k < len; k++)
			dst[out++] = (char)buf[k];
	}
	if (!size)
		return -ENAMETOOLONG;
	dst[out] = '\0';
	return (int)out;
}

int utf16le_to_utf8(const void *src, size_t n, char *dst, size_t size)
{
	return to_utf8(src, n, false, dst, size);
}

int utf16be_to_utf8(const void *src, size_t n, char *dst, size_t size)
{
	return to_utf8(src, n, true, dst, size);
}

/* One code point; surrogates are let through. Returns its length or -EILSEQ. */
static int get_utf8(const uint8_t *s, size_t len, uint32_t *out)
{
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	int n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	uint32_t c = s[0];

	if (n == 1) {
		*out = c;
		return 1;
	}
	if (s[0] < 0xc2 || s[0] > 0xf4 || (size_t)n > len)
		return -EILSEQ;
	c &= 0x7fu >> n;
	for (int i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return -EILSEQ;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff)
		return -EILSEQ;
	*out = c;
	return n;
}

static void put_unit(uint8_t *d, uint32_t u, bool be)
{
	d[be ? 0 : 1] = (uint8_t)(u >> 8);
	d[be ? 1 : 0] = (uint8_t)u;
}

static int to_utf16(const uint8_t *s, size_t len, bool be, uint8_t *d,
		    size_t max)
{
	size_t n = 0;

	while (len) {
		uint32_t c;
		int used = get_utf8(s, len, &c);
		size_t need;

		if (used < 0)
			return used;
		need = c >= 0x10000 ? 2 : 1;
		if (need > max - n)
			return -ENAMETOOLONG;
		if (need == 2) {
			c -= 0x10000;
			put_unit(d + 2 * n, 0xd800 + (c >> 10), be);
			put_unit(d + 2 * n + 2, 0xdc00 + (c & 0x3ff), be);
		} else {
			put_unit(d + 2 * n, c, be);
		}
		n += need;
		s += used;
		len -= (size_t)used;
	}
	return (int)n;
}

int utf8_to_utf16le(const char *src, size_t len, void *dst, size_t max_units)
{
	return to_utf16((const uint8_t *)src, len, false, dst, max_units);
}

int utf8_to_utf16be(const char *src, size_t len, void *dst, size_t max_units)
{
	return to_utf16((const uint8_t *)src, len, true, dst, max_units);
}
