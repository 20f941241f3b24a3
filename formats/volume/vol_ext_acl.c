/* SPDX-License-Identifier: GPL-3.0-or-later */
/* POSIX ACLs: ext4 leaves out the id where the tag needs none (kernel:
 * fs/ext4/acl.h); the attribute system.posix_acl_* always has it. */
#include "formats/volume/vol_ext_int.h"

#include "formats/base/bounds.h"

#define VERSION_DISK	1u
#define VERSION_VALUE	2u
enum { TAG_USER = 2, TAG_GROUP = 8 };

ssize_t vol_ext_acl_value(const uint8_t *raw, size_t len, uint8_t *buf,
			  size_t size)
{
	le32_t version = to_le32(VERSION_VALUE), none = to_le32(UINT32_MAX);
	size_t at = 4, n = 4;

	if (len < 4 || le32_at(raw) != VERSION_DISK)
		return -ERR_CORRUPT;
	if (size >= 4)
		memcpy(buf, &version, 4);
	while (at < len) {
		uint16_t tag = range_within(at, 4, len) ? le16_at(raw + at) : 0;
		bool id = tag == TAG_USER || tag == TAG_GROUP;

		if (!range_within(at, id ? 8 : 4, len))
			return -ERR_CORRUPT;
		if (size >= n + 8) {
			memcpy(buf + n, raw + at, 4);
			memcpy(buf + n + 4, id ? raw + at + 4 : none.b, 4);
		}
		at += id ? 8 : 4;
		n += 8;
	}
	return size && n > size ? -ERANGE : (ssize_t)n;
}
