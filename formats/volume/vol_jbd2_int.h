/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the parts of the journal replay share. */
#ifndef IMGFS_VOL_JBD2_INT_H
#define IMGFS_VOL_JBD2_INT_H

#include "formats/base/map.h"
#include "formats/volume/vol_jbd2.h"
#include "formats/volume/vol_jbd2_disk.h"

enum jbd2_csum { JBD2_CSUM_NONE, JBD2_CSUM_V1, JBD2_CSUM_V2, JBD2_CSUM_V3 };

struct vol_jbd2 {
	const struct vol_jbd2_source *src;
	/* From the superblock, checked. */
	uint32_t first, last;		/* the ring is [first, last) */
	uint32_t start, sequence;	/* where it begins; 0: empty */
	enum jbd2_csum csum;
	bool wide;			/* 64-bit block numbers */
	bool async;
	bool fast;
	bool error;
	uint32_t seed;			/* checksums begin with the UUID */
	/* Found by the passes. */
	uint32_t end;			/* first sequence that is not whole */
	bool have_end;
	struct map revoked;		/* block -> index into sequences, + 1 */
	uint32_t *sequences;		/* owned */
	size_t n_sequences, max_sequences;
	uint32_t replayed;
	uint8_t *block;			/* owned: a block of the log */
	uint8_t *data;			/* owned: a block that it describes */
};

struct jbd2_tag {
	uint64_t block;
	uint32_t csum;
	uint32_t flags;
	size_t size;		/* of the tag with its UUID, in bytes */
};

/* Is a later than b? Sequence numbers wrap. */
static inline bool vol_jbd2_later(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

int vol_jbd2_revoke_add(struct vol_jbd2 *j, const uint8_t *block, uint32_t seq,
			struct diag *why);
bool vol_jbd2_revoke_test(const struct vol_jbd2 *j, uint64_t blk, uint32_t seq);
void vol_jbd2_revoke_free(struct vol_jbd2 *j);

uint32_t vol_jbd2_crc32_msb(uint32_t crc, const uint8_t *p, size_t len);
bool vol_jbd2_super_ok(const struct jbd2_super_disk *sb);
uint32_t vol_jbd2_super_csum(const struct jbd2_super_disk *sb);
/* Descriptor and revoke blocks end with their checksum. */
bool vol_jbd2_tail_ok(const struct vol_jbd2 *j, const uint8_t *block);
bool vol_jbd2_commit_ok(const struct vol_jbd2 *j, uint8_t *block);
bool vol_jbd2_data_ok(const struct vol_jbd2 *j, const struct jbd2_tag *tag,
		      uint32_t seq, const uint8_t *data);

/* Bytes in front of which the tags of a descriptor block end. */
size_t vol_jbd2_tags_end(const struct vol_jbd2 *j);
/* The tag at off, or false when there is no room for one. */
bool vol_jbd2_tag(const struct vol_jbd2 *j, const uint8_t *block, size_t off,
		  struct jbd2_tag *out);

/* The three passes; target may be NULL: then nothing is written. */
int vol_jbd2_passes(struct vol_jbd2 *j, struct dev *target, struct diag *why);

#endif
