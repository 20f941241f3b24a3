# SPDX-License-Identifier: GPL-3.0-or-later
EXTRA_DIST += formats/cim/FORMAT.md
noinst_LIBRARIES += formats/cim/libcim.a
formats_cim_libcim_a_SOURCES = \
	formats/cim/cim.c formats/cim/cim.h \
	formats/cim/cim_data.c \
	formats/cim/cim_dir.c \
	formats/cim/cim_disk.h \
	formats/cim/cim_head.c \
	formats/cim/cim_int.h \
	formats/cim/cim_link.c \
	formats/cim/cim_meta.c \
	formats/cim/cim_region.c \
	formats/cim/cim_stat.c \
	formats/cim/cim_stream.c \
	formats/cim/cim_table.c \
	formats/cim/cim_tree.c \
	formats/cim/cim_walk.c \
	formats/cim/cim_xattr.c
