/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The integrity table (FORMAT.md 9): a SHA-1 of each piece of the file. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/wim/wim_int.h"

#define STEP (1u << 20)

struct pieces {
	uint64_t end;		/* of what is covered, which begins behind the
				 * header */
	uint32_t n, size;
	uint8_t *hashes;	/* owned */
};

static int decode(const struct wim_header *h,
		  const struct wim_disk_integrity *raw, struct pieces *out)
{
	uint64_t end = h->blobs.off + h->blobs.csize;

	*out = (struct pieces) {
		.end = end, .n = le32(raw->n_pieces),
		.size = le32(raw->piece_size),
	};
	if (le32(raw->size) != h->integrity.csize ||
	    h->integrity.csize != 12 + (uint64_t)WIM_HASH * out->n)
		return -ERR_CORRUPT;
	if (!out->size || end < WIM_HEADER_SIZE ||
	    out->n != div_up(end - WIM_HEADER_SIZE, out->size))
		return -ERR_CORRUPT;
	return 0;
}

static int load(const struct wim_file *f, struct pieces *out, struct diag *why)
{
	const struct wim_reshdr *r = &f->hdr.integrity;
	struct wim_disk_integrity raw;
	int ret = -ERR_CORRUPT;

	if (r->csize >= sizeof(raw))
		ret = dev_read(f->dev, &raw, sizeof(raw), r->off);
	if (!ret)
		ret = decode(&f->hdr, &raw, out);
	if (ret)
		return diag_fail(why, ret, "wim: integrity table, sizes that "
				 "do not fit the file");
	out->hashes = mem_alloc(out->n + 1, WIM_HASH);
	ret = out->hashes ? dev_read(f->dev, out->hashes,
				     (size_t)out->n * WIM_HASH,
				     r->off + sizeof(raw)) : -ENOMEM;
	if (!ret)
		return 0;
	free(out->hashes);
	return diag_fail(why, ret, "wim: integrity table: %s", strerror(-ret));
}

static int hash_range(struct dev *dev, uint64_t off, uint64_t len,
		      EVP_MD_CTX *md, uint8_t *buf)
{
	int ret = EVP_DigestInit_ex(md, EVP_sha1(), NULL) == 1 ? 0 : -ENOMEM;

	while (len && !ret) {
		size_t n = (size_t)min_of(len, (uint64_t)STEP);

		ret = dev_read(dev, buf, n, off);
		if (!ret && EVP_DigestUpdate(md, buf, n) != 1)
			ret = -EIO;
		off += n;
		len -= n;
	}
	return ret;
}

static int check_pieces(const struct wim_file *f, const struct pieces *p,
			EVP_MD_CTX *md, struct diag *why)
{
	uint8_t hash[EVP_MAX_MD_SIZE], *buf = mem_alloc(STEP, 1);
	int ret = buf && md ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < p->n && !ret; i++) {
		uint64_t off = WIM_HEADER_SIZE + (uint64_t)i * p->size;

		ret = hash_range(f->dev, off, min_of((uint64_t)p->size,
						     p->end - off), md, buf);
		if (!ret && EVP_DigestFinal_ex(md, hash, NULL) != 1)
			ret = -EIO;
		if (!ret && memcmp(hash, p->hashes + (size_t)i * WIM_HASH,
				   WIM_HASH))
			ret = diag_fail(why, ERR_CORRUPT, "wim: integrity "
					"check failed: piece %u of %u, at %llu",
					i + 1, p->n, (unsigned long long)off);
	}
	free(buf);
	return ret ? diag_fail(why, ret, "wim: integrity check: %s",
			       strerror(-ret)) : 0;
}

static int check_file(const struct wim_file *f, struct diag *why)
{
	struct pieces p = { 0 };
	EVP_MD_CTX *md;
	int ret = 0;

	if (!f->hdr.integrity.off)
		return 0;
	ret = load(f, &p, why);
	if (ret)
		return ret;
	md = EVP_MD_CTX_new();
	ret = check_pieces(f, &p, md, why);
	EVP_MD_CTX_free(md);
	free(p.hashes);
	return ret;
}

int wim_check_integrity(const struct wim *w, struct diag *why)
{
	int ret = 0;

	for (size_t i = 0; i < w->n_files && !ret; i++)
		ret = check_file(w->files[i], why);
	return ret;
}
