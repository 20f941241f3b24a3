# SPDX-License-Identifier: GPL-3.0-or-later
LIBVHDX = formats/vhdx/libvhdx.a
noinst_LIBRARIES += formats/vhdx/libvhdx.a
formats_vhdx_libvhdx_a_SOURCES = \
	formats/vhdx/vhdx.c formats/vhdx/vhdx.h \
	formats/vhdx/vhdx_alloc.c \
	formats/vhdx/vhdx_audit.c \
	formats/vhdx/vhdx_bat.c \
	formats/vhdx/vhdx_bitmap.c \
	formats/vhdx/vhdx_check.c \
	formats/vhdx/vhdx_commit.c \
	formats/vhdx/vhdx_create.c \
	formats/vhdx/vhdx_disk.h formats/vhdx/vhdx_int.h \
	formats/vhdx/vhdx_grow.c \
	formats/vhdx/vhdx_header.c \
	formats/vhdx/vhdx_ident.c \
	formats/vhdx/vhdx_items.c \
	formats/vhdx/vhdx_layer.c \
	formats/vhdx/vhdx_locator.c \
	formats/vhdx/vhdx_log.c \
	formats/vhdx/vhdx_logw.c \
	formats/vhdx/vhdx_meta.c \
	formats/vhdx/vhdx_move.c \
	formats/vhdx/vhdx_pages.c \
	formats/vhdx/vhdx_read.c \
	formats/vhdx/vhdx_region.c \
	formats/vhdx/vhdx_relink.c \
	formats/vhdx/vhdx_session.c \
	formats/vhdx/vhdx_write.c
EXTRA_DIST += formats/vhdx/FORMAT.md
