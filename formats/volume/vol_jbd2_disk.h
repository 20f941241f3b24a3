/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The journal of ext3 and ext4 as it lies on disk: big-endian (kernel:
 * Documentation/filesystems/ext4/journal.rst). */
#ifndef IMGFS_VOL_JBD2_DISK_H
#define IMGFS_VOL_JBD2_DISK_H

#include <stddef.h>

#include "formats/base/endian.h"

#define JBD2_MAGIC	0xc03b3998u
#define JBD2_SUPER_SIZE	1024u

enum {
	JBD2_DESCRIPTOR = 1,
	JBD2_COMMIT = 2,
	JBD2_SUPER_V1 = 3,
	JBD2_SUPER_V2 = 4,
	JBD2_REVOKE = 5,
};

enum { JBD2_COMPAT_CHECKSUM = 1 };

enum {
	JBD2_INCOMPAT_REVOKE = 0x1,
	JBD2_INCOMPAT_64BIT = 0x2,
	JBD2_INCOMPAT_ASYNC = 0x4,
	JBD2_INCOMPAT_CSUM2 = 0x8,
	JBD2_INCOMPAT_CSUM3 = 0x10,
	JBD2_INCOMPAT_FAST = 0x20,
};

struct jbd2_head_disk {
	be32_t magic;
	be32_t type;
	be32_t sequence;
};
static_assert(sizeof(struct jbd2_head_disk) == 12, "jbd2 head");

struct jbd2_super_disk {
	struct jbd2_head_disk head;
	be32_t blocksize;
	be32_t maxlen;
	be32_t first;
	be32_t sequence;
	be32_t start;
	be32_t error;
	/* Version 2 only: */
	be32_t compat, incompat, ro_compat;
	uint8_t uuid[16];
	be32_t nr_users;
	be32_t dynsuper;
	be32_t max_transaction, max_trans_data;
	uint8_t checksum_type;
	uint8_t pad[3];
	be32_t num_fc_blocks;
	be32_t head_block;
	uint8_t rest[160];
	be32_t checksum;
	uint8_t users[768];
};
static_assert(sizeof(struct jbd2_super_disk) == 1024, "jbd2 super");
static_assert(offsetof(struct jbd2_super_disk, uuid) == 0x30, "jbd2 uuid");
static_assert(offsetof(struct jbd2_super_disk, num_fc_blocks) == 0x54, "fc");
static_assert(offsetof(struct jbd2_super_disk, checksum) == 0xfc, "jbd2 csum");

/* Both kinds of tags begin with the block number; see vol_jbd2_scan.c. */
enum {
	JBD2_TAG_ESCAPED = 1,	/* the block began with JBD2_MAGIC */
	JBD2_TAG_SAME_UUID = 2,	/* no UUID follows */
	JBD2_TAG_LAST = 8,
};

struct jbd2_commit_disk {
	struct jbd2_head_disk head;
	uint8_t csum_type;	/* 1: CRC-32, most significant bit first */
	uint8_t csum_size;
	uint8_t pad[2];
	be32_t csum[8];
	be64_t sec;
	be32_t nsec;
};
static_assert(sizeof(struct jbd2_commit_disk) == 60, "jbd2 commit");

struct jbd2_revoke_disk {
	struct jbd2_head_disk head;
	be32_t count;		/* bytes used, this header included */
};
static_assert(sizeof(struct jbd2_revoke_disk) == 16, "jbd2 revoke");

/* The first record of a fast commit area in use. */
#define JBD2_FC_TAG_HEAD	9u

#endif
