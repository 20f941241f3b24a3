/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * NTFS indexes: a root inside the file record, blocks in an attribute, a
 * bitmap of the blocks in use. Listing reads root and blocks in storage
 * order, so no loop in the tree can hold it; searching descends, never more
 * than NTFS_INDEX_DEPTH levels.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/ntfs/ntfs_int.h"

/* Entries behind the index header at off of buf. */
static int decode_header(const uint8_t *buf, uint32_t len, uint32_t off,
			 struct ntfs_entries *out)
{
	struct ntfs_disk_index h;
	uint32_t first, used;

	if (!range_within(off, sizeof(h), len))
		return -ERR_CORRUPT;
	memcpy(&h, buf + off, sizeof(h));
	first = le32(h.entries_off);
	used = le32(h.used);
	if (first < sizeof(h) || first > used || used > len - off)
		return -ERR_CORRUPT;
	*out = (struct ntfs_entries) { buf, off + first, off + used };
	return 0;
}

int ntfs_entry_next(const struct ntfs_entries *e, uint32_t *pos,
		    struct ntfs_entry *out)
{
	const uint8_t *p = e->p + *pos;
	struct ntfs_disk_entry d;
	uint32_t len, need;

	if (*pos < e->first || !range_within(*pos, sizeof(d), e->end))
		return -ERR_CORRUPT;
	memcpy(&d, p, sizeof(d));
	len = le16(d.len);
	need = sizeof(d) + le16(d.key_len);
	if (le16(d.flags) & NTFS_ENTRY_NODE)
		need += 8;
	if (len & 7 || len < need || !range_within(*pos, len, e->end))
		return -ERR_CORRUPT;
	*out = (struct ntfs_entry) {
		.ref = le64(d.ref), .key = p + sizeof(d),
		.key_len = le16(d.key_len), .flags = le16(d.flags),
		.len = (uint16_t)len, .raw = p,
	};
	if (out->flags & NTFS_ENTRY_NODE)
		out->child = le64_at(p + len - 8);
	*pos += len;
	return out->flags & NTFS_ENTRY_END ? 0 : 1;
}

int ntfs_index_root(const struct ntfs_index *ix, struct ntfs_entries *out)
{
	return decode_header(ix->root, ix->root_len,
			     offsetof(struct ntfs_disk_index_root, index), out);
}

static int load_blocks(struct ntfs_index *ix, const struct ntfs_rec *rec,
		       const char *name)
{
	int ret = ntfs_stream_load(ix->v, rec, NTFS_AT_INDEX_ALLOCATION, name,
				   &ix->blocks);

	if (ret)
		return ret == -ENOENT ? 0 : ret;
	ret = ntfs_stream_load(ix->v, rec, NTFS_AT_BITMAP, name, &ix->bitmap);
	/* The size bounds a walk through the bitmap. */
	if (!ret && (ix->blocks.resident ||
		     ix->blocks.size > ix->v->geo.size))
		ret = -ERR_CORRUPT;
	ix->large = !ret;
	return ret == -ENOENT ? -ERR_CORRUPT : ret;
}

static int decode_root(struct ntfs_index *ix)
{
	struct ntfs_disk_index_root r;

	if (ix->root_len < sizeof(r))
		return -ERR_CORRUPT;
	memcpy(&r, ix->root, sizeof(r));
	ix->block_size = le32(r.block_size);
	if (!is_pow2(ix->block_size) || ix->block_size < NTFS_INDEX_MIN ||
	    ix->block_size > NTFS_INDEX_MAX)
		return -ERR_CORRUPT;
	/* Subnodes count in clusters, or strides where clusters are larger. */
	ix->vcn_shift = ix->v->geo.cluster_size <= ix->block_size ?
			ix->v->geo.cluster_shift : 9;
	return 0;
}

int ntfs_index_open(struct ntfs *v, const struct ntfs_rec *rec,
		    const char *name, struct ntfs_index *out)
{
	le16_t units[8];
	struct ntfs_want want = { .type = NTFS_AT_INDEX_ROOT, .name = units };
	int ret;

	while (name[want.name_len]) {
		units[want.name_len] = to_le16((uint8_t)name[want.name_len]);
		want.name_len++;
	}
	*out = (struct ntfs_index) { .v = v, .record = rec->num };
	/* A root is resident: it can't be larger than its record. */
	ret = ntfs_stream_slurp(v, rec, &want, NTFS_RECORD_MAX, &out->root,
				&out->root_len);
	if (ret)
		return ret;
	ret = decode_root(out);
	if (!ret)
		ret = load_blocks(out, rec, name);
	if (ret)
		ntfs_index_close(out);
	return ret;
}

void ntfs_index_close(struct ntfs_index *ix)
{
	ntfs_stream_free(&ix->blocks);
	ntfs_stream_free(&ix->bitmap);
	free(ix->root);
	ix->root = NULL;
}

int ntfs_index_next_block(struct ntfs_index *ix, uint64_t *idx)
{
	uint64_t n = ix->blocks.size / ix->block_size;
	uint8_t buf[512];

	/* A bitmap may be longer than there are blocks, or shorter. */
	if (ix->bitmap.size < div_up(n, 8))
		n = ix->bitmap.size * 8;
	while (*idx < n) {
		uint64_t first = *idx / 8, left = ix->bitmap.size - first;
		size_t len = (size_t)min_of(left, (uint64_t)sizeof(buf));
		int ret = ntfs_stream_read(&ix->bitmap, buf, len, first, true);

		if (ret)
			return ret;
		while (*idx < n && *idx / 8 - first < len) {
			unsigned byte = buf[*idx / 8 - first] >> (*idx & 7);

			if (byte & 1)
				return 1;
			*idx = byte ? *idx + 1 : (*idx / 8 + 1) * 8;
		}
	}
	return 0;
}

int ntfs_index_block(struct ntfs_index *ix, uint64_t idx, uint8_t *buf,
		     struct ntfs_entries *out)
{
	struct ntfs_disk_index_block b;
	int ret;

	if (!ix->large || idx >= ix->blocks.size / ix->block_size)
		return -ERR_CORRUPT;
	ret = ntfs_stream_read(&ix->blocks, buf, ix->block_size,
			       idx * ix->block_size, true);
	if (!ret)
		ret = ntfs_fixup(buf, ix->block_size, "INDX");
	if (ret)
		return ret;
	memcpy(&b, buf, sizeof(b));
	if (le64(b.vcn) != idx * ix->block_size >> ix->vcn_shift)
		return -ERR_CORRUPT;
	return decode_header(buf, ix->block_size,
			     offsetof(struct ntfs_disk_index_block, index),
			     out);
}

/* Searches one node: 0 found, 1 descend to *child, or -errno. */
static int search_node(const struct ntfs_entries *entries, ntfs_cmp_fn cmp,
		       void *ctx, uint64_t *child)
{
	uint32_t pos = entries->first;
	struct ntfs_entry e;
	int ret;

	while ((ret = ntfs_entry_next(entries, &pos, &e)) > 0) {
		int order = cmp(ctx, &e);

		if (!order)
			return 0;
		if (order < 0)
			break;
	}
	if (ret < 0)
		return ret;
	if (!(e.flags & NTFS_ENTRY_NODE))
		return -ENOENT;
	*child = e.child;
	return 1;
}

int ntfs_index_find(struct ntfs_index *ix, ntfs_cmp_fn cmp, void *ctx)
{
	struct ntfs_entries entries;
	uint8_t *buf = NULL;
	uint64_t child;
	int ret = ntfs_index_root(ix, &entries);

	for (int depth = 0; !ret; depth++) {
		ret = search_node(&entries, cmp, ctx, &child);
		if (ret <= 0)
			break;
		ret = -ERR_CORRUPT;
		if (depth == NTFS_INDEX_DEPTH ||
		    child > (uint64_t)INT64_MAX >> ix->vcn_shift ||
		    (child << ix->vcn_shift) % ix->block_size)
			break;
		if (!buf && !(buf = mem_alloc(ix->block_size, 1))) {
			ret = -ENOMEM;
			break;
		}
		child = (child << ix->vcn_shift) / ix->block_size;
		ret = ntfs_index_block(ix, child, buf, &entries);
	}
	free(buf);
	return ret;
}
