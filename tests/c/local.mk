# SPDX-License-Identifier: GPL-3.0-or-later
# What the helpers share. Each part adds its own lines below this block.
LIBBASE = formats/base/libbase.a
LIBTREE = formats/libtree.a
BASE_LIBS = $(LIBBASE) $(ISAL_LIBS)

UNIT_TESTS =
UNIT_TESTS += tests/c/t_base
tests_c_t_base_SOURCES = tests/c/t_base.c tests/c/check.h
tests_c_t_base_LDADD = $(BASE_LIBS)

noinst_LIBRARIES += tests/c/libscript.a
tests_c_libscript_a_SOURCES = tests/c/devscript.c tests/c/devscript.h \
	tests/c/dev_record.c tests/c/dev_record.h \
	tests/c/treescript.c tests/c/treescript.h tests/c/check.h

include tests/c/codec.mk
include tests/c/vhd.mk
include tests/c/vhdx.mk
include tests/c/maint.mk
include tests/c/disk.mk
include tests/c/merge.mk
include tests/c/part.mk
include tests/c/ntfs.mk
include tests/c/ntfsw.mk
include tests/c/ext.mk
include tests/c/fs.mk
include tests/c/session.mk
include tests/c/cim.mk
include tests/c/wim.mk

check_PROGRAMS += $(UNIT_TESTS)
TESTS += $(UNIT_TESTS)
