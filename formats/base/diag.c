/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/base/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The length of the UTF-8 character at s, 0 when there is none: a surrogate of
 * an image, a path in another encoding, a sequence cut at the buffer's end. */
static size_t utf8_len(const unsigned char *s)
{
	size_t len = s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3
		     : s[0] < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return len;
}

/* One line for people, logs and JSON: control characters from an image (a
 * parent's name, a label) must not reach a terminal. */
static void make_printable(char *text)
{
	for (unsigned char *s = (unsigned char *)text; *s; s++) {
		size_t len = *s < 0x80 ? 1 : utf8_len(s);

		/* U+0080..U+009F are control characters too. */
		if (!len || *s < 0x20 || *s == 0x7f ||
		    (*s == 0xc2 && s[1] < 0xa0))
			*s = '?';
		else
			s += len - 1;
	}
}

int diag_set(struct diag *why, int code, enum outcome out, const char *fmt, ...)
{
	va_list ap;

	if (code > 0)
		code = -code;
	if (!why || why->code)
		return code;
	va_start(ap, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, ap);
	va_end(ap);
	make_printable(why->text);
	why->code = code;
	why->out = out;
	return code;
}

int diag_in(struct diag *why, int code, const char *fmt, ...)
{
	char words[DIAG_MAX / 2], old[DIAG_MAX];
	va_list ap;

	if (code > 0)
		code = -code;
	if (!why)
		return code;
	if (!why->code)
		diag_fail(why, code, "%s", strerror(-code));
	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	make_printable(words);
	memcpy(old, why->text, sizeof(old));
	/* The reason is worth more than the path in front of it. */
	if (strlen(words) + strlen(old) + 3 > sizeof(why->text))
		return why->code;
	strcpy(why->text, words);
	strcat(why->text, ": ");
	strcat(why->text, old);
	return why->code;
}

void diag_clear(struct diag *why)
{
	if (why)
		*why = (struct diag)DIAG_INIT;
}
