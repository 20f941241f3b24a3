# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LIBRARIES += formats/wim/libwim.a
formats_wim_libwim_a_CFLAGS = $(AM_CFLAGS) $(XML2_CFLAGS) $(CRYPTO_CFLAGS)
formats_wim_libwim_a_SOURCES = \
	formats/wim/wim.c formats/wim/wim.h \
	formats/wim/wim_blobs.c \
	formats/wim/wim_cache.c \
	formats/wim/wim_dentry.c \
	formats/wim/wim_disk.h \
	formats/wim/wim_header.c \
	formats/wim/wim_index.c \
	formats/wim/wim_int.h \
	formats/wim/wim_integrity.c \
	formats/wim/wim_meta.c \
	formats/wim/wim_place.c \
	formats/wim/wim_resource.c \
	formats/wim/wim_root.c \
	formats/wim/wim_set.c \
	formats/wim/wim_solid.c \
	formats/wim/wim_tree.c \
	formats/wim/wim_xattr.c \
	formats/wim/wim_xml.c
EXTRA_DIST += formats/wim/FORMAT.md
WIM_LIBS = formats/wim/libwim.a formats/codec/libcodec.a \
	formats/libntmeta.a
