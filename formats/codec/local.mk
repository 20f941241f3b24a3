# SPDX-License-Identifier: GPL-3.0-or-later
LIBCODEC = formats/codec/libcodec.a
noinst_LIBRARIES += formats/codec/libcodec.a
formats_codec_libcodec_a_SOURCES = \
	formats/codec/codec.c formats/codec/codec.h \
	formats/codec/codec_bits.h formats/codec/codec_copy.h \
	formats/codec/codec_filter.c \
	formats/codec/codec_huff.c formats/codec/codec_huff.h \
	formats/codec/codec_int.h \
	formats/codec/codec_lzms.c formats/codec/codec_lzms_code.c \
	formats/codec/codec_lzx.c \
	formats/codec/codec_xpress.c
EXTRA_DIST += formats/codec/FORMAT.md
