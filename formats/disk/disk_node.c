/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One file of a chain: opened, locked, recognised by its content. */
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "formats/base/alloc.h"
#include "formats/base/dev_file.h"
#include "formats/base/dev_slice.h"
#include "formats/disk/disk_int.h"

void disk_node_close(struct disk_node *node)
{
	if (!node)
		return;
	/* The containers close the file, and with it go its locks. */
	if (node->vhd) {
		vhd_close(node->vhd);
	} else if (node->vhdx) {
		vhdx_close(node->vhdx);
	} else {
		dev_close(node->low);
		dev_close(node->pub.file);
	}
	free(node->path);
	free(node->dir);
	free(node);
}

/* path was a real path when it was judged. A symlink on the way by now means
 * that somebody moves it away under us. */
static int open_real(const char *path)
{
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOATIME,
		.resolve = RESOLVE_NO_SYMLINKS,
	};
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	if (fd < 0 && errno == EPERM) {
		how.flags &= ~(uint64_t)O_NOATIME;
		fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how,
				  sizeof(how));
	}
	/* Linux before 5.6, and sandboxes that do not know it. */
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	return fd;
}

static int open_file(const char *path, unsigned flags, struct dev **out,
		     struct diag *why)
{
	int fd;

	if (!(flags & DISK_NODE_REAL))
		return dev_file_open(path, flags & DISK_NODE_WRITE, out, why);
	fd = open_real(path);
	if (fd < 0)
		return diag_fail(why, errno, "%s: %s", path, strerror(errno));
	return dev_file_from_fd(fd, path, false, out, why);
}

/* Names of deleted files and of /dev/fd/N lead nowhere: as they were given. */
static int set_paths(struct disk_node *node, const char *path, unsigned flags)
{
	char real[PATH_MAX], *slash;

	/* A path that was judged stays what it was: dir confines the next. */
	if (!(flags & DISK_NODE_REAL) && realpath(path, real))
		path = real;
	node->path = mem_strdup(path);
	node->dir = node->path ? mem_strdup(node->path) : NULL;
	if (!node->dir)
		return -ENOMEM;
	slash = strrchr(node->dir, '/');
	if (slash == node->dir)
		slash[1] = '\0';
	else if (slash)
		*slash = '\0';
	else
		strcpy(node->dir, ".");
	node->pub.path = node->path;
	return 0;
}

static int lock_file(struct disk *d, struct disk_node *node, struct diag *why)
{
	struct diag said = DIAG_INIT;
	int ret;

	if (d->opts.no_lock)
		return 0;
	ret = dev_lock_set(node->pub.file, DEV_LOCK_NONE, DEV_LOCK_READ,
			   d->registry, &said);
	if (ret == -ENOLCK) {
		disk_add_note(d, "%s: nothing keeps others from writing to it",
			      said.text);
		return 0;
	}
	if (ret)
		return diag_fail_as(why, ret, said.out, "%s", said.text);
	node->lock = DEV_LOCK_READ;
	return 0;
}

static int open_vhd(struct disk *d, struct disk_node *node, struct diag *why)
{
	struct vhd_opts opts = {
		.size_rule = (enum vhd_size_rule)d->opts.size_rule,
		.force = d->opts.force,
	};
	const struct vhd_info *info;
	int ret = vhd_open(node->pub.file, &opts, &node->vhd, why);

	if (ret)
		return ret;
	info = vhd_info(node->vhd);
	node->low = vhd_dev(node->vhd);
	node->pub.format = DISK_VHD;
	node->pub.container = node->vhd;
	node->pub.kind = info->type == VHD_FIXED ? "fixed"
			 : info->type == VHD_DYNAMIC ? "dynamic"
			 : "differencing";
	guid_format_be(&info->id, node->pub.id);
	return 0;
}

static int open_vhdx(struct disk *d, struct disk_node *node, struct diag *why)
{
	struct vhdx_opts opts = { .refuse_dirty = d->opts.refuse_dirty_log };
	const struct vhdx_info *info;
	int ret = vhdx_open(node->pub.file, &opts, &node->vhdx, why);

	if (ret)
		return ret;
	info = vhdx_info(node->vhdx);
	node->low = vhdx_dev(node->vhdx);
	node->pub.format = DISK_VHDX;
	node->pub.container = node->vhdx;
	node->pub.kind = info->has_parent ? "differencing"
			 : info->fixed ? "fixed" : "dynamic";
	node->pub.log_dirty = info->log_dirty;
	guid_format(&info->data_write_guid, node->pub.id);
	return 0;
}

static int open_raw(struct disk_node *node, struct diag *why)
{
	struct dev *file = node->pub.file;
	int ret = disk_probe_raw(file, node->path, why);

	if (ret)
		return ret;
	node->pub.format = DISK_RAW;
	node->pub.kind = "raw";
	/* Bytes behind the last whole sector are not part of a disk. */
	return dev_slice_new(file, 0, dev_size(file) / 512 * 512, &node->low,
			     why);
}

/* VHDX first: its signature is at 0, where a VHD may have data. */
static int open_container(struct disk *d, struct disk_node *node,
			  struct diag *why)
{
	int ret = vhdx_probe(node->pub.file);

	if (!ret)
		return open_vhdx(d, node, why);
	if (ret == -ERR_NOT_THIS)
		ret = vhd_probe(node->pub.file);
	if (!ret)
		return open_vhd(d, node, why);
	if (ret != -ERR_NOT_THIS)
		return diag_fail(why, ret, "cannot be read: %s",
				 strerror(-ret));
	return open_raw(node, why);
}

static void note_vhd(struct disk *d, const struct disk_node *node)
{
	const struct vhd_info *info = vhd_info(node->vhd);

	if (info->footer_damaged)
		disk_add_note(d, "%s: footer damaged: its copy is used",
			      node->path);
	if (info->copy_differs)
		disk_add_note(d, "%s: footer and its copy differ: the footer "
			      "at the end is used", node->path);
	if (info->saved_state)
		disk_add_note(d, "%s: belongs to a virtual machine in saved "
			      "state", node->path);
}

static void note_raw(struct disk *d, const struct disk_node *node)
{
	const char *dot = strrchr(disk_path_base(node->path), '.');

	if (dot && (!strncasecmp(dot, ".vhd", 4) ||
		    !strncasecmp(dot, ".avhd", 5)))
		disk_add_note(d, "%s: neither VHD nor VHDX inside: taken as a "
			      "raw disk", node->path);
	if (dev_size(node->pub.file) % 512)
		disk_add_note(d, "%s: size is no multiple of 512: the last "
			      "%llu bytes are left out", node->path,
			      (unsigned long long)
			      (dev_size(node->pub.file) % 512));
}

void disk_node_note(struct disk *d, const struct disk_node *node)
{
	if (node->vhd)
		note_vhd(d, node);
	else if (!node->vhdx)
		note_raw(d, node);
	else if (node->pub.log_dirty)
		disk_add_note(d, "%s: not closed cleanly: its log (%u entries) "
			      "is replayed in memory", node->path,
			      vhdx_info(node->vhdx)->log_entries);
}

static int node_fill(struct disk *d, struct disk_node *node, unsigned flags,
		     struct diag *why)
{
	struct stat st;
	int ret;

	if (fstat(dev_file_fd(node->pub.file), &st))
		return diag_fail(why, errno, "%s: %s", node->path,
				 strerror(errno));
	if ((flags & DISK_NODE_REAL) && !S_ISREG(st.st_mode))
		return diag_fail(why, EINVAL, "%s: not a regular file",
				 node->path);
	node->st_dev = st.st_dev;
	node->st_ino = st.st_ino;
	ret = flags & DISK_NODE_LOCK ? lock_file(d, node, why) : 0;
	if (ret)
		return ret;
	ret = open_container(d, node, why);
	if (ret) {
		if (!why || !strncmp(why->text, node->path, strlen(node->path)))
			return ret;
		return diag_in(why, ret, "%s", node->path);
	}
	node->pub.size = dev_size(node->low);
	return 0;
}

int disk_node_open(struct disk *d, const char *path, unsigned flags,
		   struct disk_node **out, struct diag *why)
{
	struct disk_node *node = mem_new(struct disk_node);
	int ret;

	if (!node || set_paths(node, path, flags)) {
		disk_node_close(node);
		return diag_fail(why, ENOMEM, "%s: out of memory", path);
	}
	ret = open_file(path, flags, &node->pub.file, why);
	if (!ret)
		ret = node_fill(d, node, flags, why);
	if (ret) {
		disk_node_close(node);
		return ret;
	}
	*out = node;
	return 0;
}
