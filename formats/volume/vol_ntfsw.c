/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opens and closes the tree that libntfs-3g makes of a volume. */
#include "formats/volume/vol_ntfsw_int.h"

#include <errno.h>
#include <stdlib.h>

#include "formats/base/alloc.h"

static void close_tree(struct tree *t)
{
	struct vol_ntfsw *w = VOL_NTFSW(t);

	if (w->vol && w->begun) {
		vol_ntfsw_drop_ghosts(w);
		vol_ntfsw_end_write(w);
	}
	if (w->vol)
		ntfs_umount(w->vol, TRUE);
	if (w->begun && !vol_ntfsw_cache_flush(w->cache))
		dev_flush(w->dev);
	map_free(&w->ghosts);
	vol_ntfsw_streams_free(w);
	vol_ntfsw_cache_free(w->cache);
	tree_fini(&w->tree);
	free(w);
}

static int statfs_tree(struct tree *t, struct statvfs *out)
{
	struct vol_ntfsw *w = VOL_NTFSW(t);
	ntfs_volume *vol = w->vol;
	int ret = vol_ntfsw_space(w);
	uint64_t more;

	if (ret)
		return ret;
	*out = (struct statvfs) {
		.f_bsize = vol->cluster_size,
		.f_frsize = vol->cluster_size,
		.f_blocks = (fsblkcnt_t)vol->nr_clusters,
		.f_bfree = (fsblkcnt_t)max_of(vol->free_clusters, (s64)0),
		.f_namemax = NTFS_MAX_NAME_LEN,
	};
	out->f_bavail = out->f_bfree;
	/* Records that the free space could hold. */
	more = (out->f_bfree << vol->cluster_size_bits) >>
		vol->mft_record_size_bits;
	out->f_files = ((uint64_t)vol->mftbmp_na->allocated_size << 3) + more;
	out->f_ffree = out->f_favail = more +
		(uint64_t)max_of(vol->free_mft_records, (s64)0);
	return 0;
}

static int sync_tree(struct tree *t, uint64_t id, bool data_only)
{
	return vol_ntfsw_sync_all(VOL_NTFSW(t));
}

static const struct tree_ops ops = {
	.name = "ntfs",
	.close = close_tree,
	.getattr = vol_ntfsw_getattr,
	.lookup = vol_ntfsw_lookup,
	.list = vol_ntfsw_list,
	.readlink = vol_ntfsw_readlink,
	.open = vol_ntfsw_file_open,
	.release = vol_ntfsw_file_release,
	.read = vol_ntfsw_read,
	.extents = vol_ntfsw_extents,
	.seek = vol_ntfsw_seek,
	.getxattr = vol_ntfsw_getxattr,
	.listxattr = vol_ntfsw_listxattr,
	.statfs = statfs_tree,
	.check_write = vol_ntfsw_check_write,
	.begin_write = vol_ntfsw_begin_write,
	.create = vol_ntfsw_create,
	.link = vol_ntfsw_link,
	.remove = vol_ntfsw_remove,
	.rename = vol_ntfsw_rename,
	.setattr = vol_ntfsw_setattr,
	.write = vol_ntfsw_write,
	.wrote = vol_ntfsw_wrote,
	.allocate = vol_ntfsw_allocate,
	.setxattr = vol_ntfsw_setxattr,
	.removexattr = vol_ntfsw_removexattr,
	.sync = sync_tree,
};

int vol_ntfsw_open(struct dev *dev, const struct volume_opts *opts,
		   struct tree *outer, struct tree **out, struct diag *why)
{
	struct vol_ntfsw *w = mem_new(struct vol_ntfsw);
	int ret;

	if (!w)
		return -ENOMEM;
	ret = tree_init(&w->tree, &ops);
	if (ret) {
		free(w);
		return ret;
	}
	w->dev = dev;
	w->opts = *opts;
	w->outer = outer ? outer : &w->tree;
	w->tree.turns = TREE_SERIAL;
	w->tree.writable = opts->want_write && dev->writable;
	w->tree.caps = TREE_CAP_NO_OWNERS | TREE_CAP_SYMLINK | TREE_CAP_LINK |
		TREE_CAP_MKNOD | (opts->ignore_case ? TREE_CAP_IGNORE_CASE : 0);
	ret = vol_ntfsw_cache_new(dev, &w->cache);
	if (!ret)
		ret = vol_ntfsw_mount(w, why);
	if (ret) {
		close_tree(&w->tree);
		return ret;
	}
	w->tree.label = w->vol->vol_name;
	*out = &w->tree;
	return 0;
}
