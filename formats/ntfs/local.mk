# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LIBRARIES += formats/ntfs/libntfs.a
formats_ntfs_libntfs_a_SOURCES = \
	formats/ntfs/ntfs.c formats/ntfs/ntfs.h \
	formats/ntfs/ntfs_attr.c \
	formats/ntfs/ntfs_boot.c \
	formats/ntfs/ntfs_comp.c \
	formats/ntfs/ntfs_dir.c \
	formats/ntfs/ntfs_disk.h formats/ntfs/ntfs_id.h \
	formats/ntfs/ntfs_index.c \
	formats/ntfs/ntfs_int.h \
	formats/ntfs/ntfs_link.c \
	formats/ntfs/ntfs_lznt1.c \
	formats/ntfs/ntfs_name.c \
	formats/ntfs/ntfs_node.c \
	formats/ntfs/ntfs_rec.c \
	formats/ntfs/ntfs_run.c \
	formats/ntfs/ntfs_secure.c \
	formats/ntfs/ntfs_stat.c \
	formats/ntfs/ntfs_state.c \
	formats/ntfs/ntfs_stream.c \
	formats/ntfs/ntfs_tree.c \
	formats/ntfs/ntfs_xattr.c
