/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CIM headers: the common one and that of an image (FORMAT.md, "Common
 * header" and "Filesystem file"). */
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/cim/cim_int.h"

int cim_common_decode(const void *raw, size_t len, unsigned type,
		      struct diag *why)
{
	static const char *const names[] = { "image", "region", "object id" };
	struct cim_disk_common h;
	uint32_t major;

	if (len < sizeof(h))
		return diag_fail(why, ERR_CORRUPT,
				 "header cut short: %zu bytes", len);
	memcpy(&h, raw, sizeof(h));
	if (memcmp(h.magic, CIM_MAGIC, sizeof(h.magic)))
		return diag_fail(why, ERR_NOT_THIS, "no CIM file: it does not "
				 "begin with \"%s\" (block CIMs and verified "
				 "CIMs, one file or device that carries the "
				 "images, are not supported)", CIM_MAGIC);
	major = le32(h.major);
	if (major < CIM_MAJOR_MIN || major > CIM_MAJOR_MAX)
		return diag_fail(why, ERR_UNSUPP, "version %u.%u is not "
				 "supported (2.x and 3.x are)", major,
				 le32(h.minor));
	if (h.type != type)
		return diag_fail(why, ERR_CORRUPT, "file type %u, not %u (%s)",
				 h.type, type, names[type]);
	if (le32(h.header_len) < sizeof(h))
		return diag_fail(why, ERR_CORRUPT, "header length %u",
				 le32(h.header_len));
	return 0;
}

static struct cim_set decode_set(const struct cim_disk_set *raw)
{
	return (struct cim_set) { raw->guid, le16(raw->n_regions) };
}

static int decode_sets(const struct cim_disk_image *h, const uint8_t *parents,
		       struct cim_header *out, struct diag *why)
{
	unsigned n = le16(h->n_parents);
	struct cim_set *sets = mem_alloc(n + 1u, sizeof(*sets));

	if (!sets)
		return diag_fail(why, ENOMEM, "out of memory");
	out->n_regions = 0;
	for (unsigned i = 0; i <= n; i++) {
		struct cim_disk_set raw = h->own;

		if (i < n)
			memcpy(&raw, parents + i * sizeof(raw), sizeof(raw));
		sets[i] = decode_set(&raw);
		out->n_regions += sets[i].n;
	}
	if (!out->n_regions || out->n_regions > CIM_REGIONS_MAX) {
		free(sets);
		return diag_fail(why, ERR_CORRUPT, "%zu regions",
				 out->n_regions);
	}
	out->sets = sets;
	out->n_sets = n + 1u;
	return 0;
}

int cim_header_decode(const void *raw, size_t len, struct cim_header *out,
		      struct diag *why)
{
	struct cim_header head = { 0 };
	struct cim_disk_image h;
	int ret = cim_common_decode(raw, len, CIM_TYPE_IMAGE, why);

	if (ret)
		return ret;
	if (len < sizeof(h))
		return diag_fail(why, ERR_CORRUPT,
				 "header cut short: %zu bytes", len);
	memcpy(&h, raw, sizeof(h));
	head.major = le32(h.common.major);
	head.minor = le32(h.common.minor);
	head.fs = le64(h.fs);
	if (!range_within(sizeof(h),
			  le16(h.n_parents) * sizeof(struct cim_disk_set), len))
		return diag_fail(why, ERR_CORRUPT, "header of %u parents cut "
				 "short: %zu bytes", le16(h.n_parents), len);
	ret = decode_sets(&h, (const uint8_t *)raw + sizeof(h), &head, why);
	if (!ret)
		*out = head;
	return ret;
}

void cim_header_free(struct cim_header *h)
{
	free(h->sets);
	h->sets = NULL;
}
