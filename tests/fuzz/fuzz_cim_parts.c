/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of a CIM that are decoded without I/O: its header, that of a
 * region, link tables of directories and of streams. */
#include <stdlib.h>
#include <string.h>

#include "formats/base/dev_mem.h"
#include "formats/cim/cim_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_header(const uint8_t *data, size_t size)
{
	struct cim_header h;
	struct dev *dev;

	if (!cim_header_decode(data, size, &h, NULL)) {
		if (h.n_regions > CIM_REGIONS_MAX || !h.n_sets)
			abort();
		cim_header_free(&h);
	}
	if (!dev_mem_new(data, size, &dev)) {
		cim_region_check(dev, 1, NULL);
		dev_close(dev);
	}
}

static void use_links(const uint8_t *data, size_t size, unsigned entry)
{
	static uint16_t upcase[CIM_UPCASE_LEN];
	struct cim_links l;

	if (!upcase['b'])
		for (unsigned i = 0; i < CIM_UPCASE_LEN; i++)
			upcase[i] = (uint16_t)(i >= 'a' && i <= 'z' ? i - 32
								    : i);
	if (cim_links_decode(data, size, entry, &l, NULL))
		return;
	if (cim_links_check_order(upcase, &l, NULL))
		return;
	/* In order means that no two are the same. */
	for (uint32_t i = 1; i < l.n; i++) {
		struct cim_name a = cim_links_name(&l, i - 1);
		struct cim_name b = cim_links_name(&l, i);

		if (cim_name_same(upcase, a, b) || !a.n ||
		    !cim_name_same(upcase, a, a))
			abort();
		cim_name_hash(upcase, b);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (data[0] == 'c')
		use_header(data, size);
	/* An exact copy, so that one byte too far is seen. */
	uint8_t *p = malloc(size);

	if (!p)
		return 0;
	memcpy(p, data, size);
	use_links(p, size, 4);
	use_links(p, size, 16);
	free(p);
	return 0;
}
