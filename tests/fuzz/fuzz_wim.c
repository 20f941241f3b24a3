/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * formats/wim, four targets from one source: WIM_PART says what of a file the
 * input is; the rest is right.
 *	0 the whole file  1 an image's metadata  2 the XML  3 a file's resource
 */
#include <stdlib.h>
#include <string.h>

#include "formats/base/bounds.h"
#include "formats/base/dev_mem.h"
#include "formats/wim/wim.h"
#include "formats/wim/wim_disk.h"

#define INPUT_MAX 65536u
#define NODES_MAX 64
#define BLOB_AT (WIM_HEADER_SIZE + INPUT_MAX)

/* Root and one file "f" whose contents have the hash 1, 1, 1 ... */
static size_t plain_metadata(uint8_t *p)
{
	struct wim_disk_dentry root = {
		.length = to_le64(104), .attrs = to_le32(0x10),
		.security_id = to_le32(~0u), .subdir = to_le64(120),
	};
	struct wim_disk_dentry f = {
		.length = to_le64(112), .attrs = to_le32(0x20),
		.name_len = to_le16(2),
	};

	memset(p, 0, 256);
	memset(f.hash, 1, sizeof(f.hash));
	p[0] = 8;
	memcpy(p + 8, &root, sizeof(root));
	memcpy(p + 120, &f, sizeof(f));
	p[120 + 102] = 'f';
	return 240;
}

static struct wim_disk_reshdr place(uint64_t size, unsigned flags, uint64_t off,
				    uint64_t usize)
{
	return (struct wim_disk_reshdr) {
		to_le64(size | (uint64_t)flags << 56), to_le64(off),
		to_le64(usize),
	};
}

/* header, input, metadata, table; returns the size. */
static size_t make_file(uint8_t *p, const uint8_t *data, size_t size, int part)
{
	unsigned flags = part == 3 ? 4 : 0, codec = size ? data[0] % 3 : 0;
	struct wim_disk_header h = {
		.magic = WIM_MAGIC, .header_size = to_le32(WIM_HEADER_SIZE),
		.version = to_le32(WIM_VERSION_SOLID), .part = to_le16(1),
		.n_parts = to_le16(1), .n_images = to_le32(1),
		.flags = to_le32(2u | WIM_F_XPRESS << codec),
		.chunk_size = to_le32(32768),
	};
	struct wim_disk_blob b[2] = {
		{ .part = to_le16(1), .refs = to_le32(1) },
		{ .part = to_le16(1), .refs = to_le32(1) },
	};
	size_t meta = plain_metadata(p + BLOB_AT), at = BLOB_AT + 256;
	uint64_t usize = part == 3 && size > 3 ? le32_at(data) % 200000 + 1
					       : size;

	memcpy(p + WIM_HEADER_SIZE, data, size);
	if (size > 4 && part == 3 && data[4] & 1)
		memcpy(h.magic, WIM_MAGIC_PIPABLE, 8);
	memset(b[0].hash, 1, WIM_HASH);
	memset(b[1].hash, 2, WIM_HASH);
	b[0].res = place(size, flags, WIM_HEADER_SIZE, usize);
	b[1].res = part == 1 ? place(size, 2, WIM_HEADER_SIZE, size)
			     : place(meta, 2, BLOB_AT, meta);
	memcpy(p + at, b, sizeof(b));
	h.blobs = place(sizeof(b), 2, at, sizeof(b));
	if (part == 2)
		h.xml = place(size, 2, WIM_HEADER_SIZE, size);
	memcpy(p, &h, sizeof(h));
	return at + sizeof(b);
}

struct nodes {
	uint64_t ids[NODES_MAX];
	size_t n;
	unsigned seen;
};

static int emit(void *ctx, const struct tree_entry *e)
{
	struct nodes *nodes = ctx;

	if (nodes->n < NODES_MAX)
		nodes->ids[nodes->n++] = e->id;
	return ++nodes->seen > 4096;
}

static void use_node(struct tree *t, uint64_t id, struct nodes *nodes)
{
	static const char *const names[] = {
		"system.ntfs_acl", "system.ntfs_attrib", "system.ntfs_times_be",
		"system.ntfs_reparse_data", "system.ntfs_object_id",
		"system.ntfs_dos_name", "system.ntfs_ea", "user.a",
	};
	static uint8_t buf[70000];
	struct tree_file *f;
	struct tree_attr a;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		tree_getxattr(t, id, names[i], buf, sizeof(buf));
	tree_listxattr(t, id, (char *)buf, sizeof(buf));
	tree_lookup(t, id, "a", &a);
	tree_lookup(t, id, "a:b", &a);
	tree_readlink(t, id, (char *)buf, 4096);
	tree_list(t, id, 0, true, emit, nodes);
	if (tree_getattr(t, id, &a) || tree_open(t, id, false, &f))
		return;
	tree_read(t, f, buf, 100, 1);
	for (uint64_t off = 0; off < 3 * sizeof(buf); off += sizeof(buf))
		tree_read(t, f, buf, sizeof(buf), off);
	tree_release(t, f);
}

static void use(struct wim *w)
{
	struct wim_tree_opts opts = {
		.unix_data = true, .streams = WIM_STREAMS_WINDOWS
	};
	struct nodes nodes = { .ids = { TREE_ROOT }, .n = 1 };
	struct tree *t;

	free(wim_text(w, 1, "NAME"));
	free(wim_text(w, 1, "WINDOWS/VERSION/BUILD"));
	for (size_t i = 0; i < 4; i++)
		wim_check_blob(w, i, NULL);
	if (wim_tree_open(w, 0, &opts, &t, NULL))
		return;
	for (size_t i = 0; i < nodes.n; i++)
		use_node(t, nodes.ids[i], &nodes);
	tree_close(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t file[BLOB_AT + 4096];
	struct wim_opts opts = { .verify = WIM_VERIFY_NONE, .check = true,
				 .cache_size = 1 << 20 };
	struct dev *dev;
	struct wim *w;

	if (size > INPUT_MAX)
		return 0;
	if (WIM_PART) {
		size = make_file(file, data, size, WIM_PART);
		data = file;
	}
	if (dev_mem_new(data, size, &dev))
		return 0;
	if (wim_open_dev(dev, &opts, &w, NULL)) {
		dev_close(dev);
		return 0;
	}
	use(w);
	wim_close(w);
	return 0;
}
