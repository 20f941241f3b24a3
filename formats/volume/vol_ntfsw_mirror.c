/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * $MFTMirr: a copy of the first records of $MFT. libntfs-3g opens no volume
 * where the two differ, which is what an end between two writes leaves. The
 * copy is made anew in memory; it reaches the disk with the first modification.
 */
#include "formats/volume/vol_ntfsw_int.h"

#include <stdlib.h>
#include <string.h>

#include <ntfs-3g/bootsect.h>
#include <ntfs-3g/mst.h>

#include "formats/base/alloc.h"

/* As many as every Windows keeps; more than that only with large clusters,
 * where the library compares no more than there are. */
#define MIRRORED 4

struct tables {
	uint64_t mft, mirror;	/* byte offsets */
	uint32_t record_size;
};

/* A boot sector that the library took, or would have complained about. */
static int find_tables(struct dev *dev, struct tables *out)
{
	NTFS_BOOT_SECTOR bs;
	uint32_t cluster;
	s8 n;
	int ret = dev_read(dev, &bs, sizeof(bs), 0);

	if (ret || !ntfs_boot_sector_is_ntfs(&bs))
		return ret ? ret : -ERR_CORRUPT;
	cluster = le16_to_cpu(bs.bpb.bytes_per_sector);
	cluster *= bs.bpb.sectors_per_cluster <= 128
		? bs.bpb.sectors_per_cluster
		: 1u << ((256 - bs.bpb.sectors_per_cluster) & 31);
	n = bs.clusters_per_mft_record;
	out->mft = (uint64_t)sle64_to_cpu(bs.mft_lcn) * cluster;
	out->mirror = (uint64_t)sle64_to_cpu(bs.mftmirr_lcn) * cluster;
	out->record_size = n > 0 ? (uint32_t)n * cluster : 1u << (-n & 31);
	return 0;
}

/* Are these sound records of $MFT? Works on a copy: checking undoes fixups. */
static bool sound(const uint8_t *records, uint32_t size)
{
	uint8_t *copy = mem_alloc(MIRRORED, size);
	bool ok = copy;

	for (int i = 0; ok && i < MIRRORED; i++) {
		uint8_t *r = copy + (size_t)i * size;

		memcpy(r, records + (size_t)i * size, size);
		ok = !memcmp(r, "FILE", 4) &&
			!ntfs_mst_post_read_fixup_warn((NTFS_RECORD *)r, size,
						       FALSE);
	}
	free(copy);
	return ok;
}

int vol_ntfsw_renew_mirror(struct vol_ntfsw *w)
{
	struct tables t;
	uint8_t *mft, *mirror;
	size_t len;
	int ret = find_tables(w->dev, &t);

	if (ret)
		return ret;
	/* What the format allows, and a bound for the allocation. */
	if (t.record_size < 512 || t.record_size > 65536)
		return -ERR_CORRUPT;
	len = (size_t)t.record_size * MIRRORED;
	mft = mem_alloc(2, len);
	if (!mft)
		return -ENOMEM;
	mirror = mft + len;
	ret = dev_read(w->dev, mft, len, t.mft);
	if (!ret)
		ret = dev_read(w->dev, mirror, len, t.mirror);
	if (!ret && (!memcmp(mft, mirror, len) || !sound(mft, t.record_size)))
		ret = -ERR_CORRUPT;
	if (!ret)
		ret = vol_ntfsw_cache_write(w->cache, mft, len, t.mirror);
	free(mft);
	return ret;
}
