/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A small NTFS volume whose file records and index blocks are the input.
 * Update sequences are made good (else nothing would get past them) unless
 * the input's first byte is odd; $MFT, $Volume and $UpCase are sound.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/base/bounds.h"
#include "formats/base/dev_mem.h"
#include "formats/ntfs/ntfs_int.h"

#define CLUSTER 512u
#define RECORD 1024u
#define N_RECORDS 64u
#define MFT_LCN 16u
#define UPCASE_LCN 160u
#define DATA_LCN 416u
#define N_CLUSTERS 608u
#define INPUT_MAX ((N_CLUSTERS - DATA_LCN) * CLUSTER)
#define NODES_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t disk[N_CLUSTERS * CLUSTER + 512];

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static void protect(uint8_t *p, uint32_t len, const char *magic, unsigned off)
{
	memcpy(p, magic, 4);
	put16(p + 4, off);
	put16(p + 6, len / NTFS_STRIDE + 1);
	for (uint32_t i = 1; i <= len / NTFS_STRIDE; i++)
		memcpy(p + i * NTFS_STRIDE - 2, p + off, 2);
}

static uint8_t *begin_record(unsigned num, unsigned flags)
{
	uint8_t *p = disk + MFT_LCN * CLUSTER + num * RECORD;

	memset(p, 0, RECORD);
	put16(p + 16, 1);
	put16(p + 20, 56);
	put16(p + 22, flags);
	put16(p + 24, 56);
	return p;
}

/* An unnamed attribute in one run, which also is the record's last. */
static void add_run(uint8_t *p, unsigned lcn, unsigned clusters)
{
	uint8_t *a = p + 56;

	a[0] = NTFS_AT_DATA;
	a[4] = 80;
	a[8] = 1;
	put16(a + 24, clusters - 1);
	a[32] = 72;
	for (int i = 40; i <= 56; i += 8) {
		put16(a + i, clusters * CLUSTER);
		a[i + 2] = (uint8_t)(clusters * CLUSTER >> 16);
	}
	a[72] = 0x22;
	put16(a + 73, clusters);
	put16(a + 75, lcn);
	memset(a + 80, 0xff, 4);
	put16(p + 24, 56 + 80 + 8);
}

static void make_fixed(void)
{
	static const uint8_t boot[] = {
		0xeb, 0x52, 0x90, 'N', 'T', 'F', 'S', ' ', ' ', ' ', ' ',
		0, 2, 1,
	};
	uint8_t *p = begin_record(NTFS_REC_MFT, NTFS_RECORD_IN_USE);

	memcpy(disk, boot, sizeof(boot));
	put16(disk + 40, N_CLUSTERS);
	disk[48] = MFT_LCN;
	disk[56] = MFT_LCN;
	disk[64] = (uint8_t)-10;
	disk[68] = (uint8_t)-10;
	add_run(p, MFT_LCN, N_RECORDS * RECORD / CLUSTER);
	p = begin_record(NTFS_REC_UPCASE, NTFS_RECORD_IN_USE);
	add_run(p, UPCASE_LCN, 256);
	p = begin_record(NTFS_REC_VOLUME, NTFS_RECORD_IN_USE);
	p[56] = NTFS_AT_VOLUME_INFORMATION;
	p[60] = 40;
	p[72] = 12;
	p[76] = 24;
	p[56 + 32] = 3;
	p[56 + 33] = 1;
	memset(p + 96, 0xff, 4);
	put16(p + 24, 104);
	for (unsigned i = 0; i < NTFS_UPCASE_LEN; i++)
		put16(disk + UPCASE_LCN * CLUSTER + 2 * i,
		      i >= 'a' && i <= 'z' ? i - 32 : i);
}

static void make_disk(const uint8_t *data, size_t size)
{
	uint8_t *mft = disk + MFT_LCN * CLUSTER;
	uint8_t *rest = disk + DATA_LCN * CLUSTER;
	size_t n = min_of(size, (size_t)(N_RECORDS * RECORD));

	memset(disk, 0, sizeof(disk));
	memcpy(mft, data, n);
	memcpy(rest, data + n, min_of(size - n, (size_t)INPUT_MAX));
	make_fixed();
	for (unsigned i = 0; i < N_RECORDS; i++)
		if (!(data[0] & 1) || i == 0 || i == 3 || i == 10)
			protect(mft + i * RECORD, RECORD, "FILE", 48);
	for (unsigned i = 0; !(data[0] & 1) && i < INPUT_MAX; i += 1024)
		if (!memcmp(rest + i, "INDX", 4))
			protect(rest + i, 1024, "INDX", 40);
}

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
		"system.ntfs_reparse_data", "system.ntfs_object_id",
		"system.ntfs_dos_name", "system.ntfs_ea", "system.ntfs_efsinfo",
		"user.a",
	};
	static uint8_t buf[65536];

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
	tree_lookup(t, id, "a", &a);
	tree_lookup(t, id, "File:stream", &a);
	if (tree_getattr(t, id, &a))
		return;
	if (S_ISLNK(a.mode))
		tree_readlink(t, id, target, sizeof(target));
	tree_list(t, id, 0, true, emit, nodes);
	if (tree_open(t, id, false, &f))
		return;
	for (uint64_t off = 0; off < 3 * sizeof(buf); off += sizeof(buf))
		tree_read(t, f, buf, sizeof(buf), off);
	t->ops->extents(t, f, 0, a.size, false, ext, 8);
	tree_seek(t, f, 0, SEEK_DATA);
	tree_seek(t, f, 0, SEEK_HOLE);
	tree_release(t, f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ntfs_opts opts = { .streams = NTFS_STREAMS_XATTR };
	struct nodes nodes = { .n = 0 };
	struct ntfs_state state;
	struct statvfs vfs;
	struct dev *dev;
	struct tree *t;

	if (!size)
		return 0;
	make_disk(data, size);
	if (data[0] & 2)
		opts.streams = NTFS_STREAMS_WINDOWS;
	opts.ignore_case = data[0] & 4;
	if (dev_mem_new(disk, sizeof(disk), &dev))
		return 0;
	if (!ntfs_open(dev, &opts, &t, NULL)) {
		for (uint64_t i = 0; i < 32; i++)
			nodes.ids[nodes.n++] = ntfs_id_of_record(i);
		for (size_t i = 0; i < nodes.n; i++)
			use_node(t, nodes.ids[i], &nodes);
		tree_statfs(t, &vfs);
		ntfs_state_of_tree(t, &state, NULL);
		tree_close(t);
	}
	dev_close(dev);
	return 0;
}
