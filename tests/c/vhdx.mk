# SPDX-License-Identifier: GPL-3.0-or-later
UNIT_TESTS += tests/c/t_vhdx
tests_c_t_vhdx_SOURCES = tests/c/t_vhdx.c tests/c/check.h
tests_c_t_vhdx_LDADD = $(LIBVHDX) $(BASE_LIBS)

check_PROGRAMS += tests/c/vhdxtool
tests_c_vhdxtool_SOURCES = tests/c/vhdxtool.c
tests_c_vhdxtool_LDADD = tests/c/libscript.a $(LIBVHDX) $(LIBTREE) $(BASE_LIBS)

UNIT_TESTS += tests/c/t_vhdx_threads
tests_c_t_vhdx_threads_SOURCES = tests/c/t_vhdx_threads.c tests/c/check.h
tests_c_t_vhdx_threads_LDADD = $(LIBVHDX) $(BASE_LIBS)
