/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A CIM of three regions that all hold the same bytes: a header, a sound
 * upcase table, and the input, whose last 24 bytes are the filesystem object.
 * (In images of tests/make/gen_cim.py, metadata begins and ends like that.)
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/base/dev_mem.h"
#include "formats/cim/cim_int.h"

#define HEAD (40u + CIM_UPCASE_LEN * 2)
#define INPUT_MAX (256u << 10)
#define REGIONS 3
#define NODES_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct nodes {
	uint64_t ids[NODES_MAX];
	size_t n;
	unsigned seen;
};

static int emit(void *ctx, const struct tree_entry *e)
{
	struct nodes *nodes = ctx;

	for (size_t i = 0; i < nodes->n; i++)
		if (nodes->ids[i] == e->id)
			return 0;
	if (nodes->n < NODES_MAX)
		nodes->ids[nodes->n++] = e->id;
	return ++nodes->seen > 4096;
}

static void use_xattrs(struct tree *t, uint64_t id)
{
	static const char *const names[] = {
		"system.ntfs_acl", "system.ntfs_attrib", "system.ntfs_times_be",
		"system.ntfs_reparse_data", "system.ntfs_ea", "user.one",
	};
	static uint8_t buf[70000];

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		tree_getxattr(t, id, names[i], buf, sizeof(buf));
	tree_listxattr(t, id, (char *)buf, sizeof(buf));
}

static void use_node(struct tree *t, uint64_t id, struct nodes *nodes)
{
	static uint8_t buf[70000];
	struct tree_extent ext[8];
	struct tree_file *f;
	struct tree_attr a;
	char target[4096];

	use_xattrs(t, id);
	tree_lookup(t, id, "a.txt", &a);
	if (!tree_lookup(t, id, "ads.txt:one", &a) && nodes->n < NODES_MAX)
		nodes->ids[nodes->n++] = a.id;
	if (tree_getattr(t, id, &a))
		return;
	if (S_ISLNK(a.mode))
		tree_readlink(t, id, target, sizeof(target));
	tree_list(t, id, 0, true, emit, nodes);
	if (tree_open(t, id, false, &f))
		return;
	for (uint64_t off = 0; off < 3 * sizeof(buf); off += sizeof(buf))
		tree_read(t, f, buf, sizeof(buf), off);
	tree_extents(t, f, 0, a.size, ext, 8);
	tree_seek(t, f, 0, SEEK_DATA);
	tree_seek(t, f, 0, SEEK_HOLE);
	tree_release(t, f);
}

static void make_region(const uint8_t *data, size_t size, uint8_t *out)
{
	le64_t upcase = to_le64(40);

	memset(out, 0, HEAD);
	for (unsigned i = 0; i < CIM_UPCASE_LEN; i++) {
		unsigned up = i >= 'a' && i <= 'z' ? i - 32 : i;

		out[40 + 2 * i] = (uint8_t)up;
		out[41 + 2 * i] = (uint8_t)(up >> 8);
	}
	memcpy(out + HEAD, data, size);
	memcpy(out + HEAD + size - sizeof(struct cim_disk_fs), &upcase,
	       sizeof(upcase));
}

static int add_regions(struct cim *v, const uint8_t *data, size_t size)
{
	static uint8_t region[HEAD + INPUT_MAX];
	int ret = 0;

	make_region(data, size, region);
	v->regions = calloc(REGIONS, sizeof(*v->regions));
	v->head.fs = HEAD + size - sizeof(struct cim_disk_fs);
	while (v->regions && !ret && v->n_regions < REGIONS) {
		ret = dev_mem_new(region, HEAD + size,
				  &v->regions[v->n_regions]);
		v->n_regions += !ret;
	}
	return ret || !v->regions;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nodes nodes = { .ids = { TREE_ROOT }, .n = 1 };
	struct cim_opts opts = {
		.ignore_case = size & 1,
		.streams = size & 2 ? CIM_STREAMS_WINDOWS : CIM_STREAMS_XATTR,
	};
	struct cim *v;

	if (size < sizeof(struct cim_disk_fs) || size > INPUT_MAX)
		return 0;
	if (cim_new(&opts, &v, NULL))
		return 0;
	if (add_regions(v, data, size) || cim_start(v, NULL)) {
		cim_free(v);
		return 0;
	}
	for (size_t i = 0; i < nodes.n; i++)
		use_node(&v->tree, nodes.ids[i], &nodes);
	tree_close(&v->tree);
	return 0;
}
