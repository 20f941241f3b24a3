# SPDX-License-Identifier: GPL-3.0-or-later
check_PROGRAMS += tests/c/vhdtool
tests_c_vhdtool_SOURCES = tests/c/vhdtool.c
tests_c_vhdtool_LDADD = tests/c/libscript.a $(LIBVHD) $(LIBTREE) $(BASE_LIBS)
