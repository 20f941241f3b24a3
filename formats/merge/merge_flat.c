/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The chain as a new file: VHD FORMAT.md 12.5, VHDX FORMAT.md 13.6. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/base/dev_file.h"
#include "formats/merge/merge_int.h"

/* Zeros are left out in pieces of that size: a file system has no use for
 * smaller holes, and a cluster of NTFS is no larger. */
#define GRAIN (64u << 10)
/* Written pages go to the disk meanwhile, not all at the end. */
#define PUSH (32u << 20)

struct flat {
	struct merge_reader r;		/* first: see merge_reader_next */
	const struct merge_flat *what;
	const struct merge_job *job;
	struct merge_done *done;
	struct disk *d;
	char *temp;			/* owned */
	struct dev *file;		/* closed by the container */
	struct vhd *vhd;
	struct vhdx *vhdx;
	struct dev *out;
	int fd;
	uint64_t pushed;
	uint8_t *check;			/* MERGE_WINDOW, owned */
};

/* ---- reading ---- */

/* A sparse source: bytes of a hole need no reading. */
static void skip_hole(struct dev_run *run)
{
	off_t data = lseek(run->fd, (off_t)run->off, SEEK_DATA);

	if (data < 0 && errno == ENXIO) {
		run->kind = DEV_RUN_ZERO;
	} else if (data > (off_t)run->off) {
		run->kind = DEV_RUN_ZERO;
		run->len = min_of(run->len, (uint64_t)data - run->off);
	} else if (data >= 0) {
		off_t hole = lseek(run->fd, (off_t)run->off, SEEK_HOLE);

		if (hole > data)
			run->len = min_of(run->len, (uint64_t)(hole - data));
	}
}

static int look_ahead(struct merge_reader *r, uint64_t off)
{
	int n = dev_map(r->dev, off, dev_size(r->dev) - off, r->runs,
			MERGE_RUNS);

	if (n <= 0)
		return n ? n : -EIO;
	r->n = n;
	r->i = 0;
	r->off = off;
	return 0;
}

int merge_reader_next(void *ctx, uint64_t off, uint64_t max,
		      struct merge_seg *seg)
{
	struct merge_reader *r = ctx;
	struct dev_run run;
	uint64_t in;
	int ret;

	while (r->i < r->n && off >= r->off + r->runs[r->i].len)
		r->off += r->runs[r->i++].len;
	if (r->i >= r->n || off < r->off) {
		ret = look_ahead(r, off);
		if (ret)
			return ret;
	}
	in = off - r->off;
	run = r->runs[r->i];
	run.off += in;
	run.len -= in;
	if (run.kind == DEV_RUN_FD)
		skip_hole(&run);
	*seg = (struct merge_seg) {
		.kind = run.kind == DEV_RUN_ZERO ? MERGE_SKIP : MERGE_DATA,
		.len = min_of(run.len, max), .src = r->dev,
	};
	return 0;
}

/* ---- writing ---- */

static bool is_zero(const uint8_t *p, size_t len)
{
	return !*p && !memcmp(p, p + 1, len - 1);
}

static void push(struct flat *f, size_t len)
{
	f->pushed += len;
	if (f->pushed < PUSH || f->fd < 0)
		return;
	f->pushed = 0;
	sync_file_range(f->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

/* A new file reads zero where nothing was written. */
static int put_data(void *ctx, uint64_t off, const uint8_t *buf, size_t len)
{
	struct flat *f = ctx;
	size_t at = 0, from;
	int ret = 0;

	while (at < len && !ret) {
		size_t n = min_of(len - at, (size_t)(GRAIN - (off + at) %
						     GRAIN));

		if (is_zero(buf + at, n)) {
			at += n;
			continue;
		}
		for (from = at; at < len && !is_zero(buf + at, n);) {
			at += n;
			n = min_of(len - at, (size_t)GRAIN);
			if (!n)
				break;
		}
		ret = dev_write(f->out, buf + from, at - from, off + from);
		push(f, at - from);
	}
	return ret;
}

static int put_zero(void *ctx, uint64_t off, uint64_t len)
{
	return 0;
}

static int put_clone(void *ctx, struct dev *src, uint64_t off, size_t len)
{
	struct flat *f = ctx;

	return merge_clone(f->out, src, off, len);
}

/* ---- comparing ---- */

static int same_data(void *ctx, uint64_t off, const uint8_t *buf, size_t len)
{
	struct flat *f = ctx;
	int ret = dev_read(f->r.dev == f->out ? disk_dev(f->d) : f->out,
			   f->check, len, off);

	if (ret)
		return ret;
	return memcmp(buf, f->check, len) ? -EILSEQ : 0;
}

/* Everything that one side has is compared with the other, and then what only
 * the other has. */
static int compare(struct flat *f, struct diag *why)
{
	struct dev *sides[] = { disk_dev(f->d), f->out };
	int ret = 0;

	f->check = mem_alloc(1, MERGE_WINDOW);
	if (!f->check)
		return diag_fail(why, ENOMEM, "out of memory");
	for (size_t i = 0; i < ARRAY_LEN(sides) && !ret; i++) {
		struct merge_copy c = {
			.job = f->job, .size = dev_size(f->out),
			.next = merge_reader_next, .data = same_data,
			.zero = put_zero, .ctx = f,
		};

		f->r = (struct merge_reader) { .dev = sides[i] };
		ret = merge_copy_run(&c);
	}
	if (ret == -EILSEQ)
		return diag_fail_as(why, EIO, OUT_VERIFY, "%s: reads otherwise "
				    "than what was written", f->temp);
	return ret ? diag_fail(why, ret, "%s: comparing: %s", f->temp,
			       strerror(-ret)) : 0;
}

/* ---- the new file ---- */

static const struct disk_link *base_of(const struct disk *d)
{
	return disk_link(d, disk_depth(d) - 1);
}

static uint32_t default_block(const struct disk *d)
{
	const struct disk_link *base = base_of(d);

	return base->format == DISK_VHDX
	       ? vhdx_info(base->container)->block_size : 2u << 20;
}

static int create_vhdx(struct flat *f, struct diag *why)
{
	const struct disk_link *leaf = disk_link(f->d, 0);
	struct vhdx_create what = {
		.type = f->what->kind == MERGE_FIXED ? VHDX_FIXED
						     : VHDX_DYNAMIC,
		.size = leaf->size,
		.block_size = f->what->block_size ? f->what->block_size
						  : default_block(f->d),
		.sector_size = disk_dev(f->d)->sector_size,
		.phys_sector_size = leaf->format == DISK_VHDX
				    ? disk_dev(f->d)->phys_sector_size : 4096,
	};
	int ret = vhdx_create(f->file, &what, why);

	if (!ret)
		ret = vhdx_open(f->file, NULL, &f->vhdx, why);
	if (!ret)
		f->out = vhdx_dev(f->vhdx);
	return ret;
}

static int create_vhd(struct flat *f, struct diag *why)
{
	struct vhd_create what = {
		.type = f->what->kind == MERGE_FIXED ? VHD_FIXED : VHD_DYNAMIC,
		.size = disk_link(f->d, 0)->size,
		.block_size = f->what->block_size,
	};
	int ret;

	if (disk_dev(f->d)->sector_size != 512)
		return diag_fail(why, ERR_UNSUPP, "%s: has sectors of %u "
				 "bytes: a VHD cannot",
				 disk_link(f->d, 0)->path,
				 disk_dev(f->d)->sector_size);
	ret = vhd_create(f->file, &what, why);
	if (!ret)
		ret = vhd_open(f->file, NULL, &f->vhd, why);
	if (!ret)
		f->out = vhd_dev(f->vhd);
	return ret;
}

/* Leaves f->file to the container. */
static int create(struct flat *f, struct diag *why)
{
	int ret = dev_file_create(f->temp, &f->file, why);

	if (ret)
		return ret;
	f->fd = dev_file_fd(f->file);
	ret = f->what->format == DISK_VHD ? create_vhd(f, why)
					  : create_vhdx(f, why);
	if (!ret && dev_size(f->out) != disk_link(f->d, 0)->size)
		ret = diag_fail(why, ERR_UNSUPP, "%s: a size of %llu cannot be "
				"kept", f->temp, (unsigned long long)
				disk_link(f->d, 0)->size);
	return ret ? ret : dev_begin_write(f->out, why);
}

static void close_out(struct flat *f)
{
	if (f->vhd)
		vhd_close(f->vhd);
	else if (f->vhdx)
		vhdx_close(f->vhdx);
	else
		dev_close(f->file);
	f->vhd = NULL;
	f->vhdx = NULL;
	f->file = f->out = NULL;
}

/* Files of Windows must not be sparse on NTFS. */
static int fill_holes(struct flat *f, struct diag *why)
{
	struct stat st;

	if (!f->what->prealloc &&
	    (f->what->kind != MERGE_FIXED || f->what->format == DISK_VHDX))
		return 0;
	if (fstat(f->fd, &st))
		return diag_fail(why, errno, "%s", f->temp);
	if (fallocate(f->fd, 0, 0, st.st_size) && errno != EOPNOTSUPP)
		return diag_fail(why, errno, "%s: preallocating: %s", f->temp,
				 strerror(errno));
	return 0;
}

static int copy(struct flat *f, struct diag *why)
{
	struct merge_copy c = {
		.job = f->job, .size = dev_size(f->out), .collect = true,
		.next = merge_reader_next, .data = put_data, .zero = put_zero,
		.clone = f->what->format == DISK_VHDX &&
			 merge_clone_works(f->temp, disk_dev(f->d))
			 ? put_clone : NULL,
		.clone_fd = f->fd, .ctx = f,
	};
	int ret;

	f->r = (struct merge_reader) { .dev = disk_dev(f->d) };
	ret = merge_copy_run(&c);
	f->done->size = c.size;
	f->done->copied = c.copied;
	f->done->cloned = c.cloned;
	if (ret == -ECANCELED)
		return diag_fail(why, ret, "stopped");
	if (!ret && c.n_bad)
		return diag_fail(why, EIO, "%s: %llu bytes cannot be read",
				 disk_link(f->d, 0)->path,
				 (unsigned long long)c.n_bad);
	return ret ? diag_fail(why, ret, "%s: %s", f->temp, strerror(-ret)) : 0;
}

static int items(struct flat *f, struct diag *why)
{
	const struct disk_link *leaf = disk_link(f->d, 0);

	if (!f->vhdx || leaf->format != DISK_VHDX)
		return 0;
	return vhdx_copy_items(f->vhdx, leaf->container, why);
}

static int sync_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd))
		ret = -errno;
	close(fd);
	return ret;
}

static int finish(struct flat *f, const char *path, struct diag *why)
{
	int ret = dev_flush(f->out);

	if (ret)
		return diag_fail(why, ret, "%s: %s", f->temp, strerror(-ret));
	ret = fill_holes(f, why);
	if (!ret && f->what->verify)
		ret = compare(f, why);
	if (ret)
		return ret;
	/* Closing a VHDX writes; only then is the file whole. */
	close_out(f);
	ret = sync_file(f->temp);
	if (ret)
		return diag_fail(why, ret, "%s: %s", f->temp, strerror(-ret));
	if (f->what->replace ? rename(f->temp, path)
			     : renameat2(AT_FDCWD, f->temp, AT_FDCWD, path,
					 RENAME_NOREPLACE))
		return diag_fail(why, errno, "%s: %s", path, strerror(errno));
	ret = merge_sync_dir(path);
	return ret ? diag_fail(why, ret, "%s: %s", path, strerror(-ret)) : 0;
}

static char *temp_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	int dir = slash ? (int)(slash - path) + 1 : 0;

	return mem_printf("%.*s.%s.%d.tmp", dir, path, path + dir,
			  (int)getpid());
}

static int is_source(struct disk *d, const char *path)
{
	struct stat a, b;

	if (stat(path, &a))
		return 0;
	for (size_t i = 0; i < disk_depth(d); i++)
		if (!stat(disk_link(d, i)->path, &b) && a.st_dev == b.st_dev &&
		    a.st_ino == b.st_ino)
			return 1;
	return 0;
}

int merge_to_file(struct disk *d, const char *path,
		  const struct merge_flat *what, const struct merge_job *job,
		  struct merge_done *done, struct diag *why)
{
	struct flat f = {
		.what = what, .job = job, .done = done, .d = d, .fd = -1,
	};
	int ret = 0;

	if (is_source(d, path))
		return diag_fail(why, EINVAL, "%s: is part of what is read",
				 path);
	if (!what->replace && !access(path, F_OK))
		return diag_fail(why, EEXIST, "%s: exists", path);
	f.temp = temp_name(path);
	if (!f.temp)
		return diag_fail(why, ENOMEM, "out of memory");
	ret = create(&f, why);
	if (!ret)
		ret = copy(&f, why);
	if (!ret)
		ret = items(&f, why);
	if (!ret)
		ret = finish(&f, path, why);
	close_out(&f);
	if (ret)
		unlink(f.temp);
	free(f.temp);
	free(f.check);
	return ret;
}
