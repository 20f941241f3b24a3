# SPDX-License-Identifier: GPL-3.0-or-later
check_PROGRAMS += tests/c/mergetool
tests_c_mergetool_SOURCES = tests/c/mergetool.c
tests_c_mergetool_LDADD = $(MERGE_LIBS) $(JANSSON_LIBS) $(ISAL_LIBS)
UNIT_TESTS += tests/c/t_merge
tests_c_t_merge_SOURCES = tests/c/t_merge.c tests/c/check.h
tests_c_t_merge_LDADD = $(MERGE_LIBS) $(JANSSON_LIBS) $(ISAL_LIBS)
