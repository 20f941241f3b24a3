/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Node ids of an NTFS tree: the number of the MFT record, except that the root
 * (record 5) is TREE_ROOT and what would collide with it or with "no node"
 * moves away. Both NTFS engines use this, so a handle made by one means the
 * same file to the other. The generation of a node is its sequence number.
 */
#ifndef IMGFS_NTFS_ID_H
#define IMGFS_NTFS_ID_H

#include <stdint.h>

#define NTFS_RECORD_ROOT 5ULL
#define NTFS_ID_ROOT 1ULL		/* TREE_ROOT */
/* Record 0 ($MFT): above every record number, which have 48 bits. */
#define NTFS_ID_MFT (1ULL << 48)

static inline uint64_t ntfs_id_of_record(uint64_t record)
{
	if (record == NTFS_RECORD_ROOT)
		return NTFS_ID_ROOT;
	if (record == NTFS_ID_ROOT)
		return NTFS_RECORD_ROOT;
	return record ? record : NTFS_ID_MFT;
}

static inline uint64_t ntfs_record_of_id(uint64_t id)
{
	if (id == NTFS_ID_ROOT)
		return NTFS_RECORD_ROOT;
	if (id == NTFS_RECORD_ROOT)
		return NTFS_ID_ROOT;
	return id == NTFS_ID_MFT ? 0 : id;
}

#endif
