/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A merge that is not finished: its journal ".NAME.merge" lies beside the file
 * that takes over another's content. Read from the merged child or above, the
 * chain shows what it always did; the target itself, and what lies between,
 * show a mixture (VHD FORMAT.md 12.2, VHDX FORMAT.md 13.2).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/base/alloc.h"
#include "formats/disk/disk_int.h"

/* The merged child is named in the first lines. */
#define HEAD_MAX 1024

static char *journal_path(const struct disk_node *node)
{
	return mem_printf("%s/.%s.merge", node->dir,
			  disk_path_base(node->path));
}

bool disk_merge_found(const struct disk_node *node)
{
	char *path = journal_path(node);
	bool there = path && !faccessat(AT_FDCWD, path, F_OK,
					AT_SYMLINK_NOFOLLOW);

	free(path);
	return there;
}

int disk_merge_refuse(const struct disk_node *node, struct diag *why)
{
	return diag_fail_as(why, EBUSY, OUT_BUSY, "%s: a merge into it is in "
			    "progress: vhdmerge --resume %s", node->path,
			    node->path);
}

int disk_merge_check(const struct disk *d, struct diag *why)
{
	for (size_t i = 0; i < d->n; i++)
		if (disk_merge_found(d->nodes[i]))
			return disk_merge_refuse(d->nodes[i], why);
	return 0;
}

/* The id of what is merged: the first "file" line. */
static bool merged_id(const struct disk_node *node, char id[40])
{
	char *path = journal_path(node), *line;
	char head[HEAD_MAX + 1] = "";
	int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW;
	int fd = path ? open(path, flags | O_NOATIME) : -1;
	ssize_t n;

	if (path && fd < 0 && errno == EPERM)
		fd = open(path, flags);
	n = fd < 0 ? -1 : pread(fd, head, HEAD_MAX, 0);
	if (fd >= 0)
		close(fd);
	free(path);
	if (n < 0)
		return false;
	line = strstr(head, "\nfile ");
	return line && sscanf(line, "\nfile %39s", id) == 1;
}

int disk_merge_check_read(const struct disk *d, struct diag *why)
{
	for (size_t i = 0; i < d->n; i++) {
		bool below = false;
		char id[40];

		if (!disk_merge_found(d->nodes[i]))
			continue;
		if (merged_id(d->nodes[i], id))
			for (size_t k = 0; k < i; k++)
				below = below || !strcmp(d->nodes[k]->pub.id,
							 id);
		if (!below)
			return disk_merge_refuse(d->nodes[i], why);
	}
	return 0;
}
