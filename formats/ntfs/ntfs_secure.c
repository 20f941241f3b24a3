/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * NTFS security descriptors: one copy of each in $Secure:$SDS, found by id
 * through the index $SII; or, before NTFS 3.0, an attribute of the file.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/ntfs/ntfs_int.h"

/* An ACL holds at most 64 KiB, a descriptor two of them and two owners. */
#define DESCRIPTOR_MAX (256u << 10)

struct wanted {
	uint32_t id;
	struct ntfs_disk_sds found;
	int err;
};

static int compare_id(void *ctx, const struct ntfs_entry *e)
{
	struct wanted *w = ctx;
	uint32_t off = le16_at(e->raw), len = le16_at(e->raw + 2), id;

	w->err = -ERR_CORRUPT;
	if (e->key_len != 4 || len < sizeof(w->found) ||
	    !range_within(off, len, e->len))
		return 0;
	w->err = 0;
	id = le32_at(e->key);
	if (id != w->id)
		return w->id < id ? -1 : 1;
	memcpy(&w->found, e->raw + off, sizeof(w->found));
	return 0;
}

static int find_id(struct ntfs *v, const struct ntfs_rec *rec, uint32_t id,
		   struct ntfs_disk_sds *out)
{
	struct wanted w = { .id = id };
	struct ntfs_index ix;
	int ret = ntfs_index_open(v, rec, "$SII", &ix);

	if (!ret) {
		ret = ntfs_index_find(&ix, compare_id, &w);
		ntfs_index_close(&ix);
	}
	if (!ret)
		ret = w.err;
	if (!ret)
		*out = w.found;
	return ret;
}

/* The descriptor that an index entry leads to, if it is the one. */
static int read_sds(struct ntfs_stream *sds, const struct ntfs_disk_sds *at,
		    uint8_t **out, uint32_t *len)
{
	struct ntfs_disk_sds head;
	uint32_t n = le32(at->len);
	uint64_t off = le64(at->off);
	int ret;

	if (n < sizeof(head) || n > DESCRIPTOR_MAX ||
	    !range_within(off, n, sds->size))
		return -ERR_CORRUPT;
	ret = ntfs_stream_read(sds, &head, sizeof(head), off, true);
	if (ret)
		return ret;
	if (memcmp(&head, at, sizeof(head)))
		return -ERR_CORRUPT;
	n -= sizeof(head);
	*out = mem_alloc((size_t)n + 1, 1);
	if (!*out)
		return -ENOMEM;
	ret = ntfs_stream_read(sds, *out, n, off + sizeof(head), true);
	if (ret)
		free(*out);
	else
		*len = n;
	return ret;
}

static int load_by_id(struct ntfs *v, uint32_t id, uint8_t **out, uint32_t *len)
{
	struct ntfs_disk_sds at;
	struct ntfs_stream sds;
	struct ntfs_rec rec;
	int ret = ntfs_rec_get_base(v, NTFS_REC_SECURE, &rec);

	if (ret)
		return ret;
	ret = find_id(v, &rec, id, &at);
	if (!ret)
		ret = ntfs_stream_load(v, &rec, NTFS_AT_DATA, "$SDS", &sds);
	ntfs_rec_put(&rec);
	if (ret)
		return ret;
	ret = read_sds(&sds, &at, out, len);
	ntfs_stream_free(&sds);
	return ret;
}

int ntfs_secure_load(struct ntfs *v, const struct ntfs_rec *rec,
		     const struct ntfs_info *info, uint8_t **out, uint32_t *len)
{
	static const struct ntfs_want want = {
		.type = NTFS_AT_SECURITY_DESCRIPTOR
	};
	int ret = -ENOENT;

	if (info->security_id)
		ret = load_by_id(v, info->security_id, out, len);
	if (ret == -ENOENT)
		ret = ntfs_stream_slurp(v, rec, &want, DESCRIPTOR_MAX, out,
					len);
	return ret == -ENOENT ? -ENODATA : ret;
}
