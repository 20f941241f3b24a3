# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LIBRARIES += formats/disk/libdisk.a
formats_disk_libdisk_a_SOURCES = \
	formats/disk/disk.c formats/disk/disk.h formats/disk/disk_int.h \
	formats/disk/disk_chain.c \
	formats/disk/disk_find.c \
	formats/disk/disk_guard.c \
	formats/disk/disk_ident.c \
	formats/disk/disk_list.c \
	formats/disk/disk_merge.c \
	formats/disk/disk_node.c \
	formats/disk/disk_note.c \
	formats/disk/disk_path.c \
	formats/disk/disk_probe.c \
	formats/disk/disk_scan.c \
	formats/disk/disk_try.c
