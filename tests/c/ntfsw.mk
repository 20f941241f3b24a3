# SPDX-License-Identifier: GPL-3.0-or-later
check_PROGRAMS += tests/c/ntfswtool
tests_c_ntfswtool_SOURCES = tests/c/ntfswtool.c
tests_c_ntfswtool_LDADD = tests/c/libscript.a $(LIBVOLUME) $(LIBNTFS) \
	$(LIBTREE) $(BASE_LIBS) $(NTFS3G_LIBS)
