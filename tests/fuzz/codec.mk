# SPDX-License-Identifier: GPL-3.0-or-later
CODEC_FUZZ_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
CODEC_FUZZ_SOURCES = tests/fuzz/codec_fuzz.h
FUZZ_TARGETS += tests/fuzz/fuzz_xpress tests/fuzz/fuzz_lzx tests/fuzz/fuzz_lzms
tests_fuzz_fuzz_xpress_SOURCES = tests/fuzz/fuzz_xpress.c $(CODEC_FUZZ_SOURCES)
tests_fuzz_fuzz_xpress_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_xpress_LDFLAGS = $(CODEC_FUZZ_LDFLAGS)
tests_fuzz_fuzz_xpress_LDADD = $(LIBCODEC) $(BASE_LIBS)
tests_fuzz_fuzz_lzx_SOURCES = tests/fuzz/fuzz_lzx.c $(CODEC_FUZZ_SOURCES)
tests_fuzz_fuzz_lzx_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_lzx_LDFLAGS = $(CODEC_FUZZ_LDFLAGS)
tests_fuzz_fuzz_lzx_LDADD = $(LIBCODEC) $(BASE_LIBS)
tests_fuzz_fuzz_lzms_SOURCES = tests/fuzz/fuzz_lzms.c $(CODEC_FUZZ_SOURCES)
tests_fuzz_fuzz_lzms_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_lzms_LDFLAGS = $(CODEC_FUZZ_LDFLAGS)
tests_fuzz_fuzz_lzms_LDADD = $(LIBCODEC) $(BASE_LIBS)
