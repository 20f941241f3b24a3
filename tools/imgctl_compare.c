/* SPDX-License-Identifier: GPL-3.0-or-later */
/* imgctl compare: what two disks read as, through their chains. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "tools/imgctl.h"

#define PIECE	(1u << 20)
#define SECTOR	512u
/* Ranges beyond are counted, not listed. */
#define RANGES_MAX 1000

struct range {
	uint64_t off, len;
};

struct compare {
	struct dev *dev[2];
	const char *const *names;
	uint8_t *buf[2];		/* owned */
	struct range *ranges;		/* owned; RANGES_MAX of them */
	size_t n_ranges;		/* found, may be more */
	uint64_t first;			/* the first byte that differs */
	uint64_t differ;		/* bytes, in sectors */
	struct range open;		/* the last one: it may still grow */
	struct diag *why;
};


static void end_range(struct compare *c)
{
	if (!c->open.len)
		return;
	if (c->n_ranges < RANGES_MAX)
		c->ranges[c->n_ranges] = c->open;
	c->n_ranges++;
	c->open.len = 0;
}

static void add_sector(struct compare *c, uint64_t off, size_t len)
{
	c->differ += len;
	if (c->open.len && c->open.off + c->open.len == off) {
		c->open.len += len;
		return;
	}
	end_range(c);
	c->open = (struct range) { off, len };
}

/* The first difference to the byte, ranges to the sector. */
static void judge(struct compare *c, size_t len, uint64_t off)
{
	const uint8_t *a = c->buf[0], *b = c->buf[1];

	if (!memcmp(a, b, len))
		return;
	for (size_t i = 0; i < len; i += SECTOR) {
		size_t n = min_of(len - i, (size_t)SECTOR), k = 0;

		if (!memcmp(a + i, b + i, n))
			continue;
		for (; !c->differ && a[i + k] == b[i + k]; k++)
			;
		if (!c->differ)
			c->first = off + i + k;
		add_sector(c, off + i, n);
	}
}

/* What lies behind the end of the smaller disk counts as zeros. */
static int load(struct compare *c, int side, size_t len, uint64_t off)
{
	uint64_t size = dev_size(c->dev[side]);
	size_t have = off < size ? (size_t)min_of(size - off, (uint64_t)len)
				 : 0;
	int ret = have ? dev_read(c->dev[side], c->buf[side], have, off) : 0;

	memset(c->buf[side] + have, 0, len - have);
	return ret ? diag_fail(c->why, ret, "%s: cannot read at %llu: %s",
			       c->names[side], (unsigned long long)off,
			       strerror(-ret)) : 0;
}

static int compare_bytes(struct compare *c, uint64_t off, uint64_t len)
{
	while (len) {
		size_t n = (size_t)min_of(len, (uint64_t)PIECE);
		int ret = load(c, 0, n, off);

		if (!ret)
			ret = load(c, 1, n, off);
		if (ret)
			return ret;
		judge(c, n, off);
		off += n;
		len -= n;
	}
	return 0;
}

/* A run that begins with a hole ends with it; one that has a hole further on
 * ends before it. */
static void split_hole(struct dev_run *run)
{
	uint64_t hole = imgctl_hole(run, run->len);
	off_t end;

	if (hole) {
		*run = (struct dev_run) { .kind = DEV_RUN_ZERO, .len = hole };
		return;
	}
	end = lseek(run->fd, (off_t)run->off, SEEK_HOLE);
	if (end > (off_t)run->off)
		run->len = min_of(run->len, (uint64_t)end - run->off);
}

static int run_at(struct compare *c, int side, uint64_t off, uint64_t len,
		  struct dev_run *out)
{
	uint64_t size = dev_size(c->dev[side]);
	int n = 1;

	if (off >= size)
		*out = (struct dev_run) { .kind = DEV_RUN_ZERO, .len = len };
	else
		n = dev_map(c->dev[side], off, min_of(len, size - off), out, 1);
	if (n <= 0)
		return diag_fail(c->why, n ? n : -EIO,
				 "%s: cannot read at %llu", c->names[side],
				 (unsigned long long)off);
	if (out->kind == DEV_RUN_FD)
		split_hole(out);
	return 0;
}

/* The same place of the same file: a common parent. */
static bool same_place(const struct dev_run *a, const struct dev_run *b)
{
	struct stat x, y;

	if (a->kind != b->kind || a->kind == DEV_RUN_READ)
		return false;
	if (a->kind == DEV_RUN_ZERO)
		return true;
	return a->off == b->off && !fstat(a->fd, &x) && !fstat(b->fd, &y) &&
	       x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int compare_all(struct compare *c)
{
	uint64_t off = 0, size = max_of(dev_size(c->dev[0]),
					dev_size(c->dev[1]));

	while (off < size) {
		struct dev_run a, b;
		uint64_t len;
		int ret = run_at(c, 0, off, size - off, &a);

		if (!ret)
			ret = run_at(c, 1, off, size - off, &b);
		if (ret)
			return ret;
		len = min_of(a.len, b.len);
		if (!same_place(&a, &b))
			ret = compare_bytes(c, off, len);
		if (ret)
			return ret;
		off += len;
	}
	end_range(c);
	return 0;
}

static int put_json(struct imgctl *c, const struct compare *x)
{
	json_t *j = json_object(), *all = json_array();

	for (size_t i = 0; i < min_of(x->n_ranges, (size_t)RANGES_MAX); i++)
		json_array_append_new(all, json_pack("{s:o, s:o}",
			"offset", imgctl_json_u64(x->ranges[i].off),
			"length", imgctl_json_u64(x->ranges[i].len)));
	json_object_set_new(j, "equal", json_boolean(!x->differ));
	json_object_set_new(j, "size_a", imgctl_json_u64(dev_size(x->dev[0])));
	json_object_set_new(j, "size_b", imgctl_json_u64(dev_size(x->dev[1])));
	if (x->differ)
		json_object_set_new(j, "first", imgctl_json_u64(x->first));
	json_object_set_new(j, "bytes", imgctl_json_u64(x->differ));
	json_object_set_new(j, "n_ranges", imgctl_json_u64(x->n_ranges));
	json_object_set_new(j, "ranges", all);
	return imgctl_put_json(c, j);
}

static void put_text(const struct compare *x)
{
	char text[IMGCTL_SIZE_TEXT];
	/* Who wants all of them reads JSON. */
	size_t show = min_of(x->n_ranges, (size_t)20);

	if (dev_size(x->dev[0]) != dev_size(x->dev[1]))
		printf("sizes differ: %llu and %llu bytes%s\n",
		       (unsigned long long)dev_size(x->dev[0]),
		       (unsigned long long)dev_size(x->dev[1]),
		       x->differ ? "" : "; the rest is zeros");
	if (!x->differ) {
		puts("the contents are the same");
		return;
	}
	printf("first difference at byte %llu; %s differ in %zu range%s:\n",
	       (unsigned long long)x->first,
	       imgctl_size_text(x->differ, text), x->n_ranges,
	       x->n_ranges == 1 ? "" : "s");
	for (size_t i = 0; i < show; i++)
		printf("  %16llu  %llu\n",
		       (unsigned long long)x->ranges[i].off,
		       (unsigned long long)x->ranges[i].len);
	if (show < x->n_ranges)
		printf("  and %zu more\n", x->n_ranges - show);
}

static int judge_disks(struct imgctl *c, struct disk *a, struct disk *b,
		       struct diag *why)
{
	struct compare x = {
		.dev = { disk_dev(a), disk_dev(b) }, .names = c->files,
		.buf = { mem_alloc(1, PIECE), mem_alloc(1, PIECE) },
		.ranges = mem_alloc(RANGES_MAX, sizeof(struct range)),
		.why = why,
	};
	int ret = x.buf[0] && x.buf[1] && x.ranges ? compare_all(&x)
		  : diag_fail(why, ENOMEM, "out of memory");

	if (!ret && c->json)
		ret = put_json(c, &x);
	else if (!ret)
		put_text(&x);
	if (!ret && x.differ)
		ret = OUT_VERIFY;
	free(x.buf[0]);
	free(x.buf[1]);
	free(x.ranges);
	return ret;
}

static int run(struct imgctl *c, void *arg)
{
	struct disk_opts second = c->disk;
	struct diag why = DIAG_INIT;
	struct disk *a = NULL, *b = NULL;
	int ret = disk_open(c->files[0], &c->disk, &a, &why);

	/* --parent is about the first disk. */
	second.n_parents = 0;
	if (!ret)
		ret = disk_open(c->files[1], &second, &b, &why);
	if (!ret)
		ret = judge_disks(c, a, b, &why);
	disk_close(b);
	disk_close(a);
	return ret < 0 ? imgctl_fail(c, &why) : ret;
}

int imgctl_compare(struct imgctl *c, int argc, char **argv)
{
	static const struct imgctl_form forms[] = { { NULL, run } };
	struct diag why = DIAG_INIT;
	int ret = imgctl_args(c, argc, argv, NULL, 2, 2, &why);

	if (ret == 1)
		return OUT_OK;
	return ret ? imgctl_fail(c, &why)
		   : imgctl_by_content(forms, 1, c, NULL);
}
