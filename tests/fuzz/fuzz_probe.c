/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a volume is. The first two bytes say how far zeros go on behind the
 * input, so that signatures near the end of a large dev are reached too. */
#include <stdlib.h>
#include <string.h>

#include "formats/base/dev_mem.h"
#include "formats/base/dev_ram.h"
#include "formats/volume/volume.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_text(const char *text, size_t size)
{
	if (!memchr(text, 0, size))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct diag why = DIAG_INIT;
	struct volume_info info;
	struct dev *mem, *dev;

	if (len < 2)
		return 0;
	if (dev_mem_new(data + 2, len - 2, &mem))
		return 0;
	if (!dev_ram_new(mem, &dev, &why)) {
		uint64_t more = (uint64_t)(data[0] | data[1] << 8) * 4096;

		if (!dev_resize(dev, len - 2 + more, &why) &&
		    !volume_probe(dev, &info, &why)) {
			check_text(info.type, sizeof(info.type));
			check_text(info.label, sizeof(info.label));
			check_text(info.uuid, sizeof(info.uuid));
		}
		dev_close(dev);
	}
	dev_close(mem);
	return 0;
}
