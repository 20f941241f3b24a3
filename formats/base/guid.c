/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/base/guid.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

/* Where the n-th byte of the text lies in the file. */
static const uint8_t win_order[16] = {
	3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15
};
static const uint8_t file_order[16] = {
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
};

bool guid_is_zero(const struct guid *g)
{
	static const struct guid zero;

	return guid_eq(g, &zero);
}

int guid_random(struct guid *g)
{
	struct guid fresh;

	if (getrandom(&fresh, sizeof(fresh), 0) != sizeof(fresh))
		return -EIO;
	/* Version 4, variant 1, in the Windows byte order. */
	fresh.b[7] = (fresh.b[7] & 0x0f) | 0x40;
	fresh.b[8] = (fresh.b[8] & 0x3f) | 0x80;
	*g = fresh;
	return 0;
}

static const char *format(const struct guid *g, const uint8_t *order,
			  char *text)
{
	char *p = text;

	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		p += sprintf(p, "%02x", g->b[order[i]]);
	}
	return text;
}

const char *guid_format(const struct guid *g, char text[static GUID_TEXT])
{
	return format(g, win_order, text);
}

const char *guid_format_be(const struct guid *g, char text[static GUID_TEXT])
{
	return format(g, file_order, text);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int guid_parse(const char *text, size_t len, struct guid *out)
{
	struct guid g;

	if (len == 38 && text[0] == '{' && text[37] == '}') {
		text++;
		len -= 2;
	}
	if (len != 36)
		return -EINVAL;
	for (int i = 0; i < 16; i++) {
		int hi, lo;

		if ((i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
			return -EINVAL;
		hi = hex_digit(*text++);
		lo = hex_digit(*text++);
		if (hi < 0 || lo < 0)
			return -EINVAL;
		g.b[win_order[i]] = (uint8_t)(hi << 4 | lo);
	}
	*out = g;
	return 0;
}
