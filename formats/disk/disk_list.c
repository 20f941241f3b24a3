/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The images of a directory, for those who look at links themselves. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/base/alloc.h"
#include "formats/disk/disk_int.h"

struct list {
	disk_list_fn fn;
	void *ctx;
};

static void put_guid(char text[40], const struct guid *id, bool vhd)
{
	if (guid_is_zero(id))
		return;
	if (vhd)
		guid_format_be(id, text);
	else
		guid_format(id, text);
}

static int describe(void *ctx, const struct disk_node *node, const char *path,
		    const struct diag *why)
{
	struct disk_image img = { .path = path };
	struct list *l = ctx;

	if (!node)
		return l->fn(l->ctx, NULL, path, why);
	img.format = node->pub.format;
	img.kind = node->pub.kind;
	img.size = node->pub.size;
	img.dev = node->st_dev;
	img.ino = node->st_ino;
	memcpy(img.id, node->pub.id, sizeof(img.id));
	if (node->vhd && disk_node_wants_parent(node)) {
		put_guid(img.wants, &vhd_info(node->vhd)->parent_id, true);
	} else if (node->vhdx) {
		const struct vhdx_info *info = vhdx_info(node->vhdx);

		put_guid(img.wants, &info->parent_linkage, false);
		put_guid(img.wants2, &info->parent_linkage2, false);
	}
	return l->fn(l->ctx, &img, path, why);
}

int disk_list(const char *dir, disk_list_fn fn, void *ctx, struct diag *why)
{
	struct disk *d = mem_new(struct disk);
	struct list l = { fn, ctx };
	int ret;

	if (!d)
		return diag_fail(why, ENOMEM, "out of memory");
	if (access(dir, R_OK | X_OK)) {
		ret = diag_fail(why, errno, "%s: %s", dir, strerror(errno));
		free(d);
		return ret;
	}
	pthread_mutex_init(&d->note_lock, NULL);
	d->opts.no_lock = true;
	d->opts.force = true;
	ret = disk_scan(d, dir, describe, &l);
	for (size_t i = 0; i < atomic_load(&d->n_notes); i++)
		free(d->notes[i]);
	pthread_mutex_destroy(&d->note_lock);
	free(d);
	return ret;
}
