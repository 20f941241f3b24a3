/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/ntmeta.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "formats/base/bounds.h"
#include "formats/base/endian.h"
#include "formats/base/err.h"

mode_t ntmeta_mode(uint32_t attrs, bool dir)
{
	return (dir ? S_IFDIR : S_IFREG) | 0777;
}

static const struct {
	uint32_t tag;
	enum ntmeta_kind kind;
	const char *name;
} tags[] = {
	{ NTMETA_TAG_MOUNT_POINT, NTMETA_LINK, "MOUNT_POINT" },
	{ NTMETA_TAG_SYMLINK, NTMETA_LINK, "SYMLINK" },
	{ NTMETA_TAG_LX_SYMLINK, NTMETA_LINK, "LX_SYMLINK" },
	{ NTMETA_TAG_AF_UNIX, NTMETA_SOCK, "AF_UNIX" },
	{ NTMETA_TAG_LX_FIFO, NTMETA_FIFO, "LX_FIFO" },
	{ NTMETA_TAG_LX_CHR, NTMETA_CHR, "LX_CHR" },
	{ NTMETA_TAG_LX_BLK, NTMETA_BLK, "LX_BLK" },
	{ NTMETA_TAG_DEDUP, NTMETA_ELSEWHERE, "DEDUP" },
	{ NTMETA_TAG_WOF, NTMETA_ELSEWHERE, "WOF" },
	{ 0xc0000004u, NTMETA_ELSEWHERE, "HSM" },
	{ 0x80000006u, NTMETA_ELSEWHERE, "HSM2" },
	{ 0x80000007u, NTMETA_ELSEWHERE, "SIS" },
	{ 0x80000008u, NTMETA_ELSEWHERE, "WIM" },
	{ 0x8000000au, NTMETA_PLAIN, "DFS" },
	{ 0x80000012u, NTMETA_PLAIN, "DFSR" },
	{ 0x80000014u, NTMETA_ELSEWHERE, "NFS" },
	{ 0x80000015u, NTMETA_ELSEWHERE, "FILE_PLACEHOLDER" },
	{ 0x80000018u, NTMETA_ELSEWHERE, "WCI" },
	{ 0x90001018u, NTMETA_ELSEWHERE, "WCI_1" },
	{ 0x80000021u, NTMETA_ELSEWHERE, "ONEDRIVE" },
	{ 0x8000001bu, NTMETA_PLAIN, "APPEXECLINK" },
	{ 0x9000001cu, NTMETA_ELSEWHERE, "PROJFS" },
};

static bool is_cloud(uint32_t tag)
{
	return (tag & NTMETA_TAG_CLOUD_MASK) == NTMETA_TAG_CLOUD;
}

enum ntmeta_kind ntmeta_kind_of(uint32_t tag, uint32_t attrs)
{
	if (!(attrs & NTMETA_REPARSE))
		return NTMETA_PLAIN;
	/* A directory of a sync provider has its names here; a file that was
	 * fetched has its data here. */
	if (is_cloud(tag))
		return attrs & (NTMETA_OFFLINE | NTMETA_RECALL_ON_OPEN |
				NTMETA_RECALL_ON_ACCESS) ?
			NTMETA_ELSEWHERE : NTMETA_PLAIN;
	for (size_t i = 0; i < ARRAY_LEN(tags); i++)
		if (tags[i].tag == tag)
			return tags[i].kind;
	return tag & NTMETA_TAG_SURROGATE ? NTMETA_STRANGE_LINK
					  : NTMETA_ELSEWHERE;
}

mode_t ntmeta_type(enum ntmeta_kind kind, bool dir)
{
	switch (kind) {
	case NTMETA_LINK:
	case NTMETA_STRANGE_LINK:
		return S_IFLNK;
	case NTMETA_FIFO:
		return S_IFIFO;
	case NTMETA_CHR:
		return S_IFCHR;
	case NTMETA_BLK:
		return S_IFBLK;
	case NTMETA_SOCK:
		return S_IFSOCK;
	case NTMETA_PLAIN:
	case NTMETA_ELSEWHERE:
		break;
	}
	return dir ? S_IFDIR : S_IFREG;
}

const char *ntmeta_tag_name(uint32_t tag)
{
	for (size_t i = 0; i < ARRAY_LEN(tags); i++)
		if (tags[i].tag == tag)
			return tags[i].name;
	return is_cloud(tag) ? "CLOUD" : NULL;
}

/* Symlinks and junctions: offsets into a path buffer behind the fields. */
static int decode_names(const uint8_t *data, size_t len,
			struct ntmeta_reparse *out)
{
	bool symlink = out->tag == NTMETA_TAG_SYMLINK;
	size_t fixed = symlink ? 12 : 8, off, n;

	if (len < fixed)
		return -ERR_CORRUPT;
	off = le16_at(data);
	n = le16_at(data + 2);
	if (n & 1 || !n || !range_within(off, n, len - fixed))
		return -ERR_CORRUPT;
	out->target = data + fixed + off;
	out->target_len = n;
	out->relative = symlink && le32_at(data + 8) & 1;
	return 0;
}

int ntmeta_reparse_decode(const void *value, size_t len,
			  struct ntmeta_reparse *out)
{
	const uint8_t *p = value;
	struct ntmeta_reparse r = { 0 };
	size_t n;
	int ret = 0;

	if (len < 8 || len > NTMETA_REPARSE_MAX)
		return -ERR_CORRUPT;
	r.tag = le32_at(p);
	n = le16_at(p + 4);
	/* Tags of other makers have a GUID in front that does not count. */
	if (n > len - 8)
		return -ERR_CORRUPT;
	if (r.tag == NTMETA_TAG_SYMLINK || r.tag == NTMETA_TAG_MOUNT_POINT) {
		ret = decode_names(p + 8, n, &r);
	} else if (r.tag == NTMETA_TAG_LX_SYMLINK) {
		/* A version of four bytes, then the target as Linux has it. */
		if (n <= 4)
			return -ERR_CORRUPT;
		r.utf8 = true;
		r.target = p + 12;
		r.target_len = n - 4;
	}
	if (!ret)
		*out = r;
	return ret;
}

/* Skips the prefixes that stand before a drive letter. */
static const char *skip_prefix(const char *text)
{
	static const char *const prefixes[] = {
		"\\??\\", "\\\\?\\", "\\\\.\\", "\\DosDevices\\",
	};

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		size_t n = strlen(prefixes[i]);

		if (!strncmp(text, prefixes[i], n))
			return text + n;
	}
	return text;
}

/* Puts the parts of a Windows path behind what out has. */
static int append_parts(const char *text, char *out, size_t size)
{
	size_t pos = strlen(out);

	while (*text) {
		size_t n = strcspn(text, "\\/");

		if (n && !(n == 1 && *text == '.')) {
			bool slash = pos && out[pos - 1] != '/';

			if (n + slash >= size - pos)
				return -ENAMETOOLONG;
			if (slash)
				out[pos++] = '/';
			memcpy(out + pos, text, n);
			pos += n;
			out[pos] = '\0';
		}
		text += n;
		text += *text != '\0';
	}
	return 0;
}

static const char *drive_path(const struct ntmeta_drive *drives, size_t n,
			      char letter)
{
	for (size_t i = 0; i < n; i++)
		if (drives[i].letter == toupper((unsigned char)letter))
			return drives[i].path;
	return NULL;
}

static int put_text(const char *text, char *out, size_t size)
{
	size_t n = strlen(text);

	if (n >= size)
		return -ENAMETOOLONG;
	memcpy(out, text, n + 1);
	return 0;
}

int ntmeta_target(const char *text, bool relative,
		  const struct ntmeta_drive *drives, size_t n_drives,
		  char *out, size_t size)
{
	const char *p = skip_prefix(text), *path;
	int where = NTMETA_IN_VOLUME, ret;

	if (!size)
		return -ENAMETOOLONG;
	out[0] = '\0';
	if (relative) {
		if (*text != '\\')
			where = NTMETA_BESIDE;
		ret = append_parts(text, out, size);
		return ret ? ret : where;
	}
	if (!isalpha((unsigned char)p[0]) || p[1] != ':' ||
	    (p[2] && p[2] != '\\')) {
		ret = put_text(text, out, size);
		return ret ? ret : NTMETA_AS_IS;
	}
	path = drive_path(drives, n_drives, p[0]);
	if (path) {
		where = NTMETA_OUTSIDE;
		ret = put_text(path, out, size);
		if (ret)
			return ret;
	}
	ret = append_parts(p + 2, out, size);
	return ret ? ret : where;
}

int ntmeta_drive_parse(const char *text, char *letter, const char **path)
{
	const char *p = text + 1;

	if (!isalpha((unsigned char)*text))
		return -EINVAL;
	if (*p == ':')
		p++;
	if (*p != '=' || !p[1])
		return -EINVAL;
	*letter = (char)toupper((unsigned char)*text);
	*path = p + 1;
	return 0;
}

enum ntmeta_xattr ntmeta_xattr_of(const char *name)
{
	static const struct {
		const char *name;
		enum ntmeta_xattr which;
	} names[] = {
		{ "acl", NTMETA_X_ACL },
		{ "attrib", NTMETA_X_ATTRIB },
		{ "attrib_be", NTMETA_X_ATTRIB_BE },
		{ "reparse_data", NTMETA_X_REPARSE },
		{ "object_id", NTMETA_X_OBJECT_ID },
		{ "dos_name", NTMETA_X_DOS_NAME },
		{ "times", NTMETA_X_TIMES },
		{ "times_be", NTMETA_X_TIMES_BE },
		{ "crtime", NTMETA_X_CRTIME },
		{ "crtime_be", NTMETA_X_CRTIME_BE },
		{ "ea", NTMETA_X_EA },
		{ "efsinfo", NTMETA_X_EFSINFO },
	};

	if (strncmp(name, "system.ntfs_", 12))
		return NTMETA_X_NONE;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(name + 12, names[i].name))
			return names[i].which;
	return NTMETA_X_NONE;
}

const char *ntmeta_xattr_stream(const char *name)
{
	if (!strncmp(name, "user.", 5))
		return name[5] ? name + 5 : NULL;
	if (!strncmp(name, "trusted.", 8) || !strncmp(name, "security.", 9))
		return name;
	return NULL;
}
