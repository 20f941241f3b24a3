/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ext2, ext3 and ext4 by their superblock (kernel: Documentation/filesystems/
 * ext4/super.rst), told apart by features as blkid does it. */
#include "formats/volume/volume_int.h"

#include "formats/base/endian.h"

#define EXT_SB		1024u
#define EXT_MAGIC	0xef53u

#define COMPAT_JOURNAL	0x4u
#define INCOMPAT_JOURNAL_DEV 0x8u
#define INCOMPAT_64BIT	0x80u
/* What the ext3 driver knew: filetype, recover, meta_bg; sparse_super,
 * large_file, btree_dir. Anything else makes it ext4. */
#define INCOMPAT_EXT3	(0x2u | 0x4u | 0x10u)
#define RO_COMPAT_EXT3	(0x1u | 0x2u | 0x4u)

static const char *ext_type(const uint8_t *sb)
{
	uint32_t compat = le32_at(sb + 0x5c), incompat = le32_at(sb + 0x60);
	uint32_t ro_compat = le32_at(sb + 0x64);

	if (incompat & INCOMPAT_JOURNAL_DEV)
		return "jbd";
	if (incompat & ~INCOMPAT_EXT3 || ro_compat & ~RO_COMPAT_EXT3)
		return "ext4";
	return compat & COMPAT_JOURNAL ? "ext3" : "ext2";
}

int volume_look_ext(struct volume_look *l)
{
	const uint8_t *sb = volume_head(l, EXT_SB, 1024);
	uint32_t log_block;
	uint64_t blocks;

	if (!sb || le16_at(sb + 0x38) != EXT_MAGIC)
		return 0;
	log_block = le32_at(sb + 0x18);
	blocks = le32_at(sb + 0x4);
	if (le32_at(sb + 0x60) & INCOMPAT_64BIT)
		blocks |= (uint64_t)le32_at(sb + 0x150) << 32;
	if (log_block > 6 || !blocks)	/* blocks are 1 to 64 KiB */
		return 0;
	volume_set_type(l, ext_type(sb));
	volume_set_size(l, blocks, 1024u << log_block);
	volume_set_label(l, sb + 0x78, 16);
	volume_set_uuid(l, sb + 0x68);
	return 1;
}
