# SPDX-License-Identifier: GPL-3.0-or-later
check_PROGRAMS += tests/c/wimtool
tests_c_wimtool_SOURCES = tests/c/wimtool.c
tests_c_wimtool_LDADD = tests/c/libscript.a $(WIM_LIBS) $(LIBTREE) \
	$(BASE_LIBS) $(XML2_LIBS) $(CRYPTO_LIBS)
