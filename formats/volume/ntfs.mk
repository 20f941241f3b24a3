# SPDX-License-Identifier: GPL-3.0-or-later
formats_volume_libvolume_a_SOURCES += \
	formats/volume/vol_ntfs.c formats/volume/vol_ntfs.h \
	formats/volume/vol_ntfsw.c formats/volume/vol_ntfsw.h \
	formats/volume/vol_ntfsw_int.h \
	formats/volume/vol_ntfsw_alloc.c \
	formats/volume/vol_ntfsw_cache.c formats/volume/vol_ntfsw_cache.h \
	formats/volume/vol_ntfsw_check.c \
	formats/volume/vol_ntfsw_dev.c \
	formats/volume/vol_ntfsw_dir.c \
	formats/volume/vol_ntfsw_file.c \
	formats/volume/vol_ntfsw_link.c \
	formats/volume/vol_ntfsw_mirror.c \
	formats/volume/vol_ntfsw_name.c \
	formats/volume/vol_ntfsw_node.c \
	formats/volume/vol_ntfsw_stream.c \
	formats/volume/vol_ntfsw_xattr.c
