# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LIBRARIES += formats/volume/libvolume.a
formats_volume_libvolume_a_CPPFLAGS = $(AM_CPPFLAGS) $(NTFS3G_CFLAGS) \
	$(EXT2FS_CFLAGS)
formats_volume_libvolume_a_SOURCES = \
	formats/volume/volume.c formats/volume/volume.h \
	formats/volume/volume_int.h \
	formats/volume/volume_probe.c \
	formats/volume/volume_magic.c \
	formats/volume/volume_ext.c \
	formats/volume/volume_fat.c \
	formats/volume/volume_free.c \
	formats/volume/volume_ntfs.c \
	formats/volume/volume_select.c formats/volume/volume_select.h
include formats/volume/ntfs.mk
include formats/volume/ext.mk
