/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sharing file ranges (reflink) where both disks are plain ranges of files of
 * one file system that can. */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/base/dev.h"
#include "formats/merge/merge_int.h"

/* What every file system that shares ranges can share. */
#define UNIT 4096u
#define RUNS 32

/* All of it, as aligned ranges; their number, or -ERR_UNSUPP. */
static int ranges(struct dev *dev, uint64_t off, size_t len,
		  struct dev_run *runs)
{
	uint64_t covered = 0;
	int n = dev_map(dev, off, len, runs, RUNS);

	for (int i = 0; i < n; i++) {
		if (runs[i].kind != DEV_RUN_FD || runs[i].off % UNIT ||
		    runs[i].len % UNIT)
			return -ERR_UNSUPP;
		covered += runs[i].len;
	}
	return covered == len ? n : -ERR_UNSUPP;
}

static bool same_place(int dst_fd, int src_fd)
{
	struct stat a, b;

	return dst_fd >= 0 && src_fd >= 0 && !fstat(dst_fd, &a) &&
	       !fstat(src_fd, &b) && a.st_dev == b.st_dev &&
	       S_ISREG(a.st_mode) && S_ISREG(b.st_mode);
}

bool merge_clone_can(int dst_fd, struct dev *src, uint64_t off, size_t len)
{
	struct dev_run from[RUNS];
	int n = off % UNIT || len % UNIT ? -ERR_UNSUPP
					 : ranges(src, off, len, from);

	for (int i = 0; i < n; i++)
		if (!same_place(dst_fd, from[i].fd))
			return false;
	return n > 0;
}

bool merge_clone_works(const char *dir_of, struct dev *src)
{
	const char *slash = strrchr(dir_of, '/');
	char *dir = slash ? mem_printf("%.*s", (int)(slash - dir_of) + 1,
				       dir_of) : mem_strdup(".");
	int fd = dir ? open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) : -1;
	struct dev_run run = { .kind = DEV_RUN_READ };
	struct file_clone_range r = { .src_length = UNIT };
	bool works = false;

	free(dir);
	for (uint64_t off = 0; fd >= 0 && off < dev_size(src);
	     off += run.len)
		if (dev_map(src, off, dev_size(src) - off, &run, 1) != 1 ||
		    run.kind == DEV_RUN_FD)
			break;
	if (fd >= 0 && run.kind == DEV_RUN_FD) {
		r.src_fd = run.fd;
		works = !ioctl(fd, FICLONERANGE, &r);
	}
	if (fd >= 0)
		close(fd);
	return works;
}

static int share(const struct dev_run *from, const struct dev_run *to,
		 uint64_t in_from, uint64_t in_to, uint64_t len)
{
	struct file_clone_range r = {
		.src_fd = from->fd, .src_offset = from->off + in_from,
		.src_length = len, .dest_offset = to->off + in_to,
	};

	if (!ioctl(to->fd, FICLONERANGE, &r))
		return 0;
	switch (errno) {
	case EOPNOTSUPP: case ENOTTY: case EXDEV: case EINVAL: case EPERM:
	case ETXTBSY: case ENOSYS:
		return -EXDEV;
	default:
		return -errno;
	}
}

/* Two lists of ranges that cover the same bytes. */
static int share_all(const struct dev_run *from, const struct dev_run *to,
		     size_t len)
{
	uint64_t in_from = 0, in_to = 0;
	int ret = 0;

	while (len && !ret) {
		uint64_t n = min_of(from->len - in_from, to->len - in_to);

		ret = share(from, to, in_from, in_to, n);
		in_from += n;
		in_to += n;
		len -= n;
		if (in_from == from->len) {
			from++;
			in_from = 0;
		}
		if (in_to == to->len) {
			to++;
			in_to = 0;
		}
	}
	return ret;
}

int merge_clone(struct dev *dst, struct dev *src, uint64_t off, size_t len)
{
	struct dev_run from[RUNS], to[RUNS];
	uint8_t first[UNIT];
	int ret;

	if (ranges(src, off, len, from) < 0)
		return -ERR_UNSUPP;
	/* Its first bytes make the block appear, and the session begin. */
	ret = dev_read(src, first, sizeof(first), off);
	if (!ret)
		ret = dev_write(dst, first, sizeof(first), off);
	if (ret)
		return ret;
	if (ranges(dst, off, len, to) < 0)
		return -ERR_UNSUPP;
	return share_all(from, to, len);
}
