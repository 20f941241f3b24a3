/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a volume has free. */
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/base/endian.h"
#include "formats/ntfs/ntfs.h"
#include "formats/volume/vol_ext.h"
#include "formats/volume/volume.h"

#define NTFS_RECORD_BITMAP 6
#define PIECE (64u << 10)

/* The header of the shadow copies, at 0x1e00: where their catalog is (0: there
 * are none). libvshadow, Volume Shadow Snapshot format, 2. */
struct vss_header {
	uint8_t id[16];
	le32_t version, type;
	uint8_t unknown[24];
	le64_t catalog;
};
static_assert(sizeof(struct vss_header) == 56, "VSS header");
#define VSS_OFF 0x1e00

static int check_shadows(struct dev *dev, struct diag *why)
{
	static const uint8_t id[16] = {
		0x6b, 0x87, 0x08, 0x38, 0x76, 0xc1, 0x48, 0x4e,
		0xb7, 0xae, 0x04, 0x04, 0x6e, 0x6c, 0xc7, 0x52,
	};
	struct vss_header h;
	int ret;

	if (!range_within(VSS_OFF, sizeof(h), dev_size(dev)))
		return 0;
	ret = dev_read(dev, &h, sizeof(h), VSS_OFF);
	if (ret)
		return diag_fail(why, ret, "ntfs: cannot be read");
	if (memcmp(h.id, id, sizeof(id)) || !le64(h.catalog))
		return 0;
	return diag_fail_as(why, EBUSY, OUT_VOLUME_DIRTY, "ntfs: has shadow "
			    "copies, which keep what is free");
}

static int check_ntfs(struct tree *t, struct dev *dev, struct diag *why)
{
	struct ntfs_state st;
	int ret = ntfs_state_of_tree(t, &st, why);

	if (ret)
		return ret;
	if (st.dirty || !st.log_clean || st.hibernated || st.bad_hiberfile)
		return diag_fail_as(why, EBUSY, OUT_VOLUME_DIRTY, "ntfs: %s: "
				    "what is free is not certain",
				    st.dirty ? "marked dirty" : !st.log_clean
				    ? "its log is not empty" : "hibernated");
	return check_shadows(dev, why);
}

struct walk {
	volume_free_fn fn;
	void *ctx;
	uint64_t cluster;	/* bytes */
	uint64_t n;		/* clusters of the volume */
	uint64_t at;		/* the next bit */
	uint64_t start;		/* of the free run that ends at "at" */
};

static int end_run(struct walk *w)
{
	uint64_t n = w->at - w->start, start = w->start;

	w->start = w->at;
	return n ? w->fn(w->ctx, start * w->cluster, n * w->cluster) : 0;
}

static int each_bit(struct walk *w, const uint8_t *bits, size_t len)
{
	int ret = 0;

	for (size_t i = 0; i < len * 8 && w->at < w->n && !ret; i++) {
		if (bits[i / 8] & (1u << i % 8)) {
			ret = end_run(w);
			w->start = ++w->at;
		} else {
			w->at++;
		}
	}
	return ret;
}

static int walk_bitmap(struct walk *w, struct tree *t, struct tree_file *f,
		       struct diag *why)
{
	uint8_t *buf = mem_alloc(1, PIECE);
	uint64_t off = 0;
	int ret = buf ? 0 : diag_fail(why, ENOMEM, "ntfs: out of memory");

	while (!ret && w->at < w->n) {
		ssize_t n = tree_read(t, f, buf, PIECE, off);

		if (n <= 0)
			ret = diag_fail(why, n ? (int)n : ERR_CORRUPT,
					"ntfs: $Bitmap, ends at byte %llu",
					(unsigned long long)off);
		else
			ret = each_bit(w, buf, (size_t)n);
		off += PIECE;
	}
	free(buf);
	return ret ? ret : end_run(w);
}

static int ntfs_ranges(struct dev *dev, volume_free_fn fn, void *ctx,
		       struct diag *why)
{
	struct walk w = { .fn = fn, .ctx = ctx };
	struct tree_file *f = NULL;
	struct statvfs st;
	struct tree *t;
	int ret = ntfs_open(dev, NULL, &t, why);

	if (ret)
		return ret;
	ret = check_ntfs(t, dev, why);
	if (!ret && tree_statfs(t, &st))
		ret = diag_fail(why, EIO, "ntfs: its size is unknown");
	if (!ret) {
		ret = tree_open(t, ntfs_id_of_record(NTFS_RECORD_BITMAP),
				false, &f);
		if (ret)
			diag_fail(why, ret, "ntfs: $Bitmap cannot be opened");
	}
	if (!ret) {
		w.cluster = st.f_frsize;
		w.n = st.f_blocks;
		ret = walk_bitmap(&w, t, f, why);
	}
	if (f)
		tree_release(t, f);
	tree_close(t);
	return ret;
}

int volume_free_ranges(struct dev *dev, volume_free_fn fn, void *ctx,
		       struct diag *why)
{
	struct volume_info info;
	int ret = volume_probe(dev, &info, why);

	if (ret)
		return ret;
	if (!strcmp(info.type, "ntfs"))
		return ntfs_ranges(dev, fn, ctx, why);
	if (!strcmp(info.type, "ext2") || !strcmp(info.type, "ext3") ||
	    !strcmp(info.type, "ext4"))
		return vol_ext_free_ranges(dev, fn, ctx, why);
	return diag_fail(why, ERR_UNSUPP, "%s: which of its blocks are free is "
			 "not known", *info.type ? info.type : "volume");
}
