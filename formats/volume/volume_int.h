/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the parts of the probe share. */
#ifndef IMGFS_VOLUME_INT_H
#define IMGFS_VOLUME_INT_H

#include "formats/volume/volume.h"

/* Every signature at a fixed place lies in here: the last is btrfs's
 * superblock, 4 KiB at 64 KiB. Read once. */
#define VOLUME_HEAD (68u << 10)

struct volume_look {
	struct dev *dev;
	uint64_t size;
	uint8_t *head;		/* owned */
	size_t have;		/* bytes of head: less on a tiny dev */
	struct volume_info *out;
};

/* 1: it is this, out is filled. 0: it is not. -errno: storage failed. out may
 * be changed only with 1. */
typedef int (*volume_look_fn)(struct volume_look *l);

/* len bytes at off of the head, or NULL when the dev is too short. */
const uint8_t *volume_head(const struct volume_look *l, size_t off, size_t len);
bool volume_magic_at(const struct volume_look *l, size_t off,
		     const char *magic, size_t len);
/* Any place of the dev: 1 when read, 0 when the dev is too short, -errno. */
int volume_peek(const struct volume_look *l, void *buf, size_t len,
		uint64_t off);

void volume_set_type(struct volume_look *l, const char *type);
/* Cut at a NUL, blanks at the end dropped, made valid UTF-8. */
void volume_set_label(struct volume_look *l, const void *text, size_t len);
/* n units, up to a NUL. */
void volume_set_label16(struct volume_look *l, const void *units, size_t n);
/* 16 bytes, shown in their order; all zeros are no id. */
void volume_set_uuid(struct volume_look *l, const void *id);
/* n * each when it fits, else 0. */
void volume_set_size(struct volume_look *l, uint64_t n, uint64_t each);

/* volume_magic.c */
int volume_look_member(struct volume_look *l);	/* parts of something larger */
int volume_look_simple(struct volume_look *l);	/* a magic at a fixed place */
int volume_look_swap(struct volume_look *l);
int volume_look_optical(struct volume_look *l);
int volume_look_zfs(struct volume_look *l);
/* volume_ext.c */
int volume_look_ext(struct volume_look *l);
/* volume_ntfs.c: NTFS's boot sector and the name in $Volume. */
int volume_look_ntfs(struct volume_look *l);
/* volume_fat.c */
int volume_look_fat(struct volume_look *l);
int volume_look_exfat(struct volume_look *l);

#endif
