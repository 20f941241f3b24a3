# SPDX-License-Identifier: GPL-3.0-or-later
FUZZ_TARGETS += tests/fuzz/fuzz_vhd
tests_fuzz_fuzz_vhd_SOURCES = tests/fuzz/fuzz_vhd.c
tests_fuzz_fuzz_vhd_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_vhd_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_vhd_LDADD = $(LIBVHD) $(BASE_LIBS)
