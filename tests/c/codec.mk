# SPDX-License-Identifier: GPL-3.0-or-later
UNIT_TESTS += tests/c/t_codec
tests_c_t_codec_SOURCES = tests/c/t_codec.c
tests_c_t_codec_LDADD = $(LIBCODEC) $(BASE_LIBS)

# What compresses is somebody else's library, where there is one.
if WIMLIB
check_PROGRAMS += tests/c/codectool tests/bench/codec
tests_c_codectool_SOURCES = tests/c/codectool.c
tests_c_codectool_LDADD = $(LIBCODEC) $(BASE_LIBS) $(WIMLIB_LIBS)
tests_bench_codec_SOURCES = tests/bench/codec.c
tests_bench_codec_LDADD = $(LIBCODEC) $(BASE_LIBS) $(WIMLIB_LIBS)
endif
