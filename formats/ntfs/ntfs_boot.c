/* SPDX-License-Identifier: GPL-3.0-or-later */
/* NTFS boot sector: the geometry of the volume. */
#include "formats/ntfs/ntfs_int.h"

/* Large clusters (128 KiB to 2 MiB) are stored as a negative power of two. */
static uint64_t sectors_per_cluster(uint8_t raw)
{
	if (raw > 0x80)
		return 256 - raw > 31 ? 0 : 1ULL << (256 - raw);
	return raw;
}

/* A size in clusters, or (negative) as a power of two in bytes. */
static uint64_t signed_size(int8_t raw, uint32_t cluster_size)
{
	if (raw > 0)
		return (uint64_t)raw * cluster_size;
	return raw < -31 || !raw ? 0 : 1ULL << -raw;
}

static int decode_sizes(const struct ntfs_disk_boot *raw,
			struct ntfs_geometry *g, struct diag *why)
{
	uint64_t spc = sectors_per_cluster(raw->sectors_per_cluster);
	uint64_t cluster, record, index;

	g->sector_size = le16(raw->bytes_per_sector);
	if (!is_pow2(g->sector_size) || g->sector_size < 256 ||
	    g->sector_size > 4096)
		return diag_fail(why, ERR_CORRUPT,
				 "ntfs: boot sector: bytes per sector: %u",
				 g->sector_size);
	cluster = spc * g->sector_size;
	/* 2 MiB is what Windows 10 stops at. */
	if (!is_pow2(cluster) || cluster < 512 || cluster > 2u << 20)
		return diag_fail(why, ERR_CORRUPT,
				 "ntfs: boot sector: cluster size: %llu",
				 (unsigned long long)cluster);
	g->cluster_size = (uint32_t)cluster;
	g->cluster_shift = (unsigned)__builtin_ctzll(cluster);
	record = signed_size(raw->clusters_per_record, g->cluster_size);
	if (!is_pow2(record) || record < NTFS_RECORD_MIN ||
	    record > NTFS_RECORD_MAX)
		return diag_fail(why, ERR_CORRUPT,
				 "ntfs: boot sector: file record size: %llu",
				 (unsigned long long)record);
	g->record_size = (uint32_t)record;
	index = signed_size(raw->clusters_per_index_block, g->cluster_size);
	if (!is_pow2(index) || index < NTFS_INDEX_MIN || index > 2u << 20)
		return diag_fail(why, ERR_CORRUPT,
				 "ntfs: boot sector: index block size: %llu",
				 (unsigned long long)index);
	g->index_size = (uint32_t)index;
	return 0;
}

int ntfs_boot_decode(const struct ntfs_disk_boot *raw, uint64_t dev_size,
		     struct ntfs_geometry *out, struct diag *why)
{
	struct ntfs_geometry g = { 0 };
	uint64_t n = le64(raw->n_sectors);
	int ret;

	if (memcmp(raw->oem_id, NTFS_OEM_ID, sizeof(raw->oem_id)))
		return diag_fail(why, ERR_NOT_THIS, "ntfs: no boot sector");
	ret = decode_sizes(raw, &g, why);
	if (ret)
		return ret;
	if (n > dev_size / g.sector_size)
		return diag_fail(why, ERR_CORRUPT,
				 "ntfs: boot sector: volume of %llu sectors of "
				 "%u in a device of %llu bytes",
				 (unsigned long long)n, g.sector_size,
				 (unsigned long long)dev_size);
	g.size = n * g.sector_size;
	g.n_clusters = g.size >> g.cluster_shift;
	g.mft_lcn = le64(raw->mft_lcn);
	g.serial = le64(raw->serial);
	if (g.mft_lcn >= g.n_clusters)
		return diag_fail(why, ERR_CORRUPT,
				 "ntfs: boot sector: $MFT outside the volume: "
				 "cluster %llu of %llu",
				 (unsigned long long)g.mft_lcn,
				 (unsigned long long)g.n_clusters);
	*out = g;
	return 0;
}
