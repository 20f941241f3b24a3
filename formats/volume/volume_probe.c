/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What lies in a dev, by content alone and with bounded reads. The words for
 * types are blkid's where it has one.
 */
#include "formats/volume/volume_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/base/guid.h"
#include "formats/base/utf16.h"

const uint8_t *volume_head(const struct volume_look *l, size_t off, size_t len)
{
	return range_within(off, len, l->have) ? l->head + off : NULL;
}

bool volume_magic_at(const struct volume_look *l, size_t off,
		     const char *magic, size_t len)
{
	const uint8_t *at = volume_head(l, off, len);

	return at && !memcmp(at, magic, len);
}

int volume_peek(const struct volume_look *l, void *buf, size_t len,
		uint64_t off)
{
	int ret;

	if (!range_within(off, len, l->size))
		return 0;
	if (range_within(off, len, l->have)) {
		memcpy(buf, l->head + off, len);
		return 1;
	}
	ret = dev_read(l->dev, buf, len, off);
	return ret ? ret : 1;
}

void volume_set_type(struct volume_look *l, const char *type)
{
	static const char *const mountable[] = { "ntfs", "ext2", "ext3",
		"ext4" };

	memset(l->out, 0, sizeof(*l->out));
	snprintf(l->out->type, sizeof(l->out->type), "%s", type);
	for (size_t i = 0; i < ARRAY_LEN(mountable); i++)
		if (!strcmp(type, mountable[i]))
			l->out->mountable = true;
}

/* Labels are printed, and kept in lists that others parse: no control
 * characters, and nothing that is no UTF-8. */
static void clean_label(char *label)
{
	uint16_t units[sizeof(((struct volume_info *)0)->label)];
	size_t len = strlen(label);
	bool text;

	while (len && label[len - 1] == ' ')
		label[--len] = '\0';
	text = utf8_to_utf16le(label, len, units, ARRAY_LEN(units)) >= 0;
	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)label[i];

		if (c < 0x20 || c == 0x7f || (c >= 0x80 && !text))
			label[i] = '?';
	}
}

void volume_set_label(struct volume_look *l, const void *text, size_t len)
{
	len = min_of(len, sizeof(l->out->label) - 1);
	memcpy(l->out->label, text, len);
	l->out->label[len] = '\0';
	clean_label(l->out->label);
}

void volume_set_label16(struct volume_look *l, const void *units, size_t n)
{
	const uint8_t *u = units;
	size_t used = 0;

	/* What does not fit even at three bytes a unit is cut. */
	n = min_of(n, (sizeof(l->out->label) - 1) / 3);
	while (used < n && (u[2 * used] || u[2 * used + 1]))
		used++;
	if (utf16le_to_utf8(u, used, l->out->label, sizeof(l->out->label)) < 0)
		l->out->label[0] = '\0';
	clean_label(l->out->label);
}

void volume_set_uuid(struct volume_look *l, const void *id)
{
	struct guid g;

	memcpy(&g, id, sizeof(g));
	if (!guid_is_zero(&g))
		guid_format_be(&g, l->out->uuid);
}

void volume_set_size(struct volume_look *l, uint64_t n, uint64_t each)
{
	if (__builtin_mul_overflow(n, each, &l->out->size))
		l->out->size = 0;
}

/* First hit wins. Members of something larger come first: a mirror's half
 * looks like the file system that the mirror holds. Then what the first
 * sector says, since every formatter writes that one and leaves signatures
 * of the former owner further in. */
static const volume_look_fn looks[] = {
	volume_look_member,
	volume_look_ntfs,
	volume_look_exfat,
	volume_look_fat,
	volume_look_ext,
	volume_look_swap,
	volume_look_simple,
	volume_look_optical,
	volume_look_zfs,
};

static int look_all(struct volume_look *l)
{
	for (size_t i = 0; i < ARRAY_LEN(looks); i++) {
		int ret = looks[i](l);

		if (ret)
			return ret < 0 ? ret : 0;
	}
	return 0;
}

int volume_probe(struct dev *dev, struct volume_info *out, struct diag *why)
{
	struct volume_info info = { .mountable = false };
	struct volume_look l = {
		.dev = dev, .size = dev_size(dev), .out = &info,
	};
	int ret;

	l.have = (size_t)min_of(l.size, (uint64_t)VOLUME_HEAD);
	l.head = mem_alloc(VOLUME_HEAD, 1);
	if (!l.head)
		return diag_fail(why, ENOMEM, "volume: out of memory");
	ret = dev_read(dev, l.head, l.have, 0);
	if (!ret)
		ret = look_all(&l);
	free(l.head);
	if (ret)
		return diag_fail(why, ret, "volume: looking for a file system: "
				 "%s", strerror(-ret));
	*out = info;
	return 0;
}
