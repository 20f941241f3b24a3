# SPDX-License-Identifier: GPL-3.0-or-later
check_PROGRAMS += tests/c/vhdtool
tests_c_vhdtool_SOURCES = tests/c/vhdtool.c
tests_c_vhdtool_LDADD = tests/c/libscript.a $(LIBVHD) $(LIBTREE) $(BASE_LIBS)

UNIT_TESTS += tests/c/t_vhd
tests_c_t_vhd_SOURCES = tests/c/t_vhd.c
tests_c_t_vhd_LDADD = $(LIBVHD) $(BASE_LIBS)
