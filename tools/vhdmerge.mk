# SPDX-License-Identifier: GPL-3.0-or-later
MERGE_LIBS = formats/merge/libmerge.a formats/disk/libdisk.a \
	formats/vhdx/libvhdx.a formats/vhd/libvhd.a formats/base/libbase.a

bin_PROGRAMS += tools/vhdmerge
tools_vhdmerge_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tools_vhdmerge_SOURCES = tools/vhdmerge.c tools/vhdmerge.h \
	tools/vhdmerge_show.c
tools_vhdmerge_LDADD = $(MERGE_LIBS) $(JANSSON_LIBS) $(ISAL_LIBS)
