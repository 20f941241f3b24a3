/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Chunks of LZMS. */
#include "tests/fuzz/codec_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	return codec_fuzz(CODEC_LZMS, 15, 18, data, len);
}
