/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of NTFS that need no volume: boot sector, file record, mapping
 * pairs, LZNT1, reparse points. The first byte chooses. */
#include <stdlib.h>
#include <string.h>

#include "formats/base/bounds.h"
#include "formats/ntfs/ntfs_int.h"
#include "formats/ntmeta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_boot(const uint8_t *data, size_t size)
{
	struct ntfs_disk_boot boot;
	struct ntfs_geometry g;

	memset(&boot, 0, sizeof(boot));
	memcpy(boot.oem_id, NTFS_OEM_ID, 8);
	memcpy((uint8_t *)&boot + 11, data, min_of(size, sizeof(boot) - 11));
	ntfs_boot_decode(&boot, 1ULL << 40, &g, NULL);
}

static void use_record(const uint8_t *data, size_t size)
{
	struct ntfs_geometry g = { .cluster_shift = 12, .n_clusters = 1000 };
	struct ntfs_runs runs = { 0 };
	uint8_t buf[1024] = { 0 };
	struct ntfs_rec rec;
	struct ntfs_attr a;
	uint32_t pos = 0;

	memcpy(buf, data, min_of(size, sizeof(buf)));
	ntfs_fixup(buf, sizeof(buf), "FILE");
	if (ntfs_rec_decode(buf, sizeof(buf), &rec))
		return;
	while (ntfs_attr_next(&rec, &pos, &a) > 0)
		if (!a.resident)
			ntfs_runs_add(&g, &runs, &a);
	ntfs_runs_free(&runs);
}

static void use_runs(const uint8_t *data, size_t size)
{
	struct ntfs_geometry g = { .cluster_shift = 12,
				   .n_clusters = 1ULL << 40 };
	struct ntfs_attr a = { .value = data, .value_len = (uint32_t)size };
	struct ntfs_runs runs = { 0 };

	a.end_vcn = size ? 1ULL << (data[0] & 63) : 0;
	if (!ntfs_runs_add(&g, &runs, &a)) {
		for (uint64_t vcn = 0; vcn < runs.end && vcn < 99; vcn++) {
			uint64_t lcn, n = ntfs_runs_at(&runs, vcn, &lcn);

			if (!n || n > runs.end - vcn)
				abort();
		}
	}
	ntfs_runs_free(&runs);
}

static void use_lznt1(const uint8_t *data, size_t size)
{
	uint8_t *out = malloc(65536);

	if (out)
		ntfs_lznt1(data, size, out, 65536);
	free(out);
}

static void use_reparse(const uint8_t *data, size_t size)
{
	struct ntmeta_reparse r;
	char out[200], text[300];

	if (!ntmeta_reparse_decode(data, size, &r) && r.target) {
		volatile uint8_t last = r.target[r.target_len - 1];

		(void)last;
	}
	size = min_of(size, sizeof(text) - 1);
	memcpy(text, data, size);
	text[size] = '\0';
	ntmeta_target(text, size & 1, NULL, 0, out, sizeof(out));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const parts[])(const uint8_t *, size_t) = {
		use_boot, use_record, use_runs, use_lznt1, use_reparse,
	};

	if (size)
		parts[data[0] % ARRAY_LEN(parts)](data + 1, size - 1);
	return 0;
}
