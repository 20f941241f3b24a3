/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * wimtool [options] FILE: a WIM driven by treescript from stdin.
 *	-i IMAGE  number or name; without: all when there are several
 *	-r FILE   a reference or another part (may be repeated)
 *	-u unix data  -n no streams  -w file:stream  -c check integrity
 *	-v none|meta|data  -s cache size in bytes
 *	-I print what the file is  -B check every blob  -T open, list, time it
 *	-m fail each allocation in turn while everything is read
 *	-t N: N threads read everything at once; each prints what it summed up
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "formats/base/alloc.h"
#include "formats/wim/wim.h"
#include "tests/c/treescript.h"

static const char *refs[64];
static const char *image;
static char action;
static int threads;

static void warn(void *ctx, const char *text)
{
	fprintf(stderr, "warning: %s\n", text);
}

static void parse(int argc, char **argv, struct wim_opts *o,
		  struct wim_tree_opts *t)
{
	int c;

	o->refs = refs;
	o->warn = warn;
	while ((c = getopt(argc, argv, "i:r:unwcv:s:IBTmt:")) != -1) {
		if (c == 'i')
			image = optarg;
		else if (c == 'r')
			refs[o->n_refs++] = optarg;
		else if (c == 'u')
			t->unix_data = true;
		else if (c == 'n')
			t->streams = WIM_STREAMS_NONE;
		else if (c == 'w')
			t->streams = WIM_STREAMS_WINDOWS;
		else if (c == 'c')
			o->check = true;
		else if (c == 'v')
			o->verify = *optarg == 'n' ? WIM_VERIFY_NONE :
				    *optarg == 'd' ? WIM_VERIFY_DATA :
						     WIM_VERIFY_META;
		else if (c == 's')
			o->cache_size = strtoull(optarg, NULL, 0);
		else if (c == 't')
			threads = atoi(optarg);
		else if (c == '?')
			exit(2);
		else
			action = (char)c;
	}
}

static int print_facts(struct wim *w)
{
	static const char *const texts[] = {
		"NAME", "DESCRIPTION", "DIRCOUNT", "FILECOUNT", "TOTALBYTES",
		"WINDOWS/VERSION/BUILD",
	};
	struct wim_facts f;

	wim_facts(w, &f);
	printf("version %x flags %x chunk %u codec %s part %u/%u missing %u\n",
	       f.version, f.flags, f.chunk_size, f.codec, f.part, f.n_parts,
	       f.n_missing);
	printf("images %u boot %u blobs %zu solid %zu pipable %d "
	       "integrity %d\n", f.n_images, f.boot_index, f.n_blobs,
	       f.n_solid, f.pipable, f.integrity);
	for (unsigned i = 1; i <= f.n_images; i++)
		for (size_t k = 0; k < 6; k++) {
			char *text = wim_text(w, i, texts[k]);

			if (text)
				printf("%u %s %s\n", i, texts[k], text);
			free(text);
		}
	return 0;
}

static int check_blobs(struct wim *w)
{
	struct wim_facts f;
	int bad = 0;

	wim_facts(w, &f);
	for (size_t i = 0; i < f.n_blobs; i++) {
		struct diag why = DIAG_INIT;

		if (!wim_check_blob(w, i, &why))
			continue;
		printf("%s\n", why.text);
		bad = 1;
	}
	return bad;
}

struct reader {
	pthread_t thread;
	struct tree *t;
	uint64_t sum, n, dir;
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
	for (; !ret && n > 0 && off < 4000000; off += 100000) {
		n = tree_read(r->t, f, buf, 100000, off);
		if (n > 0)
			add(r, buf, (size_t)n);
		add(r, &n, sizeof(n));
	}
	if (!ret)
		tree_release(r->t, f);
	free(buf);
}

static int read_entry(void *ctx, const struct tree_entry *e)
{
	struct reader *r = ctx;
	char names[4096];
	uint64_t dir = r->dir;
	int ret;

	r->n++;
	add(r, e->name, strlen(e->name));
	tree_listxattr(r->t, e->id, names, sizeof(names));
	if (S_ISDIR(e->type)) {
		r->dir = e->id;
		ret = tree_list(r->t, e->id, 0, true, read_entry, r);
		add(r, &ret, sizeof(ret));
		r->dir = dir;
	} else if (S_ISREG(e->type)) {
		read_file(r, e->id);
	} else {
		ret = tree_readlink(r->t, e->id, names, sizeof(names));
		add(r, &ret, sizeof(ret));
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
	return 0;
}

static int open_tree(struct wim *w, const struct wim_tree_opts *o,
		     struct tree **out, struct diag *why)
{
	struct wim_facts f;
	unsigned n = 0;
	int ret = 0;

	wim_facts(w, &f);
	if (image)
		ret = wim_find_image(w, image, &n, why);
	else if (f.n_images == 1)
		n = 1;
	return ret ? ret : wim_tree_open(w, n, o, out, why);
}

/* Nothing may crash or leak, whichever allocation fails. */
static int starve(const char *path, const struct wim_opts *opts,
		  const struct wim_tree_opts *topts)
{
	struct wim_opts quiet = *opts;
	unsigned long n = 1, made = 0;

	quiet.warn = NULL;
	for (; made + 1 >= n; n += n < 300 ? 1 : n / 16) {
		struct reader r = { .dir = TREE_ROOT };
		struct diag why = DIAG_INIT;
		struct wim *w = NULL;
		int ret;

		mem_fail_nth(n);
		ret = wim_open(path, &quiet, &w, &why);
		if (!ret)
			ret = open_tree(w, topts, &r.t, &why);
		if (!ret) {
			read_all(&r);
			tree_close(r.t);
		} else if (ret != -ENOMEM || !why.code) {
			printf("allocation %lu: %d %s\n", n, ret, why.text);
			return 1;
		}
		wim_close(w);
		made = mem_fail_nth(0);
	}
	printf("%lu allocations\n", made);
	return 0;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int count(void *ctx, const struct tree_entry *e)
{
	++*(size_t *)ctx;
	return 0;
}

static int act(struct wim *w, const struct wim_tree_opts *o, double start,
	       struct diag *why)
{
	struct tree *t;
	size_t n = 0;
	int ret;

	if (action == 'I')
		return print_facts(w);
	if (action == 'B')
		return check_blobs(w);
	ret = open_tree(w, o, &t, why);
	if (ret)
		return ret;
	if (action == 'T') {
		tree_list(t, TREE_ROOT, 0, true, count, &n);
		printf("%zu entries after %.1f ms\n", n,
		       (now() - start) * 1e3);
	} else {
		ret = threads ? read_parallel(t)
			      : treescript_run(t, stdin, stdout);
	}
	tree_close(t);
	return ret;
}

int main(int argc, char **argv)
{
	struct wim_opts opts = { 0 };
	struct wim_tree_opts topts = { 0 };
	struct diag why = DIAG_INIT;
	struct wim *w = NULL;
	double start = now();
	int ret;

	parse(argc, argv, &opts, &topts);
	if (optind >= argc)
		return 2;
	if (action == 'm')
		return starve(argv[optind], &opts, &topts);
	ret = wim_open(argv[optind], &opts, &w, &why);
	if (!ret)
		ret = act(w, &topts, start, &why);
	wim_close(w);
	if (ret < 0)
		fprintf(stderr, "%d %s\n", -ret, why.text);
	return ret != 0;
}
