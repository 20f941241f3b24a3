# SPDX-License-Identifier: GPL-3.0-or-later
check_PROGRAMS += tests/c/exttool
tests_c_exttool_SOURCES = tests/c/exttool.c
tests_c_exttool_LDADD = tests/c/libscript.a $(LIBVOLUME) $(LIBPART) \
	$(LIBTREE) $(BASE_LIBS) $(EXT2FS_LIBS)
