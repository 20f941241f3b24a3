/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is neither VHD nor VHDX: somebody else's container by its name, so that
 * it is not taken for a raw disk with nothing on it. */
#include <string.h>
#include <strings.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/disk/disk_int.h"

struct magic {
	uint16_t off;
	uint8_t len;
	const char *bytes;
	const char *name;
};

/* Signatures as in the formats' own documents and in file(1). */
static const struct magic magics[] = {
	{ 0, 4, "QFI\xfb", "a QCOW image" },
	{ 0, 4, "QED\0", "a QED image" },
	{ 0, 4, "KDMV", "a VMDK image" },
	{ 0, 4, "COWD", "a VMDK image" },
	{ 0, 21, "# Disk DescriptorFile", "a VMDK descriptor" },
	{ 64, 4, "\x7f\x10\xda\xbe", "a VDI image" },
	{ 0, 16, "WithoutFreeSpace", "a Parallels image" },
	{ 0, 16, "WithouFreSpacExt", "a Parallels image" },
	{ 0, 8, "EVF\x09\x0d\x0a\xff\0", "an EWF (EnCase) image" },
	{ 0, 8, "EVF2\x0d\x0a\x81\0", "an EWF (EnCase) image" },
	{ 0, 4, "AFF1", "an AFF image" },
	{ 0, 8, "MSWIM\0\0\0", "a WIM image (wimfs mounts it)" },
	{ 0, 6, "\xfd" "7zXZ\0", "compressed by xz" },
	{ 0, 4, "\x28\xb5\x2f\xfd", "compressed by zstd" },
	{ 0, 3, "\x1f\x8b\x08", "compressed by gzip" },
	{ 0, 6, "7z\xbc\xaf\x27\x1c", "a 7z archive" },
	{ 0, 4, "PK\x03\x04", "a zip archive" },
};

#define PROBE_LEN 512

static bool has_suffix(const char *path, const char *suffix)
{
	size_t n = strlen(path), m = strlen(suffix);

	return n >= m && !strcasecmp(path + n - m, suffix);
}

/* The data of a VHD Set lie in NAME_GUID.avhdx, an ordinary VHDX. */
static int refuse_vhds(const char *path, struct diag *why)
{
	return diag_fail(why, ERR_UNSUPP,
			 "%s: a VHD Set holds no data: open its .avhdx file "
			 "(%.*s_*.avhdx beside it) instead", path,
			 (int)strlen(disk_path_base(path)) - 5,
			 disk_path_base(path));
}

int disk_probe_raw(struct dev *file, const char *path, struct diag *why)
{
	uint8_t head[PROBE_LEN] = { 0 };
	size_t len = (size_t)min_of(dev_size(file), (uint64_t)sizeof(head));
	int ret = dev_read(file, head, len, 0);

	if (ret)
		return diag_fail(why, ret, "%s: cannot read: %s", path,
				 strerror(-ret));
	if (has_suffix(path, ".vhds"))
		return refuse_vhds(path, why);
	for (size_t i = 0; i < ARRAY_LEN(magics); i++) {
		const struct magic *m = &magics[i];

		if (!memcmp(head + m->off, m->bytes, m->len))
			return diag_fail(why, ERR_UNSUPP,
					 "%s: neither VHD nor VHDX, but %s",
					 path, m->name);
	}
	if (dev_size(file) < 512)
		return diag_fail(why, ERR_CORRUPT,
				 "%s: too small for a disk: %llu bytes", path,
				 (unsigned long long)dev_size(file));
	return 0;
}
