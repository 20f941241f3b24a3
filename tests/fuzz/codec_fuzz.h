/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One chunk through one decoder, in memory of exactly its size. The first
 * byte chooses the chunk size, the next two the output's length. */
#ifndef IMGFS_TESTS_CODEC_FUZZ_H
#define IMGFS_TESTS_CODEC_FUZZ_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "formats/codec/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int codec_fuzz(enum codec_kind kind, unsigned int min, unsigned int max,
		      const uint8_t *data, size_t len)
{
	static struct codec *codecs[32];
	unsigned int order;
	size_t out_len;
	uint8_t *in, *out;

	if (len < 3)
		return 0;
	order = min + data[0] % (max - min + 1);
	out_len = (size_t)(data[1] | data[2] << 8) + 1;
	if (out_len > (size_t)1 << order)
		out_len = (size_t)1 << order;
	if (!codecs[order] &&
	    codec_new(kind, (size_t)1 << order, &codecs[order]))
		abort();
	in = malloc(len - 3 + !(len - 3));
	out = malloc(out_len);
	memcpy(in, data + 3, len - 3);
	codec_decode(codecs[order], in, len - 3, out, out_len);
	free(in);
	free(out);
	return 0;
}

#endif
