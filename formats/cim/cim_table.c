/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From the filesystem object to file entries (FORMAT.md, "Filesystem object",
 * "File tables", "Stream"). */
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/cim/cim_int.h"

/* Sizes seen are 0x58 to 0x68. What is far beyond is no file entry. */
#define ENTRY_MAX 4096u
/* 2^28 files: more than anybody keeps in an image, and a directory of tables
 * that can be held in memory. */
#define TABLES_MAX (1u << 18)
/* Tables kept in memory: entries of 260,000 files. */
#define TABLES_KEPT 256
#define ENTRY_SIZE sizeof(struct cim_disk_file)

static int load_upcase(struct cim *v, uint64_t ro, struct diag *why)
{
	le16_t *raw = mem_alloc(CIM_UPCASE_LEN, sizeof(*raw));
	int ret;

	v->upcase = mem_alloc(CIM_UPCASE_LEN, sizeof(*v->upcase));
	if (!raw || !v->upcase)
		ret = diag_fail(why, ENOMEM, "out of memory");
	else
		ret = cim_load(v, ro, raw, CIM_UPCASE_LEN * sizeof(*raw), why);
	for (size_t i = 0; i < CIM_UPCASE_LEN && !ret; i++)
		v->upcase[i] = le16(raw[i]);
	free(raw);
	return ret ? diag_in(why, ret, "cim: upcase table") : 0;
}

static int decode_table(const struct cim *v, const struct cim_disk_table *raw,
			struct cim_table *out, struct diag *why)
{
	struct cim_table t = {
		.off = le64(raw->off), .n = le16(raw->n),
		.entry_size = le16(raw->entry_size),
	};
	struct cim_spot spot;
	int ret;

	if (t.n > CIM_TABLE_FILES)
		return diag_fail(why, ERR_CORRUPT, "%u files", t.n);
	if (t.entry_size < CIM_ENTRY_MIN || t.entry_size > ENTRY_MAX)
		return diag_fail(why, ERR_CORRUPT, "entries of %u bytes",
				 t.entry_size);
	if (t.n) {
		ret = cim_find(v, t.off, (uint64_t)t.n * t.entry_size, &spot,
			       why);
		if (ret)
			return ret;
	}
	*out = t;
	return 0;
}

static int load_tables(struct cim *v, uint64_t ro, uint32_t n,
		       struct diag *why)
{
	struct cim_disk_table *raw;
	struct cim_spot spot;
	uint32_t i = 0;
	int ret;

	if (!n || n > TABLES_MAX)
		return diag_fail(why, ERR_CORRUPT, "cim: %u file tables", n);
	ret = cim_find(v, ro, n * sizeof(*raw), &spot, why);
	if (ret)
		return diag_in(why, ret, "cim: file table directory");
	raw = mem_alloc(n, sizeof(*raw));
	v->tables = mem_zalloc(n, sizeof(*v->tables));
	v->n_tables = n;
	if (!raw || !v->tables)
		ret = diag_fail(why, ENOMEM, "out of memory");
	else
		ret = cim_load(v, ro, raw, n * sizeof(*raw), why);
	for (; i < n && !ret; i++)
		ret = decode_table(v, &raw[i], &v->tables[i], why);
	free(raw);
	return ret ? diag_in(why, ret, "cim: file table %u", i - !!i) : 0;
}

/* Fills a block of the cache: all entries, each cut or filled to what we
 * know of it. */
static int fill_table(void *ctx, uint64_t key, void *block)
{
	struct cim *v = ctx;
	const struct cim_table *t = &v->tables[key];
	size_t known = min_of((size_t)t->entry_size, ENTRY_SIZE);
	uint8_t *raw;
	int ret;

	if (t->entry_size == ENTRY_SIZE)
		return cim_load(v, t->off, block, t->n * ENTRY_SIZE, NULL);
	raw = mem_alloc(t->n, t->entry_size);
	if (!raw)
		return -ENOMEM;
	ret = cim_load(v, t->off, raw, (size_t)t->n * t->entry_size, NULL);
	memset(block, 0, CIM_TABLE_FILES * ENTRY_SIZE);
	for (uint32_t i = 0; i < t->n && !ret; i++)
		memcpy((uint8_t *)block + i * ENTRY_SIZE,
		       raw + (size_t)i * t->entry_size, known);
	free(raw);
	return ret;
}

int cim_fs_load(struct cim *v, struct diag *why)
{
	struct cim_disk_fs raw;
	struct cim_file root;
	int ret = cim_load(v, v->head.fs, &raw, sizeof(raw), why);

	if (ret)
		return diag_in(why, ret, "cim: filesystem object");
	v->root = le32(raw.root);
	ret = load_upcase(v, le64(raw.upcase), why);
	if (!ret)
		ret = load_tables(v, le64(raw.tables), le32(raw.n_tables), why);
	if (ret)
		return ret;
	ret = cache_new(CIM_TABLE_FILES * ENTRY_SIZE, TABLES_KEPT, fill_table,
			v, &v->files);
	if (ret)
		return diag_fail(why, ret, "out of memory");
	ret = cim_file_load(v, v->root, &root, why);
	if (!ret && !root.dir)
		ret = diag_fail(why, ERR_CORRUPT, "no directory");
	return ret ? diag_in(why, ret, "cim: root") : 0;
}

void cim_tables_free(struct cim *v)
{
	for (uint32_t i = 0; v->tables && i < v->n_tables; i++)
		free(v->tables[i].seen);
	free(v->tables);
	free(v->upcase);
	cache_free(v->files);
}

int cim_stream_decode(const struct cim_disk_stream *raw, struct cim_stream *out,
		      struct diag *why)
{
	uint64_t v = le64(raw->len_type);
	struct cim_stream s = {
		.off = le64(raw->off), .len = v & CIM_STREAM_LEN_MASK,
		.type = (uint8_t)(v >> CIM_STREAM_TYPE_SHIFT),
		.sparse = v & CIM_STREAM_SPARSE,
	};

	if (s.type > CIM_PE)
		return diag_fail(why, ERR_UNSUPP, "stream of the unknown type "
				 "%u (tombstones and links of merged CIMs are "
				 "not supported)", s.type);
	*out = s;
	return 0;
}

static uint32_t decode_attrs(unsigned flags)
{
	/* Read-only, hidden and system have Windows' own bits. */
	return (flags & (CIM_READONLY | CIM_HIDDEN | CIM_SYSTEM)) |
	       (flags & CIM_ARCHIVE ? 0x20 : 0) |
	       (flags & CIM_SPARSE ? NTMETA_SPARSE : 0);
}

static int decode_file(const struct cim_disk_file *raw, struct cim_file *out,
		       struct diag *why)
{
	struct cim_file f = {
		.attrs = decode_attrs(le16(raw->flags)), .tag = le32(raw->tag),
		.times = { le64(raw->created), le64(raw->written),
			   le64(raw->changed), le64(raw->accessed) },
		.sd = le64(raw->sd), .ea = le64(raw->ea),
		.reparse = le64(raw->reparse), .streams = le64(raw->streams),
		.ea_len = le16(raw->ea_len),
	};
	int ret = cim_stream_decode(&raw->data, &f.data, why);

	if (ret)
		return ret;
	if (le16(raw->base_region))
		return diag_fail(why, ERR_UNSUPP, "base region index %u: "
				 "merged CIM images are not supported",
				 le16(raw->base_region));
	f.dir = f.data.type == CIM_LINKS;
	f.attrs |= f.dir ? NTMETA_DIRECTORY : 0;
	f.attrs |= f.reparse ? NTMETA_REPARSE : 0;
	*out = f;
	return 0;
}

int cim_file_peek(struct cim *v, struct cim_peek *peek, uint64_t id,
		  struct cim_file *out, struct diag *why)
{
	uint32_t table = (uint32_t)((id - 1) / CIM_TABLE_FILES);
	uint32_t slot = (uint32_t)((id - 1) % CIM_TABLE_FILES);
	struct cim_disk_file raw;
	int ret;

	if (!id || id > UINT32_MAX || table >= v->n_tables ||
	    slot >= v->tables[table].n)
		return diag_fail(why, ERR_CORRUPT, "no file has the id %llu",
				 (unsigned long long)id);
	if (!peek->block || peek->table != table) {
		cim_peek_end(v, peek);
		ret = cache_get(v->files, table, &peek->block);
		if (ret) {
			peek->block = NULL;
			return diag_fail(why, ret, "file table %u: %s", table,
					 strerror(-ret));
		}
		peek->table = table;
	}
	memcpy(&raw, (const uint8_t *)peek->block + slot * sizeof(raw),
	       sizeof(raw));
	ret = decode_file(&raw, out, why);
	return ret ? diag_in(why, ret, "file %llu", (unsigned long long)id) : 0;
}

void cim_peek_end(struct cim *v, struct cim_peek *peek)
{
	if (peek->block)
		cache_put(v->files, peek->block);
	peek->block = NULL;
}

int cim_file_load(struct cim *v, uint64_t id, struct cim_file *out,
		  struct diag *why)
{
	struct cim_peek peek = { NULL, 0 };
	int ret = cim_file_peek(v, &peek, id, out, why);

	cim_peek_end(v, &peek);
	return ret;
}

const struct cim_seen *cim_seen_of(const struct cim *v, uint64_t id)
{
	uint64_t table = (id - 1) / CIM_TABLE_FILES;
	uint64_t slot = (id - 1) % CIM_TABLE_FILES;
	const struct cim_table *t;

	if (!id || table >= v->n_tables)
		return NULL;
	t = &v->tables[table];
	if (slot >= t->n || !t->seen || !t->seen[slot].n_links)
		return NULL;
	return &t->seen[slot];
}
