/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of NTFS that need no volume. */
#include "tests/c/check.h"

#include "formats/ntfs/ntfs_int.h"

/* MS-XCA 3.3. */
static const uint8_t packed[] = {
	0x38, 0xb0, 0x88, 0x46, 0x23, 0x20, 0x00, 0x20, 0x47, 0x20, 0x41, 0x00,
	0x10, 0xa2, 0x47, 0x01, 0xa0, 0x45, 0x20, 0x44, 0x00, 0x08, 0x45, 0x01,
	0x50, 0x79, 0x00, 0xc0, 0x45, 0x20, 0x05, 0x24, 0x13, 0x88, 0x05, 0xb4,
	0x02, 0x4a, 0x44, 0xef, 0x03, 0x58, 0x02, 0x8c, 0x09, 0x16, 0x01, 0x48,
	0x45, 0x00, 0xbe, 0x00, 0x9e, 0x00, 0x04, 0x01, 0x18, 0x90, 0x00,
};
static const char plain[] =
	"F# F# G A A G F# E D D E F# F# E E F# F# G A A G F# E D D E F# E D D "
	"E E F# D E F# G F# D E F# G F# E D E A F# F# G A A G F# E D D E F# E "
	"D D";

static uint8_t out[8192];

static void test_lznt1_vector(void)
{
	CHECK_INT(ntfs_lznt1(packed, sizeof(packed), out, 4096), 0);
	CHECK_STR((char *)out, plain);
	for (size_t i = sizeof(plain); i < 4096; i++)
		CHECK(!out[i]);
}

static void test_lznt1_second_chunk_begins_at_4096(void)
{
	uint8_t two[2 * sizeof(packed)];

	memcpy(two, packed, sizeof(packed));
	memcpy(two + sizeof(packed), packed, sizeof(packed));
	CHECK_INT(ntfs_lznt1(two, sizeof(two), out, sizeof(out)), 0);
	CHECK_STR((char *)out, plain);
	CHECK_STR((char *)out + 4096, plain);
}

static void test_lznt1_never_leaves_its_buffers(void)
{
	uint8_t raw[sizeof(packed)];

	for (size_t n = 0; n < sizeof(packed); n++) {
		uint8_t *exact = malloc(n + !n);

		memcpy(exact, packed, n);
		ntfs_lznt1(exact, n, out, 4096);
		free(exact);
	}
	/* Refers back beyond the chunk's beginning. */
	memcpy(raw, packed, sizeof(raw));
	raw[2] = 0xff;
	CHECK_INT(ntfs_lznt1(raw, sizeof(raw), out, 4096), -ERR_CORRUPT);
	/* Says more than there is. */
	memcpy(raw, packed, sizeof(raw));
	raw[0]++;
	CHECK_INT(ntfs_lznt1(raw, sizeof(raw), out, 4096), -ERR_CORRUPT);
}

static const struct ntfs_geometry geo = {
	.cluster_shift = 12, .cluster_size = 4096, .n_clusters = 1000,
};

static int add(struct ntfs_runs *r, const char *pairs, size_t len,
	       uint64_t first, uint64_t end)
{
	struct ntfs_attr a = {
		.value = (const uint8_t *)pairs, .value_len = (uint32_t)len,
		.first_vcn = first, .end_vcn = end,
	};

	return ntfs_runs_add(&geo, r, &a);
}

static void test_runs_are_found(void)
{
	struct ntfs_runs r = { 0 };
	uint64_t lcn;

	/* 10 at 100, a hole of 5, 10 at 90 (-10), 4 right behind. */
	CHECK_INT(add(&r, "\x11\x0a\x64\x01\x05\x11\x0a\xf6\x11\x04\x0a\0", 12,
		      0, 29), 0);
	CHECK_INT(r.n, 3);
	CHECK_INT(ntfs_runs_at(&r, 3, &lcn), 7);
	CHECK_INT(lcn, 103);
	CHECK_INT(ntfs_runs_at(&r, 12, &lcn), 3);
	CHECK(lcn == NTFS_HOLE);
	CHECK_INT(ntfs_runs_at(&r, 15, &lcn), 14);
	CHECK_INT(lcn, 90);
	CHECK_INT(ntfs_runs_at(&r, 28, &lcn), 1);
	CHECK_INT(lcn, 103);
	/* The next extent goes on where this one ended. */
	CHECK_INT(add(&r, "\x11\x01\x01", 3, 28, 30), -ERR_CORRUPT);
	CHECK_INT(add(&r, "\x11\x01\x01", 3, 29, 30), 0);
	CHECK_INT(r.end, 30);
	ntfs_runs_free(&r);
}

static void check_refused(const char *pairs, size_t len, uint64_t end)
{
	struct ntfs_runs r = { 0 };

	CHECK_INT(add(&r, pairs, len, 0, end), -ERR_CORRUPT);
	ntfs_runs_free(&r);
}

static void test_runs_that_lie_are_refused(void)
{
	check_refused("\x11\x0a", 2, 10);		/* cut short */
	check_refused("\x91\x0a", 2, 10);		/* nine bytes of LCN */
	check_refused("\x10\x0a", 2, 10);		/* no length */
	check_refused("\x11\x00\x01", 3, 10);		/* empty */
	check_refused("\x11\x0a\x9c", 3, 10);		/* before cluster 0 */
	check_refused("\x21\x0a\xe0\x03", 4, 10);	/* ends at 1002 */
	check_refused("\x11\x0a\x01", 3, 9);		/* longer than told */
	check_refused("\x11\x0a\x01", 3, 11);		/* shorter */
	check_refused("\x18\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, 1);
	check_refused("\x11\x0a\x01", 3, 1ULL << 60);
}

static void test_fixup_catches_a_torn_write(void)
{
	uint8_t rec[1024] = "FILE\x30\0\x03\0", good[1024];

	memcpy(rec + 48, "\x07\0AABB", 6);
	memcpy(rec + 510, "\x07\0", 2);
	memcpy(rec + 1022, "\x07\0", 2);
	memcpy(good, rec, sizeof(rec));
	CHECK_INT(ntfs_fixup(good, sizeof(good), "FILE"), 0);
	CHECK(!memcmp(good + 510, "AA", 2) && !memcmp(good + 1022, "BB", 2));
	memcpy(good, rec, sizeof(rec));
	good[1022] = 6;
	CHECK_INT(ntfs_fixup(good, sizeof(good), "FILE"), -ERR_CORRUPT);
	memcpy(good, rec, sizeof(rec));
	CHECK_INT(ntfs_fixup(good, sizeof(good), "INDX"), -ERR_CORRUPT);
	good[6] = 200;	/* an array longer than the record has strides */
	CHECK_INT(ntfs_fixup(good, sizeof(good), "FILE"), -ERR_CORRUPT);
	memcpy(good, rec, sizeof(rec));
	good[5] = 0xff;	/* an array outside */
	CHECK_INT(ntfs_fixup(good, sizeof(good), "FILE"), -ERR_CORRUPT);
}

static void test_ids_are_never_0_and_come_back(void)
{
	static const uint64_t recs[] = { 0, 1, 2, 4, 5, 6, 16, 1ULL << 47 };

	for (size_t i = 0; i < ARRAY_LEN(recs); i++) {
		CHECK(ntfs_id_of_record(recs[i]));
		CHECK(ntfs_record_of_id(ntfs_id_of_record(recs[i])) == recs[i]);
	}
	CHECK_INT(ntfs_id_of_record(5), TREE_ROOT);
}

static void test_names_are_ordered_as_ntfs_does(void)
{
	uint16_t *upcase = malloc(NTFS_UPCASE_LEN * 2);
	struct ntfs v = { .upcase = upcase };
	le16_t a[2] = { to_le16('a'), to_le16('b') };
	le16_t b[2] = { to_le16('A'), to_le16('c') };
	le16_t c[2] = { to_le16('A'), to_le16('b') };

	for (unsigned i = 0; i < NTFS_UPCASE_LEN; i++)
		upcase[i] = (uint16_t)(i >= 'a' && i <= 'z' ? i - 32 : i);
	CHECK_INT(ntfs_name_compare(&v, a, 2, b, 2), -1);
	CHECK_INT(ntfs_name_compare(&v, a, 2, c, 2), 1);
	CHECK_INT(ntfs_name_compare(&v, a, 2, c, 1), 1);
	CHECK_INT(ntfs_name_compare(&v, a, 2, a, 2), 0);
	CHECK(ntfs_name_same(&v, a, 2, c, 2) &&
	      !ntfs_name_same(&v, a, 2, b, 2));
	free(upcase);
}

static void test_names_that_linux_cannot_hold(void)
{
	le16_t slash[3] = { to_le16(0xe4), to_le16('/'), to_le16('x') };
	le16_t nul[2] = { to_le16('x'), to_le16(0) };
	le16_t dots[2] = { to_le16('.'), to_le16('.') };
	le16_t lone[1] = { to_le16(0xd800) };
	char text[NTFS_NAME_UTF8];

	CHECK_INT(ntfs_name_utf8(slash, 3, text), 0);
	CHECK_INT(ntfs_name_utf8(nul, 2, text), 0);
	CHECK_INT(ntfs_name_utf8(dots, 2, text), 0);
	CHECK_INT(ntfs_name_utf8(dots, 1, text), 0);
	CHECK_INT(ntfs_name_utf8(lone, 1, text), 3);
}

int main(void)
{
	test_lznt1_vector();
	test_lznt1_second_chunk_begins_at_4096();
	test_lznt1_never_leaves_its_buffers();
	test_runs_are_found();
	test_runs_that_lie_are_refused();
	test_fixup_catches_a_torn_write();
	test_ids_are_never_0_and_come_back();
	test_names_are_ordered_as_ntfs_does();
	test_names_that_linux_cannot_hold();
	return 0;
}
