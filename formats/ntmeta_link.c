/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Targets of Windows' links as relative ones inside the mount: absolute paths
 * climb to the root first, and names are written as the directories have them,
 * since POSIX counts case and Windows does not.
 */
#include "formats/ntmeta.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/base/err.h"
#include "formats/base/utf16.h"

/* Directories above a link: a Windows path has at most 32767 units. */
#define DEPTH_MAX 16384

/* How many directories are between the root and dir. */
static int depth_of(const struct ntmeta_place *p, uint64_t dir)
{
	int depth = 0, ret = 0;

	while (dir != p->root && !ret) {
		if (++depth > DEPTH_MAX)
			return -ERR_CORRUPT;
		ret = p->parent(p->ctx, dir, &dir);
	}
	return ret ? ret : depth;
}

/* One step of a target's path: its node, and the name as the directory has it
 * when only case differs. */
static int step(const struct ntmeta_place *p, uint64_t *dir, const char *name,
		char *real)
{
	if (!strcmp(name, "..")) {
		strcpy(real, "..");
		return *dir == p->root ? 0 : p->parent(p->ctx, *dir, dir);
	}
	return p->child(p->ctx, *dir, name, dir, real);
}

/* Puts path, whose names are matched from dir on, behind what buf has. What
 * leads nowhere stays as it was written. */
static int put_matched(const struct ntmeta_place *p, uint64_t dir, char *path,
		       char *buf, size_t size)
{
	char real[NTMETA_NAME_SIZE], *save;
	size_t pos = strlen(buf);
	bool lost = false;

	for (char *part = strtok_r(path, "/", &save); part;
	     part = strtok_r(NULL, "/", &save)) {
		int n;

		lost = lost || step(p, &dir, part, real);
		n = snprintf(buf + pos, size - pos, "%s%s",
			     pos && buf[pos - 1] != '/' ? "/" : "",
			     lost ? part : real);
		if (n < 0 || (size_t)n >= size - pos)
			return -ENAMETOOLONG;
		pos += (size_t)n;
	}
	return (int)pos;
}

/* From the link's directory up to the root. */
static int put_climb(const struct ntmeta_place *p, char *buf, size_t size)
{
	int depth = depth_of(p, p->dir);

	if (depth < 0)
		return depth;
	if ((size_t)depth * 3 + 2 > size)
		return -ENAMETOOLONG;
	for (int i = 0; i < depth; i++)
		strcpy(buf + i * 3, "../");
	return 0;
}

static int put_text(char *buf, size_t size, const char *text)
{
	int n = snprintf(buf, size, "%s", text);

	return (size_t)n < size ? n : -ENAMETOOLONG;
}

static int rebase(const struct ntmeta_place *p, const char *text, bool relative,
		  char *buf, size_t size)
{
	uint64_t dir = p->dir;
	char path[PATH_MAX];
	int where = ntmeta_target(text, relative, p->drives, p->n_drives, path,
				  sizeof(path));
	int ret = 0;

	if (where < 0)
		return where;
	if (where == NTMETA_OUTSIDE || where == NTMETA_AS_IS)
		return put_text(buf, size, path);
	buf[0] = '\0';
	if (where == NTMETA_IN_VOLUME) {
		ret = put_climb(p, buf, size);
		dir = p->root;
	}
	if (!ret)
		ret = put_matched(p, dir, path, buf, size);
	if (ret < 0)
		return ret;
	if (!ret)
		return put_text(buf, size, ".");
	/* The root, seen from below: no slash at the end. */
	if (buf[ret - 1] == '/')
		buf[--ret] = '\0';
	return ret;
}

int ntmeta_link_text(const struct ntmeta_reparse *r,
		     const struct ntmeta_place *place, char *buf, size_t size)
{
	size_t room = UTF16_TO_UTF8_MAX(r->target_len / 2) + 1;
	char *text;
	int ret;

	if (size < 2)
		return -ENAMETOOLONG;
	if (!r->target) {
		ret = snprintf(buf, size, "unsupported reparse tag 0x%08x",
			       r->tag);
		return (size_t)ret < size ? ret : -ENAMETOOLONG;
	}
	if (r->utf8) {
		if (r->target_len >= size)
			return -ENAMETOOLONG;
		memcpy(buf, r->target, r->target_len);
		buf[r->target_len] = '\0';
		return (int)strlen(buf);
	}
	text = mem_alloc(room, 1);
	if (!text)
		return -ENOMEM;
	ret = utf16le_to_utf8(r->target, r->target_len / 2, text, room);
	if (ret >= 0)
		ret = rebase(place, text, r->relative, buf, size);
	free(text);
	return ret;
}
