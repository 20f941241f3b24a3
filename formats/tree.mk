# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LIBRARIES += formats/libtree.a
formats_libtree_a_SOURCES = \
	formats/tree.c formats/tree.h \
	formats/tree_hold.c formats/tree_hold.h
