# SPDX-License-Identifier: GPL-3.0-or-later
LIBGLUE = fs/glue/libglue.a
noinst_LIBRARIES += fs/glue/libglue.a
fs_glue_libglue_a_CFLAGS = $(AM_CFLAGS) $(FUSE_CFLAGS)
fs_glue_libglue_a_SOURCES = \
	fs/glue/glue.c fs/glue/glue.h fs/glue/glue_int.h \
	fs/glue/glue_attr.c fs/glue/glue_ctl.c fs/glue/glue_dir.c \
	fs/glue/glue_file.c fs/glue/glue_handle.c fs/glue/glue_init.c \
	fs/glue/glue_loop.c fs/glue/glue_mnt.c \
	fs/glue/glue_name.c fs/glue/glue_names.c \
	fs/glue/glue_read.c fs/glue/glue_send.c fs/glue/glue_xattr.c
