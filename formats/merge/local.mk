# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LIBRARIES += formats/merge/libmerge.a
formats_merge_libmerge_a_SOURCES = \
	formats/merge/merge.c formats/merge/merge.h formats/merge/merge_int.h \
	formats/merge/merge_clone.c \
	formats/merge/merge_copy.c formats/merge/merge_copy.h \
	formats/merge/merge_flat.c \
	formats/merge/merge_graph.c \
	formats/merge/merge_jfile.c \
	formats/merge/merge_journal.c \
	formats/merge/merge_kids.c \
	formats/merge/merge_link.c \
	formats/merge/merge_plan.c \
	formats/merge/merge_run.c \
	formats/merge/merge_walk.c
