/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A hostile journal of 1 KiB blocks, replayed into memory. Checksums would
 * stop nearly all inputs at the door, so they are made right where they are
 * switched on in the superblock only. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/dev_mem.h"
#include "formats/volume/vol_jbd2.h"
#include "formats/volume/vol_jbd2_int.h"

#define BLOCK 1024u
#define TARGET_BLOCKS 64u

struct input {
	const uint8_t *data;
	size_t n_blocks;
};

static int read_block(void *ctx, uint32_t blk, void *buf)
{
	const struct input *in = ctx;

	if (blk >= in->n_blocks)
		return -EIO;
	memcpy(buf, in->data + (size_t)blk * BLOCK, BLOCK);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size / BLOCK };
	struct vol_jbd2_source src = {
		.block_size = BLOCK, .fs_blocks = TARGET_BLOCKS,
		.read = read_block, .ctx = &in,
		.n_blocks = (uint32_t)in.n_blocks,
	};
	struct vol_jbd2_result res;
	struct diag why = DIAG_INIT;
	struct dev *target;
	uint8_t *copy;

	if (size < BLOCK || size > 256 * BLOCK)
		return 0;
	copy = malloc(size);
	memcpy(copy, data, size);
	vol_jbd2_reset(copy, 0);	/* a right checksum; puts start to 0 */
	memcpy(copy + offsetof(struct jbd2_super_disk, start),
	       data + offsetof(struct jbd2_super_disk, start), 4);
	((struct jbd2_super_disk *)(void *)copy)->checksum = to_be32(
		vol_jbd2_super_csum((void *)copy));
	in.data = copy;
	if (!dev_mem_new(NULL, TARGET_BLOCKS * BLOCK, &target)) {
		vol_jbd2_check(&src, &res, &why);
		diag_clear(&why);
		vol_jbd2_replay(&src, target, &res, &why);
		dev_close(target);
	}
	free(copy);
	return 0;
}
