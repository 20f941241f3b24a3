# SPDX-License-Identifier: GPL-3.0-or-later
FUZZ_TARGETS += tests/fuzz/fuzz_jbd2 tests/fuzz/fuzz_ext
EXT_FUZZ_LIBS = formats/volume/libvolume.a $(LIBTREE) $(BASE_LIBS) \
	$(EXT2FS_LIBS)
tests_fuzz_fuzz_jbd2_SOURCES = tests/fuzz/fuzz_jbd2.c
tests_fuzz_fuzz_jbd2_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_jbd2_LDADD = $(EXT_FUZZ_LIBS)
tests_fuzz_fuzz_ext_SOURCES = tests/fuzz/fuzz_ext.c
tests_fuzz_fuzz_ext_CFLAGS = $(FUZZ_CFLAGS)
tests_fuzz_fuzz_ext_LDADD = $(EXT_FUZZ_LIBS)
