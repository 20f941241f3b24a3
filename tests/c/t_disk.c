/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A chain opens, or fails with ENOMEM and leaves nothing behind, whichever
 * allocation fails; many threads use one disk. Sanitizers watch both. */
#include "tests/c/check.h"

#include <dirent.h>
#include <pthread.h>
#include <unistd.h>

#include "formats/base/alloc.h"
#include "formats/base/dev_file.h"
#include "formats/disk/disk.h"
#include "formats/vhd/vhd.h"
#include "formats/vhdx/vhdx.h"

static char dir[] = "/tmp/t_disk.XXXXXX";

static const char *in_dir(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static struct dev *new_file(const char *name)
{
	struct dev *file;

	CHECK_INT(dev_file_create(in_dir(name), &file, NULL), 0);
	return file;
}

static void make_vhdx(void)
{
	struct vhdx_create what = { .type = VHDX_DYNAMIC, .size = 4 << 20 };
	struct dev *file = new_file("base.vhdx");
	struct vhdx_opts opts = { 0 };
	struct vhdx *parent;

	CHECK_INT(vhdx_create(file, &what, NULL), 0);
	dev_close(file);
	CHECK_INT(dev_file_open(in_dir("base.vhdx"), false, &file, NULL), 0);
	CHECK_INT(vhdx_open(file, &opts, &parent, NULL), 0);
	what = (struct vhdx_create) {
		.type = VHDX_DIFFERENCING, .parent = parent,
		.parent_relative = "BASE.VHDX",
		.parent_windows = "C:\\vm\\base.vhdx",
	};
	file = new_file("child.vhdx");
	CHECK_INT(vhdx_create(file, &what, NULL), 0);
	dev_close(file);
	vhdx_close(parent);
}

static void make_vhd(void)
{
	struct vhd_create what = { .type = VHD_DYNAMIC, .size = 4 << 20 };
	struct dev *file = new_file("base.vhd");
	struct vhd_opts opts = { 0 };
	struct vhd *parent;

	CHECK_INT(vhd_create(file, &what, NULL), 0);
	dev_close(file);
	CHECK_INT(dev_file_open(in_dir("base.vhd"), false, &file, NULL), 0);
	CHECK_INT(vhd_open(file, &opts, &parent, NULL), 0);
	what = (struct vhd_create) {
		.type = VHD_DIFFERENCING, .size = 4 << 20,
		.parent = vhd_info(parent), .parent_relative = "BASE.VHD",
	};
	file = new_file("child.vhd");
	CHECK_INT(vhd_create(file, &what, NULL), 0);
	dev_close(file);
	vhd_close(parent);
}

static int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* Opens and looks whether writing could begin; the n-th allocation fails. */
static int open_once(const char *name, unsigned long nth, unsigned long *made)
{
	const char *search[] = { dir }, *drives[] = { "C:=/tmp" };
	struct disk_opts opts = {
		.want_write = true, .search = search, .n_search = 1,
		.drives = drives, .n_drives = 1, .registry = dir,
	};
	struct diag why = DIAG_INIT;
	struct disk *d;
	int ret;

	mem_fail_nth(nth);
	ret = disk_open(in_dir(name), &opts, &d, &why);
	if (!ret) {
		ret = dev_check_write(disk_dev(d), &why);
		disk_close(d);
	}
	*made = mem_fail_nth(0);
	CHECK(!ret || *why.text);
	return ret;
}

static void test_every_allocation_may_fail(const char *name)
{
	unsigned long made, all;
	int fds = count_fds(), failed = 0;

	CHECK_INT(open_once(name, ~0UL, &all), 0);
	CHECK(all > 5);
	for (unsigned long n = 1; n <= all; n++) {
		int ret = open_once(name, n, &made);

		/* What only feeds a note may be done without. */
		CHECK(!ret || ret == -ENOMEM);
		failed += !!ret;
		CHECK_INT(count_fds(), fds);
	}
	CHECK(failed > 5);
}

#define THREADS 4
#define SLICE (1 << 20)		/* of the disk, for each thread */
#define CHUNK 12288

struct worker {
	struct dev *dev;
	uint64_t start;
	uint8_t byte;
};

/* Each writes its own part, looks at it, and reads everybody's. */
static void *work(void *arg)
{
	struct worker *w = arg;
	uint8_t buf[CHUNK], back[CHUNK];
	struct dev_run runs[8];

	memset(buf, w->byte, sizeof(buf));
	for (uint64_t at = 0; at + CHUNK <= SLICE; at += 5 * CHUNK) {
		uint64_t off = w->start + at;

		CHECK_INT(dev_write(w->dev, buf, CHUNK, off), 0);
		CHECK_INT(dev_read(w->dev, back, CHUNK, off), 0);
		CHECK(!memcmp(buf, back, CHUNK));
		CHECK(dev_map(w->dev, off, CHUNK, runs, 8) > 0);
		CHECK_INT(dev_read(w->dev, back, CHUNK,
				   (off * 7) % (THREADS * SLICE - CHUNK)), 0);
		if (!(at % (20 * CHUNK)))
			CHECK_INT(dev_flush(w->dev), 0);
	}
	return NULL;
}

static void test_threads_share_a_disk(const char *name)
{
	struct disk_opts opts = { .want_write = true };
	struct worker workers[THREADS];
	pthread_t threads[THREADS];
	struct disk *d;

	CHECK_INT(disk_open(in_dir(name), &opts, &d, NULL), 0);
	CHECK_INT(dev_begin_write(disk_dev(d), NULL), 0);
	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker) {
			disk_dev(d), (uint64_t)i * SLICE, (uint8_t)(i + 1),
		};
		CHECK(!pthread_create(&threads[i], NULL, work, &workers[i]));
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CHECK_INT(dev_flush(disk_dev(d)), 0);
	disk_close(d);
}

int main(void)
{
	CHECK(mkdtemp(dir));
	make_vhdx();
	make_vhd();
	test_every_allocation_may_fail("child.vhdx");
	test_every_allocation_may_fail("child.vhd");
	test_threads_share_a_disk("child.vhdx");
	test_threads_share_a_disk("child.vhd");
	for (const char *const *n = (const char *const[]) { "base.vhdx",
	     "child.vhdx", "base.vhd", "child.vhd", NULL }; *n; n++)
		unlink(in_dir(*n));
	rmdir(dir);
	return 0;
}
