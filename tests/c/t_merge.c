/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The journal: what is written comes back, and nothing else does. */
#include "formats/base/alloc.h"
#include "formats/merge/merge_int.h"
#include "tests/c/check.h"

static char odd_path[] = "/dir with space/100%\n\xff" "child.avhdx";
static char plain_path[] = "/dir/base.vhdx";

static struct merge_jfile files[] = {
	{ odd_path, "11111111-2222-3333-4444-555555555555",
	  "22222222-2222-3333-4444-555555555555", 12345 },
	{ plain_path, "22222222-2222-3333-4444-555555555555", "", 0 },
};
static struct merge_past past[] = {
	{ "33333333-2222-3333-4444-555555555555", "" },
};

static const struct merge_journal sample = {
	.format = DISK_VHDX, .step = MERGE_RELINK, .remove = true,
	.new_id = "44444444-2222-3333-4444-555555555555", .done = 1ull << 40,
	.size = 1ull << 41, .n = 2, .target = 1, .files = files, .n_kids = 1,
	.kids = files, .n_past = 1, .past = past,
};

static void round_trip(const char *text)
{
	struct merge_journal j = { 0 };

	CHECK_INT(merge_journal_decode(&j, text, NULL), 0);
	CHECK_INT(j.step, MERGE_RELINK);
	CHECK_INT(j.format, DISK_VHDX);
	CHECK(j.remove && j.n == 2 && j.target == 1 && j.n_kids == 1);
	CHECK(j.done == 1ull << 40 && j.size == 1ull << 41);
	CHECK_STR(j.files[0].path, odd_path);
	CHECK_STR(j.files[0].parent, files[0].parent);
	CHECK_STR(j.files[1].parent, "");
	CHECK_INT(j.files[0].stamp, 12345);
	CHECK_STR(j.kids[0].path, odd_path);
	CHECK_STR(j.past[0].id, past[0].id);
	merge_journal_free(&j);
}

static void every_byte_counts(const char *text)
{
	size_t len = strlen(text);
	char *bad = mem_strdup(text);

	for (size_t i = 0; i < len - 1; i++) {
		struct merge_journal j = { 0 };

		bad[i] ^= 1;
		CHECK(merge_journal_decode(&j, bad, NULL) < 0);
		merge_journal_free(&j);
		bad[i] = text[i];
		bad[i + 1] = '\0';
		CHECK(merge_journal_decode(&j, bad, NULL) < 0 ||
		      i == len - 2);
		merge_journal_free(&j);
		bad[i + 1] = text[i + 1];
	}
	free(bad);
}

static void every_allocation(const char *text)
{
	int ret;
	unsigned long n = 0;

	do {
		struct merge_journal j = { 0 };

		mem_fail_nth(++n);
		ret = merge_journal_decode(&j, text, NULL);
		mem_fail_nth(0);
		merge_journal_free(&j);
	} while (ret && n < 100);
	CHECK(n > 3 && n < 100);
}

int main(void)
{
	char *text = merge_journal_encode(&sample);
	char *path;

	CHECK(text != NULL);
	round_trip(text);
	every_byte_counts(text);
	every_allocation(text);
	free(text);
	path = merge_journal_path("/a/b.vhd", "merge");
	CHECK_STR(path, "/a/.b.vhd.merge");
	free(path);
	return 0;
}
