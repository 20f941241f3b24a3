# SPDX-License-Identifier: GPL-3.0-or-later
LIBVOLUME = formats/volume/libvolume.a
check_PROGRAMS += tests/c/parttool
tests_c_parttool_SOURCES = tests/c/parttool.c
tests_c_parttool_LDADD = $(LIBVOLUME) $(BASE_LIBS)
