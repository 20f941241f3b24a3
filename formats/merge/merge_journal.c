/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The journal beside the destination: lines "key value...", the last of them
 * a CRC-32C of all before it. It tells a later run what to do, and every
 * opener that the destination is between two states. When a merge that keeps
 * its files has ended it becomes ".NAME.merged": --tree then knows them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/base/crc.h"
#include "formats/merge/merge_int.h"

static const char *const steps[] = { "start", "copy", "relink", "finish" };
static const char *const formats[] = { "raw", "vhd", "vhdx" };

char *merge_journal_path(const char *target, const char *suffix)
{
	const char *slash = strrchr(target, '/');
	int dir = slash ? (int)(slash - target) + 1 : 0;

	return mem_printf("%.*s.%s.%s", dir, target, target + dir, suffix);
}

void merge_journal_free(struct merge_journal *j)
{
	for (size_t i = 0; j->files && i < j->n; i++)
		free(j->files[i].path);
	for (size_t i = 0; j->kids && i < j->n_kids; i++)
		free(j->kids[i].path);
	free(j->files);
	free(j->kids);
	free(j->past);
	free(j->path);
	*j = (struct merge_journal) { 0 };
}

/* ---- text ---- */

/* Adds to *text, which becomes NULL when memory ends. */
static void add(char **text, const char *more)
{
	char *all = *text ? mem_printf("%s%s", *text, more) : NULL;

	free(*text);
	*text = all;
}

static const char *or_dash(const char *id)
{
	return *id ? id : "-";
}

/* Paths are any bytes: all that could end a word goes as %XX. */
static char *encode_path(const char *path)
{
	static const char hex[] = "0123456789abcdef";
	char *out = mem_alloc(3, strlen(path) + 1), *p = out;

	for (; out && *path; path++) {
		uint8_t c = (uint8_t)*path;

		if (c > ' ' && c < 0x7f && c != '%') {
			*p++ = (char)c;
			continue;
		}
		*p++ = '%';
		*p++ = hex[c >> 4];
		*p++ = hex[c & 15];
	}
	if (out)
		*p = '\0';
	return out;
}

static void add_file(char **text, const char *key, const struct merge_jfile *f)
{
	char *path = encode_path(f->path);
	char *line = path ? mem_printf("%s %s %s %llu %s\n", key,
				       or_dash(f->id), or_dash(f->parent),
				       (unsigned long long)f->stamp, path)
			  : NULL;

	if (line) {
		add(text, line);
	} else {
		free(*text);
		*text = NULL;
	}
	free(line);
	free(path);
}

char *merge_journal_encode(const struct merge_journal *j)
{
	char *text = mem_printf("imgfs-merge 1\nstep %s\nformat %s\n"
				"remove %d\nnew %s\ndone %llu\nsize %llu\n"
				"target %zu\n", steps[j->step],
				formats[j->format], j->remove,
				or_dash(j->new_id), (unsigned long long)j->done,
				(unsigned long long)j->size, j->target);
	char tail[32];

	for (size_t i = 0; i < j->n; i++)
		add_file(&text, "file", &j->files[i]);
	for (size_t i = 0; i < j->n_kids; i++)
		add_file(&text, "kid", &j->kids[i]);
	for (size_t i = 0; i < j->n_past; i++) {
		char line[100];

		snprintf(line, sizeof(line), "past %s %s\n", j->past[i].id,
			 or_dash(j->past[i].parent));
		add(&text, line);
	}
	if (!text)
		return NULL;
	snprintf(tail, sizeof(tail), "crc %08x\n",
		 crc32c(text, strlen(text)));
	add(&text, tail);
	return text;
}

/* ---- back ---- */

static bool decode_path(char *path)
{
	char *out = path;

	for (; *path; path++) {
		unsigned c = (uint8_t)*path;

		if (c == '%') {
			if (sscanf(path + 1, "%2x", &c) != 1 || !c || !path[2])
				return false;
			path += 2;
		}
		*out++ = (char)c;
	}
	*out = '\0';
	return true;
}

static bool find_word(const char *const *words, size_t n, const char *word,
		      int *out)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(words[i], word))
			continue;
		*out = (int)i;
		return true;
	}
	return false;
}

static void undash(char id[40])
{
	if (!strcmp(id, "-"))
		*id = '\0';
}

/* One more in a growing array; NULL: too many, or no memory. */
static void *grow(void **array, size_t *n, size_t max, size_t size)
{
	void *more;

	if (*n >= max)
		return NULL;
	more = mem_realloc(*array, *n + 1, size);
	if (!more)
		return NULL;
	*array = more;
	more = (char *)more + size * (*n)++;
	memset(more, 0, size);
	return more;
}

static bool decode_file(char *rest, void **array, size_t *n)
{
	struct merge_jfile *f = grow(array, n, MERGE_PAST_MAX,
				     sizeof(struct merge_jfile));
	unsigned long long stamp;
	int at = 0;

	if (!f || sscanf(rest, "%39s %39s %llu %n", f->id, f->parent, &stamp,
			 &at) != 3 || !at || !rest[at])
		return false;
	undash(f->id);
	undash(f->parent);
	f->stamp = stamp;
	f->path = mem_strdup(rest + at);
	return f->path && decode_path(f->path) && *f->path == '/';
}

static bool decode_past(struct merge_journal *j, const char *rest)
{
	struct merge_past *p = grow((void **)&j->past, &j->n_past,
				    MERGE_PAST_MAX, sizeof(*p));

	if (!p || sscanf(rest, "%39s %39s", p->id, p->parent) != 2)
		return false;
	undash(p->parent);
	return true;
}

static bool decode_number(const char *rest, uint64_t *out)
{
	unsigned long long v;

	if (sscanf(rest, "%llu", &v) != 1)
		return false;
	*out = v;
	return true;
}

static bool decode_line(struct merge_journal *j, const char *key, char *rest)
{
	uint64_t v = 0;
	int word = 0;

	if (!strcmp(key, "file"))
		return decode_file(rest, (void **)&j->files, &j->n);
	if (!strcmp(key, "kid"))
		return decode_file(rest, (void **)&j->kids, &j->n_kids);
	if (!strcmp(key, "past"))
		return decode_past(j, rest);
	if (!strcmp(key, "step") &&
	    find_word(steps, ARRAY_LEN(steps), rest, &word)) {
		j->step = (enum merge_step)word;
	} else if (!strcmp(key, "format") &&
		   find_word(formats, ARRAY_LEN(formats), rest, &word)) {
		j->format = (enum disk_format)word;
	} else if (!strcmp(key, "new")) {
		snprintf(j->new_id, sizeof(j->new_id), "%s", rest);
		undash(j->new_id);
	} else if (!strcmp(key, "done")) {
		return decode_number(rest, &j->done);
	} else if (!strcmp(key, "size")) {
		return decode_number(rest, &j->size);
	} else if (!strcmp(key, "target") && decode_number(rest, &v)) {
		j->target = (size_t)v;
	} else if (!strcmp(key, "remove") && decode_number(rest, &v)) {
		j->remove = v != 0;
	} else {
		return false;
	}
	return true;
}

static bool decode_lines(struct merge_journal *j, char *text)
{
	char *save = NULL, *line = strtok_r(text, "\n", &save);

	if (!line || strcmp(line, "imgfs-merge 1"))
		return false;
	while ((line = strtok_r(NULL, "\n", &save))) {
		char *space = strchr(line, ' ');

		if (!space)
			return false;
		*space = '\0';
		if (!decode_line(j, line, space + 1))
			return false;
	}
	return j->n >= 2 && j->target >= 1 && j->target < j->n &&
	       j->n <= MERGE_LINKS_MAX;
}

/* On failure j may be half filled. */
int merge_journal_decode(struct merge_journal *j, const char *text,
			 struct diag *why)
{
	const char *tail = strstr(text, "\ncrc ");
	unsigned crc;
	char *copy;
	bool good;

	if (!tail || sscanf(tail + 5, "%8x", &crc) != 1 ||
	    crc != crc32c(text, (size_t)(tail + 1 - text)))
		return diag_fail(why, ERR_CORRUPT, "merge journal: wrong "
				 "checksum");
	copy = mem_strdup(text);
	if (!copy)
		return diag_fail(why, ENOMEM, "out of memory");
	copy[tail + 1 - text] = '\0';
	good = decode_lines(j, copy);
	free(copy);
	return good ? 0 : diag_fail(why, ERR_CORRUPT, "merge journal: not "
				    "understood");
}
