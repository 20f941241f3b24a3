/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/base/dev_file.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"

struct dev_file {
	struct dev dev;
	int fd;			/* owned */
	char *path;		/* owned; for messages and the directory */
	bool failed;		/* an fsync failed: nothing can be promised */
};

static struct dev_file *file_of(struct dev *dev)
{
	return container_of(dev, struct dev_file, dev);
}

static void file_close(struct dev *dev)
{
	struct dev_file *f = file_of(dev);

	close(f->fd);
	free(f->path);
	free(f);
}

/* The one retry loop of the project. A file that ends early was cut under
 * us: that is an I/O error, never zeros. */
static int transfer(int fd, uint8_t *buf, size_t len, uint64_t off, bool out)
{
	while (len) {
		size_t n = min_of(len, (size_t)SSIZE_MAX / 2);
		ssize_t got = out ? pwrite(fd, buf, n, (off_t)off)
				  : pread(fd, buf, n, (off_t)off);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		buf += got;
		len -= (size_t)got;
		off += (uint64_t)got;
	}
	return 0;
}

static int file_read(struct dev *dev, void *buf, size_t len, uint64_t off)
{
	return transfer(file_of(dev)->fd, buf, len, off, false);
}

static int file_write(struct dev *dev, const void *buf, size_t len,
		      uint64_t off)
{
	return transfer(file_of(dev)->fd, (uint8_t *)(uintptr_t)buf, len, off,
			true);
}

static int file_zero(struct dev *dev, uint64_t off, uint64_t len,
		     bool may_unmap)
{
	static const uint8_t zeros[64 << 10];
	struct dev_file *f = file_of(dev);
	int mode = may_unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;

	if (!fallocate(f->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)off,
		       (off_t)len))
		return 0;
	if (errno != EOPNOTSUPP && errno != ENODEV && errno != EINVAL)
		return -errno;
	while (len) {
		size_t n = min_of(len, (uint64_t)sizeof(zeros));
		int ret = file_write(dev, zeros, n, off);

		if (ret)
			return ret;
		off += n;
		len -= n;
	}
	return 0;
}

static int file_discard(struct dev *dev, uint64_t off, uint64_t len)
{
	fallocate(file_of(dev)->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		  (off_t)off, (off_t)len);
	return 0;
}

static int file_flush(struct dev *dev)
{
	struct dev_file *f = file_of(dev);

	if (f->failed)
		return -EIO;
	if (fdatasync(f->fd)) {
		/* The kernel may have dropped the dirty pages: a second
		 * fsync would succeed and lie. */
		f->failed = true;
		return -errno;
	}
	return 0;
}

static int file_resize(struct dev *dev, uint64_t size, struct diag *why)
{
	struct dev_file *f = file_of(dev);

	if (ftruncate(f->fd, (off_t)size))
		return diag_fail(why, errno, "%s: cannot set the size to %llu",
				 f->path, (unsigned long long)size);
	dev_set_size(dev, size);
	return 0;
}

static int file_map(struct dev *dev, uint64_t off, uint64_t len,
		    struct dev_run *runs, int max)
{
	runs[0] = (struct dev_run) {
		.kind = DEV_RUN_FD, .fd = file_of(dev)->fd,
		.off = off, .len = len,
	};
	return 1;
}

static const struct dev_ops file_ops = {
	.name = "file",
	.close = file_close,
	.read = file_read,
	.write = file_write,
	.zero = file_zero,
	.discard = file_discard,
	.resize = file_resize,
	.flush = file_flush,
	.map = file_map,
};

static int file_size(int fd, const char *path, uint64_t *size, struct diag *why)
{
	struct stat st;

	if (fstat(fd, &st))
		return diag_fail(why, errno, "%s: %s", path, strerror(errno));
	if (S_ISBLK(st.st_mode)) {
		if (ioctl(fd, BLKGETSIZE64, size))
			return diag_fail(why, errno, "%s: %s", path,
					 strerror(errno));
		return 0;
	}
	if (S_ISDIR(st.st_mode))
		return diag_fail(why, EISDIR, "%s: is a directory", path);
	if (!S_ISREG(st.st_mode))
		return diag_fail(
			why, EINVAL,
			"%s: neither a regular file nor a block device", path);
	*size = (uint64_t)st.st_size;
	return 0;
}

int dev_file_from_fd(int fd, const char *path, bool writable, struct dev **out,
		     struct diag *why)
{
	struct dev_file *f = mem_new(struct dev_file);
	int ret;

	if (!f || !(f->path = mem_strdup(path))) {
		free(f);
		close(fd);
		return diag_fail(why, ENOMEM, "%s: out of memory", path);
	}
	f->fd = fd;
	f->dev = (struct dev) {
		.ops = &file_ops, .sector_size = 512, .phys_sector_size = 512,
		.writable = writable,
	};
	ret = file_size(fd, path, &f->dev.size, why);
	if (ret) {
		file_close(&f->dev);
		return ret;
	}
	*out = &f->dev;
	return 0;
}

/* O_NOATIME is only for the owner; without it the rest is the same. */
static int open_quietly(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC | O_NOATIME);

	if (fd < 0 && errno == EPERM)
		fd = open(path, flags | O_CLOEXEC);
	return fd;
}

int dev_file_open(const char *path, bool want_write, struct dev **out,
		  struct diag *why)
{
	int fd = -1;

	if (want_write)
		fd = open_quietly(path, O_RDWR | O_NONBLOCK);
	if (fd >= 0)
		return dev_file_from_fd(fd, path, true, out, why);
	/* A FIFO must not hang us: O_NONBLOCK, refused later by its type. */
	fd = open_quietly(path, O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		return diag_fail(why, errno, "%s: %s", path, strerror(errno));
	return dev_file_from_fd(fd, path, false, out, why);
}

int dev_file_create(const char *path, struct dev **out, struct diag *why)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	int ret;

	if (fd < 0)
		return diag_fail(why, errno, "%s: %s", path, strerror(errno));
	ret = dev_file_from_fd(fd, path, true, out, why);
	if (!ret)
		(*out)->writing = true;
	return ret;
}

int dev_file_fd(const struct dev *dev)
{
	if (dev->ops != &file_ops)
		return -1;
	return container_of(dev, const struct dev_file, dev)->fd;
}

const char *dev_file_path(const struct dev *dev)
{
	if (dev->ops != &file_ops)
		return dev->ops->name;
	return container_of(dev, const struct dev_file, dev)->path;
}

int dev_file_extend(struct dev *dev, uint64_t size)
{
	if (size <= dev_size(dev))
		return 0;
	return dev_resize(dev, size, NULL);
}

int dev_file_append(struct dev *dev, const void *buf, size_t len, uint64_t off)
{
	int ret;

	if (dev->ops != &file_ops || !dev->writing) {
		ret = dev_file_extend(dev, off + len);
		return ret ? ret : dev_write(dev, buf, len, off);
	}
	ret = file_write(dev, buf, len, off);
	if (!ret && off + len > dev_size(dev))
		dev_set_size(dev, off + len);
	return ret;
}

int dev_file_truncate(struct dev *dev, uint64_t size)
{
	return dev_resize(dev, size, NULL);
}

int dev_file_sync_dir(const struct dev *dev)
{
	char *copy = mem_strdup(dev_file_path(dev));
	int fd, ret = 0;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(copy);
	if (fd < 0)
		return -errno;
	if (fsync(fd))
		ret = -errno;
	close(fd);
	return ret;
}
