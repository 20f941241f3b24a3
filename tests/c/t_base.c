/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/c/check.h"

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/base/cache.h"
#include "formats/base/crc.h"
#include "formats/base/dev_mem.h"
#include "formats/base/dev_ram.h"
#include "formats/base/dev_slice.h"
#include "formats/base/diag.h"
#include "formats/base/endian.h"
#include "formats/base/guid.h"
#include "formats/base/map.h"
#include "formats/base/utf16.h"
#include "formats/base/wintime.h"

static void test_endian_vectors(void)
{
	uint8_t raw[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	le64_t l;
	be32_t b;

	memcpy(&l, raw, sizeof(l));
	memcpy(&b, raw, sizeof(b));
	CHECK(le64(l) == 0x0807060504030201ULL);
	CHECK(be32(b) == 0x01020304);
	b = to_be32(0xa0b0c0d0);
	CHECK(b.b[0] == 0xa0 && b.b[3] == 0xd0);
}

static void test_bounds_do_not_wrap(void)
{
	CHECK(range_within(0, 0, 0));
	CHECK(range_within(10, 5, 15) && !range_within(10, 6, 15));
	CHECK(!range_within(UINT64_MAX, 2, 100));
	CHECK(!range_within(1, UINT64_MAX, 100));
	CHECK(ranges_overlap(0, 10, 9, 1) && !ranges_overlap(0, 10, 10, 1));
	CHECK(!ranges_overlap(5, 0, 0, 10));
	CHECK(ranges_overlap(UINT64_MAX - 1, 2, UINT64_MAX, 1));
	CHECK(div_up(UINT64_MAX, 2) == 1ULL << 63);
}

static void test_crc_vectors(void)
{
	uint8_t zeros[4096] = { 0 };

	CHECK(crc32c("123456789", 9) == 0xE3069283);
	CHECK(crc32c(zeros, 32) == 0x8A9136AA);
	CHECK(crc32c(zeros, 4096) == 0x98F94189);
	CHECK(crc32_zip("123456789", 9) == 0xCBF43926);
}

static void test_guid_text_both_ways(void)
{
	static const uint8_t file[16] = {
		0x66, 0x77, 0xC2, 0x2D, 0x23, 0xF6, 0x00, 0x42,
		0x9D, 0x64, 0x11, 0x5E, 0x9B, 0xFD, 0x4A, 0x08
	};
	struct guid g, back;
	char text[GUID_TEXT];

	memcpy(&g, file, 16);
	CHECK_STR(guid_format(&g, text),
		  "2dc27766-f623-4200-9d64-115e9bfd4a08");
	CHECK_INT(guid_parse("{2DC27766-F623-4200-9D64-115E9BFD4A08}", 38,
			     &back), 0);
	CHECK(guid_eq(&g, &back));
	CHECK_INT(guid_parse("2DC27766-F623-4200-9D64-115E9BFD4A0", 35, &back),
		  -EINVAL);
	CHECK_INT(guid_parse("2DC27766xF623-4200-9D64-115E9BFD4A08", 36, &back),
		  -EINVAL);
	CHECK_INT(guid_random(&back), 0);
	CHECK(!guid_is_zero(&back));
}

static void test_utf16_keeps_lone_surrogates(void)
{
	static const uint8_t le[] = { 'a', 0, 0xe4, 0, 0x3d, 0xd8, 0x00, 0xde,
				      0x00, 0xd8, 'z', 0 };
	char text[64];
	uint8_t back[64];
	int n = utf16le_to_utf8(le, 6, text, sizeof(text));

	CHECK_INT(n, 1 + 2 + 4 + 3 + 1);
	CHECK(!memcmp(text + 1, "\xc3\xa4\xf0\x9f\x98\x80", 6));
	CHECK_INT(utf8_to_utf16le(text, (size_t)n, back, 32), 6);
	CHECK(!memcmp(back, le, sizeof(le)));
	CHECK_INT(utf16le_to_utf8(le, 6, text, 11), -ENAMETOOLONG);
	CHECK_INT(utf8_to_utf16le("\xc0\x80", 2, back, 32), -EILSEQ);
	CHECK_INT(utf8_to_utf16le("\xf0\x9f", 2, back, 32), -EILSEQ);
	CHECK_INT(utf8_to_utf16le("abc", 3, back, 2), -ENAMETOOLONG);
}

static void test_wintime_epochs(void)
{
	struct timespec ts = wintime_to_timespec(116444736000000001ULL);

	CHECK_INT(ts.tv_sec, 0);
	CHECK_INT(ts.tv_nsec, 100);
	CHECK(wintime_from_timespec(ts) == 116444736000000001ULL);
	ts = wintime_to_timespec(0);
	CHECK_INT(ts.tv_sec, -11644473600LL);
	CHECK(wintime_from_timespec(ts) == 0);
}

static void test_diag_first_reason_stays(void)
{
	struct diag why = DIAG_INIT;

	CHECK_INT(diag_fail(&why, ERR_CORRUPT, "a: %d", 1), -ERR_CORRUPT);
	CHECK_INT(diag_fail(&why, EIO, "b"), -EIO);
	CHECK_STR(why.text, "a: 1");
	CHECK(why.out == OUT_CORRUPT);
	CHECK_INT(diag_in(&why, EIO, "x\n%s", "y"), -ERR_CORRUPT);
	CHECK_STR(why.text, "x?y: a: 1");
	CHECK_INT(diag_fail(NULL, EBUSY, "c"), -EBUSY);
	CHECK(outcome_find(OUT_LOCKED)->msvm == 32774);
}

static void test_diag_is_one_line_of_utf8(void)
{
	static const char *const pairs[][2] = {
		{ "B\xc3\xa4" "r \xe2\x82\xac \xf0\x9f\x98\x80",
		  "B\xc3\xa4" "r \xe2\x82\xac \xf0\x9f\x98\x80" },
		{ "a\nb\x1b[2J\x7f", "a?b?[2J?" },
		{ "\xed\xa0\x80.x", "???.x" },	/* a lone surrogate */
		{ "\xc2\x9b" "2J", "??2J" },	/* CSI in one unit */
		{ "\xe4r \xc0\xaf \xf5", "?r ?? ?" },
		{ "cut \xe2\x82", "cut ??" },
	};

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		struct diag why = DIAG_INIT;

		diag_fail(&why, EIO, "%s", pairs[i][0]);
		CHECK_STR(why.text, pairs[i][1]);
	}
}

static void test_map_survives_deletes(void)
{
	struct map m = { 0 };
	static int values[5000];

	for (uint64_t i = 0; i < 5000; i++)
		CHECK_INT(map_put(&m, i * 4096, &values[i]), 0);
	for (uint64_t i = 0; i < 5000; i += 3)
		CHECK(map_del(&m, i * 4096) == &values[i]);
	for (uint64_t i = 0; i < 5000; i++)
		CHECK(map_get(&m, i * 4096) == (i % 3 ? &values[i] : NULL));
	CHECK(!map_del(&m, 1));
	map_free(&m);
}

static int fills;
static int fill(void *ctx, uint64_t key, void *block)
{
	fills++;
	if (key == 13)
		return -EIO;
	memset(block, (int)key, 16);
	return 0;
}

static void test_cache_evicts_and_refills(void)
{
	struct cache *c;
	const void *pinned;
	uint8_t b;

	CHECK_INT(cache_new(16, 2, fill, NULL, &c), 0);
	CHECK_INT(cache_get(c, 1, &pinned), 0);
	for (uint64_t k = 2; k < 6; k++) {
		CHECK_INT(cache_copy(c, k, 15, &b, 1), 0);
		CHECK_INT(b, k);
	}
	CHECK_INT(*(const uint8_t *)pinned, 1);
	CHECK_INT(fills, 5);
	CHECK_INT(cache_copy(c, 1, 0, &b, 1), 0);
	CHECK_INT(fills, 5);
	CHECK_INT(cache_copy(c, 2, 0, &b, 1), 0);
	CHECK_INT(fills, 6);
	CHECK_INT(cache_copy(c, 13, 0, &b, 1), -EIO);
	CHECK_INT(cache_copy(c, 13, 0, &b, 1), -EIO);
	cache_drop_all(c);
	CHECK_INT(*(const uint8_t *)pinned, 1);
	cache_put(c, pinned);
	cache_free(c);
}

static void test_slice_stays_inside(void)
{
	struct dev *base, *s;
	uint8_t b[4];

	CHECK_INT(dev_mem_new("0123456789", 10, &base), 0);
	CHECK_INT(dev_slice_new(base, 4, 7, &s, NULL), -ERR_CORRUPT);
	CHECK_INT(dev_slice_new(base, 4, 4, &s, NULL), 0);
	CHECK_INT(dev_read(s, b, 4, 0), 0);
	CHECK(!memcmp(b, "4567", 4));
	CHECK_INT(dev_read(s, b, 2, 3), -EINVAL);
	CHECK_INT(dev_write(s, "xx", 2, 3), -ENOSPC);
	CHECK_INT(dev_write(s, "x", 1, 3), 0);
	CHECK_INT(dev_read(base, b, 2, 7), 0);
	CHECK(!memcmp(b, "x8", 2));
	dev_close(s);
	dev_close(base);
}

static void test_ram_leaves_base_until_applied(void)
{
	struct dev *base, *ram;
	uint8_t b[8], big[10000];

	memset(big, 'b', sizeof(big));
	CHECK_INT(dev_mem_new(big, sizeof(big), &base), 0);
	CHECK_INT(dev_ram_new(base, &ram, NULL), 0);
	CHECK_INT(dev_write(ram, "XY", 2, 4095), 0);
	CHECK_INT(dev_read(ram, b, 4, 4094), 0);
	CHECK(!memcmp(b, "bXYb", 4));
	CHECK_INT(dev_read(base, b, 4, 4094), 0);
	CHECK(!memcmp(b, "bbbb", 4));
	CHECK_INT(dev_resize(ram, 20000, NULL), 0);
	CHECK_INT(dev_write(ram, "E", 1, 19999), 0);
	CHECK_INT(dev_read(ram, b, 4, 9998), 0);
	CHECK(!memcmp(b, "bb\0\0", 4));
	CHECK_INT(dev_ram_pages(ram), 3);
	CHECK_INT(dev_ram_apply(ram), -ENOSPC);
	CHECK_INT(dev_resize(base, 20000, NULL), 0);
	CHECK_INT(dev_ram_apply(ram), 0);
	CHECK_INT(dev_read(base, b, 4, 4094), 0);
	CHECK(!memcmp(b, "bXYb", 4));
	CHECK_INT(dev_read(base, b, 1, 19999), 0);
	CHECK_INT(b[0], 'E');
	CHECK_INT(dev_write(ram, "q", 1, 0), 0);
	CHECK_INT(dev_read(base, b, 1, 0), 0);
	CHECK_INT(b[0], 'q');
	dev_close(ram);
	dev_close(base);
}

static void test_not_writing_is_erofs(void)
{
	struct dev *base;

	CHECK_INT(dev_mem_new(NULL, 512, &base), 0);
	base->writing = false;
	CHECK_INT(dev_write(base, "x", 1, 0), -EROFS);
	CHECK_INT(dev_zero(base, 0, 1, false), -EROFS);
	CHECK_INT(dev_begin_write(base, NULL), 0);
	CHECK_INT(dev_write(base, "x", 1, 0), 0);
	dev_close(base);
}

static void test_alloc_trap_and_overflow(void)
{
	void *p;

	CHECK(!mem_alloc(SIZE_MAX / 2, 3));
	CHECK(!mem_zalloc(SIZE_MAX / 2, 3));
	mem_fail_nth(2);
	p = mem_alloc(1, 1);
	CHECK(p);
	free(p);
	CHECK(!mem_alloc(1, 1));
	CHECK_INT(mem_fail_nth(0), 2);
}

int main(void)
{
	test_endian_vectors();
	test_bounds_do_not_wrap();
	test_crc_vectors();
	test_guid_text_both_ways();
	test_utf16_keeps_lone_surrogates();
	test_wintime_epochs();
	test_diag_first_reason_stays();
	test_diag_is_one_line_of_utf8();
	test_map_survives_deletes();
	test_cache_evicts_and_refills();
	test_slice_stays_inside();
	test_ram_leaves_base_until_applied();
	test_not_writing_is_erofs();
	test_alloc_trap_and_overflow();
	return 0;
}
