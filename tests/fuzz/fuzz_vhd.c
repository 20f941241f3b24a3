/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Opens any bytes as a VHD, reads and maps what can be reached, then writes.
 * The first byte chooses options. Checksums would stop the fuzzer at the
 * door: they are only tested where it says so.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/base/bounds.h"
#include "formats/base/dev_mem.h"
#include "formats/vhd/vhd.h"

/* Enough for every structure and some blocks; more only costs time. */
#define INPUT_MAX	(64u << 10)
#define PARENT_SIZE	(1u << 20)
#define PIECE		4096u
#define PIECES_MAX	64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void touch(struct dev *dev, uint64_t off)
{
	static uint8_t buf[PIECE];
	struct dev_run runs[8];
	uint64_t len = min_of((uint64_t)PIECE, dev_size(dev) - off), sum = 0;
	int n = dev_map(dev, off, len, runs, ARRAY_LEN(runs));

	for (int i = 0; i < n; i++)
		sum += runs[i].len;
	if (n > 8 || sum > len || (n > 0 && !sum))
		abort();
	dev_read(dev, buf, len, off);
}

/* From both ends: large disks are mostly the same in the middle. */
static void touch_all(struct dev *dev)
{
	uint64_t size = dev_size(dev), n = div_up(size, PIECE);

	for (uint64_t i = 0; i < min_of(n, (uint64_t)PIECES_MAX); i++) {
		touch(dev, i * PIECE);
		touch(dev, (n - 1 - i) * PIECE);
	}
}

/* What was written is read back, and nothing else changes its length. */
static void change(struct dev *dev, uint64_t off)
{
	uint8_t in[700], out[700];
	uint64_t len = min_of((uint64_t)sizeof(in), dev_size(dev) - off);

	memset(in, 0x5A, sizeof(in));
	if (dev_write(dev, in, len, off))
		return;
	if (!dev_read(dev, out, len, off) && memcmp(in, out, len))
		abort();
	dev_zero(dev, off, len / 2, true);
}

static void look(struct vhd *v)
{
	uint64_t size = dev_size(vhd_dev(v));
	struct layer_run runs[8];

	for (uint64_t off = 0, i = 0; off < size && i < PIECES_MAX; i++) {
		int n = vhd_layer(v, off, size - off, runs, 8);

		if (n <= 0)
			break;
		for (int k = 0; k < n; k++)
			off += runs[k].len;
	}
	vhd_check(v, NULL, NULL, NULL);
}

static void maintain(struct vhd *v)
{
	struct vhd_relink to = { .relative = "a/b.vhd", .windows = "C:\\b" };
	struct guid id = { "0123456789abcdef" };
	uint64_t size = dev_size(vhd_dev(v));

	vhd_set_id(v, &id, NULL);
	if (vhd_info(v)->type == VHD_DIFFERENCING)
		vhd_relink(v, &to, NULL);
	/* Large ones would only take memory. */
	if (size < 16 * PARENT_SIZE)
		dev_resize(vhd_dev(v), size + 4096, NULL);
	look(v);
}

static void use(struct vhd *v, struct dev *parent)
{
	struct diag why = DIAG_INIT;
	struct dev *dev = vhd_dev(v);

	touch_all(dev);
	look(v);
	if (vhd_info(v)->type == VHD_DIFFERENCING) {
		vhd_set_parent(v, parent, &why);
		touch_all(dev);
	}
	/* A block of 256 MiB would be memory of ours, not of the fuzzed. */
	if (vhd_info(v)->block_size > 1u << 20 ||
	    dev_begin_write(dev, &why))
		return;
	change(dev, 0);
	change(dev, dev_size(dev) / 2);
	dev_flush(dev);
	touch_all(dev);
	maintain(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dev *file = NULL, *parent = NULL;
	struct diag why = DIAG_INIT;
	struct vhd_opts opts = { 0 };
	struct vhd *v = NULL;

	if (size < 1 || size > INPUT_MAX)
		return 0;
	opts.force = data[0] & 1;
	opts.size_rule = (enum vhd_size_rule)(data[0] / 2 % 3);
	if (dev_mem_new(data + 1, size - 1, &file) ||
	    dev_mem_new(NULL, PARENT_SIZE, &parent))
		abort();
	/* dev_mem begins in the writing state; a file does not. */
	if (!vhd_open(file, &opts, &v, &why))
		use(v, parent);
	else
		dev_close(file);
	vhd_close(v);
	dev_close(parent);
	return 0;
}
