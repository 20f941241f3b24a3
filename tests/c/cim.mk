# SPDX-License-Identifier: GPL-3.0-or-later
LIBCIM = formats/cim/libcim.a formats/libntmeta.a
check_PROGRAMS += tests/c/cimtool
tests_c_cimtool_SOURCES = tests/c/cimtool.c tests/c/sha256.c tests/c/sha256.h
tests_c_cimtool_LDADD = tests/c/libscript.a $(LIBCIM) $(LIBTREE) $(BASE_LIBS) \
	$(JANSSON_LIBS)
