/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a check of an image has to say: one sentence each, by callback. */
#ifndef IMGFS_BASE_FINDING_H
#define IMGFS_BASE_FINDING_H

#include <stdint.h>

enum finding_weight {
	FINDING_NOTE,		/* worth knowing */
	FINDING_WARNING,	/* works here, but not as it should */
	FINDING_ERROR,		/* breaks the format: something cannot be read,
				 * or the disk not be written */
};

#define FINDING_NOWHERE UINT64_MAX

struct finding {
	enum finding_weight weight;
	const char *where;	/* a stable word for programs: "footer" */
	uint64_t off;		/* in the file, or FINDING_NOWHERE */
	const char *text;	/* for people; gone after the callback */
};

typedef void (*finding_fn)(void *ctx, const struct finding *f);

/* Where the findings of one check go. A damaged table can have millions of
 * bad entries: of each word only the first ones are told. */
struct findings {
	finding_fn emit;	/* NULL: only statistics are wanted */
	void *ctx;
	const char *last;	/* the word before */
	unsigned n_alike;	/* with that word */
};

void finding_say(struct findings *to, struct finding f, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
