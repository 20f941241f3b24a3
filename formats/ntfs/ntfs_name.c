/* SPDX-License-Identifier: GPL-3.0-or-later */
/* NTFS names: decoding, the order of directories, and UTF-8. */
#include <string.h>

#include "formats/base/utf16.h"
#include "formats/ntfs/ntfs_int.h"

int ntfs_name_decode(const uint8_t *value, uint32_t len, struct ntfs_name *out)
{
	struct ntfs_disk_file_name n;

	if (len < sizeof(n))
		return -ERR_CORRUPT;
	memcpy(&n, value, sizeof(n));
	if (!n.name_len || !range_within(sizeof(n), n.name_len * 2u, len))
		return -ERR_CORRUPT;
	*out = (struct ntfs_name) {
		.parent = le64(n.parent), .attrs = le32(n.attrs),
		.tag = le32(n.reparse_tag), .len = n.name_len,
		.space = n.name_space,
		.units = (const le16_t *)(value + sizeof(n)),
	};
	return 0;
}

/* Without regard to case; then the shorter one first. */
static int compare_folded(const struct ntfs *v, const le16_t *a, size_t a_len,
			  const le16_t *b, size_t b_len)
{
	size_t n = min_of(a_len, b_len);

	for (size_t i = 0; i < n; i++) {
		uint16_t x = le16(a[i]), y = le16(b[i]);

		if (x == y)
			continue;
		x = v->upcase[x];
		y = v->upcase[y];
		if (x != y)
			return x < y ? -1 : 1;
	}
	return a_len == b_len ? 0 : a_len < b_len ? -1 : 1;
}

int ntfs_name_compare(const struct ntfs *v, const le16_t *a, size_t a_len,
		      const le16_t *b, size_t b_len)
{
	int ret = compare_folded(v, a, a_len, b, b_len);

	for (size_t i = 0; !ret && i < a_len; i++) {
		uint16_t x = le16(a[i]), y = le16(b[i]);

		if (x != y)
			ret = x < y ? -1 : 1;
	}
	return ret;
}

bool ntfs_name_same(const struct ntfs *v, const le16_t *a, size_t a_len,
		    const le16_t *b, size_t b_len)
{
	return a_len == b_len && !compare_folded(v, a, a_len, b, b_len);
}

/* Nearly all names are ASCII. Returns how many units were done. */
static size_t ascii_part(const le16_t *units, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t c = le16(units[i]);

		if (c >= 0x80 || !c || c == '/')
			return i;
		out[i] = (char)c;
	}
	return n;
}

int ntfs_name_utf8(const le16_t *units, size_t n, char *out)
{
	size_t done = ascii_part(units, n, out);
	int len;

	if (done < n) {
		len = utf16le_to_utf8(units + done, n - done, out + done,
				      NTFS_NAME_UTF8 - done);
		if (len < 0 || memchr(out + done, '/', (size_t)len) ||
		    memchr(out + done, 0, (size_t)len))
			return 0;
		n = done + (size_t)len;
	}
	out[n] = '\0';
	if (out[0] == '.' && (n == 1 || (n == 2 && out[1] == '.')))
		return 0;
	return (int)n;
}
