/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opens and closes a chain, and is the dev on top of it. */
#include "formats/disk/disk.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/disk/disk_int.h"

static struct dev *low_of(struct dev *dev)
{
	return container_of(dev, struct disk, dev)->nodes[0]->low;
}

static int top_read(struct dev *dev, void *buf, size_t len, uint64_t off)
{
	return dev_read(low_of(dev), buf, len, off);
}

static int top_write(struct dev *dev, const void *buf, size_t len, uint64_t off)
{
	return dev_write(low_of(dev), buf, len, off);
}

static int top_zero(struct dev *dev, uint64_t off, uint64_t len, bool unmap)
{
	return dev_zero(low_of(dev), off, len, unmap);
}

static int top_discard(struct dev *dev, uint64_t off, uint64_t len)
{
	return dev_discard(low_of(dev), off, len);
}

static int top_resize(struct dev *dev, uint64_t size, struct diag *why)
{
	int ret = dev_resize(low_of(dev), size, why);

	if (!ret)
		dev_set_size(dev, dev_size(low_of(dev)));
	return ret;
}

static int top_flush(struct dev *dev)
{
	return dev_flush(low_of(dev));
}

static int top_map(struct dev *dev, uint64_t off, uint64_t len,
		   struct dev_run *runs, int max)
{
	return dev_map(low_of(dev), off, len, runs, max);
}

static int top_begin_write(struct dev *dev, struct diag *why)
{
	struct disk *d = container_of(dev, struct disk, dev);
	int ret = disk_guard_enter(d, why);

	if (ret)
		return ret;
	ret = dev_begin_write(low_of(dev), why);
	if (ret)
		disk_guard_leave(d);
	return ret;
}

static int top_check_write(struct dev *dev, struct diag *why)
{
	struct disk *d = container_of(dev, struct disk, dev);
	int ret = disk_guard_check(d, why);

	return ret ? ret : dev_check_write(low_of(dev), why);
}

/* Belongs to the disk: disk_close() ends it. */
static void top_close(struct dev *dev)
{
}

static const struct dev_ops top_ops = {
	.name = "disk",
	.close = top_close,
	.read = top_read,
	.write = top_write,
	.zero = top_zero,
	.discard = top_discard,
	.resize = top_resize,
	.flush = top_flush,
	.map = top_map,
	.begin_write = top_begin_write,
	.check_write = top_check_write,
};

/* A directory that is not there is worth a word, not a failure: the chain may
 * be complete without it. NULL then, and for lack of memory. */
static char *real_dir(struct disk *d, const char *option, const char *dir)
{
	char real[PATH_MAX];

	if (realpath(dir, real))
		return mem_strdup(real);
	disk_add_note(d, "%s%s: %s", option, dir, strerror(errno));
	return NULL;
}

static int copy_search(struct disk *d, const struct disk_opts *opts)
{
	d->search = mem_zalloc(opts->n_search + 1, sizeof(*d->search));
	if (!d->search)
		return -ENOMEM;
	for (size_t i = 0; i < opts->n_search; i++) {
		char *dir = real_dir(d, "search=", opts->search[i]);

		if (dir)
			d->search[d->n_search++] = dir;
	}
	return 0;
}

/* "C:=/mnt/c" */
static int add_drive(struct disk *d, const char *word, struct diag *why)
{
	const char *eq = strchr(word, '=');
	struct disk_drive *drive = &d->drives[d->n_drives];
	char *prefix;
	size_t len;

	if (!eq || eq == word || !eq[1])
		return diag_fail(why, EINVAL,
				 "drive=%s: should be like drive=C:=/mnt/c",
				 word);
	prefix = mem_printf("%.*s", (int)(eq - word), word);
	drive->prefix = prefix ? disk_path_plain(prefix) : NULL;
	free(prefix);
	if (!drive->prefix)
		return diag_fail(why, ENOMEM, "out of memory");
	for (len = strlen(drive->prefix);
	     len > 1 && drive->prefix[len - 1] == '/'; len--)
		drive->prefix[len - 1] = '\0';
	drive->dir = real_dir(d, "drive=", eq + 1);
	if (drive->dir)
		d->n_drives++;
	else
		free(drive->prefix);
	return 0;
}

static int copy_opts(struct disk *d, const struct disk_opts *opts,
		     struct diag *why)
{
	int ret = 0;

	d->opts = *opts;
	if (opts->registry && !(d->registry = mem_strdup(opts->registry)))
		return diag_fail(why, ENOMEM, "out of memory");
	d->drives = mem_zalloc(opts->n_drives + 1, sizeof(*d->drives));
	if (!d->drives || copy_search(d, opts))
		return diag_fail(why, ENOMEM, "out of memory");
	for (size_t i = 0; !ret && i < opts->n_drives; i++)
		ret = add_drive(d, opts->drives[i], why);
	return ret;
}

static int open_chain(struct disk *d, const char *path,
		      const struct disk_opts *opts, struct diag *why)
{
	unsigned flags = DISK_NODE_LOCK |
			 (opts->want_write ? DISK_NODE_WRITE : 0);
	int ret = copy_opts(d, opts, why);

	if (!ret)
		ret = disk_node_open(d, path, flags, &d->nodes[0], why);
	if (ret)
		return ret;
	d->n = 1;
	disk_node_note(d, d->nodes[0]);
	ret = disk_chain_walk(d, opts, why);
	if (!ret)
		ret = disk_merge_check_read(d, why);
	if (!ret)
		disk_guard_note(d);
	return ret;
}

int disk_open(const char *path, const struct disk_opts *opts,
	      struct disk **out, struct diag *why)
{
	struct disk *d = mem_new(struct disk);
	const struct dev *low;
	int ret;

	if (!d)
		return diag_fail(why, ENOMEM, "%s: out of memory", path);
	pthread_mutex_init(&d->note_lock, NULL);
	d->claim = -1;
	ret = open_chain(d, path, opts, why);
	if (ret) {
		disk_close(d);
		return ret;
	}
	low = d->nodes[0]->low;
	d->dev = (struct dev) {
		.ops = &top_ops, .size = dev_size(low),
		.sector_size = low->sector_size,
		.phys_sector_size = low->phys_sector_size,
		.writable = opts->want_write,
	};
	*out = d;
	return 0;
}

void disk_close(struct disk *d)
{
	if (!d)
		return;
	/* Leaf first: its last words may still need its parents. */
	for (size_t i = 0; i < d->n; i++)
		disk_node_close(d->nodes[i]);
	if (d->claim >= 0)
		close(d->claim);
	for (size_t i = 0; i < d->n_search; i++)
		free(d->search[i]);
	free(d->search);
	for (size_t i = 0; i < d->n_drives; i++) {
		free(d->drives[i].prefix);
		free(d->drives[i].dir);
	}
	free(d->drives);
	for (size_t i = 0; i < atomic_load(&d->n_notes); i++)
		free(d->notes[i]);
	free(d->registry);
	pthread_mutex_destroy(&d->note_lock);
	free(d);
}

struct dev *disk_dev(struct disk *d)
{
	return &d->dev;
}

size_t disk_depth(const struct disk *d)
{
	return d->n;
}

const struct disk_link *disk_link(const struct disk *d, size_t i)
{
	return i < d->n ? &d->nodes[i]->pub : NULL;
}
