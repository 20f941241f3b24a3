# SPDX-License-Identifier: GPL-3.0-or-later
FUZZ_WIM_LIBS = $(WIM_LIBS) formats/libtree.a formats/base/libbase.a \
	$(XML2_LIBS) $(CRYPTO_LIBS) $(ISAL_LIBS)
FUZZ_TARGETS += tests/fuzz/fuzz_wim tests/fuzz/fuzz_wim_meta \
	tests/fuzz/fuzz_wim_xml tests/fuzz/fuzz_wim_res
if FUZZ
tests_fuzz_fuzz_wim_SOURCES = tests/fuzz/fuzz_wim.c
tests_fuzz_fuzz_wim_CFLAGS = $(FUZZ_CFLAGS) -DWIM_PART=0
tests_fuzz_fuzz_wim_LDADD = $(FUZZ_WIM_LIBS)
tests_fuzz_fuzz_wim_meta_SOURCES = tests/fuzz/fuzz_wim.c
tests_fuzz_fuzz_wim_meta_CFLAGS = $(FUZZ_CFLAGS) -DWIM_PART=1
tests_fuzz_fuzz_wim_meta_LDADD = $(FUZZ_WIM_LIBS)
tests_fuzz_fuzz_wim_xml_SOURCES = tests/fuzz/fuzz_wim.c
tests_fuzz_fuzz_wim_xml_CFLAGS = $(FUZZ_CFLAGS) -DWIM_PART=2
tests_fuzz_fuzz_wim_xml_LDADD = $(FUZZ_WIM_LIBS)
tests_fuzz_fuzz_wim_res_SOURCES = tests/fuzz/fuzz_wim.c
tests_fuzz_fuzz_wim_res_CFLAGS = $(FUZZ_CFLAGS) -DWIM_PART=3
tests_fuzz_fuzz_wim_res_LDADD = $(FUZZ_WIM_LIBS)
endif
