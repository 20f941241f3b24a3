/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One sentence about what went wrong: "what: where, reason, value". The first
 * reason stays: callers may add nothing, or put words in front with diag_in().
 */
#ifndef IMGFS_BASE_DIAG_H
#define IMGFS_BASE_DIAG_H

#include "formats/base/err.h"
#include "formats/base/outcome.h"

#define DIAG_MAX 1024		/* two full paths are cut, not lost */

struct diag {
	int code;		/* negative errno, 0 = nothing said */
	enum outcome out;
	char text[DIAG_MAX];
};

#define DIAG_INIT { .code = 0 }

/* Says why and yields the negative code: return diag_fail(why, EIO, "...").
 * code may have either sign; why may be NULL. */
#define diag_fail(why, code, ...) \
	diag_set((why), (code), outcome_of_errno(code), __VA_ARGS__)
/* The same with an outcome that the errno alone does not tell. */
#define diag_fail_as(why, code, out, ...) \
	diag_set((why), (code), (out), __VA_ARGS__)

int diag_set(struct diag *why, int code, enum outcome out, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Puts "WORDS: " in front of what was said; yields why->code (or code when
 * nothing had been said, with strerror as the sentence). */
int diag_in(struct diag *why, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

void diag_clear(struct diag *why);

#endif
