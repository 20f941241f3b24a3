/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records as nodes: opening and closing, attributes, names, links. */
#include "formats/volume/vol_ntfsw_int.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "formats/base/utf16.h"
#include "formats/base/wintime.h"

int vol_ntfsw_get(struct vol_ntfsw *w, uint64_t id, ntfs_inode **out)
{
	uint64_t record = ntfs_record_of_id(id);
	ntfs_inode *ni;

	if (record >> 48)
		return -ESTALE;
	errno = 0;
	ni = ntfs_inode_open(w->vol, record);
	if (!ni)
		return errno == ENOENT ? -ESTALE : vol_ntfsw_errno();
	*out = ni;
	return 0;
}

int vol_ntfsw_put(ntfs_inode *ni, int ret)
{
	errno = 0;
	if (ni && ntfs_inode_close(ni) && !ret)
		ret = vol_ntfsw_errno();
	return ret;
}

void vol_ntfsw_touch(ntfs_inode *ni, ntfs_time_update_flags mask)
{
	/* Set by the library when times come in as an xattr, and never taken
	 * back: it would keep all later ones from the disk. */
	clear_nino_flag(ni, TimesSet);
	ntfs_inode_update_times(ni, mask);
}

/* Windows counts a short name as a link of its own; people do not. */
static nlink_t count_links(ntfs_inode *ni)
{
	ntfs_attr_search_ctx *ctx;
	nlink_t n = 0;

	if (le16_to_cpu(ni->mrec->link_count) < 2)
		return le16_to_cpu(ni->mrec->link_count);
	ctx = ntfs_attr_get_search_ctx(ni, NULL);
	while (ctx && !ntfs_attr_lookup(AT_FILE_NAME, NULL, 0, CASE_SENSITIVE,
					0, NULL, 0, ctx)) {
		const FILE_NAME_ATTR *fn = (const void *)((u8 *)ctx->attr +
			le16_to_cpu(ctx->attr->value_offset));

		n += fn->file_name_type != FILE_NAME_DOS;
	}
	if (ctx)
		ntfs_attr_put_search_ctx(ctx);
	return n ? n : 1;
}

static void index_size(ntfs_inode *ni, struct tree_attr *out)
{
	ntfs_attr *na = ntfs_attr_open(ni, AT_INDEX_ALLOCATION,
				       NTFS_INDEX_I30, 4);

	out->size = out->blocks = 0;
	if (!na)
		return;
	out->size = (uint64_t)na->data_size;
	out->blocks = (uint64_t)na->allocated_size >> 9;
	ntfs_attr_close(na);
}

static struct timespec time_of(ntfs_time t)
{
	return wintime_to_timespec((uint64_t)sle64_to_cpu(t));
}

int vol_ntfsw_attr(struct vol_ntfsw *w, ntfs_inode *ni, struct tree_attr *out)
{
	char text[PATH_MAX];
	int len;
	u32 tag;

	*out = (struct tree_attr) {
		.id = ntfs_id_of_record(ni->mft_no),
		.gen = le16_to_cpu(ni->mrec->sequence_number),
		.mode = vol_ntfsw_type(ni, &tag) | 0777,
		.nlink = 1,
		.uid = w->opts.uid,
		.gid = w->opts.gid,
		.size = (uint64_t)ni->data_size,
		.blocks = ((uint64_t)ni->allocated_size + 511) >> 9,
		.atime = time_of(ni->last_access_time),
		.mtime = time_of(ni->last_data_change_time),
		.ctime = time_of(ni->last_mft_change_time),
		.btime = time_of(ni->creation_time),
	};
	if (S_ISDIR(out->mode))
		index_size(ni, out);
	else
		out->nlink = count_links(ni);
	if (map_get(&w->ghosts, out->id))
		out->nlink = 0;
	if (S_ISLNK(out->mode)) {
		len = vol_ntfsw_link_text(w, ni, text, sizeof(text));
		out->size = len < 0 ? 0 : (uint64_t)len;
	} else if (S_ISCHR(out->mode) || S_ISBLK(out->mode)) {
		out->rdev = vol_ntfsw_rdev(ni, tag);
	}
	return 0;
}

int vol_ntfsw_getattr(struct tree *t, uint64_t id, struct tree_attr *out)
{
	struct vol_ntfsw *w = VOL_NTFSW(t);
	ntfs_inode *ni;
	int ret;

	if (vol_ntfsw_is_stream(id))
		return vol_ntfsw_stream_attr(w, id, out);
	ret = vol_ntfsw_get(w, id, &ni);
	return ret ? ret : vol_ntfsw_put(ni, vol_ntfsw_attr(w, ni, out));
}

int vol_ntfsw_name(const char *name, struct vol_ntfsw_name *out)
{
	out->len = utf8_to_utf16le(name, strlen(name), out->u, 255);
	return out->len < 0 ? out->len : 0;
}

int vol_ntfsw_new_name(struct vol_ntfsw *w, const char *name,
		       struct vol_ntfsw_name *out)
{
	int ret = vol_ntfsw_name(name, out);

	if (ret)
		return ret;
	if (w->opts.windows_names &&
	    ntfs_forbidden_names(w->vol, out->u, out->len, TRUE))
		return -EINVAL;
	return 0;
}

int vol_ntfsw_find(ntfs_inode *dir, const struct vol_ntfsw_name *name,
		   u64 *record)
{
	u64 ref;

	if (!(dir->mrec->flags & MFT_RECORD_IS_DIRECTORY))
		return -ENOTDIR;
	errno = 0;
	ref = ntfs_inode_lookup_by_name(dir, name->u, name->len);
	if (ref == (u64)-1)
		return vol_ntfsw_errno();
	*record = MREF(ref);
	return 0;
}

int vol_ntfsw_readlink(struct tree *t, uint64_t id, char *buf, size_t size)
{
	struct vol_ntfsw *w = VOL_NTFSW(t);
	ntfs_inode *ni;
	u32 tag;
	int ret = vol_ntfsw_get(w, id, &ni);

	if (ret)
		return ret;
	if (S_ISLNK(vol_ntfsw_type(ni, &tag)))
		ret = vol_ntfsw_link_text(w, ni, buf, size);
	else
		ret = -EINVAL;
	ntfs_inode_close(ni);
	return ret;
}

static void set_time(ntfs_time *field, struct timespec ts)
{
	*field = cpu_to_sle64((s64)wintime_from_timespec(ts));
}

static int apply(struct vol_ntfsw *w, ntfs_inode *ni,
		 const struct tree_attr *set, unsigned mask)
{
	int ret = mask & TREE_SET_SIZE ? vol_ntfsw_resize(w, ni, set->size) : 0;

	if (ret)
		return ret;
	/* Owners and permissions are not kept, and nobody is told off. */
	vol_ntfsw_touch(ni, NTFS_UPDATE_CTIME);
	if (mask & TREE_SET_ATIME)
		set_time(&ni->last_access_time, set->atime);
	if (mask & TREE_SET_MTIME)
		set_time(&ni->last_data_change_time, set->mtime);
	if (mask & TREE_SET_CTIME)
		set_time(&ni->last_mft_change_time, set->ctime);
	if (mask & TREE_SET_BTIME)
		set_time(&ni->creation_time, set->btime);
	NInoFileNameSetDirty(ni);
	NInoSetDirty(ni);
	return 0;
}

int vol_ntfsw_setattr(struct tree *t, uint64_t id, const struct tree_attr *set,
		      unsigned mask, struct tree_attr *out)
{
	struct vol_ntfsw *w = VOL_NTFSW(t);
	ntfs_inode *ni;
	int ret = 0;

	/* Times and the like are the file's. */
	if (vol_ntfsw_is_stream(id) && mask & TREE_SET_SIZE)
		ret = vol_ntfsw_stream_resize(w, id, set->size);
	if (vol_ntfsw_is_stream(id))
		return ret ? ret : vol_ntfsw_stream_attr(w, id, out);
	ret = vol_ntfsw_get(w, id, &ni);
	if (ret)
		return ret;
	if (ni->mft_no < FILE_first_user && ni->mft_no != FILE_root)
		ret = -EPERM;
	else
		ret = apply(w, ni, set, mask);
	if (!ret)
		ret = vol_ntfsw_attr(w, ni, out);
	return vol_ntfsw_put(ni, ret);
}
