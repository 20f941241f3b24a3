# SPDX-License-Identifier: GPL-3.0-or-later
UNIT_TESTS += tests/c/t_words
tests_c_t_words_SOURCES = tests/c/t_words.c tests/c/check.h
tests_c_t_words_LDADD = fs/session/libsession.a $(BASE_LIBS) $(JANSSON_LIBS)
