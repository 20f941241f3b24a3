# SPDX-License-Identifier: GPL-3.0-or-later
LIBNTFS = formats/ntfs/libntfs.a formats/libntmeta.a
check_PROGRAMS += tests/c/ntfstool
tests_c_ntfstool_SOURCES = tests/c/ntfstool.c
tests_c_ntfstool_LDADD = tests/c/libscript.a $(LIBNTFS) $(LIBTREE) $(BASE_LIBS)
UNIT_TESTS += tests/c/t_ntmeta
tests_c_t_ntmeta_SOURCES = tests/c/t_ntmeta.c tests/c/check.h
tests_c_t_ntmeta_LDADD = formats/libntmeta.a $(BASE_LIBS)
UNIT_TESTS += tests/c/t_ntfs
tests_c_t_ntfs_SOURCES = tests/c/t_ntfs.c tests/c/check.h
tests_c_t_ntfs_LDADD = $(LIBNTFS) $(LIBTREE) $(BASE_LIBS)
