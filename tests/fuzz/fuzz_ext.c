/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A hostile ext volume: listed, read and asked for everything. Bounded in
 * entries and bytes, as a small volume may name itself without end. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/base/bounds.h"
#include "formats/base/dev_mem.h"
#include "formats/volume/vol_ext.h"

#define ENTRIES_MAX 200
#define DEPTH_MAX 5

struct visit {
	uint64_t ids[ENTRIES_MAX];
	int n;
};

static void read_some(struct tree *t, struct tree_file *f, uint64_t size)
{
	struct dev_run runs[8];
	struct tree_pin pin;
	uint8_t buf[3000];

	tree_read(t, f, buf, sizeof(buf), 0);
	tree_read(t, f, buf, sizeof(buf), size / 2);
	if (tree_map(t, f, 0, UINT32_MAX, runs, ARRAY_LEN(runs), &pin) > 0)
		tree_unmap(t, &pin);
	tree_seek(t, f, 0, SEEK_DATA);
	tree_seek(t, f, 0, SEEK_HOLE);
}

static void ask(struct tree *t, const struct tree_attr *a)
{
	char buf[4096], value[512];
	ssize_t n = tree_listxattr(t, a->id, buf, sizeof(buf));
	struct tree_file *f;

	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(buf + i) + 1)
		tree_getxattr(t, a->id, buf + i, value, sizeof(value));
	tree_readlink(t, a->id, buf, sizeof(buf));
	if (!tree_open(t, a->id, false, &f)) {
		read_some(t, f, a->size);
		tree_release(t, f);
	}
}

/* Under the tree's lock: only notes. */
static int collect(void *ctx, const struct tree_entry *e)
{
	struct visit *v = ctx;

	v->ids[v->n++] = e->id;
	return v->n == ENTRIES_MAX;
}

static void walk(struct tree *t, uint64_t dir, int *left, int depth)
{
	struct visit v = { .n = 0 };

	tree_list(t, dir, 0, true, collect, &v);
	for (int i = 0; i < v.n && --*left > 0; i++) {
		struct tree_attr a;

		if (tree_getattr(t, v.ids[i], &a))
			continue;
		ask(t, &a);
		if (S_ISDIR(a.mode) && depth < DEPTH_MAX)
			walk(t, v.ids[i], left, depth + 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct volume_opts opts = { 0 };
	struct diag why = DIAG_INIT;
	struct tree_attr a;
	struct statvfs st;
	struct tree *t;
	struct dev *dev;

	if (size > 8 << 20 || dev_mem_new(data, size, &dev))
		return 0;
	if (!vol_ext_open(dev, &opts, &t, &why)) {
		int left = ENTRIES_MAX;

		walk(t, TREE_ROOT, &left, 0);
		tree_lookup(t, TREE_ROOT, "f", &a);
		tree_statfs(t, &st);
		tree_close(t);
	}
	dev_close(dev);
	return 0;
}
