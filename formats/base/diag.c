/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/base/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One line for people and logs: control characters from an image (a parent's
 * name, a label) must not reach a terminal. */
static void make_printable(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
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
