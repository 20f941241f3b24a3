/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * NTFS file records: chunks of $MFT with the update sequences undone, in a
 * cache of several shards so that threads seldom meet; and raw chunks of the
 * device for other metadata.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/ntfs/ntfs_int.h"

#define RECORDS_MAX (NTFS_CHUNK / NTFS_RECORD_MIN)

enum state { GOOD, BROKEN, UNREAD };

struct chunk {
	uint8_t state[RECORDS_MAX];
	uint8_t data[NTFS_CHUNK];
};

int ntfs_fixup(uint8_t *buf, uint32_t len, const char *magic)
{
	struct ntfs_disk_multi m;
	uint32_t off, count;
	const uint8_t *usa;

	memcpy(&m, buf, sizeof(m));
	off = le16(m.usa_off);
	count = le16(m.usa_count);
	if (memcmp(m.magic, magic, sizeof(m.magic)))
		return -ERR_CORRUPT;
	if (count != len / NTFS_STRIDE + 1 || off & 1 || off < sizeof(m) ||
	    !range_within(off, count * 2, len))
		return -ERR_CORRUPT;
	usa = buf + off;
	/* The array must not protect itself. */
	if (off + count * 2 > NTFS_STRIDE - 2)
		return -ERR_CORRUPT;
	for (uint32_t i = 1; i < count; i++) {
		uint8_t *last = buf + i * NTFS_STRIDE - 2;

		if (memcmp(last, usa, 2))
			return -ERR_CORRUPT;
		memcpy(last, usa + 2 * i, 2);
	}
	return 0;
}

int ntfs_rec_decode(const uint8_t *buf, uint32_t size, struct ntfs_rec *out)
{
	struct ntfs_disk_record r;

	memcpy(&r, buf, sizeof(r));
	out->data = buf;
	out->used = le32(r.used);
	out->attrs_off = le16(r.attrs_off);
	out->seq = le16(r.sequence);
	out->flags = le16(r.flags);
	out->n_links = le16(r.n_links);
	out->base = le64(r.base);
	if (out->used > size || out->attrs_off < sizeof(r) ||
	    out->attrs_off & 7 || !range_within(out->attrs_off, 4, out->used))
		return -ERR_CORRUPT;
	return 0;
}

/* A chunk that can't be read as a whole is read record by record: one bad
 * sector must not take its neighbours along. */
static void read_one_by_one(struct ntfs *v, uint64_t off, struct chunk *c)
{
	uint32_t size = v->geo.record_size;

	for (uint32_t i = 0; i < NTFS_CHUNK / size; i++) {
		uint64_t pos = off + i * size;
		int ret = -ENOENT;

		if (range_within(pos, size, v->mft_size))
			ret = ntfs_runs_read(v, &v->mft, pos,
					     c->data + i * size, size, false);
		c->state[i] = ret ? UNREAD : GOOD;
	}
}

static int fill_mft(void *ctx, uint64_t key, void *block)
{
	struct ntfs *v = ctx;
	struct chunk *c = block;
	uint32_t size = v->geo.record_size;
	uint64_t off = key * NTFS_CHUNK;
	uint64_t len = min_of(v->mft_size - off, (uint64_t)NTFS_CHUNK);

	memset(c->state, GOOD, sizeof(c->state));
	memset(c->data + len, 0, NTFS_CHUNK - len);
	if (ntfs_runs_read(v, &v->mft, off, c->data, len, false))
		read_one_by_one(v, off, c);
	for (uint32_t i = 0; i < NTFS_CHUNK / size; i++)
		if (c->state[i] == GOOD &&
		    ntfs_fixup(c->data + i * size, size, "FILE"))
			c->state[i] = BROKEN;
	return 0;
}

static int fill_raw(void *ctx, uint64_t key, void *block)
{
	struct ntfs *v = ctx;
	uint64_t off = key * NTFS_CHUNK;
	uint64_t len = min_of(dev_size(v->dev) - off, (uint64_t)NTFS_CHUNK);

	memset((uint8_t *)block + len, 0, NTFS_CHUNK - len);
	return dev_read(v->dev, block, len, off);
}

int ntfs_rec_caches(struct ntfs *v)
{
	int ret = 0;

	for (int i = 0; i < NTFS_MFT_SHARDS && !ret; i++)
		ret = cache_new(sizeof(struct chunk), NTFS_MFT_BLOCKS, fill_mft,
				v, &v->mft_cache[i]);
	for (int i = 0; i < NTFS_RAW_SHARDS && !ret; i++)
		ret = cache_new(NTFS_CHUNK, NTFS_RAW_BLOCKS, fill_raw, v,
				&v->raw_cache[i]);
	return ret;
}

void ntfs_rec_caches_free(struct ntfs *v)
{
	for (int i = 0; i < NTFS_MFT_SHARDS; i++)
		cache_free(v->mft_cache[i]);
	for (int i = 0; i < NTFS_RAW_SHARDS; i++)
		cache_free(v->raw_cache[i]);
}

void ntfs_rec_forget(struct ntfs *v)
{
	for (int i = 0; i < NTFS_MFT_SHARDS; i++)
		cache_drop_all(v->mft_cache[i]);
}

static int check_state(enum state s)
{
	return s == GOOD ? 0 : s == UNREAD ? -EIO : -ERR_CORRUPT;
}

int ntfs_rec_get(struct ntfs *v, uint64_t num, struct ntfs_rec *out)
{
	uint64_t per = NTFS_CHUNK / v->geo.record_size, key = num / per;
	struct cache *cache = v->mft_cache[key % NTFS_MFT_SHARDS];
	const struct chunk *c;
	const void *block;
	int ret;

	if (num >= v->n_records)
		return -ENOENT;
	ret = cache_get(cache, key, &block);
	if (ret)
		return ret;
	c = block;
	ret = check_state(c->state[num % per]);
	/* Storage may come back: it is asked again next time. */
	if (ret == -EIO)
		cache_drop(cache, key);
	if (!ret)
		ret = ntfs_rec_decode(c->data + num % per * v->geo.record_size,
				      v->geo.record_size, out);
	if (!ret && !(out->flags & NTFS_RECORD_IN_USE))
		ret = -ENOENT;
	if (ret) {
		cache_put(cache, block);
		return ret;
	}
	out->num = num;
	out->cache = cache;
	out->block = block;
	return 0;
}

int ntfs_rec_get_base(struct ntfs *v, uint64_t num, struct ntfs_rec *out)
{
	int ret = ntfs_rec_get(v, num, out);

	if (!ret && out->base) {
		ntfs_rec_put(out);
		ret = -ENOENT;
	}
	return ret;
}

int ntfs_rec_get_ref(struct ntfs *v, uint64_t ref, struct ntfs_rec *out)
{
	int ret = ntfs_rec_get_base(v, ntfs_ref_record(ref), out);

	/* Sequence number 0 stands for any. */
	if (!ret && ntfs_ref_seq(ref) && ntfs_ref_seq(ref) != out->seq) {
		ntfs_rec_put(out);
		ret = -ENOENT;
	}
	/* A name without its file. */
	return ret == -ENOENT ? -ERR_CORRUPT : ret;
}

void ntfs_rec_put(struct ntfs_rec *rec)
{
	if (rec->block)
		cache_put(rec->cache, rec->block);
	rec->block = NULL;
}

int ntfs_raw_read(struct ntfs *v, uint64_t off, void *buf, size_t len)
{
	uint8_t *p = buf;

	if (!range_within(off, len, dev_size(v->dev)))
		return -EIO;
	while (len) {
		uint64_t key = off / NTFS_CHUNK;
		size_t at = off % NTFS_CHUNK;
		size_t n = min_of(len, NTFS_CHUNK - at);
		int ret = cache_copy(v->raw_cache[key % NTFS_RAW_SHARDS], key,
				     at, p, n);

		if (ret)
			return ret;
		p += n;
		off += n;
		len -= n;
	}
	return 0;
}
