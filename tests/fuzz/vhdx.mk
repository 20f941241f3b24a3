# SPDX-License-Identifier: GPL-3.0-or-later
FUZZ_TARGETS += tests/fuzz/fuzz_vhdx
tests_fuzz_fuzz_vhdx_SOURCES = tests/fuzz/fuzz_vhdx.c
tests_fuzz_fuzz_vhdx_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_vhdx_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_vhdx_LDADD = $(LIBVHDX) $(BASE_LIBS)
