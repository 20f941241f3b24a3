# SPDX-License-Identifier: GPL-3.0-or-later
FUZZ_TARGETS += tests/fuzz/fuzz_part tests/fuzz/fuzz_probe
tests_fuzz_fuzz_part_SOURCES = tests/fuzz/fuzz_part.c
tests_fuzz_fuzz_part_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_part_LDADD = $(LIBPART) $(BASE_LIBS)
tests_fuzz_fuzz_probe_SOURCES = tests/fuzz/fuzz_probe.c
tests_fuzz_fuzz_probe_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_probe_LDADD = $(LIBVOLUME) $(BASE_LIBS)
