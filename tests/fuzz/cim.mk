# SPDX-License-Identifier: GPL-3.0-or-later
FUZZ_TARGETS += tests/fuzz/fuzz_cim tests/fuzz/fuzz_cim_parts
tests_fuzz_fuzz_cim_SOURCES = tests/fuzz/fuzz_cim.c
tests_fuzz_fuzz_cim_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_cim_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_cim_LDADD = $(LIBCIM) $(LIBTREE) $(BASE_LIBS) $(JANSSON_LIBS)
tests_fuzz_fuzz_cim_parts_SOURCES = tests/fuzz/fuzz_cim_parts.c
tests_fuzz_fuzz_cim_parts_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_cim_parts_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_cim_parts_LDADD = $(LIBCIM) $(LIBTREE) $(BASE_LIBS) \
	$(JANSSON_LIBS)
