# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LIBRARIES += formats/libntmeta.a
formats_libntmeta_a_SOURCES = formats/ntmeta.c formats/ntmeta.h \
	formats/ntmeta_link.c
