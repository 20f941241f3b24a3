/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * cimtool [options] IMAGE: lists everything in a CIM in the format of
 * tests/make/gen_cim.py ("Listing"), reading all of it.
 *	-t  drive its tree by treescript from stdin instead
 *	-s  print what its header says and how long opening took
 *	-i ignore case  -H hide hidden files  -n no streams  -w FILE:STREAM
 *	-d C:=/mnt/c (may be repeated)
 *	-m  fail each allocation in turn while everything is listed
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "formats/base/alloc.h"
#include "formats/cim/cim_int.h"
#include "tests/c/sha256.h"
#include "tests/c/treescript.h"

static const char *drives[26];
static bool want_script, want_info, want_oom;

static void put_units(struct cim_name a, FILE *out)
{
	for (unsigned i = 0; i < a.n; i++) {
		uint16_t c = le16_at(a.units + 2 * i);
		static const char named[] = "\b\t\n?\f\r", letters[] = "btn?fr";

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c >= 8 && c <= 13 && c != 11)
			fprintf(out, "\\%c", letters[strchr(named, c) - named]);
		else if (c < ' ' || c > '~')
			fprintf(out, "\\u%04x", c);
		else
			fputc(c, out);
	}
}

static void put_hash(const char *key, const void *p, size_t len, FILE *out)
{
	struct sha256 s;
	char hex[65];

	if (!p) {
		fprintf(out, "\"%s\":null,", key);
		return;
	}
	sha256_init(&s);
	sha256_add(&s, p, len);
	sha256_hex(&s, hex);
	fprintf(out, "\"%s\":\"%s\",", key, hex);
}

static int hash_stream(const struct cim *v, const struct cim_stream *s,
		       char hex[65], struct diag *why)
{
	static uint8_t buf[1 << 20];
	struct cim_data d;
	struct sha256 sum;
	int ret = cim_data_load(v, s, &d, why);

	if (ret)
		return ret;
	sha256_init(&sum);
	for (uint64_t off = 0; off < d.len && !ret; off += sizeof(buf)) {
		size_t n = (size_t)min_of(d.len - off, (uint64_t)sizeof(buf));

		ret = cim_data_read(&d, buf, n, off);
		sha256_add(&sum, buf, ret ? 0 : n);
	}
	cim_data_free(&d);
	sha256_hex(&sum, hex);
	return ret ? diag_fail(why, ret, "data: %s", strerror(-ret)) : 0;
}

static int put_streams(const struct cim *v, const struct cim_file *f,
		       FILE *out, struct diag *why)
{
	struct cim_links l;
	int ret = cim_streams_load(v, f, &l, why);

	fputs("{\"ads\":[", out);
	for (uint32_t i = 0; i < l.n && !ret; i++) {
		struct cim_disk_stream raw;
		struct cim_stream s;
		char hex[65];

		cim_links_stream(&l, i, &raw);
		ret = cim_stream_decode(&raw, &s, why);
		if (!ret)
			ret = hash_stream(v, &s, hex, why);
		fprintf(out, "%s{\"name\":\"", i ? "," : "");
		put_units(cim_links_name(&l, i), out);
		if (!ret)
			fprintf(out, "\",\"sha256\":\"%s\",\"size\":%llu}", hex,
				(unsigned long long)s.len);
	}
	fputs("],", out);
	free((void *)(uintptr_t)l.p);
	return ret;
}

struct path {
	const struct path *up;
	struct cim_name name;
};

static void put_path(const struct path *p, FILE *out)
{
	if (p->up && p->up->up)
		put_path(p->up, out);
	fputc('/', out);
	put_units(p->name, out);
}

typedef int (*load_fn)(const struct cim *v, const struct cim_file *f,
		       uint8_t **out, size_t *len, struct diag *why);

static int put_loaded(const struct cim *v, const struct cim_file *f,
		      const char *key, load_fn load, FILE *out)
{
	uint8_t *p;
	size_t len;
	struct diag why = DIAG_INIT;
	int ret = load(v, f, &p, &len, &why);

	if (ret) {
		fprintf(stderr, "%s\n", why.text);
		return ret;
	}
	put_hash(key, p, len, out);
	free(p);
	return 0;
}

static int put_file(const struct cim *v, uint32_t id, const struct cim_file *f,
		    const struct path *path, FILE *out)
{
	struct diag why = DIAG_INIT;
	char hex[65];
	int ret = put_streams(v, f, out, &why);

	fprintf(out, "\"atime\":%llu,\"attr\":%u,\"btime\":%llu,\"ctime\":%llu,"
		"\"dir\":%s,", (unsigned long long)f->times[3], f->attrs,
		(unsigned long long)f->times[0],
		(unsigned long long)f->times[2], f->dir ? "true" : "false");
	if (!ret && !f->dir)
		ret = hash_stream(v, &f->data, hex, &why);
	if (ret) {
		fprintf(stderr, "%s\n", why.text);
		return ret;
	}
	ret = put_loaded(v, f, "ea", cim_ea_load, out);
	fprintf(out, "\"id\":%u,\"mtime\":%llu,\"nlink\":%u,\"path\":\"", id,
		(unsigned long long)f->times[1], cim_seen_of(v, id)->n_links);
	put_path(path, out);
	fputs("\",", out);
	if (!ret)
		ret = put_loaded(v, f, "reparse", cim_reparse_load, out);
	if (!ret)
		ret = put_loaded(v, f, "sd", cim_sd_load, out);
	fprintf(out, f->dir ? "\"sha256\":null," : "\"sha256\":\"%s\",", hex);
	fprintf(out, "\"size\":%llu,\"tag\":%u}\n",
		(unsigned long long)(f->dir ? 0 : f->data.len), f->tag);
	return ret;
}

static int put_tree(struct cim *v, uint32_t id, const struct path *path,
		    FILE *out)
{
	struct cim_dir *d;
	struct cim_file f;
	int ret = cim_file_load(v, id, &f, NULL);

	if (!ret)
		ret = put_file(v, id, &f, path, out);
	if (ret || !f.dir)
		return ret;
	ret = cim_dir_get(v, id, &d);
	if (ret)
		return ret;
	for (uint32_t i = 0; i < d->links.n && !ret; i++) {
		struct path p = { path, cim_links_name(&d->links, i) };

		ret = put_tree(v, cim_links_id(&d->links, i), &p, out);
	}
	cim_dir_put(v, d);
	return ret;
}

static int list(struct cim *v, FILE *out)
{
	struct path root = { NULL, { NULL, 0 } };

	return put_tree(v, v->root, &root, out);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print_info(const struct tree *t, double seconds)
{
	struct cim_info info;
	char guid[GUID_TEXT];

	cim_info_of_tree(t, &info);
	printf("version %u.%u\nset %s\nregions %zu own %zu parents %zu\n",
	       info.major, info.minor, guid_format(&info.set, guid),
	       info.n_regions, info.n_own_regions, info.n_parents);
	printf("names %llu\nfiles %llu\nopened in %.2f ms\n",
	       (unsigned long long)info.n_names,
	       (unsigned long long)info.n_files, seconds * 1e3);
}

static void parse(int argc, char **argv, struct cim_opts *o)
{
	int c;

	o->drives = drives;
	while ((c = getopt(argc, argv, "tsimHnwd:")) != -1) {
		want_script |= c == 't';
		want_info |= c == 's';
		want_oom |= c == 'm';
		o->ignore_case |= c == 'i';
		o->hide_hid_files |= c == 'H';
		if (c == 'n' || c == 'w')
			o->streams = c == 'n' ? CIM_STREAMS_NONE
					      : CIM_STREAMS_WINDOWS;
		if (c == 'd')
			drives[o->n_drives++] = optarg;
		if (c == '?')
			exit(2);
	}
}

/* Nothing may crash or leak, whichever allocation fails. */
static int starve(const char *path, const struct cim_opts *opts)
{
	FILE *null = fopen("/dev/null", "w");
	unsigned long n = 1, made = 0;

	if (!freopen("/dev/null", "w", stderr))
		return 1;
	for (; made + 1 >= n; n += n < 300 ? 1 : n / 16) {
		struct tree *t;
		int ret;

		mem_fail_nth(n);
		ret = cim_open(path, opts, &t, NULL);
		if (!ret) {
			list(cim_of(t), null);
			tree_close(t);
		} else if (ret != -ENOMEM) {
			printf("allocation %lu: open gives %d\n", n, ret);
			return 1;
		}
		made = mem_fail_nth(0);
	}
	fclose(null);
	printf("%lu allocations\n", made);
	return 0;
}

int main(int argc, char **argv)
{
	struct cim_opts opts = { 0 };
	struct diag why = DIAG_INIT;
	double start = now();
	struct tree *t;
	int ret;

	parse(argc, argv, &opts);
	if (optind >= argc)
		return 2;
	if (want_oom)
		return starve(argv[optind], &opts);
	ret = cim_open(argv[optind], &opts, &t, &why);
	if (ret) {
		fprintf(stderr, "%d %s\n", -ret, why.text);
		return 1;
	}
	if (want_info)
		print_info(t, now() - start);
	else if (want_script)
		ret = treescript_run(t, stdin, stdout);
	else
		ret = list(cim_of(t), stdout);
	tree_close(t);
	return ret ? 1 : 0;
}
