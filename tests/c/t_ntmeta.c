/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/c/check.h"

#include <errno.h>
#include <stdint.h>
#include <sys/stat.h>

#include "formats/base/bounds.h"
#include "formats/base/err.h"
#include "formats/ntmeta.h"

static char out[64];

static int target(const char *text, bool relative)
{
	static const struct ntmeta_drive drives[] = { { 'D', "/mnt/d" } };

	return ntmeta_target(text, relative, drives, 1, out, sizeof(out));
}

static void test_targets_are_rebased(void)
{
	CHECK_INT(target("\\??\\C:\\Users\\All", false), NTMETA_IN_VOLUME);
	CHECK_STR(out, "Users/All");
	CHECK_INT(target("\\??\\c:\\", false), NTMETA_IN_VOLUME);
	CHECK_STR(out, "");
	CHECK_INT(target("C:", false), NTMETA_IN_VOLUME);
	CHECK_STR(out, "");
	CHECK_INT(target("\\??\\d:\\x\\y\\", false), NTMETA_OUTSIDE);
	CHECK_STR(out, "/mnt/d/x/y");
	CHECK_INT(target("..\\a\\.\\b", true), NTMETA_BESIDE);
	CHECK_STR(out, "../a/b");
	CHECK_INT(target("\\top\\b", true), NTMETA_IN_VOLUME);
	CHECK_STR(out, "top/b");
}

static void test_what_cannot_be_expressed_stays(void)
{
	CHECK_INT(target("\\??\\Volume{1-2}\\", false), NTMETA_AS_IS);
	CHECK_STR(out, "\\??\\Volume{1-2}\\");
	CHECK_INT(target("\\??\\UNC\\server\\share", false), NTMETA_AS_IS);
	CHECK_INT(target("C:relative", false), NTMETA_AS_IS);
	CHECK_INT(target("", false), NTMETA_AS_IS);
}

static void test_long_targets_are_refused(void)
{
	char text[200];

	memset(text, 'a', sizeof(text));
	text[199] = '\0';
	CHECK_INT(target(text, true), -ENAMETOOLONG);
	CHECK_INT(target(text, false), -ENAMETOOLONG);
	memcpy(text, "D:\\", 3);
	CHECK_INT(target(text, false), -ENAMETOOLONG);
	CHECK_INT(ntmeta_target("x", true, NULL, 0, out, 0), -ENAMETOOLONG);
	CHECK_INT(ntmeta_target("x", true, NULL, 0, out, 1), -ENAMETOOLONG);
	CHECK_INT(ntmeta_target("x", true, NULL, 0, out, 2), NTMETA_BESIDE);
}

static void test_reparse_lengths_do_not_reach_out(void)
{
	uint8_t v[40] = { 0x0c, 0, 0, 0xa0, 20, 0, 0, 0,
			  2, 0, 4, 0, 0, 0, 2, 0, 1, 0, 0, 0,
			  'p', 0, 'a', 0, 'b', 0, 0, 0 };
	struct ntmeta_reparse r;

	CHECK_INT(ntmeta_reparse_decode(v, 28, &r), 0);
	CHECK(r.relative && r.target == v + 22 && r.target_len == 4);
	CHECK_INT(ntmeta_reparse_decode(v, 27, &r), -ERR_CORRUPT);
	CHECK_INT(ntmeta_reparse_decode(v, 7, &r), -ERR_CORRUPT);
	v[8] = 8;	/* starts behind the end */
	CHECK_INT(ntmeta_reparse_decode(v, 28, &r), -ERR_CORRUPT);
	v[8] = 2;
	v[10] = 3;	/* half a unit */
	CHECK_INT(ntmeta_reparse_decode(v, 28, &r), -ERR_CORRUPT);
	v[4] = 8;	/* no room for the fields */
	CHECK_INT(ntmeta_reparse_decode(v, 28, &r), -ERR_CORRUPT);
}

static void test_kinds(void)
{
	uint32_t rp = NTMETA_REPARSE;

	CHECK_INT(ntmeta_kind_of(NTMETA_TAG_WOF, 0), NTMETA_PLAIN);
	CHECK_INT(ntmeta_kind_of(NTMETA_TAG_WOF, rp), NTMETA_ELSEWHERE);
	CHECK_INT(ntmeta_kind_of(NTMETA_TAG_DEDUP, rp), NTMETA_ELSEWHERE);
	CHECK_INT(ntmeta_kind_of(0x9000301a, rp), NTMETA_PLAIN);
	CHECK_INT(ntmeta_kind_of(0x9000301a, rp | NTMETA_RECALL_ON_ACCESS),
		  NTMETA_ELSEWHERE);
	CHECK_INT(ntmeta_kind_of(NTMETA_TAG_MOUNT_POINT, rp), NTMETA_LINK);
	CHECK_INT(ntmeta_kind_of(0xa0001234, rp), NTMETA_STRANGE_LINK);
	CHECK_INT(ntmeta_kind_of(0x80001234, rp), NTMETA_ELSEWHERE);
	CHECK_INT(ntmeta_type(NTMETA_STRANGE_LINK, true), S_IFLNK);
	CHECK_INT(ntmeta_type(NTMETA_ELSEWHERE, true), S_IFDIR);
	CHECK_STR(ntmeta_tag_name(NTMETA_TAG_WOF), "WOF");
	CHECK_STR(ntmeta_tag_name(0x9000f01a), "CLOUD");
	CHECK(!ntmeta_tag_name(0x12345678));
}

static void test_drives_and_xattr_names(void)
{
	const char *path;
	char letter;

	CHECK_INT(ntmeta_drive_parse("c:=/mnt/c", &letter, &path), 0);
	CHECK(letter == 'C');
	CHECK_STR(path, "/mnt/c");
	CHECK_INT(ntmeta_drive_parse("D=/d", &letter, &path), 0);
	CHECK_INT(ntmeta_drive_parse("", &letter, &path), -EINVAL);
	CHECK_INT(ntmeta_drive_parse("1:=/d", &letter, &path), -EINVAL);
	CHECK_INT(ntmeta_drive_parse("C:=", &letter, &path), -EINVAL);
	CHECK_INT(ntmeta_xattr_of("system.ntfs_times_be"), NTMETA_X_TIMES_BE);
	CHECK_INT(ntmeta_xattr_of("system.ntfs_tim"), NTMETA_X_NONE);
	CHECK_STR(ntmeta_xattr_stream("user.a.b"), "a.b");
	CHECK_STR(ntmeta_xattr_stream("security.x"), "security.x");
	CHECK(!ntmeta_xattr_stream("user."));
	CHECK(!ntmeta_xattr_stream("system.posix_acl_access"));
}

int main(void)
{
	test_targets_are_rebased();
	test_what_cannot_be_expressed_stays();
	test_long_targets_are_refused();
	test_reparse_lengths_do_not_reach_out();
	test_kinds();
	test_drives_and_xattr_names();
	return 0;
}
