# SPDX-License-Identifier: GPL-3.0-or-later
# One libFuzzer target a parser: ./configure CC=clang --enable-fuzz
FUZZ_TARGETS =
FUZZ_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer
if FUZZ
noinst_PROGRAMS = $(FUZZ_TARGETS)
endif
include tests/fuzz/codec.mk
include tests/fuzz/vhd.mk
include tests/fuzz/vhdx.mk
include tests/fuzz/part.mk
include tests/fuzz/ntfs.mk
include tests/fuzz/ext.mk
include tests/fuzz/wim.mk
include tests/fuzz/cim.mk
