/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Resources (FORMAT.md 4): plain, in chunks, solid, pipable. Chunk tables stay
 * in the file: a chunk that must be decoded costs far more than its entry.
 */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/wim/wim_int.h"

/* Reading a whole blob goes in steps of this: chunks up to 1 MiB are decoded
 * where they are wanted. */
#define STEP (1u << 20)

void wim_res_of(const struct wim *w, const struct wim_blob *b,
		struct wim_res *out, uint64_t *off)
{
	struct wim_file *f = w->files[b->file];

	*off = 0;
	if (b->solid != WIM_NONE) {
		*out = w->solids[b->solid].res;
		*off = b->off;
		return;
	}
	*out = (struct wim_res) {
		.file = f, .id = (uint32_t)(b - w->blobs),
		.hdr = { b->off, b->csize, b->size, b->flags },
		.chunk_size = f->hdr.chunk_size, .codec = f->hdr.codec,
	};
}

/* Inside the file, and not more than any codec makes of it. */
static int check_bounds(const struct wim_res *r)
{
	if (!range_within(r->hdr.off, r->hdr.csize, dev_size(r->file->dev)))
		return -EIO;
	if (!(r->hdr.flags & (WIM_R_COMPRESSED | WIM_R_SOLID)))
		return r->hdr.csize == r->hdr.usize ? 0 : -ERR_CORRUPT;
	if (!r->chunk_size)
		return -ERR_CORRUPT;
	return r->hdr.usize > INT64_MAX ? -ERR_CORRUPT : 0;
}

int wim_res_plain(struct wim_file *file, const struct wim_reshdr *hdr,
		  struct wim_res *out, struct diag *why)
{
	struct wim_res r = {
		.file = file, .hdr = *hdr, .id = WIM_NONE,
		.chunk_size = file->hdr.chunk_size, .codec = file->hdr.codec,
	};
	int ret = check_bounds(&r);

	if (ret)
		return diag_fail(why, ERR_CORRUPT,
				 "wim: resource of the header, place or size "
				 "that cannot be: %llu bytes at %llu",
				 (unsigned long long)hdr->csize,
				 (unsigned long long)hdr->off);
	if (hdr->usize / WIM_EXPANSION_MAX > dev_size(file->dev))
		return diag_fail(why, ERR_CORRUPT, "wim: resource of the "
				 "header, larger than the file can hold: %llu",
				 (unsigned long long)hdr->usize);
	*out = r;
	return 0;
}

static int find_in_solid(const struct wim_res *r, uint64_t idx,
			 struct wim_chunk *out)
{
	uint64_t from = idx ? r->ends[idx - 1] : r->data;

	out->csize = (uint32_t)(r->ends[idx] - from);
	out->off = r->hdr.off + from;
	return 0;
}

/* Entries idx - 1 and idx of a table whose entry i is where chunk i + 1
 * begins. */
static int read_table(const struct wim_res *r, uint64_t table, uint64_t idx,
		      bool last, uint64_t v[2])
{
	unsigned size = r->hdr.usize > UINT32_MAX ? 8 : 4;
	uint8_t raw[16];
	unsigned n = (idx > 0) + !last;
	uint8_t *p = raw;
	int ret = 0;

	if (n)
		ret = dev_read(r->file->dev, raw, (size_t)n * size,
			       table + (idx ? idx - 1 : 0) * size);
	if (ret)
		return ret;
	if (idx) {
		v[0] = size == 8 ? le64_at(p) : le32_at(p);
		p += size;
	}
	if (!last)
		v[1] = size == 8 ? le64_at(p) : le32_at(p);
	return 0;
}

static int find_in_chunked(const struct wim_res *r, uint64_t n, uint64_t idx,
			   struct wim_chunk *out)
{
	uint64_t t = (n - 1) * (r->hdr.usize > UINT32_MAX ? 8 : 4);
	/* Each chunk of a pipable file has its size in front. */
	uint64_t prefixes = r->file->hdr.pipable ? 4 * n : 0;
	uint64_t v[2] = { 0 }, table = r->hdr.off;
	int ret;

	if (t + prefixes >= r->hdr.csize)
		return -ERR_CORRUPT;
	v[1] = r->hdr.csize - t - prefixes;
	if (r->file->hdr.pipable)
		table += v[1] + prefixes;
	out->off = r->hdr.off + (r->file->hdr.pipable ? 4 * idx + 4 : t);
	ret = read_table(r, table, idx, idx == n - 1, v);
	if (ret)
		return ret;
	if (v[0] >= v[1] || v[1] > r->hdr.csize - t - prefixes ||
	    v[1] - v[0] > out->usize)
		return -ERR_CORRUPT;
	out->off += v[0];
	out->csize = (uint32_t)(v[1] - v[0]);
	return 0;
}

int wim_chunk_find(const struct wim_res *r, uint64_t idx,
		   struct wim_chunk *out)
{
	uint64_t n = div_up(r->hdr.usize, r->chunk_size);
	struct wim_chunk c = { .usize = r->chunk_size };
	int ret;

	/* Keys of the cache have 32 bits for it; five bytes each in a file. */
	if (idx >= n || n > UINT32_MAX || n > r->hdr.csize)
		return -ERR_CORRUPT;
	if (idx == n - 1)
		c.usize = (uint32_t)(r->hdr.usize - idx * r->chunk_size);
	ret = r->ends ? find_in_solid(r, idx, &c)
		      : find_in_chunked(r, n, idx, &c);
	if (!ret)
		*out = c;
	return ret;
}

static int read_chunks(struct wim *w, const struct wim_res *r, uint8_t *buf,
		       size_t len, uint64_t off)
{
	while (len) {
		uint64_t idx = off / r->chunk_size;
		uint32_t in = (uint32_t)(off % r->chunk_size);
		size_t part = min_of(len, (size_t)(r->chunk_size - in));
		int ret = wim_chunk_copy(w, r, idx, in, buf, (uint32_t)part);

		if (ret)
			return ret;
		buf += part;
		off += part;
		len -= part;
	}
	return 0;
}

int wim_res_read(struct wim *w, const struct wim_res *r, void *buf, size_t len,
		 uint64_t off)
{
	int ret = check_bounds(r);

	if (ret || !len)
		return ret;
	if (!range_within(off, len, r->hdr.usize))
		return -EINVAL;
	if (r->hdr.flags & (WIM_R_COMPRESSED | WIM_R_SOLID))
		return read_chunks(w, r, buf, len, off);
	return dev_read(r->file->dev, buf, len, r->hdr.off + off);
}

int wim_blob_read(struct wim *w, const struct wim_blob *b, void *buf,
		  size_t len, uint64_t off)
{
	struct wim_res r;
	uint64_t base;

	if (!range_within(off, len, b->size))
		return -EINVAL;
	wim_res_of(w, b, &r, &base);
	return wim_res_read(w, &r, buf, len, base + off);
}

static int hash_matches(struct wim *w, const struct wim_blob *b,
			EVP_MD_CTX *md, uint8_t *buf)
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	int ret = EVP_DigestInit_ex(md, EVP_sha1(), NULL) == 1 ? 0 : -ENOMEM;

	for (uint64_t off = 0; off < b->size && !ret;) {
		size_t n = (size_t)min_of(b->size - off, (uint64_t)STEP);

		ret = wim_blob_read(w, b, buf, n, off);
		if (!ret && EVP_DigestUpdate(md, buf, n) != 1)
			ret = -EIO;
		off += n;
	}
	if (!ret && EVP_DigestFinal_ex(md, hash, NULL) != 1)
		ret = -EIO;
	return !ret && memcmp(hash, b->hash, WIM_HASH) ? -ERR_CORRUPT : ret;
}

static int verify(struct wim *w, const struct wim_blob *b)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	uint8_t *buf = mem_alloc(STEP, 1);
	int ret = md && buf ? hash_matches(w, b, md, buf) : -ENOMEM;

	EVP_MD_CTX_free(md);
	free(buf);
	return ret;
}

int wim_blob_verify(struct wim *w, struct wim_blob *b)
{
	uint8_t state = __atomic_load_n(&b->state, __ATOMIC_ACQUIRE);
	int ret;

	if (state == WIM_BLOB_GOOD)
		return 0;
	if (state == WIM_BLOB_BAD)
		return -EIO;
	ret = verify(w, b);
	if (!ret || ret == -ERR_CORRUPT)
		__atomic_store_n(&b->state, ret ? WIM_BLOB_BAD : WIM_BLOB_GOOD,
				 __ATOMIC_RELEASE);
	return ret;
}

void wim_hash_text(const uint8_t *hash, char text[static 41])
{
	static const char hex[] = "0123456789abcdef";

	for (int i = 0; i < WIM_HASH; i++) {
		text[2 * i] = hex[hash[i] >> 4];
		text[2 * i + 1] = hex[hash[i] & 15];
	}
	text[40] = 0;
}

int wim_check_blob(struct wim *w, size_t i, struct diag *why)
{
	char text[41];
	int ret;

	if (i >= w->n_blobs)
		return -EINVAL;
	ret = verify(w, &w->blobs[i]);
	wim_hash_text(w->blobs[i].hash, text);
	if (ret == -ERR_CORRUPT)
		return diag_fail(why, ret, "wim: blob %s, damaged", text);
	return ret ? diag_fail(why, ret, "wim: blob %s: %s", text,
			       strerror(-ret)) : 0;
}

static int check_hash(const struct wim *w, const struct wim_blob *b,
		      const uint8_t *p)
{
	uint8_t hash[EVP_MAX_MD_SIZE];

	if (w->opts.verify == WIM_VERIFY_NONE)
		return 0;
	if (EVP_Digest(p, (size_t)b->size, hash, NULL, EVP_sha1(), NULL) != 1)
		return -ENOMEM;
	return memcmp(hash, b->hash, WIM_HASH) ? -ERR_CORRUPT : 0;
}

int wim_blob_load(struct wim *w, const struct wim_blob *b, uint8_t **out,
		  struct diag *why)
{
	uint64_t room = dev_size(w->files[b->file]->dev);
	uint8_t *p;
	int ret;

	if (b->size > WIM_META_MAX || b->size / WIM_EXPANSION_MAX > room)
		return diag_fail(why, ERR_CORRUPT, "wim: metadata, larger than "
				 "the file can hold: %llu",
				 (unsigned long long)b->size);
	p = mem_alloc((size_t)b->size, 1);
	ret = p ? wim_blob_read(w, b, p, (size_t)b->size, 0) : -ENOMEM;
	if (ret) {
		diag_fail(why, ret, "wim: metadata cannot be read: %s",
			  ret == -ERR_CORRUPT ? "damaged" : strerror(-ret));
	} else {
		ret = check_hash(w, b, p);
		if (ret)
			diag_fail(why, ret, "wim: metadata, its SHA-1 is not "
				  "the one in the blob table");
	}
	if (ret)
		free(p);
	else
		*out = p;
	return ret;
}
