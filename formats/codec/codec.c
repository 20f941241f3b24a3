/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A decoder's life, and which format's it is. */
#include <stdlib.h>

#include "formats/base/bounds.h"
#include "formats/base/err.h"
#include "formats/codec/codec_int.h"

/* Legal chunk sizes (FORMAT.md 1.2), as powers of two, and the memory. */
static const struct {
	unsigned int min, max;
	size_t state;
} kinds[] = {
	[CODEC_XPRESS] = { 12, 16, sizeof(struct xpress) },
	[CODEC_LZX] = { 15, 21, sizeof(struct lzx) },
	[CODEC_LZMS] = { 15, 30, sizeof(struct lzms) },
};

int codec_new(enum codec_kind kind, size_t max_chunk, struct codec **out)
{
	struct codec *c;

	if (kind <= CODEC_NONE || kind > CODEC_LZMS || !is_pow2(max_chunk) ||
	    max_chunk < (size_t)1 << kinds[kind].min ||
	    max_chunk > (size_t)1 << kinds[kind].max)
		return -EINVAL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->kind = kind;
	c->max_chunk = max_chunk;
	c->xpress = calloc(1, kinds[kind].state);
	if (!c->xpress) {
		free(c);
		return -ENOMEM;
	}
	if (kind == CODEC_LZX)
		codec_lzx_init(c->lzx, max_chunk);
	if (kind == CODEC_LZMS)
		codec_lzms_init(c->lzms);
	*out = c;
	return 0;
}

void codec_free(struct codec *c)
{
	if (!c)
		return;
	free(c->xpress);
	free(c);
}

int codec_decode(struct codec *c, const void *in, size_t in_len, void *out,
		 size_t out_len)
{
	const struct codec_job job = { in, in_len, out, out_len };

	if (out_len > c->max_chunk)
		return -EINVAL;
	if (!out_len)
		return 0;
	if (!in_len)
		return -ERR_CORRUPT;
	switch (c->kind) {
	case CODEC_XPRESS:
		return codec_xpress_decode(c->xpress, &job);
	case CODEC_LZX:
		return codec_lzx_decode(c->lzx, &job);
	case CODEC_LZMS:
		return codec_lzms_decode(c->lzms, &job);
	case CODEC_NONE:
		break;
	}
	return -EINVAL;
}
