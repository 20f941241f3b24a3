/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Opens a disk with its chain, prints what it found, then runs a devscript
 * (devscript.h) on it from standard input.
 *
 *	disktool [-wfPnqctm] [-p PARENT]... [-s SEARCHDIR]... [-d DRIVE]...
 *		 [-r REGISTRY] FILE
 *
 * -w for writing, -f force, -P force_parent_write, -n no_lock, -q without the
 * chain, -c says "check: ok" or why writing could not begin, -t prints the
 * microseconds that opening took, -m compares at the end what dev_map() says
 * with what dev_read() gives ("map: ok"). An error is
 * "error ERRNO OUTCOME: words" and exit status 1.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "formats/base/bounds.h"
#include "formats/disk/disk.h"
#include "tests/c/devscript.h"

#define LIST_MAX 600

struct lists {
	const char *parents[LIST_MAX], *search[LIST_MAX], *drives[LIST_MAX];
};

struct flags {
	bool quiet, check, timed, map;
};

static int parse(int argc, char **argv, struct disk_opts *o, struct lists *l,
		 struct flags *f)
{
	int c;

	while ((c = getopt(argc, argv, "wfPnqctmp:s:d:r:")) != -1) {
		switch (c) {
		case 'w': o->want_write = true; break;
		case 'f': o->force = true; break;
		case 'P': o->force_parent_write = true; break;
		case 'n': o->no_lock = true; break;
		case 'q': f->quiet = true; break;
		case 'c': f->check = true; break;
		case 't': f->timed = true; break;
		case 'm': f->map = true; break;
		case 'p': l->parents[o->n_parents++] = optarg; break;
		case 's': l->search[o->n_search++] = optarg; break;
		case 'd': l->drives[o->n_drives++] = optarg; break;
		case 'r': o->registry = optarg; break;
		default: return -1;
		}
	}
	return optind == argc - 1 ? 0 : -1;
}

static void print_chain(const struct disk *d)
{
	static const char *const formats[] = { "raw", "vhd", "vhdx" };

	for (size_t i = 0; i < disk_depth(d); i++) {
		const struct disk_link *l = disk_link(d, i);

		printf("%zu %s %s %llu %s%s %s\n", i, formats[l->format],
		       l->kind, (unsigned long long)l->size,
		       *l->id ? l->id : "-", l->log_dirty ? " dirty" : "",
		       l->path);
	}
	for (size_t i = 0; disk_note(d, i); i++)
		printf("note: %s\n", disk_note(d, i));
	fflush(stdout);
}

static int fail(const char *what, int ret, const struct diag *why)
{
	printf("%s %s %s: %s\n", what, devscript_error(ret),
	       outcome_find(why->out)->name, why->text);
	fflush(stdout);
	return 1;
}

static long long now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

static void check(struct disk *d)
{
	struct diag why = DIAG_INIT;
	int ret = dev_check_write(disk_dev(d), &why);

	if (ret)
		fail("check:", ret, &why);
	else
		puts("check: ok");
	fflush(stdout);
}

/* The bytes of one run, as the kernel would get them. */
static int run_read(const struct dev_run *run, uint8_t *buf, struct dev *dev,
		    uint64_t off)
{
	if (run->kind == DEV_RUN_READ)
		return dev_read(dev, buf, run->len, off);
	memset(buf, 0, run->len);
	if (run->kind == DEV_RUN_ZERO)
		return 0;
	return pread(run->fd, buf, run->len, (off_t)run->off) ==
	       (ssize_t)run->len ? 0 : -EIO;
}

static void compare_map(struct dev *dev)
{
	static uint8_t mapped[1 << 20], read[1 << 20];
	uint64_t off = 0, size = dev_size(dev);
	struct dev_run run;

	while (off < size) {
		uint64_t len = min_of(size - off, (uint64_t)sizeof(read));

		if (dev_map(dev, off, len, &run, 1) != 1 || !run.len ||
		    run.len > len || run_read(&run, mapped, dev, off) ||
		    dev_read(dev, read, run.len, off) ||
		    memcmp(mapped, read, run.len)) {
			printf("map: differs at %llu\n",
			       (unsigned long long)off);
			return;
		}
		off += run.len;
	}
	puts("map: ok");
}

int main(int argc, char **argv)
{
	static struct lists l;
	struct disk_opts o = {
		.parents = l.parents, .search = l.search, .drives = l.drives,
	};
	struct diag why = DIAG_INIT;
	struct flags f = { 0 };
	struct disk *d;
	long long start;
	int ret;

	if (parse(argc, argv, &o, &l, &f)) {
		fputs("disktool: wrong use: see disktool.c\n", stderr);
		return 2;
	}
	start = now_us();
	ret = disk_open(argv[optind], &o, &d, &why);
	if (ret)
		return fail("error", ret, &why);
	if (f.timed)
		printf("time: %lld\n", now_us() - start);
	if (!f.quiet)
		print_chain(d);
	if (f.check)
		check(d);
	ret = devscript_run(disk_dev(d), stdin, stdout);
	if (f.map)
		compare_map(disk_dev(d));
	/* Notes of the guard. */
	for (size_t i = 0; o.want_write && disk_note(d, i); i++)
		printf("later: %s\n", disk_note(d, i));
	disk_close(d);
	return ret ? 2 : 0;
}
