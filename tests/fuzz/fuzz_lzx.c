/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Chunks of LZX. */
#include "tests/fuzz/codec_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	return codec_fuzz(CODEC_LZX, 15, 21, data, len);
}
