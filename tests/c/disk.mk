# SPDX-License-Identifier: GPL-3.0-or-later
check_PROGRAMS += tests/c/locktool
tests_c_locktool_SOURCES = tests/c/locktool.c
tests_c_locktool_LDADD = tests/c/libscript.a $(BASE_LIBS) $(JANSSON_LIBS)
