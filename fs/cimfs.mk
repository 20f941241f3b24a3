# SPDX-License-Identifier: GPL-3.0-or-later
bin_PROGRAMS += fs/cimfs
fs_cimfs_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
fs_cimfs_SOURCES = fs/cimfs.c
fs_cimfs_LDADD = fs/session/libsession.a fs/glue/libglue.a \
	formats/cim/libcim.a formats/libntmeta.a \
	formats/libtree.a formats/base/libbase.a \
	$(FUSE_LIBS) $(JANSSON_LIBS) $(ISAL_LIBS)
MOUNT_NAMES += cimfs
