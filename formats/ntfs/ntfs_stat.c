/* SPDX-License-Identifier: GPL-3.0-or-later */
/* NTFS file record -> attributes as POSIX sees them. */
#include <string.h>
#include <sys/stat.h>

#include "formats/base/wintime.h"
#include "formats/ntfs/ntfs_int.h"
#include "formats/ntmeta.h"

struct gather {
	struct ntfs_info *info;
	unsigned n_names, n_dos_names;
};

static int take_std_info(struct ntfs_info *info, const struct ntfs_attr *a)
{
	struct ntfs_disk_std_info s;

	if (!a->resident || a->value_len < NTFS_STD_INFO_V1)
		return -ERR_CORRUPT;
	memset(&s, 0, sizeof(s));
	memcpy(&s, a->value, min_of((size_t)a->value_len, sizeof(s)));
	info->std = true;
	info->times[0] = le64(s.created);
	info->times[1] = le64(s.modified);
	info->times[2] = le64(s.mft_changed);
	info->times[3] = le64(s.accessed);
	info->attrs = le32(s.attrs);
	info->security_id = le32(s.security_id);
	info->a.btime = wintime_to_timespec(info->times[0]);
	info->a.mtime = wintime_to_timespec(info->times[1]);
	info->a.ctime = wintime_to_timespec(info->times[2]);
	info->a.atime = wintime_to_timespec(info->times[3]);
	return 0;
}

static int take_name(struct gather *g, const struct ntfs_attr *a)
{
	struct ntfs_name n;
	int ret;

	if (!a->resident)
		return -ERR_CORRUPT;
	ret = ntfs_name_decode(a->value, a->value_len, &n);
	if (ret)
		return ret;
	if (!g->n_names++)
		g->info->parent = n.parent;
	g->n_dos_names += n.space == NTFS_NS_DOS;
	return 0;
}

static void take_sizes(struct ntfs_info *info, const struct ntfs_attr *a)
{
	uint64_t used = a->allocated;

	if (a->flags & (NTFS_ATTR_COMPRESSED | NTFS_ATTR_SPARSE) &&
	    !a->resident)
		used = a->compressed;
	info->a.size = a->size;
	info->a.blocks = used / 512 + !!(used % 512);
}

static bool is_i30(const struct ntfs_attr *a)
{
	return a->name_len == 4 && !memcmp(a->name, "$\0I\0003\0000\0", 8);
}

static int take(void *ctx, const struct ntfs_attr *a)
{
	struct gather *g = ctx;
	struct ntfs_info *info = g->info;
	bool dir = S_ISDIR(info->a.mode);

	switch (a->type) {
	case NTFS_AT_STANDARD_INFORMATION:
		return take_std_info(info, a);
	case NTFS_AT_FILE_NAME:
		return take_name(g, a);
	case NTFS_AT_DATA:
		if (!a->name_len && !dir) {
			take_sizes(info, a);
			info->encrypted = a->flags & NTFS_ATTR_ENCRYPTED;
			info->compressed = a->flags & NTFS_ATTR_COMPRESSED;
		}
		break;
	case NTFS_AT_INDEX_ALLOCATION:
		/* Small directories live in their record: size 0, as ntfs-3g
		 * shows them. */
		if (dir && is_i30(a))
			take_sizes(info, a);
		break;
	case NTFS_AT_REPARSE_POINT:
		info->reparse = true;
		if (a->resident && a->value_len >= 4)
			info->tag = le32_at(a->value);
		break;
	}
	return 0;
}

static bool is_interix(const struct ntfs_info *info)
{
	/* Two words and a path of 4096 units is the largest there is. */
	return info->attrs & NTMETA_SYSTEM && S_ISREG(info->a.mode) &&
	       info->a.size <= 8 + 4096 * 2;
}

int ntfs_info_load(struct ntfs *v, const struct ntfs_rec *rec,
		   struct ntfs_info *out)
{
	static const struct ntfs_want all = {
		.any_name = true, .first_only = true
	};
	struct gather g = { .info = out };
	bool dir = rec->flags & NTFS_RECORD_IS_DIRECTORY;
	int ret;

	*out = (struct ntfs_info) {
		.a.id = ntfs_id_of_record(rec->num), .a.gen = rec->seq,
		.a.mode = ntmeta_mode(0, dir), .a.nlink = 1,
	};
	ret = ntfs_attr_walk(v, rec, &all, take, &g);
	if (ret)
		return ret;
	if (!out->std)
		return -ERR_CORRUPT;
	out->a.mode = ntmeta_mode(out->attrs, dir);
	/* Short names are links for NTFS and nothing for POSIX. */
	if (!dir && rec->n_links > g.n_dos_names)
		out->a.nlink = rec->n_links - g.n_dos_names;
	if (out->reparse || is_interix(out))
		ret = ntfs_link_classify(v, rec, out);
	return ret;
}
