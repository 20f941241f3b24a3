/* SPDX-License-Identifier: GPL-3.0-or-later */
/* All images of a directory, by their content. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "formats/base/alloc.h"
#include "formats/disk/disk_int.h"

/* Most files of a directory are something else: two small reads tell. The
 * 511 bytes are a footer of old Virtual PCs. */
static bool looks_like_image(int fd, uint64_t size)
{
	char sig[8];

	if (pread(fd, sig, 8, 0) == 8 &&
	    (!memcmp(sig, "vhdxfile", 8) || !memcmp(sig, "conectix", 8)))
		return true;
	for (uint64_t tail = 512; tail >= 511; tail--)
		if (size >= tail &&
		    pread(fd, sig, 8, (off_t)(size - tail)) == 8 &&
		    !memcmp(sig, "conectix", 8))
			return true;
	return false;
}

static int open_quietly(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOATIME);

	if (fd < 0 && errno == EPERM)
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd;
}

static int look_at(struct disk *d, const char *path, disk_scan_fn fn, void *ctx)
{
	struct diag why = DIAG_INIT;
	struct disk_node *node = NULL;
	struct stat st;
	bool image;
	int fd, ret;

	/* Opening a device or a FIFO can have effects: look first. */
	if (stat(path, &st) || !S_ISREG(st.st_mode) || st.st_size < 512)
		return 0;
	fd = open_quietly(path);
	if (fd < 0) {
		diag_fail(&why, errno, "%s: %s", path, strerror(errno));
		return fn(ctx, NULL, path, &why);
	}
	image = looks_like_image(fd, (uint64_t)st.st_size);
	close(fd);
	if (!image)
		return 0;
	ret = disk_node_open(d, path, 0, &node, &why);
	ret = fn(ctx, ret ? NULL : node, path, &why);
	disk_node_close(node);
	return ret;
}

int disk_scan(struct disk *d, const char *dir, disk_scan_fn fn, void *ctx)
{
	DIR *list = opendir(dir);
	struct dirent *e;
	int ret = 0, n = 0;

	if (!list) {
		disk_add_note(d, "%s: cannot be searched for images: %s", dir,
			      strerror(errno));
		return 0;
	}
	while (!ret && (e = readdir(list))) {
		char *path;

		if (e->d_type != DT_REG && e->d_type != DT_LNK &&
		    e->d_type != DT_UNKNOWN)
			continue;
		if (++n > DISK_SCAN_MAX) {
			disk_add_note(d, "%s: only the first %d files were "
				      "searched for images", dir,
				      DISK_SCAN_MAX);
			break;
		}
		path = mem_printf("%s/%s", dir, e->d_name);
		ret = path ? look_at(d, path, fn, ctx) : -ENOMEM;
		free(path);
	}
	closedir(list);
	return ret;
}
