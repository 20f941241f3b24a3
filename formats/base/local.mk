# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LIBRARIES += formats/base/libbase.a
formats_base_libbase_a_SOURCES = \
	formats/base/alloc.c formats/base/alloc.h \
	formats/base/bounds.h formats/base/endian.h formats/base/err.h \
	formats/base/cache.c formats/base/cache.h \
	formats/base/crc.c formats/base/crc.h \
	formats/base/dev.c formats/base/dev.h \
	formats/base/dev_file.c formats/base/dev_file.h \
	formats/base/dev_holder.c formats/base/dev_holder.h \
	formats/base/dev_lock.c formats/base/dev_lock.h \
	formats/base/dev_mem.c formats/base/dev_mem.h \
	formats/base/dev_ram.c formats/base/dev_ram.h \
	formats/base/dev_slice.c formats/base/dev_slice.h \
	formats/base/diag.c formats/base/diag.h \
	formats/base/finding.c formats/base/finding.h \
	formats/base/guid.c formats/base/guid.h \
	formats/base/layer.h formats/base/locator.h \
	formats/base/map.c formats/base/map.h \
	formats/base/outcome.c formats/base/outcome.h \
	formats/base/utf16.c formats/base/utf16.h \
	formats/base/wintime.c formats/base/wintime.h
formats_base_libbase_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
