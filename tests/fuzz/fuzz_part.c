/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Partition tables. The first byte chooses the sector size and whether the
 * checksums of a GPT are made right, which no fuzzer guesses. */
#include <stdlib.h>
#include <string.h>

#include "formats/base/bounds.h"
#include "formats/base/crc.h"
#include "formats/base/dev_mem.h"
#include "formats/part/part.h"
#include "formats/part/part_disk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void repair(uint8_t *disk, size_t len, uint32_t sector)
{
	struct gpt_header_disk *h = (void *)(disk + sector);
	uint64_t at, array;
	uint32_t size;

	if (len < 2 * sector || memcmp(h->signature, GPT_SIGNATURE, 8))
		return;
	h->my_lba = to_le64(1);
	at = le64(h->entries_lba) * sector;
	array = (uint64_t)le32(h->n_entries) * le32(h->entry_size);
	if (range_within(at, array, len))
		h->entries_crc = to_le32(crc32_zip(disk + at, array));
	size = le32(h->header_size);
	if (size > sector)
		return;
	h->header_crc = to_le32(0);
	h->header_crc = to_le32(crc32_zip(h, size));
}

static void check_table(const struct part_table *t, uint64_t size)
{
	for (size_t i = 0; i < t->n; i++) {
		if (!range_within(t->parts[i].off, t->parts[i].len, size))
			abort();
		if (i && t->parts[i].number <= t->parts[i - 1].number)
			abort();
	}
	if (!memchr(t->note, 0, sizeof(t->note)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct part_table t;
	struct diag why = DIAG_INIT;
	struct dev *dev;
	uint32_t sector;
	uint8_t *disk;

	if (!len)
		return 0;
	sector = data[0] & 1 ? 4096 : 512;
	disk = malloc(len);
	memcpy(disk, data + 1, len - 1);
	if (data[0] & 2)
		repair(disk, len - 1, sector);
	if (!dev_mem_new(disk, len - 1, &dev)) {
		dev->sector_size = sector;
		if (!part_load(dev, &t, &why)) {
			check_table(&t, len - 1);
			part_free(&t);
		}
		dev_close(dev);
	}
	free(disk);
	return 0;
}
