# SPDX-License-Identifier: GPL-3.0-or-later
check_PROGRAMS += tests/c/memfs
tests_c_memfs_SOURCES = tests/c/memfs.c tests/c/memtree.c tests/c/memtree.h \
	tests/c/memtree_data.c tests/c/memtree_int.h tests/c/memtree_xattr.c
tests_c_memfs_LDADD = $(LIBGLUE) $(LIBTREE) $(BASE_LIBS) $(FUSE_LIBS)
