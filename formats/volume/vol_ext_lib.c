/* SPDX-License-Identifier: GPL-3.0-or-later */
/* libext2fs on our cache: its io_manager, its errors, and which groups'
 * bitmaps it changed (by itself it would write all of them each time). */
#include "formats/volume/vol_ext_wint.h"

#include <stdio.h>
#include <stdlib.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"

/* Its open() gets nothing but a name. */
#define NAME_FORMAT "%p"

static errcode_t io_close(io_channel c)
{
	if (--c->refcount > 0)
		return 0;
	free(c->name);
	free(c);
	return 0;
}

static errcode_t io_set_blksize(io_channel c, int size)
{
	c->block_size = size;
	return 0;
}

/* A negative count is bytes. */
static size_t io_len(io_channel c, int count)
{
	return count < 0 ? (size_t)-(long)count
			 : (size_t)count * (size_t)c->block_size;
}

static errcode_t io_read64(io_channel c, unsigned long long blk, int count,
			   void *data)
{
	struct vol_ext *v = c->private_data;

	return -vol_ext_io_read(v->io, blk * (unsigned)c->block_size, data,
				io_len(c, count));
}

/* The superblock is ours to write, and seldom: vol_ext_flush(). */
static bool is_super(uint64_t off)
{
	return off >= EXT_SUPER_OFF && off < EXT_SUPER_OFF + EXT_SUPER_SIZE;
}

static errcode_t io_write64(io_channel c, unsigned long long blk, int count,
			    const void *data)
{
	struct vol_ext *v = c->private_data;

	if (is_super(blk * (unsigned)c->block_size) &&
	    io_len(c, count) == EXT_SUPER_SIZE)
		return 0;
	return -vol_ext_io_write(v->io, blk * (unsigned)c->block_size, data,
				 io_len(c, count));
}

static errcode_t io_read(io_channel c, unsigned long blk, int count, void *data)
{
	return io_read64(c, blk, count, data);
}

static errcode_t io_write(io_channel c, unsigned long blk, int count,
			  const void *data)
{
	return io_write64(c, blk, count, data);
}

static errcode_t io_write_byte(io_channel c, unsigned long off, int len,
			       const void *data)
{
	struct vol_ext *v = c->private_data;

	if (is_super(off))
		return 0;
	return -vol_ext_io_write(v->io, off, data, (size_t)len);
}

/* Flushing is ours to order: vol_ext_flush(). */
static errcode_t io_flush(io_channel c)
{
	return 0;
}

static errcode_t io_zeroout(io_channel c, unsigned long long blk,
			    unsigned long long n)
{
	struct vol_ext *v = c->private_data;
	unsigned bs = (unsigned)c->block_size;

	vol_ext_io_forget(v->io, blk, n);
	return -dev_zero(v->dev, blk * bs, n * bs, false);
}

static errcode_t io_open(const char *name, int flags, io_channel *out);

/* libext2fs wants no const here, and writes nothing to it. */
static const struct struct_io_manager manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "imgfs",
	.open = io_open,
	.close = io_close,
	.set_blksize = io_set_blksize,
	.read_blk = io_read,
	.write_blk = io_write,
	.flush = io_flush,
	.write_byte = io_write_byte,
	.read_blk64 = io_read64,
	.write_blk64 = io_write64,
	.zeroout = io_zeroout,
};

static errcode_t io_open(const char *name, int flags, io_channel *out)
{
	io_channel c = mem_zalloc(1, sizeof(*c));

	if (!c)
		return EXT2_ET_NO_MEMORY;
	c->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	c->manager = (io_manager)(uintptr_t)&manager;
	c->name = mem_strdup(name);
	c->block_size = 1024;
	c->refcount = 1;
	if (!c->name || sscanf(name, NAME_FORMAT, &c->private_data) != 1) {
		io_close(c);
		return EXT2_ET_NO_MEMORY;
	}
	*out = c;
	return 0;
}

int vol_ext_err(struct vol_ext *v, errcode_t err)
{
	switch (err) {
	case 0:
		return 0;
	case EXT2_ET_BLOCK_ALLOC_FAIL:
	case EXT2_ET_INODE_ALLOC_FAIL:
	case EXT2_ET_DIR_NO_SPACE:
	case EXT2_ET_EA_NO_SPACE:
	case ENOSPC:
		return -ENOSPC;
	case EXT2_ET_NO_MEMORY:
	case ENOMEM:
		return -ENOMEM;
	case EXT2_ET_FILE_TOO_BIG:
		return -EFBIG;
	case EXT2_ET_FILE_EXISTS:
	case EXT2_ET_DIR_EXISTS:
		return -EEXIST;
	case EXT2_ET_FILE_NOT_FOUND:
		return -ENOENT;
	case EXT2_ET_EA_KEY_NOT_FOUND:
		return -ENODATA;
	case EXT2_ET_INVALID_ARGUMENT:
		return -EINVAL;
	default:
		break;
	}
	v->lib->damaged = true;
	return err > 0 && err < 200 ? -(int)err : -ERR_CORRUPT;
}

static void set_bit(uint8_t *map, uint32_t bit)
{
	map[bit / 8] |= (uint8_t)(1u << bit % 8);
}

static void note_blocks(ext2_filsys fs, blk64_t blk, blk64_t n)
{
	struct vol_ext_lib *lib = fs->priv_data;
	dgrp_t first = ext2fs_group_of_blk2(fs, blk);
	dgrp_t last = ext2fs_group_of_blk2(fs, blk + max_of(n, 1u) - 1);

	for (dgrp_t g = first; g <= last && g < fs->group_desc_count; g++)
		set_bit(lib->dirty_blocks, g);
}

/* libext2fs 1.47 says where the range ends and a length of 0, so its beginning
 * must be guessed: no caller takes more than an extent at once. */
static void used_range(ext2_filsys fs, blk64_t blk, blk_t n, int used)
{
	blk64_t back = min_of((blk64_t)EXT_INIT_MAX_LEN,
			      blk - fs->super->s_first_data_block);

	note_blocks(fs, n ? blk : blk - back, n ? n : back);
}

void vol_ext_blocks_used(ext2_filsys fs, uint64_t blk, uint32_t n)
{
	/* Known exactly here, the guess would write bitmaps in vain. */
	fs->block_alloc_stats_range = NULL;
	ext2fs_block_alloc_stats_range(fs, blk, n, 1);
	fs->block_alloc_stats_range = used_range;
	note_blocks(fs, blk, n);
}

static void used_block(ext2_filsys fs, blk64_t blk, int used)
{
	used_range(fs, blk, 1, used);
}

void vol_ext_inode_used(struct vol_ext *v, uint32_t ino, bool used, bool dir)
{
	ext2fs_inode_alloc_stats2(v->lib->fs, ino, used ? 1 : -1, dir);
	vol_ext_inode_noted(v, ino);
}

void vol_ext_inode_noted(struct vol_ext *v, uint32_t ino)
{
	set_bit(v->lib->dirty_inodes, ext2fs_group_of_ino(v->lib->fs, ino));
}

void vol_ext_all_noted(struct vol_ext *v)
{
	memset(v->lib->dirty_inodes, 0xff,
	       v->lib->fs->group_desc_count / 8 + 1);
}

/* The kernel leaves the superblock's counts behind the groups'. */
static void sum_up(ext2_filsys fs)
{
	blk64_t blocks = 0;
	__u32 inodes = 0;

	for (dgrp_t g = 0; g < fs->group_desc_count; g++) {
		blocks += ext2fs_bg_free_blocks_count(fs, g);
		inodes += ext2fs_bg_free_inodes_count(fs, g);
	}
	ext2fs_free_blocks_count_set(fs->super, EXT2FS_C2B(fs, blocks));
	fs->super->s_free_inodes_count = inodes;
}

static int hook(struct vol_ext *v, struct vol_ext_lib *lib)
{
	size_t bytes = lib->fs->group_desc_count / 8 + 1;

	lib->dirty_blocks = mem_zalloc(1, bytes);
	lib->dirty_inodes = mem_zalloc(1, bytes);
	if (!lib->dirty_blocks || !lib->dirty_inodes)
		return -ENOMEM;
	lib->fs->priv_data = lib;
	ext2fs_set_block_alloc_stats_callback(lib->fs, used_block, NULL);
	ext2fs_set_block_alloc_stats_range_callback(lib->fs, used_range, NULL);
	lib->fs->write_bitmaps = NULL;
	/* The copies of the superblock are left alone, as the kernel does. */
	lib->fs->flags |= EXT2_FLAG_MASTER_SB_ONLY;
	sum_up(lib->fs);
	return 0;
}

int vol_ext_lib_open(struct vol_ext *v, struct diag *why)
{
	struct vol_ext_lib *lib = mem_new(struct vol_ext_lib);
	char name[32];
	errcode_t err;
	int ret = 0;

	if (!lib)
		return diag_fail(why, ENOMEM, "ext4: out of memory");
	snprintf(name, sizeof(name), NAME_FORMAT, (void *)v);
	err = ext2fs_open2(name, NULL, EXT2_FLAG_RW | EXT2_FLAG_64BITS |
			   EXT2_FLAG_SKIP_MMP, 0, 0,
			   (io_manager)(uintptr_t)&manager, &lib->fs);
	if (!err)
		err = ext2fs_read_bitmaps(lib->fs);
	if (err)
		ret = diag_fail(why, err == EXT2_ET_NO_MEMORY ? ENOMEM :
				ERR_CORRUPT, "ext4: not writable: %s",
				error_message(err));
	else if (hook(v, lib))
		ret = diag_fail(why, ENOMEM, "ext4: out of memory");
	if (ret) {
		vol_ext_lib_free(lib);
		return ret;
	}
	v->lib = lib;
	return 0;
}

void vol_ext_lib_free(struct vol_ext_lib *lib)
{
	if (!lib)
		return;
	if (lib->fs)
		ext2fs_free(lib->fs);
	free(lib->dirty_blocks);
	free(lib->dirty_inodes);
	free(lib);
}
