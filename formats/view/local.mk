# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LIBRARIES += formats/view/libview.a
formats_view_libview_a_SOURCES = \
	formats/view/view.c formats/view/view.h \
	formats/view/view_all.c \
	formats/view/view_image.c formats/view/view_image.h \
	formats/view/view_int.h \
	formats/view/view_raw.c
