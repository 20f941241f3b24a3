# SPDX-License-Identifier: GPL-3.0-or-later
check_PROGRAMS += tests/c/mainttool
tests_c_mainttool_SOURCES = tests/c/mainttool.c tests/c/mainttool.h \
	tests/c/mainttool_vhd.c tests/c/mainttool_vhdx.c
tests_c_mainttool_LDADD = tests/c/libscript.a $(LIBVHD) $(LIBVHDX) \
	$(LIBTREE) $(BASE_LIBS)
