/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Partition tables and volumes, as far as they say themselves that something
 * is wrong. */
#include <string.h>

#include "formats/base/dev_slice.h"
#include "formats/ntfs/ntfs.h"
#include "formats/part/part.h"
#include "formats/volume/volume.h"
#include "tools/imgctl_check.h"

struct place {
	struct imgctl_check *k;
	char name[48];
};

static void dirty(struct place *p, const char *text)
{
	imgctl_find(p->k, IMGCTL_WARNING, OUT_VOLUME_DIRTY, "volume", "%s: %s",
		    p->name, text);
}

static void check_ntfs(struct place *p, struct dev *dev)
{
	struct diag why = DIAG_INIT;
	struct ntfs_state st;

	if (ntfs_state_of_dev(dev, &st, &why)) {
		imgctl_find(p->k, IMGCTL_WARNING, OUT_OK, "volume", "%s: %s",
			    p->name, why.text);
		return;
	}
	if (st.dirty)
		dirty(p, "ntfs: marked dirty: Windows will run chkdsk");
	if (st.hibernated || st.bad_hiberfile)
		dirty(p, "ntfs: Windows is hibernated in it");
	else if (!st.log_clean)
		dirty(p, "ntfs: its log is not empty");
}

static int stop(void *ctx, uint64_t off, uint64_t len)
{
	return 1;
}

/* Whether the bitmaps may be believed is what it means to be clean. */
static void check_ext(struct place *p, struct dev *dev, const char *type)
{
	struct diag why = DIAG_INIT;

	if (volume_free_ranges(dev, stop, NULL, &why) >= 0)
		return;
	if (why.out == OUT_VOLUME_DIRTY)
		imgctl_find(p->k, IMGCTL_WARNING, why.out, "volume", "%s: %s: "
			    "not unmounted cleanly, or with errors (e2fsck)",
			    p->name, type);
	else if (why.code != -ERR_UNSUPP)
		imgctl_find(p->k, IMGCTL_WARNING, OUT_OK, "volume", "%s: %s",
			    p->name, why.text);
}

static void check_volume(struct place *p, struct dev *dev)
{
	struct volume_info info;
	struct diag why = DIAG_INIT;

	if (volume_probe(dev, &info, &why)) {
		imgctl_find(p->k, IMGCTL_ERROR, why.out, "volume", "%s: %s",
			    p->name, why.text);
		return;
	}
	if (info.size > dev_size(dev))
		imgctl_find(p->k, IMGCTL_WARNING, OUT_OK, "volume", "%s: %s: "
			    "the volume says that it has %llu bytes, there "
			    "are %llu", p->name, info.type,
			    (unsigned long long)info.size,
			    (unsigned long long)dev_size(dev));
	if (!strcmp(info.type, "ntfs"))
		check_ntfs(p, dev);
	else if (info.mountable)
		check_ext(p, dev, info.type);
}

static void check_part(struct imgctl_check *k, struct dev *disk,
		       const struct part *part)
{
	struct place p = { .k = k };
	struct dev *slice;

	snprintf(p.name, sizeof(p.name), "partition %u", part->number);
	if (dev_slice_new(disk, part->off, part->len, &slice, NULL))
		return;
	check_volume(&p, slice);
	dev_close(slice);
}

void imgctl_check_inside(struct imgctl_check *k, struct dev *disk)
{
	struct place whole = { .k = k, .name = "volume" };
	struct diag why = DIAG_INIT;
	struct part_table t;

	if (part_load(disk, &t, &why)) {
		imgctl_find(k, IMGCTL_WARNING, OUT_OK, "partitions", "%s",
			    why.text);
		return;
	}
	if (t.backup_used)
		imgctl_find(k, IMGCTL_WARNING, OUT_OK, "partitions",
			    "gpt: the first header is damaged");
	if (*t.note)
		imgctl_find(k, IMGCTL_NOTE, OUT_OK, "partitions", "%s",
			    t.note);
	if (t.scheme == PART_NONE)
		check_volume(&whole, disk);
	for (size_t i = 0; i < t.n; i++)
		check_part(k, disk, &t.parts[i]);
	part_free(&t);
}
