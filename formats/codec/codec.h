/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Decoders for what Windows compresses: XPRESS (Huffman), LZX and LZMS, as in
 * WIM images and WOF files (FORMAT.md). Chunks stand alone: a decoder keeps
 * nothing from one to the next but its memory.
 */
#ifndef IMGFS_CODEC_H
#define IMGFS_CODEC_H

#include <stddef.h>

enum codec_kind { CODEC_NONE, CODEC_XPRESS, CODEC_LZX, CODEC_LZMS };

/* One per thread. */
struct codec;

/* max_chunk: the largest uncompressed chunk that will be asked for, in bytes;
 * a power of two within the format's limits (LZX: it is the window). -EINVAL,
 * -ENOMEM. */
int codec_new(enum codec_kind kind, size_t max_chunk, struct codec **out);
void codec_free(struct codec *c);		/* takes NULL */

/* All out_len bytes of one chunk from in_len compressed ones, or
 * -ERR_CORRUPT: then out holds rubbish. Never reads or writes outside. */
int codec_decode(struct codec *c, const void *in, size_t in_len, void *out,
		 size_t out_len);

#endif
