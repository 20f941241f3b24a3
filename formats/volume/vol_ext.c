/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/volume/vol_ext.h"

#include <stdlib.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/volume/vol_ext_wint.h"

static void free_all(struct vol_ext *v)
{
	vol_ext_io_free(v->io);
	dev_close(v->ram);
	tree_fini(&v->tree);
	free(v);
}

static void ext_close(struct tree *t)
{
	struct vol_ext *v = vol_ext_of(t);

	vol_ext_end_write(v);
	free_all(v);
}

static const struct tree_ops ext_ops = {
	.name = "ext4",
	.close = ext_close,
	.getattr = vol_ext_getattr,
	.lookup = vol_ext_lookup,
	.list = vol_ext_list,
	.readlink = vol_ext_readlink,
	.open = vol_ext_open_file,
	.release = vol_ext_release,
	.read = vol_ext_read,
	.extents = vol_ext_extents,
	.seek = vol_ext_seek,
	.getxattr = vol_ext_getxattr,
	.listxattr = vol_ext_listxattr,
	.statfs = vol_ext_statfs,
	.check_write = vol_ext_check_write,
	.begin_write = vol_ext_begin_write,
	.create = vol_ext_create,
	.link = vol_ext_link,
	.remove = vol_ext_remove,
	.rename = vol_ext_rename,
	.setattr = vol_ext_setattr,
	.write = vol_ext_write,
	.wrote = vol_ext_wrote,
	.allocate = vol_ext_allocate,
	.setxattr = vol_ext_setxattr,
	.removexattr = vol_ext_removexattr,
	.sync = vol_ext_sync,
};

static int read_super(struct vol_ext *v, uint64_t nr, struct diag *why)
{
	struct ext_super_disk raw;
	uint64_t size = dev_size(v->dev);
	int ret;

	v->super_off = nr ? nr * 1024 : EXT_SUPER_OFF;
	if (nr > size / 1024 || !range_within(v->super_off, sizeof(raw), size))
		return diag_fail(why, ERR_NOT_THIS, "ext4: no superblock at "
				 "%llu KiB", (unsigned long long)nr);
	ret = dev_read(v->dev, &raw, sizeof(raw), v->super_off);
	if (ret)
		return diag_fail(why, ret, "ext4: superblock cannot be read");
	if (nr)
		v->super_group = le16(raw.block_group_nr);
	ret = vol_ext_super_decode(&raw, size, &v->sb, why);
	if (!ret && v->super_group >= v->sb.groups)
		return diag_fail(why, ERR_CORRUPT, "ext4: superblock of group "
				 "%u of %u", v->super_group, v->sb.groups);
	return ret;
}

static int check_root(struct vol_ext *v, struct diag *why)
{
	struct ext_inode root;
	int ret = vol_ext_inode_load(v, 2, &root);

	if (!ret && !S_ISDIR(root.mode))
		ret = -ERR_CORRUPT;
	return ret ? diag_fail(why, ret == -ENOENT ? ERR_CORRUPT : ret,
			       "ext4: bad root directory") : 0;
}

static void decide_writing(struct vol_ext *v, const struct volume_opts *opts)
{
	struct diag no = DIAG_INIT;

	v->tree.writable = true;
	if (opts->want_write && !vol_ext_check_write(&v->tree, &no))
		return;
	v->tree.writable = false;
	v->tree.frozen = true;
	if (opts->want_write && opts->warn)
		opts->warn(opts->warn_ctx, no.text);
}

static int fill(struct vol_ext *v, const struct volume_opts *opts,
		struct diag *why)
{
	int ret = read_super(v, opts->sb, why);

	if (!ret && vol_ext_io_new(v->dev, v->sb.block_size, &v->io))
		ret = diag_fail(why, ENOMEM, "ext4: out of memory");
	if (!ret)
		ret = vol_ext_journal_replay(v, opts, why);
	if (!ret)
		ret = check_root(v, why);
	if (ret)
		return ret;
	v->tree.caps = TREE_CAP_SEEK_LIST | TREE_CAP_LIST_ATTR |
		       TREE_CAP_SET_OWNERS | TREE_CAP_SYMLINK | TREE_CAP_LINK |
		       TREE_CAP_MKNOD;
	v->tree.turns = TREE_PARALLEL_READS;
	v->tree.label = v->sb.label[0] ? v->sb.label : NULL;
	decide_writing(v, opts);
	return 0;
}

int vol_ext_open(struct dev *dev, const struct volume_opts *opts,
		 struct tree **out, struct diag *why)
{
	struct vol_ext *v = mem_new(struct vol_ext);
	int ret = v ? tree_init(&v->tree, &ext_ops) : -ENOMEM;

	if (ret) {
		free(v);
		return diag_fail(why, ret, "ext4: out of memory");
	}
	v->base = v->dev = dev;
	ret = fill(v, opts, why);
	if (ret) {
		free_all(v);
		return ret;
	}
	*out = &v->tree;
	return 0;
}
