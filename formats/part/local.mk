# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LIBRARIES += formats/part/libpart.a
formats_part_libpart_a_SOURCES = \
	formats/part/part.c formats/part/part.h \
	formats/part/part_bare.c \
	formats/part/part_disk.h \
	formats/part/part_gpt.c \
	formats/part/part_int.h \
	formats/part/part_mbr.c
