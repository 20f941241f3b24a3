/* SPDX-License-Identifier: GPL-3.0-or-later */
/* imgctl info for people: a line a fact, nothing that is as usual. */
#include <stdio.h>
#include <string.h>

#include "tools/imgctl_info.h"

static const char *text_of(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "";
}

static uint64_t number_of(const json_t *j, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(j, key));
}

static bool is_true(const json_t *j, const char *key)
{
	return json_is_true(json_object_get(j, key));
}

static const char *size_of(const json_t *j, const char *key,
			   char text[IMGCTL_SIZE_TEXT])
{
	return imgctl_size_text(number_of(j, key), text);
}

static void line(const char *name, const char *value)
{
	if (*value)
		printf("%-14s%s\n", name, value);
}

static void put_sizes(const json_t *j)
{
	char text[3][IMGCTL_SIZE_TEXT];

	printf("%-14s%s (%llu bytes)\n", "disk size",
	       size_of(j, "virtual_size", text[0]),
	       (unsigned long long)number_of(j, "virtual_size"));
	printf("%-14s%s, %s of the host's space\n", "file size",
	       size_of(j, "file_size", text[0]),
	       size_of(j, "allocated", text[1]));
	printf("%-14s%llu, physical %llu", "sectors",
	       (unsigned long long)number_of(j, "sector_size"),
	       (unsigned long long)number_of(j, "physical_sector_size"));
	if (number_of(j, "block_size"))
		printf("; blocks of %s", size_of(j, "block_size", text[2]));
	puts("");
}

static void put_blocks(const json_t *j)
{
	const json_t *blocks = json_object_get(j, "blocks");
	const char *key, *comma = "";
	json_t *value;

	if (!json_object_size(blocks))
		return;
	printf("%-14s", "blocks");
	json_object_foreach((json_t *)(uintptr_t)blocks, key, value) {
		if (!json_integer_value(value))
			continue;
		printf("%s%lld %s", comma, (long long)json_integer_value(value),
		       key);
		comma = ", ";
	}
	puts("");
}

static void put_state(const json_t *j)
{
	const json_t *log = json_object_get(j, "log");

	if (is_true(log, "dirty"))
		printf("%-14snot closed cleanly: %llu log entries to replay\n",
		       "log", (unsigned long long)number_of(log, "entries"));
	else if (log)
		line("log", "empty");
	if (is_true(j, "saved_state"))
		line("state", "belongs to a virtual machine in saved state");
	if (is_true(j, "footer_damaged"))
		line("footer", "damaged: its copy is used");
	if (is_true(j, "footer_copy_differs"))
		line("footer", "differs from its copy");
}

static void put_chain(const json_t *j)
{
	const json_t *chain = json_object_get(j, "chain");
	char text[IMGCTL_SIZE_TEXT];

	if (json_array_size(chain) < 2)
		return;
	printf("\nchain of %zu files, the youngest first:\n",
	       json_array_size(chain));
	for (size_t i = 0; i < json_array_size(chain); i++) {
		const json_t *k = json_array_get(chain, i);

		printf("  %s  %s %s, file of %s, id %s\n", text_of(k, "path"),
		       text_of(k, "format"), text_of(k, "type"),
		       size_of(k, "file_size", text),
		       *text_of(k, "id") ? text_of(k, "id") : "none");
	}
}

static void put_locators(const json_t *j)
{
	const json_t *all = json_object_get(j, "locators");

	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *l = json_array_get(all, i);

		printf("%-14s%s (%s)\n", i ? "" : "parent", text_of(l, "path"),
		       text_of(l, "kind"));
	}
	line("parent id", text_of(j, "parent_id"));
	line("", text_of(j, "parent_id2"));
}

static void put_volume(const json_t *v)
{
	if (*text_of(v, "error")) {
		printf("cannot be read: %s\n", text_of(v, "error"));
		return;
	}
	printf("%s", *text_of(v, "type") ? text_of(v, "type") : "unknown");
	if (*text_of(v, "label"))
		printf(" \"%s\"", text_of(v, "label"));
	if (*text_of(v, "uuid"))
		printf(" %s", text_of(v, "uuid"));
	if (is_true(v, "dirty"))
		printf(", dirty");
	if (is_true(v, "hibernated"))
		printf(", hibernated");
	else if (json_is_false(json_object_get(v, "log_clean")))
		printf(", log not empty");
	puts("");
}

static void put_inside(const json_t *j)
{
	const json_t *t = json_object_get(j, "partitions");
	const json_t *all = json_object_get(t, "list");
	char text[IMGCTL_SIZE_TEXT];

	if (!t)
		return;
	if (json_object_get(t, "volume")) {
		printf("\nno partitions, but one volume: ");
		put_volume(json_object_get(t, "volume"));
	} else if (*text_of(t, "scheme")) {
		printf("\npartitions (%s):\n", text_of(t, "scheme"));
	}
	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *p = json_array_get(all, i);

		printf("  %2llu  %10s at %-14llu ",
		       (unsigned long long)number_of(p, "number"),
		       size_of(p, "size", text),
		       (unsigned long long)number_of(p, "offset"));
		put_volume(json_object_get(p, "volume"));
	}
	line("  note", text_of(t, "note"));
	line("  error", text_of(t, "error"));
}

static void put_notes(const json_t *j)
{
	const json_t *all = json_object_get(j, "notes");
	const json_t *lock = json_object_get(j, "lock");

	if (*text_of(lock, "why"))
		printf("\nin use: %s\n", text_of(lock, "why"));
	for (size_t i = 0; i < json_array_size(all); i++)
		printf("%snote: %s\n", i ? "" : "\n",
		       json_string_value(json_array_get(all, i)));
}

void imgctl_info_text(const json_t *j)
{
	line("image", text_of(j, "path"));
	printf("%-14s%s, %s\n", "format", text_of(j, "format"),
	       text_of(j, "type"));
	put_sizes(j);
	put_blocks(j);
	line("id", text_of(j, "id"));
	line("disk id", text_of(j, "disk_id"));
	line("made by", text_of(j, "creator"));
	line("made on", text_of(j, "created"));
	put_state(j);
	put_locators(j);
	put_chain(j);
	put_inside(j);
	put_notes(j);
}
