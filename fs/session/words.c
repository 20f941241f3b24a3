/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fs/session/words.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"

int word_list_add(struct word_list *list, const char *text, size_t len)
{
	const char **items = mem_realloc(list->items, list->n + 1,
					 sizeof(*items));
	char *copy;

	if (!items)
		return -ENOMEM;
	list->items = items;
	copy = mem_alloc(1, len + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, text, len);
	copy[len] = '\0';
	items[list->n++] = copy;
	return 0;
}

void word_list_free(struct word_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free((char *)(size_t)list->items[i]);
	free(list->items);
	*list = (struct word_list) { 0 };
}

static bool same_name(const char *known, const char *given, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (known[i] != (given[i] == '-' ? '_' : given[i]))
			return false;
	return !known[len];
}

static const struct word *find(const struct words **w, const char *name,
			       size_t len)
{
	for (; *w; *w = (*w)->next)
		for (const struct word *k = (*w)->table; k->name; k++)
			if (same_name(k->name, name, len))
				return k;
	return NULL;
}

static int parse_number(const char *value, unsigned long long *out)
{
	static const char suffixes[] = "kmgt";
	char *end;
	unsigned long long v;
	const char *s;

	errno = 0;
	v = strtoull(value, &end, 0);
	s = *end ? strchr(suffixes, *end | 0x20) : NULL;
	if (errno || end == value || *value == '-' || (*end && (!s || end[1])))
		return -EINVAL;
	if (s && v >> (64 - 10 * (s - suffixes + 1)))
		return -EINVAL;
	*out = s ? v << (10 * (s - suffixes + 1)) : v;
	return 0;
}

static int parse_id(const char *name, const char *value, struct word_id *out)
{
	unsigned long long v;
	struct passwd *pw;
	struct group *gr;

	if (!parse_number(value, &v)) {
		if (v >= (unsigned)-1)
			return -EINVAL;
		*out = (struct word_id) { true, (unsigned)v };
		return 0;
	}
	pw = *name == 'u' ? getpwnam(value) : NULL;
	gr = *name == 'g' ? getgrnam(value) : NULL;
	if (!pw && !gr)
		return -EINVAL;
	*out = (struct word_id) { true, pw ? pw->pw_uid : gr->gr_gid };
	return 0;
}

static int parse_octal(const char *value, struct word_id *out)
{
	char *end;
	unsigned long v = strtoul(value, &end, 8);

	if (end == value || *end || v > 0777)
		return -EINVAL;
	*out = (struct word_id) { true, (unsigned)v };
	return 0;
}

static int parse_seconds(const char *value, double *out)
{
	char *end;
	double v = strtod(value, &end);

	if (end == value || *end || !(v >= 0 && v < 1e9))
		return -EINVAL;
	*out = v;
	return 0;
}

static int store(const struct words *w, const struct word *k, const char *value)
{
	void *at = (char *)w->target + k->offset;
	char *copy;

	switch (k->kind) {
	case WORD_ON:
	case WORD_OFF:
		*(bool *)at = k->kind == WORD_ON;
		return 0;
	case WORD_TEXT:
		copy = mem_strdup(value);
		if (!copy)
			return -ENOMEM;
		free(*(char **)at);
		*(char **)at = copy;
		return 0;
	case WORD_LIST:
		return word_list_add(at, value, strlen(value));
	case WORD_NUMBER:
		return parse_number(value, at);
	case WORD_ID:
		return parse_id(k->name, value, at);
	case WORD_OCTAL:
		return parse_octal(value, at);
	case WORD_SECONDS:
		return parse_seconds(value, at);
	default:
		return 0;
	}
}

static bool wants_value(enum word_kind kind)
{
	return kind >= WORD_TEXT;
}

static int parse_one(const struct words *w, char *text, struct diag *why)
{
	size_t len = strcspn(text, "=");
	const char *value = text[len] ? text + len + 1 : NULL;
	const struct words *owner = w;
	const struct word *k;
	int ret;

	if (!len || ((text[0] | 0x20) == 'x' && text[1] == '-'))
		return 0;
	k = find(&owner, text, len);
	if (!k)
		return diag_fail(why, EINVAL, "unknown option: %s", text);
	if (wants_value(k->kind) && !value)
		return diag_fail(why, EINVAL, "option %s needs a value: %s=...",
				 text, text);
	if ((k->kind == WORD_ON || k->kind == WORD_OFF) && value)
		return diag_fail(why, EINVAL, "option takes no value: %s",
				 text);
	if (k->kind == WORD_PASS)
		ret = word_list_add(w->pass, text, strlen(text));
	else
		ret = store(owner, k, value);
	if (ret == -EINVAL)
		return diag_fail(why, EINVAL, "bad value: %s", text);
	return ret ? diag_fail(why, ret, "out of memory") : 0;
}

/* Splits at commas; "\\," and text in double quotes keep theirs, as in
 * mount(8) and fusermount3. */
int words_parse(const struct words *w, const char *arg, struct diag *why)
{
	char *word = mem_alloc(1, strlen(arg) + 1);
	bool quoted = false;
	int ret = 0;
	size_t n = 0;

	if (!word)
		return diag_fail(why, ENOMEM, "out of memory");
	for (const char *p = arg; !ret; p++) {
		if (*p == '"') {
			quoted = !quoted;
		} else if (*p == '\\' && (p[1] == ',' || p[1] == '\\')) {
			word[n++] = *++p;
		} else if (*p && (*p != ',' || quoted)) {
			word[n++] = *p;
		} else {
			word[n] = '\0';
			n = 0;
			ret = parse_one(w, word, why);
			if (!*p)
				break;
		}
	}
	free(word);
	return ret;
}
