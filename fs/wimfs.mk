# SPDX-License-Identifier: GPL-3.0-or-later
bin_PROGRAMS += fs/wimfs
fs_wimfs_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
fs_wimfs_SOURCES = fs/wimfs.c
fs_wimfs_LDADD = fs/session/libsession.a fs/glue/libglue.a $(WIM_LIBS) \
	formats/libtree.a formats/base/libbase.a $(FUSE_LIBS) $(XML2_LIBS) \
	$(CRYPTO_LIBS) $(JANSSON_LIBS) $(ISAL_LIBS)
MOUNT_NAMES += wimfs
