/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The guard before the first write: is the disk ours alone, does nothing else
 * depend on what is in it, is nobody in the middle of rebuilding it?
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "formats/base/alloc.h"
#include "formats/base/dev_file.h"
#include "formats/disk/disk_int.h"

/* Names in the sentence; there may be hundreds. */
#define CHILDREN_NAMED 3

struct children {
	struct disk *d;
	size_t n;
	char names[300];
};

/* A VHD without a parent id hangs on a raw disk by its name alone. */
static bool names_raw(const struct disk_node *leaf,
		      const struct disk_node *node)
{
	const struct locator *locs;
	size_t n;

	if (!node->vhd || !guid_is_zero(&vhd_info(node->vhd)->parent_id))
		return false;
	locs = disk_node_locators(node, &n);
	for (size_t i = 0; i < n; i++)
		if (!strcasecmp(disk_path_base(locs[i].path),
				disk_path_base(leaf->path)))
			return true;
	return false;
}

/* A disk_scan_fn. */
static int count_child(void *ctx, const struct disk_node *node,
		       const char *path, const struct diag *why)
{
	struct children *c = ctx;
	const struct disk_node *leaf = c->d->nodes[0];
	size_t len = strlen(c->names);

	if (!node) {
		disk_add_note(c->d, "not known whether it is a child of this "
			      "disk: %s", why->text);
		return 0;
	}
	if (!disk_node_wants_parent(node) || !disk_node_fits(node, leaf) ||
	    (node->st_dev == leaf->st_dev && node->st_ino == leaf->st_ino))
		return 0;
	if (leaf->pub.format == DISK_RAW && !names_raw(leaf, node))
		return 0;
	if (c->n++ < CHILDREN_NAMED)
		snprintf(c->names + len, sizeof(c->names) - len, "%s%s",
			 len ? ", " : "", path);
	return 0;
}

static int check_children(struct disk *d, struct diag *why)
{
	struct children c = { .d = d };
	char more[32] = "";
	int ret = disk_scan(d, d->nodes[0]->dir, count_child, &c);

	for (size_t i = 0; !ret && i < d->n_search; i++)
		if (strcmp(d->search[i], d->nodes[0]->dir))
			ret = disk_scan(d, d->search[i], count_child, &c);
	if (ret)
		return diag_fail(why, ret, "%s: looking for children: %s",
				 d->nodes[0]->path, strerror(-ret));
	if (!c.n)
		return 0;
	if (c.n > CHILDREN_NAMED)
		snprintf(more, sizeof(more), " and %zu more",
			 c.n - CHILDREN_NAMED);
	if (d->opts.force_parent_write) {
		disk_add_note(d, "%s: writing to it although it is the parent "
			      "of %s%s", d->nodes[0]->path, c.names, more);
		return 0;
	}
	return diag_fail_as(why, EBUSY, OUT_HAS_CHILDREN,
			    "%s: is the parent of %s%s: writing would destroy "
			    "them (force_parent_write does it all the same)",
			    d->nodes[0]->path, c.names, more);
}

/* Why the leaf could only be opened for reading. */
static int check_file(struct disk *d, struct diag *why)
{
	const struct disk_node *leaf = d->nodes[0];
	int err = EACCES;

	if (leaf->pub.file->writable)
		return 0;
	if (faccessat(AT_FDCWD, leaf->path, W_OK, AT_EACCESS))
		err = errno;
	return diag_fail(why, err, "%s: %s", leaf->path, strerror(err));
}

/* The kernel's own users of a block device (a mounted file system, swap, a
 * device mapper) know no byte locks, but they exclude O_EXCL. */
static int claim_device(struct disk *d, struct diag *why)
{
	const struct disk_node *leaf = d->nodes[0];
	struct stat st;

	if (d->claim >= 0 || fstat(dev_file_fd(leaf->pub.file), &st) ||
	    !S_ISBLK(st.st_mode))
		return 0;
	d->claim = open(leaf->path, O_RDONLY | O_EXCL | O_CLOEXEC);
	if (d->claim < 0)
		return diag_fail(why, errno, "%s: in use by the kernel: %s",
				 leaf->path, strerror(errno));
	return 0;
}

static void unclaim_device(struct disk *d)
{
	if (d->claim >= 0)
		close(d->claim);
	d->claim = -1;
}

static int no_locks(struct disk *d, int ret, struct diag *said,
		    struct diag *why)
{
	if (ret == -ENOLCK && d->opts.no_lock)
		return 0;
	if (ret == -ENOLCK)
		return diag_fail_as(why, ENOLCK, OUT_LOCKED, "%s: no writing "
				    "without lock=none", said->text);
	return ret ? diag_fail_as(why, ret, said->out, "%s", said->text) : 0;
}

int disk_guard_check(struct disk *d, struct diag *why)
{
	struct disk_node *leaf = d->nodes[0];
	struct diag said = DIAG_INIT;
	int ret = check_file(d, why);

	if (!ret)
		ret = disk_merge_check(d, why);
	if (!ret)
		ret = claim_device(d, why);
	unclaim_device(d);
	if (ret)
		return ret;
	ret = no_locks(d, dev_lock_test(leaf->pub.file, DEV_LOCK_WRITE,
					d->registry, &said), &said, why);
	return ret ? ret : check_children(d, why);
}

int disk_guard_enter(struct disk *d, struct diag *why)
{
	struct disk_node *leaf = d->nodes[0];
	struct diag said = DIAG_INIT;
	int ret = check_file(d, why);

	if (ret)
		return ret;
	ret = dev_lock_set(leaf->pub.file, leaf->lock, DEV_LOCK_WRITE,
			   d->registry, &said);
	if (!ret)
		leaf->lock = DEV_LOCK_WRITE;
	ret = no_locks(d, ret, &said, why);
	if (!ret)
		ret = claim_device(d, why);
	if (!ret)
		ret = disk_merge_check(d, why);
	if (!ret)
		ret = check_children(d, why);
	if (ret)
		disk_guard_leave(d);
	return ret;
}

void disk_guard_leave(struct disk *d)
{
	struct disk_node *leaf = d->nodes[0];
	enum dev_lock back = d->opts.no_lock ? DEV_LOCK_NONE : DEV_LOCK_READ;

	unclaim_device(d);
	/* Giving up a part of what one holds cannot fail. */
	if (leaf->lock == DEV_LOCK_WRITE &&
	    !dev_lock_set(leaf->pub.file, leaf->lock, back, NULL, NULL))
		leaf->lock = back;
}

static void note_sidecar(struct disk *d, const char *suffix)
{
	char *path = mem_printf("%s%s", d->nodes[0]->path, suffix);

	if (path && !access(path, F_OK))
		disk_add_note(d, "%s: the change tracking of Hyper-V becomes "
			      "stale when the disk is written", path);
	free(path);
}

void disk_guard_note(struct disk *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (disk_merge_found(d->nodes[i]))
			disk_add_note(d, "%s: a merge into it is in progress: "
				      "vhdmerge --resume %s", d->nodes[i]->path,
				      d->nodes[i]->path);
	if (d->opts.want_write) {
		note_sidecar(d, ".rct");
		note_sidecar(d, ".mrt");
	}
}
