/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VHDX: where the parent is (FORMAT.md 8). */
#include <stdlib.h>
#include <string.h>

#include "formats/base/utf16.h"
#include "formats/vhdx/vhdx_int.h"

static const struct guid type_vhdx = VHDX_LOCATOR_TYPE;

/* Text of a pair as UTF-8, or NULL with *ret set. Odd offsets occur. */
static char *pair_text(const uint8_t *data, size_t len, uint32_t off,
		       unsigned bytes, int *ret)
{
	size_t size = UTF16_TO_UTF8_MAX(bytes / 2) + 1;
	char *text;
	int n;

	*ret = -ERR_CORRUPT;
	if (!off || !bytes || bytes % 2 || !range_within(off, bytes, len))
		return NULL;
	text = mem_alloc(1, size);
	if (!text) {
		*ret = -ENOMEM;
		return NULL;
	}
	n = utf16le_to_utf8(data + off, bytes / 2, text, size);
	if (n < 0 || strlen(text) != (size_t)n) {
		free(text);
		return NULL;
	}
	*ret = 0;
	return text;
}

/* What was found, in the order of the keys in which they are tried. */
struct found {
	char *linkage, *linkage2;
	char *paths[3];
};

static const enum locator_kind kinds[3] = {
	LOCATOR_RELATIVE, LOCATOR_VOLUME, LOCATOR_ABSOLUTE
};

static char **slot_of(struct found *f, const char *key)
{
	static const char *const keys[3] = {
		"relative_path", "volume_path", "absolute_win32_path"
	};

	if (!strcmp(key, "parent_linkage"))
		return &f->linkage;
	if (!strcmp(key, "parent_linkage2"))
		return &f->linkage2;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (!strcmp(key, keys[i]))
			return &f->paths[i];
	return NULL;
}

static int take_pair(const uint8_t *data, size_t len,
		     const struct vhdx_disk_pair *pair, struct found *f)
{
	char *value = NULL, **slot;
	int ret;
	char *key = pair_text(data, len, le32(pair->key_off),
			      le16(pair->key_len), &ret);

	if (key)
		value = pair_text(data, len, le32(pair->value_off),
				  le16(pair->value_len), &ret);
	slot = value ? slot_of(f, key) : NULL;
	if (slot && *slot)
		ret = -ERR_CORRUPT;
	if (slot && !ret) {
		*slot = value;
		value = NULL;
	}
	free(key);
	free(value);
	return ret;
}

static int take_linkage(struct vhdx_info *info, const struct found *f,
			struct diag *why)
{
	if (!f->linkage)
		return diag_fail(why, ERR_CORRUPT,
				 "vhdx: parent locator, no parent_linkage");
	if (guid_parse(f->linkage, strlen(f->linkage), &info->parent_linkage))
		return diag_fail(why, ERR_CORRUPT, "vhdx: parent locator, "
				 "parent_linkage is no GUID: %.60s",
				 f->linkage);
	if (f->linkage2 && guid_parse(f->linkage2, strlen(f->linkage2),
				      &info->parent_linkage2))
		return diag_fail(why, ERR_CORRUPT, "vhdx: parent locator, "
				 "parent_linkage2 is no GUID: %.60s",
				 f->linkage2);
	return 0;
}

static void take_paths(struct vhdx_info *info, struct found *f)
{
	for (size_t i = 0; i < ARRAY_LEN(f->paths); i++) {
		if (!f->paths[i])
			continue;
		info->parents[info->n_parents++] = (struct locator) {
			.kind = kinds[i], .path = f->paths[i],
		};
		f->paths[i] = NULL;
	}
}

static int take_all(const uint8_t *data, size_t len, struct found *f,
		    struct diag *why)
{
	const struct vhdx_disk_locator *loc = (const void *)data;
	const struct vhdx_disk_pair *pairs = (const void *)(loc + 1);
	unsigned count;

	if (len < sizeof(*loc) || !guid_eq(&loc->type, &type_vhdx))
		return diag_fail(why, ERR_UNSUPP,
				 "vhdx: parent locator, unknown type");
	count = le16(loc->count);
	if (!count || count > VHDX_LOCATOR_PAIRS ||
	    count > (len - sizeof(*loc)) / sizeof(*pairs))
		return diag_fail(why, ERR_CORRUPT, "vhdx: parent locator, "
				 "impossible number of entries: %u", count);
	for (unsigned i = 0; i < count; i++) {
		int ret = take_pair(data, len, &pairs[i], f);

		if (ret)
			return diag_fail(why, ret, "vhdx: parent locator, "
					 "entry %u: %s", i + 1, ret == -ENOMEM ?
					 "out of memory" : "damaged");
	}
	return 0;
}

int vhdx_locator_decode(const uint8_t *data, size_t len,
			struct vhdx_info *info, struct diag *why)
{
	struct found f = { 0 };
	int ret = take_all(data, len, &f, why);

	if (!ret)
		ret = take_linkage(info, &f, why);
	if (!ret)
		take_paths(info, &f);
	free(f.linkage);
	free(f.linkage2);
	for (size_t i = 0; i < ARRAY_LEN(f.paths); i++)
		free(f.paths[i]);
	return ret;
}

/* Windows spelling: backslashes, and ".\" in front unless it begins with a
 * dot already. */
static char *windows_relative(const char *path)
{
	char *text = mem_printf("%s%s", *path == '.' ? "" : ".\\", path);

	for (char *p = text; p && *p; p++)
		if (*p == '/')
			*p = '\\';
	return text;
}

static char *windows_absolute(const char *path)
{
	if (!strncmp(path, "\\\\?\\", 4))
		return mem_strdup(path);
	if (!strncmp(path, "\\\\", 2))
		return mem_printf("\\\\?\\UNC\\%s", path + 2);
	return mem_printf("\\\\?\\%s", path);
}

struct builder {
	uint8_t *data;
	size_t text;		/* where the next text goes */
	unsigned count;
};

static int put_text(struct builder *b, const char *s, le32_t *off, le16_t *len)
{
	int n = utf8_to_utf16le(s, strlen(s), b->data + b->text,
				(VHDX_LOCATOR_MAX - b->text) / 2);

	if (n < 0)
		return n;
	if (n > UINT16_MAX / 2)
		return -ENAMETOOLONG;
	*off = to_le32((uint32_t)b->text);
	*len = to_le16((uint16_t)(n * 2));
	b->text += (size_t)n * 2;
	return 0;
}

static int put_pair(struct builder *b, const char *key, const char *value)
{
	struct vhdx_disk_pair *pairs = (void *)(b->data +
					sizeof(struct vhdx_disk_locator));
	struct vhdx_disk_pair *p = &pairs[b->count++];
	int ret = put_text(b, key, &p->key_off, &p->key_len);

	return ret ? ret : put_text(b, value, &p->value_off, &p->value_len);
}

static int put_path(struct builder *b, const char *key, char *value)
{
	int ret = value ? put_pair(b, key, value) : -ENOMEM;

	free(value);
	return ret;
}

static int put_guid(struct builder *b, const char *key, const struct guid *g)
{
	char id[GUID_TEXT], braces[GUID_TEXT + 2] = "{";

	strcat(braces, guid_format(g, id));
	strcat(braces, "}");
	return put_pair(b, key, braces);
}

static int build(struct builder *b, const struct vhdx_locator_text *text)
{
	struct vhdx_disk_locator *loc = (void *)b->data;
	int ret;

	/* Room for the five pairs that may come. */
	b->text = sizeof(*loc) + 5 * sizeof(struct vhdx_disk_pair);
	loc->type = type_vhdx;
	ret = put_guid(b, "parent_linkage", text->linkage);
	if (!ret && text->linkage2)
		ret = put_guid(b, "parent_linkage2", text->linkage2);
	if (!ret && text->relative)
		ret = put_path(b, "relative_path",
			       windows_relative(text->relative));
	if (!ret && text->volume)
		ret = put_pair(b, "volume_path", text->volume);
	if (!ret && text->absolute)
		ret = put_path(b, "absolute_win32_path",
			       windows_absolute(text->absolute));
	loc->count = to_le16((uint16_t)b->count);
	return ret;
}

int vhdx_locator_encode(const struct vhdx_locator_text *text, uint8_t **data,
			size_t *len, struct diag *why)
{
	struct builder b = { .data = mem_zalloc(1, VHDX_LOCATOR_MAX) };
	int ret = b.data ? build(&b, text) : -ENOMEM;

	if (ret) {
		free(b.data);
		return diag_fail(why, ret, "vhdx: the parent's path cannot be "
				 "written down: %s", strerror(-ret));
	}
	*data = b.data;
	*len = b.text;
	return 0;
}
