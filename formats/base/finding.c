/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/base/finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "formats/base/diag.h"

/* A judgement: nobody reads more of one kind. */
#define ALIKE_MAX 20u

void finding_say(struct findings *to, struct finding f, const char *fmt, ...)
{
	char text[DIAG_MAX];
	va_list ap;

	if (!to->emit)
		return;
	if (!to->last || strcmp(to->last, f.where))
		to->n_alike = 0;
	to->last = f.where;
	if (to->n_alike++ > ALIKE_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	f.text = to->n_alike > ALIKE_MAX ? "... and more of that kind" : text;
	to->emit(to->ctx, &f);
}
