# SPDX-License-Identifier: GPL-3.0-or-later
# Top to bottom: an archive comes before what it stands on.
IMAGE_LIBS = formats/view/libview.a formats/volume/libvolume.a \
	formats/ntfs/libntfs.a formats/libntmeta.a \
	formats/disk/libdisk.a formats/part/libpart.a \
	formats/vhdx/libvhdx.a formats/vhd/libvhd.a

bin_PROGRAMS += fs/vhdfs
fs_vhdfs_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
fs_vhdfs_SOURCES = fs/vhdfs.c
fs_vhdfs_LDADD = fs/session/libsession.a fs/glue/libglue.a $(IMAGE_LIBS) \
	formats/libtree.a formats/base/libbase.a \
	$(FUSE_LIBS) $(NTFS3G_LIBS) $(EXT2FS_LIBS) $(JANSSON_LIBS) $(ISAL_LIBS)
MOUNT_NAMES += vhdfs
