# SPDX-License-Identifier: GPL-3.0-or-later
FUZZ_TARGETS += tests/fuzz/fuzz_ntfs tests/fuzz/fuzz_ntfs_parts
tests_fuzz_fuzz_ntfs_SOURCES = tests/fuzz/fuzz_ntfs.c
tests_fuzz_fuzz_ntfs_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_ntfs_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_ntfs_LDADD = $(LIBNTFS) $(LIBTREE) $(BASE_LIBS)
tests_fuzz_fuzz_ntfs_parts_SOURCES = tests/fuzz/fuzz_ntfs_parts.c
tests_fuzz_fuzz_ntfs_parts_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_ntfs_parts_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_ntfs_parts_LDADD = $(LIBNTFS) $(LIBTREE) $(BASE_LIBS)
