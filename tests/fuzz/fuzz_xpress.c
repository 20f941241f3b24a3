/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Chunks of XPRESS. */
#include "tests/fuzz/codec_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	return codec_fuzz(CODEC_XPRESS, 12, 16, data, len);
}
