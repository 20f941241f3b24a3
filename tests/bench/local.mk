# SPDX-License-Identifier: GPL-3.0-or-later
# The round's limits, and what asks for bytes the same way of everybody.
check_PROGRAMS += tests/bench/passfs tests/bench/nullfs tests/bench/reader \
	tests/bench/readers
tests_bench_passfs_CFLAGS = $(AM_CFLAGS) $(FUSE_CFLAGS)
tests_bench_passfs_SOURCES = tests/bench/passfs.c
tests_bench_passfs_LDADD = $(FUSE_LIBS)
tests_bench_nullfs_CFLAGS = $(AM_CFLAGS) $(FUSE_CFLAGS)
tests_bench_nullfs_SOURCES = tests/bench/nullfs.c
tests_bench_nullfs_LDADD = $(FUSE_LIBS)
tests_bench_reader_SOURCES = tests/bench/reader.c
tests_bench_readers_SOURCES = tests/bench/readers.c
