# SPDX-License-Identifier: GPL-3.0-or-later
formats_volume_libvolume_a_SOURCES += \
	formats/volume/vol_ext.c formats/volume/vol_ext.h \
	formats/volume/vol_ext_disk.h formats/volume/vol_ext_int.h \
	formats/volume/vol_ext_wint.h formats/volume/vol_ext_begin.c \
	formats/volume/vol_ext_names.c formats/volume/vol_ext_rename.c \
	formats/volume/vol_ext_write.c formats/volume/vol_ext_setattr.c \
	formats/volume/vol_ext_alloc.c formats/volume/vol_ext_wdir.c \
	formats/volume/vol_ext_windex.c formats/volume/vol_ext_orphan.c \
	formats/volume/vol_ext_winode.c formats/volume/vol_ext_flush.c \
	formats/volume/vol_ext_lib.c \
	formats/volume/vol_ext_journal.c formats/volume/vol_ext_statfs.c \
	formats/volume/vol_ext_dir.c formats/volume/vol_ext_htree.c \
	formats/volume/vol_ext_xattr.c formats/volume/vol_ext_acl.c \
	formats/volume/vol_ext_data.c formats/volume/vol_ext_map.c \
	formats/volume/vol_ext_inode.c formats/volume/vol_ext_super.c \
	formats/volume/vol_ext_io.c formats/volume/vol_ext_free.c \
	formats/volume/vol_jbd2.c formats/volume/vol_jbd2.h \
	formats/volume/vol_jbd2_disk.h formats/volume/vol_jbd2_int.h \
	formats/volume/vol_jbd2_scan.c formats/volume/vol_jbd2_csum.c \
	formats/volume/vol_jbd2_revoke.c
