/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Option words, as in -o a,b=c. Hyphen and underscore are the same. A table
 * says where each word's value goes in a struct of the program.
 */
#ifndef IMGFS_SESSION_WORDS_H
#define IMGFS_SESSION_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "formats/base/diag.h"

enum word_kind {
	WORD_IGNORE,	/* accepted, means nothing here */
	WORD_PASS,	/* goes to the mount call as it is */
	WORD_ON,	/* bool = true */
	WORD_OFF,	/* bool = false */
	WORD_TEXT,	/* const char * */
	WORD_LIST,	/* struct word_list, one more each time */
	WORD_NUMBER,	/* unsigned long long; suffixes k m g t */
	WORD_ID,	/* struct word_id: decimal, or a user's/group's name */
	WORD_OCTAL,	/* struct word_id: 022 */
	WORD_SECONDS,	/* double */
};

struct word {
	const char *name;	/* with underscores */
	enum word_kind kind;
	size_t offset;
};

struct word_list {
	const char **items;	/* owned; the texts too */
	size_t n;
};

struct word_id {
	bool set;
	unsigned value;
};

struct words {
	const struct word *table;	/* ends with a NULL name */
	void *target;
	const struct words *next;	/* asked when the table does not know */
	struct word_list *pass;		/* where WORD_PASS words go */
};

/* Takes one -o argument apart. Unknown words are errors, except x-* and X-*.
 * 0 or -EINVAL with the word in the sentence; -ENOMEM. */
int words_parse(const struct words *w, const char *arg, struct diag *why);
int word_list_add(struct word_list *list, const char *text, size_t len);
void word_list_free(struct word_list *list);

#endif
