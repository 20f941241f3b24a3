# SPDX-License-Identifier: GPL-3.0-or-later
check_PROGRAMS += tests/c/locktool
tests_c_locktool_SOURCES = tests/c/locktool.c
tests_c_locktool_LDADD = tests/c/libscript.a $(BASE_LIBS) $(JANSSON_LIBS)
DISK_LIBS = formats/disk/libdisk.a formats/vhd/libvhd.a formats/vhdx/libvhdx.a
check_PROGRAMS += tests/c/disktool
tests_c_disktool_SOURCES = tests/c/disktool.c
tests_c_disktool_LDADD = tests/c/libscript.a $(DISK_LIBS) $(BASE_LIBS) \
	$(JANSSON_LIBS)
UNIT_TESTS += tests/c/t_disk
tests_c_t_disk_SOURCES = tests/c/t_disk.c
tests_c_t_disk_LDADD = $(DISK_LIBS) $(BASE_LIBS) $(JANSSON_LIBS)
