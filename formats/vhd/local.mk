# SPDX-License-Identifier: GPL-3.0-or-later
LIBVHD = formats/vhd/libvhd.a
noinst_LIBRARIES += formats/vhd/libvhd.a
formats_vhd_libvhd_a_SOURCES = \
	formats/vhd/vhd.c formats/vhd/vhd.h \
	formats/vhd/vhd_alloc.c \
	formats/vhd/vhd_bat.c \
	formats/vhd/vhd_bitmap.c \
	formats/vhd/vhd_check.c \
	formats/vhd/vhd_create.c \
	formats/vhd/vhd_disk.h formats/vhd/vhd_int.h \
	formats/vhd/vhd_flush.c \
	formats/vhd/vhd_footer.c \
	formats/vhd/vhd_grow.c \
	formats/vhd/vhd_header.c \
	formats/vhd/vhd_ident.c \
	formats/vhd/vhd_layer.c \
	formats/vhd/vhd_paths.c \
	formats/vhd/vhd_read.c \
	formats/vhd/vhd_relink.c \
	formats/vhd/vhd_walk.c \
	formats/vhd/vhd_write.c
EXTRA_DIST += formats/vhd/FORMAT.md
