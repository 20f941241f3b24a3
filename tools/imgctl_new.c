/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A new image: made under a temporary name beside its place, so that a file
 * with its name is always whole. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/base/dev_file.h"
#include "tools/imgctl.h"

/* What a signal has to remove: set while there is something unfinished. */
static char unfinished[PATH_MAX];

static void on_signal(int sig)
{
	if (unfinished[0])
		unlink(unfinished);
	signal(sig, SIG_DFL);
	raise(sig);
}

static void watch(const char *temp)
{
	struct sigaction sa = { .sa_handler = on_signal };

	snprintf(unfinished, sizeof(unfinished), "%s", temp);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
}

static void forget(struct imgctl_new *n)
{
	unfinished[0] = '\0';
	free(n->path);
	free(n->temp);
	*n = (struct imgctl_new) { 0 };
}

void imgctl_new_abort(struct imgctl_new *n)
{
	imgctl_leaf_close(&n->leaf);
	if (n->temp)
		unlink(n->temp);
	forget(n);
}

static char *temp_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	int dir = slash ? (int)(slash - path) + 1 : 0;

	return mem_printf("%.*s.%s.%d.new", dir, path, path + dir,
			  (int)getpid());
}

static int make_vhd(struct dev *file, const struct imgctl_make *what,
		    struct vhd *parent, const char *relative, struct diag *why)
{
	static const enum vhd_type types[] = {
		VHD_FIXED, VHD_DYNAMIC, VHD_DIFFERENCING,
	};
	struct vhd_create vhd = {
		.type = types[what->type], .size = what->size,
		.block_size = what->block_size,
		.parent = parent ? vhd_info(parent) : NULL,
		.parent_relative = relative,
		.parent_windows = what->parent_windows,
	};

	if (what->sector_size > 512)
		return diag_fail(why, EINVAL,
				 "vhd: sectors have 512 bytes, not %u",
				 what->sector_size);
	return vhd_create(file, &vhd, why);
}

static int make_vhdx(struct dev *file, const struct imgctl_make *what,
		     struct vhdx *parent, const char *relative,
		     struct diag *why)
{
	static const enum vhdx_type types[] = {
		VHDX_FIXED, VHDX_DYNAMIC, VHDX_DIFFERENCING,
	};
	struct vhdx_create vhdx = {
		.type = types[what->type], .size = what->size,
		.block_size = what->block_size,
		.sector_size = what->sector_size,
		.phys_sector_size = what->phys_sector_size,
		.parent = parent, .parent_relative = relative,
		.parent_windows = what->parent_windows,
	};

	return vhdx_create(file, &vhdx, why);
}

/* A child's parent is opened with its own parents: a child of a broken chain
 * is of no use. */
static int make_child(struct imgctl *c, struct dev *file,
		      struct imgctl_make *what, struct diag *why)
{
	struct disk_opts opts = c->disk;
	const struct disk_link *link;
	struct disk *d;
	char *relative;
	int ret;

	opts.parents = c->parents + 1;
	opts.n_parents = c->disk.n_parents - 1;
	ret = disk_open(what->parent, &opts, &d, why);
	if (ret)
		return ret;
	link = disk_link(d, 0);
	relative = imgctl_relative(dev_file_path(file), link->path);
	if (!what->size)
		what->size = link->size;
	if (!relative)
		ret = diag_fail(why, ENOMEM, "out of memory");
	else if (link->format != (what->format == IMGCTL_VHD ? DISK_VHD
							     : DISK_VHDX))
		ret = diag_fail(why, EINVAL, "%s: a child has the format of "
				"its parent", link->path);
	else if (what->format == IMGCTL_VHD)
		ret = make_vhd(file, what, link->container, relative, why);
	else
		ret = make_vhdx(file, what, link->container, relative, why);
	free(relative);
	disk_close(d);
	return ret;
}

/* A fixed disk that is sparse in the host runs out of space later, and Windows
 * attaches none. */
static int reserve(struct dev *file, const struct imgctl_make *what,
		   struct diag *why)
{
	if (what->type != IMGCTL_FIXED || what->format == IMGCTL_VHDX)
		return 0;
	if (!fallocate(dev_file_fd(file), 0, 0,
		       (off_t)min_of(dev_size(file), what->size)))
		return 0;
	return errno == EOPNOTSUPP ? 0
	       : diag_fail(why, errno, "%llu bytes for it: %s",
			   (unsigned long long)what->size, strerror(errno));
}

static int make(struct imgctl *c, struct dev *file, struct imgctl_make *what,
		struct diag *why)
{
	int ret;

	if (what->type == IMGCTL_CHILD)
		ret = make_child(c, file, what, why);
	else if (what->format == IMGCTL_VHD)
		ret = make_vhd(file, what, NULL, NULL, why);
	else if (what->format == IMGCTL_VHDX)
		ret = make_vhdx(file, what, NULL, NULL, why);
	else
		ret = dev_resize(file, what->size, why);
	return ret ? ret : reserve(file, what, why);
}

static int make_file(struct imgctl *c, struct imgctl_new *n,
		     const struct imgctl_make *what, struct diag *why)
{
	struct imgctl_make own = *what;
	struct dev *file;
	int ret = dev_file_create(n->temp, &file, why);

	if (ret) {
		/* Somebody else's: nothing of ours to remove. */
		free(n->temp);
		n->temp = NULL;
		return ret;
	}
	watch(n->temp);
	ret = make(c, file, &own, why);
	dev_close(file);
	return ret;
}

/* Found out before an hour of copying; renaming makes sure. */
static int must_be_free(const char *path, struct diag *why)
{
	struct stat st;
	int err = lstat(path, &st) ? errno : EEXIST;

	return err == ENOENT ? 0 : diag_fail(why, err, "%s: %s", path,
					     strerror(err));
}

int imgctl_new_open(struct imgctl *c, const char *path,
		    const struct imgctl_make *what, bool data,
		    struct imgctl_new *out, struct diag *why)
{
	int ret;

	*out = (struct imgctl_new) {
		.path = mem_strdup(path), .temp = temp_name(path),
		.data = data,
	};
	if (!out->path || !out->temp)
		ret = diag_fail(why, ENOMEM, "out of memory");
	else
		ret = must_be_free(path, why);
	if (!ret)
		ret = make_file(c, out, what, why);
	if (!ret && data)
		ret = imgctl_leaf_open(c, out->temp, true, &out->leaf, why);
	if (!ret && data)
		ret = dev_begin_write(imgctl_new_dev(out), why);
	if (ret)
		imgctl_new_abort(out);
	return ret;
}

struct dev *imgctl_new_dev(const struct imgctl_new *n)
{
	return imgctl_leaf_dev(&n->leaf);
}

static int sync_path(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = fsync(fd) ? -errno : 0;
	close(fd);
	return ret;
}

static int sync_dir(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash ? mem_printf("%.*s/", (int)(slash - path), path)
			  : mem_strdup(".");
	int ret = dir ? sync_path(dir, O_RDONLY | O_DIRECTORY) : -ENOMEM;

	free(dir);
	return ret;
}

/* Not every file system has RENAME_NOREPLACE; a link never replaces. */
static int rename_new(const char *temp, const char *path)
{
	if (!renameat2(AT_FDCWD, temp, AT_FDCWD, path, RENAME_NOREPLACE))
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	if (link(temp, path))
		return -errno;
	return unlink(temp) ? -errno : 0;
}

int imgctl_new_finish(struct imgctl_new *n, struct diag *why)
{
	int ret = n->data ? dev_flush(imgctl_new_dev(n)) : 0;

	imgctl_leaf_close(&n->leaf);
	if (!ret)
		ret = sync_path(n->temp, O_RDONLY);
	if (!ret)
		ret = rename_new(n->temp, n->path);
	if (!ret)
		ret = sync_dir(n->path);
	if (ret) {
		diag_fail(why, ret, "%s: %s", n->path, strerror(-ret));
		imgctl_new_abort(n);
		return ret;
	}
	forget(n);
	return 0;
}
