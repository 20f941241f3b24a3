/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A VHD for tests in Python.
 *
 *	vhdtool open [OPTION]... FILE	then a devscript from stdin
 *	vhdtool info [OPTION]... FILE	"name value" lines
 *	vhdtool create FILE TYPE SIZE [BLOCK [PARENT RELATIVE [WINDOWS]]]
 *
 * Options: --parent FILE (again for its parent; a file that is no VHD is a
 * raw disk), --record FILE, --fail N, --size-rule chs|qemu, --force, --ro,
 * --threads N LEN (instead of the script: N writers fill the disk with LEN
 * bytes at a time, flushing now and then).
 */
#include <pthread.h>
#include <unistd.h>

#include "formats/base/bounds.h"
#include "formats/base/dev_file.h"
#include "formats/vhd/vhd.h"
#include "tests/c/dev_record.h"
#include "tests/c/devscript.h"

#include <stdlib.h>
#include <string.h>

#define MAX_PARENTS 8

struct options {
	const char *path, *record;
	const char *parents[MAX_PARENTS];
	size_t n_parents;
	unsigned long fail;
	struct vhd_opts vhd;
	bool read_only;
	unsigned n_threads;
	size_t thread_len;
};

static int complain(const struct diag *why, int ret)
{
	printf("error %s\n", devscript_error(ret));
	fprintf(stderr, "%s\n", why->code ? why->text : strerror(-ret));
	return 1;
}

static int open_link(const struct options *o, const char *path, bool leaf,
		     struct vhd **out, struct diag *why)
{
	struct dev *file;
	int ret = dev_file_open(path, leaf && !o->read_only, &file, why);

	if (!ret && leaf && (o->record || o->fail))
		ret = dev_record_new(file, o->record, o->fail, &file);
	if (ret)
		return ret;
	ret = vhd_open(file, &o->vhd, out, why);
	if (ret)
		dev_close(file);
	return ret;
}

struct chain {
	struct vhd *link[MAX_PARENTS + 1];	/* 0: the leaf */
	struct dev *raw;			/* below the last link */
};

static int open_parent(const struct options *o, struct chain *c, size_t i,
		       struct diag *why)
{
	struct dev *dev = NULL;
	int ret = open_link(o, o->parents[i], false, &c->link[i + 1], why);

	if (ret == -ERR_NOT_THIS) {
		diag_clear(why);
		ret = dev_file_open(o->parents[i], false, &c->raw, why);
		dev = c->raw;
	} else if (!ret) {
		dev = vhd_dev(c->link[i + 1]);
	}
	return ret ? ret : vhd_set_parent(c->link[i], dev, why);
}

static int open_chain(const struct options *o, struct chain *c,
		      struct diag *why)
{
	int ret = open_link(o, o->path, true, &c->link[0], why);

	for (size_t i = 0; !ret && i < o->n_parents; i++)
		ret = open_parent(o, c, i, why);
	return ret;
}

struct writer {
	struct dev *dev;
	unsigned id, n;
	size_t len;
	int ret;
};

/* Writer k of n takes every n-th piece; each byte tells its piece. */
static void *write_pieces(void *arg)
{
	struct writer *w = arg;
	uint8_t *buf = malloc(w->len);
	uint64_t pieces = dev_size(w->dev) / w->len;

	for (uint64_t i = w->id; i < pieces && !w->ret; i += w->n) {
		memset(buf, (int)(i % 251 + 1), w->len);
		w->ret = dev_write(w->dev, buf, w->len, i * w->len);
		if (!w->ret && i % 61 == 0)
			w->ret = dev_flush(w->dev);
		if (!w->ret)
			w->ret = dev_read(w->dev, buf, w->len, i * w->len);
		for (size_t k = 0; !w->ret && k < w->len; k++)
			if (buf[k] != (uint8_t)(i % 251 + 1))
				w->ret = -EILSEQ;
	}
	free(buf);
	return NULL;
}

static int run_threads(struct dev *dev, const struct options *o)
{
	struct diag why = DIAG_INIT;
	struct writer w[16];
	pthread_t t[16];
	unsigned n = min_of(o->n_threads, 16u);
	int ret = dev_begin_write(dev, &why);

	if (ret)
		return complain(&why, ret);
	for (unsigned i = 0; i < n; i++) {
		w[i] = (struct writer) { dev, i, n, o->thread_len, 0 };
		pthread_create(&t[i], NULL, write_pieces, &w[i]);
	}
	for (unsigned i = 0; i < n; i++) {
		pthread_join(t[i], NULL);
		ret = ret ? ret : w[i].ret;
	}
	if (!ret)
		ret = dev_flush(dev);
	if (ret)
		return complain(&why, ret);
	puts("ok");
	return 0;
}

static void print_info(const struct vhd_info *i)
{
	static const char *const kinds[] = {
		"relative", "absolute", "volume", "url", "name",
	};
	char text[GUID_TEXT];

	printf("type %d\nsize %llu\ncurrent %llu\nchs %llu\nblock %u\n",
	       (int)i->type, (unsigned long long)i->size,
	       (unsigned long long)i->current_size,
	       (unsigned long long)i->chs_size, i->block_size);
	printf("id %s\n", guid_format_be(&i->id, text));
	printf("parent_id %s\n", guid_format_be(&i->parent_id, text));
	printf("creator %s\ntimestamp %u\n", i->creator, i->timestamp);
	printf("damaged %d\ndiffers %d\nsaved %d\n", i->footer_damaged,
	       i->copy_differs, i->saved_state);
	for (size_t k = 0; k < i->n_parents; k++)
		printf("%s %s\n", kinds[i->parents[k].kind],
		       i->parents[k].path);
}

static int do_open(const struct options *o, bool info)
{
	struct diag why = DIAG_INIT;
	struct chain c = { 0 };
	int ret = open_chain(o, &c, &why);

	if (ret)
		ret = complain(&why, ret);
	else if (info)
		print_info(vhd_info(c.link[0]));
	else if (o->n_threads)
		ret = run_threads(vhd_dev(c.link[0]), o);
	else
		ret = devscript_run(vhd_dev(c.link[0]), stdin, stdout) ? 2 : 0;
	for (size_t i = 0; i <= MAX_PARENTS; i++)
		vhd_close(c.link[i]);
	dev_close(c.raw);
	return ret;
}

static int parse_options(struct options *o, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		const char *a = argv[i];

		if (!strcmp(a, "--parent") && i + 1 < argc &&
		    o->n_parents < MAX_PARENTS)
			o->parents[o->n_parents++] = argv[++i];
		else if (!strcmp(a, "--record") && i + 1 < argc)
			o->record = argv[++i];
		else if (!strcmp(a, "--fail") && i + 1 < argc)
			o->fail = strtoul(argv[++i], NULL, 0);
		else if (!strcmp(a, "--size-rule") && i + 1 < argc)
			o->vhd.size_rule = *argv[++i] == 'c' ? VHD_SIZE_CHS
					   : VHD_SIZE_QEMU;
		else if (!strcmp(a, "--threads") && i + 2 < argc) {
			o->n_threads = (unsigned)atoi(argv[++i]);
			o->thread_len = devscript_number(argv[++i]);
		} else if (!strcmp(a, "--force"))
			o->vhd.force = true;
		else if (!strcmp(a, "--ro"))
			o->read_only = true;
		else if (*a != '-' && !o->path)
			o->path = a;
		else
			return -EINVAL;
	}
	return o->path ? 0 : -EINVAL;
}

static int do_create(int argc, char **argv)
{
	static const char *const types[] = {
		"", "", "fixed", "dynamic", "differencing",
	};
	struct vhd_create what = { .size = devscript_number(argv[2]) };
	struct options o = { .read_only = true };
	struct diag why = DIAG_INIT;
	struct vhd *parent = NULL;
	struct dev *file;
	int ret = dev_file_create(argv[0], &file, &why);

	if (ret)
		return complain(&why, ret);
	for (int i = 2; i < 5; i++)
		if (!strcmp(argv[1], types[i]))
			what.type = (enum vhd_type)i;
	if (argc > 3)
		what.block_size = (uint32_t)devscript_number(argv[3]);
	if (argc > 5) {
		ret = open_link(&o, argv[4], false, &parent, &why);
		what.parent_relative = argv[5];
		what.parent_windows = argc > 6 ? argv[6] : NULL;
		what.parent = ret ? NULL : vhd_info(parent);
	}
	if (!ret)
		ret = vhd_create(file, &what, &why);
	vhd_close(parent);
	dev_close(file);
	if (ret)
		unlink(argv[0]);
	return ret ? complain(&why, ret) : 0;
}

int main(int argc, char **argv)
{
	struct options o = { 0 };

	if (argc >= 5 && !strcmp(argv[1], "create"))
		return do_create(argc - 2, argv + 2);
	if (argc >= 3 && !parse_options(&o, argc - 2, argv + 2)) {
		if (!strcmp(argv[1], "open"))
			return do_open(&o, false);
		if (!strcmp(argv[1], "info"))
			return do_open(&o, true);
	}
	fputs("usage: vhdtool open|info|create ...\n", stderr);
	return 2;
}
