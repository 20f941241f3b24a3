/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ntfstool [options] FILE [OFFSET [SIZE]]: an NTFS volume in a file, driven by
 * treescript from stdin.
 *	-i ignore case  -H hide hidden files  -s show system files
 *	-n no streams   -w file:stream        -d C:=/mnt/c (may be repeated)
 *	-S print the volume's state instead
 *	-b benchmark: list everything with attributes, open and map each file
 *	-m fail each allocation in turn while everything is read
 *	-t N: N threads read everything at once; each prints what it summed up
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "formats/base/alloc.h"
#include "formats/base/dev_file.h"
#include "formats/base/dev_slice.h"
#include "formats/ntfs/ntfs.h"
#include "tests/c/treescript.h"

static const char *drives[26];
static bool want_state, want_bench, want_oom;
static int threads;

static void parse(int argc, char **argv, struct ntfs_opts *o)
{
	int c;

	o->drives = drives;
	while ((c = getopt(argc, argv, "iHsnwSbmd:t:")) != -1) {
		switch (c) {
		case 'i':
			o->ignore_case = true;
			break;
		case 'H':
			o->hide_hid_files = true;
			break;
		case 's':
			o->show_sys_files = true;
			break;
		case 'n':
			o->streams = NTFS_STREAMS_NONE;
			break;
		case 'w':
			o->streams = NTFS_STREAMS_WINDOWS;
			break;
		case 'd':
			drives[o->n_drives++] = optarg;
			break;
		case 'S':
			want_state = true;
			break;
		case 'b':
			want_bench = true;
			break;
		case 'm':
			want_oom = true;
			break;
		case 't':
			threads = atoi(optarg);
			break;
		default:
			exit(2);
		}
	}
}

static int print_state(struct tree *t)
{
	struct diag why = DIAG_INIT;
	struct ntfs_state s;
	int ret = ntfs_state_of_tree(t, &s, &why);

	if (ret) {
		fprintf(stderr, "%s\n", why.text);
		return 1;
	}
	printf("version %u.%u\nlabel %s\nserial %016llX\nsize %llu\n", s.major,
	       s.minor, s.label, (unsigned long long)s.serial,
	       (unsigned long long)s.size);
	printf("flags %04x\ndirty %d\nlog_clean %d\nhibernated %d\n"
	       "bad_hiberfile %d\n", s.volume_flags, s.dirty, s.log_clean,
	       s.hibernated, s.bad_hiberfile);
	return 0;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct bench {
	uint64_t *ids;
	bool *dirs;
	size_t n, max, without;
};

static int emit(void *ctx, const struct tree_entry *e)
{
	struct bench *b = ctx;

	if (b->n == b->max) {
		b->max = b->max ? b->max * 2 : 1024;
		b->ids = realloc(b->ids, b->max * sizeof(*b->ids));
		b->dirs = realloc(b->dirs, b->max * sizeof(*b->dirs));
	}
	b->without += !e->attr;
	b->dirs[b->n] = S_ISDIR(e->type);
	b->ids[b->n++] = e->id;
	return 0;
}

static void report(const char *what, double start, size_t n)
{
	double t = now() - start;

	printf("%s: %zu in %.2f ms, %.3f us each\n", what, n, t * 1e3,
	       n ? t * 1e6 / (double)n : 0);
}

static void visit(struct tree *t, struct bench *b, size_t *opened)
{
	for (size_t i = 0; i < b->n; i++) {
		struct dev_run runs[4];
		struct tree_pin pin;
		struct tree_file *f;

		if (b->dirs[i] || tree_open(t, b->ids[i], false, &f))
			continue;
		tree_map(t, f, 0, 65536, runs, 4, &pin);
		tree_unmap(t, &pin);
		tree_release(t, f);
		++*opened;
	}
}

static int bench(struct tree *t)
{
	struct bench b = { .n = 0 };
	size_t opened = 0;

	for (int round = 0; round < 3; round++) {
		double start = now();

		b.n = b.without = 0;
		tree_list(t, TREE_ROOT, 0, true, emit, &b);
		for (size_t i = 0; i < b.n; i++)
			if (b.dirs[i])
				tree_list(t, b.ids[i], 0, true, emit, &b);
		report("list with attributes", start, b.n);
		start = now();
		opened = 0;
		visit(t, &b, &opened);
		report("open, map, release", start, opened);
	}
	if (b.without)
		printf("without attributes: %zu\n", b.without);
	free(b.ids);
	free(b.dirs);
	return 0;
}

/* ---- many readers ---- */

struct reader {
	pthread_t thread;
	struct tree *t;
	uint64_t sum, n;
	uint64_t dir;
};

static void add(struct reader *r, const void *p, size_t len)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < len; i++)
		r->sum = (r->sum ^ b[i]) * 0x100000001b3ULL;
}

static void read_file(struct reader *r, uint64_t id)
{
	uint8_t *buf = malloc(100000);
	struct tree_file *f;
	uint64_t off = 0;
	ssize_t n = 1;
	int ret = tree_open(r->t, id, false, &f);

	add(r, &ret, sizeof(ret));
	while (!ret && n > 0 && off < 4000000) {
		n = tree_read(r->t, f, buf, 100000, off);
		if (n > 0)
			add(r, buf, (size_t)n);
		add(r, &n, sizeof(n));
		off += 100000;
	}
	if (!ret)
		tree_release(r->t, f);
	free(buf);
}

static int read_entry(void *ctx, const struct tree_entry *e)
{
	struct reader *r = ctx;
	struct tree_attr a = { 0 };
	char names[4096];
	int ret = tree_lookup(r->t, r->dir, e->name, &a);

	r->n++;
	add(r, e->name, strlen(e->name));
	add(r, &ret, sizeof(ret));
	add(r, &a.size, sizeof(a.size));
	add(r, &a.mtime, sizeof(a.mtime));
	tree_listxattr(r->t, e->id, names, sizeof(names));
	if (S_ISDIR(e->type)) {
		uint64_t dir = r->dir;

		r->dir = e->id;
		ret = tree_list(r->t, e->id, 0, true, read_entry, r);
		add(r, &ret, sizeof(ret));
		r->dir = dir;
	} else if (S_ISREG(e->type)) {
		read_file(r, e->id);
	}
	return 0;
}

static void *read_all(void *ctx)
{
	struct reader *r = ctx;

	r->dir = TREE_ROOT;
	tree_list(r->t, TREE_ROOT, 0, true, read_entry, r);
	return NULL;
}

/* ru_maxrss would be the parent's, from before the exec. Sanitizers take
 * memory of their own. */
static void print_resident(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[200];

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	if (f)
		fclose(f);
	return;
#endif
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "VmHWM:", 6))
			printf("resident KiB %ld\n", atol(line + 6));
	if (f)
		fclose(f);
}

static int read_parallel(struct tree *t)
{
	struct reader *r = calloc((size_t)threads, sizeof(*r));

	for (int i = 0; i < threads; i++) {
		r[i].t = t;
		pthread_create(&r[i].thread, NULL, read_all, &r[i]);
	}
	for (int i = 0; i < threads; i++) {
		pthread_join(r[i].thread, NULL);
		printf("%016llx %llu\n", (unsigned long long)r[i].sum,
		       (unsigned long long)r[i].n);
	}
	free(r);
	print_resident();
	return 0;
}

/* Nothing may crash or leak, whichever allocation fails; what it answers was
 * right or -ENOMEM is seen by the sum of the last round. */
static int starve(struct dev *dev, const struct ntfs_opts *opts)
{
	unsigned long n = 1, made = 0;

	for (; made + 1 >= n; n += n < 300 ? 1 : n / 16) {
		struct reader r = { .dir = TREE_ROOT };
		int ret;

		mem_fail_nth(n);
		ret = ntfs_open(dev, opts, &r.t, NULL);
		if (!ret) {
			read_all(&r);
			tree_close(r.t);
		} else if (ret != -ENOMEM) {
			printf("allocation %lu: open gives %d\n", n, ret);
			return 1;
		}
		made = mem_fail_nth(0);
	}
	printf("%lu allocations\n", made);
	return 0;
}

int main(int argc, char **argv)
{
	struct ntfs_opts opts = { 0 };
	struct diag why = DIAG_INIT;
	struct dev *file, *dev = NULL;
	uint64_t off, size;
	struct tree *t;
	double start;
	int ret;

	parse(argc, argv, &opts);
	if (optind >= argc || dev_file_open(argv[optind], false, &file, &why))
		return 2;
	off = argc > optind + 1 ? strtoull(argv[optind + 1], NULL, 0) : 0;
	size = argc > optind + 2 ? strtoull(argv[optind + 2], NULL, 0)
				 : dev_size(file) - off;
	ret = dev_slice_new(file, off, size, &dev, &why);
	if (!ret && want_oom) {
		ret = starve(dev, &opts);
		dev_close(dev);
		dev_close(file);
		return ret;
	}
	start = now();
	if (!ret)
		ret = ntfs_open(dev, &opts, &t, &why);
	if (ret) {
		fprintf(stderr, "%d %s\n", -ret, why.text);
		dev_close(dev);
		dev_close(file);
		return 1;
	}
	if (want_bench)
		report("open volume", start, 1);
	if (want_state)
		ret = print_state(t);
	else if (want_bench)
		ret = bench(t);
	else if (threads)
		ret = read_parallel(t);
	else
		ret = treescript_run(t, stdin, stdout) ? 1 : 0;
	tree_close(t);
	dev_close(dev);
	dev_close(file);
	return ret;
}
