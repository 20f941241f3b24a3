# SPDX-License-Identifier: GPL-3.0-or-later
LIBPART = formats/part/libpart.a
# Only what the backends do not drag in: the probe and the selection.
LIBVOLUME = formats/volume/libvolume.a
check_PROGRAMS += tests/c/parttool
tests_c_parttool_SOURCES = tests/c/parttool.c
tests_c_parttool_LDADD = tests/c/libscript.a $(LIBVOLUME) $(LIBPART) \
	$(LIBTREE) $(BASE_LIBS)

LIBVIEW = formats/view/libview.a
check_PROGRAMS += tests/c/viewtool
tests_c_viewtool_SOURCES = tests/c/viewtool.c
tests_c_viewtool_LDADD = tests/c/libscript.a $(LIBVIEW) $(LIBVOLUME) \
	formats/disk/libdisk.a formats/vhdx/libvhdx.a formats/vhd/libvhd.a \
	$(LIBPART) $(LIBNTFS) $(LIBTREE) $(BASE_LIBS) $(NTFS3G_LIBS) \
	$(EXT2FS_LIBS) $(JANSSON_LIBS)

UNIT_TESTS += tests/c/t_part
tests_c_t_part_SOURCES = tests/c/t_part.c tests/c/check.h
tests_c_t_part_LDADD = $(LIBVIEW) $(LIBVOLUME) $(LIBPART) $(LIBTREE) \
	$(BASE_LIBS)
