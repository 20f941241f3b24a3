/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The memory of a decoder, and what its parts share. */
#ifndef IMGFS_CODEC_INT_H
#define IMGFS_CODEC_INT_H

#include "formats/codec/codec.h"
#include "formats/codec/codec_huff.h"

/* One chunk. */
struct codec_job {
	const uint8_t *in;
	size_t in_len;
	uint8_t *out;
	size_t out_len;			/* at least 1 */
};

/* Table sizes: FORMAT.md 7. */
#define XPRESS_SYMS		512
#define XPRESS_ROOT		11
#define XPRESS_ROOM		2566
struct xpress {
	uint8_t lens[XPRESS_SYMS];
	uint32_t table[XPRESS_ROOM];
};

#define LZX_MAX_MAIN		656
#define LZX_LENGTHS		249
#define LZX_MAIN_ROOT		11
#define LZX_MAIN_ROOM		2726
#define LZX_LEN_ROOT		10
#define LZX_LEN_ROOM		1326
#define LZX_ALIGNED		8
#define LZX_ALIGNED_ROOT	7
#define LZX_PRE			20
#define LZX_PRE_ROOT		6
#define LZX_PRE_ROOM		582
#define LZX_MAX_SLOTS		50
struct lzx {
	unsigned int order;		/* of the window, 15 to 21 */
	unsigned int n_main;
	uint8_t main_lens[LZX_MAX_MAIN];
	uint8_t len_lens[LZX_LENGTHS];
	uint32_t main[LZX_MAIN_ROOM];
	uint32_t length[LZX_LEN_ROOM];
	uint32_t aligned[1 << LZX_ALIGNED_ROOT];
	uint32_t pre[LZX_PRE_ROOM];
};

#define LZMS_LITERALS		256
#define LZMS_LIT_ROOT		10
#define LZMS_LIT_ROOM		1302
#define LZMS_MAX_SLOTS		799
#define LZMS_OFF_ROOT		11
#define LZMS_OFF_ROOM		2854
#define LZMS_LENGTHS		54
#define LZMS_LEN_ROOT		9
#define LZMS_LEN_ROOM		618
#define LZMS_POWERS		8
#define LZMS_POWER_ROOT		7
#define LZMS_POWER_ROOM		128

/* An adaptive code (5.6); table and freq are of its own size. */
struct lzms_code {
	struct huff_shape shape;
	uint32_t *table;
	uint32_t *freq;
	unsigned int interval, left;	/* symbols between two builds */
};

struct lzms_prob {
	uint64_t history;
	uint32_t zeros;
};

/* Each class has its own entries (5.4). */
enum lzms_class { LZMS_MAIN, LZMS_MATCH, LZMS_LZ, LZMS_LZ_REP0, LZMS_LZ_REP1,
	LZMS_DELTA, LZMS_DELTA_REP0, LZMS_DELTA_REP1, LZMS_CLASSES };

struct lzms {
	struct lzms_prob probs[LZMS_CLASSES][64];
	struct lzms_code literal, offset, length, delta_offset, delta_power;
	uint32_t off_base[LZMS_MAX_SLOTS + 1];
	uint8_t off_extra[LZMS_MAX_SLOTS];
	uint32_t len_base[LZMS_LENGTHS + 1];
	uint8_t len_extra[LZMS_LENGTHS];
	uint32_t lit_table[LZMS_LIT_ROOM], lit_freq[LZMS_LITERALS];
	uint32_t off_table[LZMS_OFF_ROOM], off_freq[LZMS_MAX_SLOTS];
	uint32_t len_table[LZMS_LEN_ROOM], len_freq[LZMS_LENGTHS];
	uint32_t doff_table[LZMS_OFF_ROOM], doff_freq[LZMS_MAX_SLOTS];
	uint32_t pow_table[LZMS_POWER_ROOM], pow_freq[LZMS_POWERS];
	/* Of the x86 filter: target_pos of one chunk after the other, in
	 * positions that never meet those of an earlier chunk. */
	uint32_t next_base;
	uint32_t target[65536];
};

struct codec {
	enum codec_kind kind;
	size_t max_chunk;
	union {
		struct xpress *xpress;
		struct lzx *lzx;
		struct lzms *lzms;
	};
};

int codec_xpress_decode(struct xpress *x, const struct codec_job *job);
void codec_lzx_init(struct lzx *x, size_t window);
int codec_lzx_decode(struct lzx *x, const struct codec_job *job);
void codec_lzms_init(struct lzms *z);
int codec_lzms_decode(struct lzms *z, const struct codec_job *job);

/* All frequencies 1, and the code of that. */
void codec_lzms_code_reset(struct lzms_code *c);
/* The code of the present frequencies, which are then halved. */
void codec_lzms_code_rebuild(struct lzms_code *c);

/* Undo what the encoders do to calls in x86 code (4.9, 5.11). */
void codec_lzx_unfilter(uint8_t *out, size_t len);
void codec_lzms_unfilter(struct lzms *z, uint8_t *out, size_t len);

#endif
