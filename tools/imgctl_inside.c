/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What lies inside a disk: partitions and volumes. */
#include <stdio.h>
#include <string.h>

#include "formats/base/dev_slice.h"
#include "formats/ntfs/ntfs.h"
#include "formats/part/part.h"
#include "formats/volume/volume.h"
#include "tools/imgctl_info.h"

static void set(json_t *j, const char *key, json_t *value)
{
	json_object_set_new(j, key, value);
}

static void ntfs_facts(json_t *j, struct dev *dev)
{
	struct ntfs_state st;
	char text[32];

	if (ntfs_state_of_dev(dev, &st, NULL))
		return;
	snprintf(text, sizeof(text), "%u.%u", st.major, st.minor);
	set(j, "version", json_string(text));
	set(j, "dirty", json_boolean(st.dirty));
	set(j, "log_clean", json_boolean(st.log_clean));
	set(j, "hibernated", json_boolean(st.hibernated));
}

static json_t *volume_facts(struct dev *dev)
{
	struct volume_info info;
	struct diag why = DIAG_INIT;
	json_t *j;

	if (volume_probe(dev, &info, &why))
		return json_pack("{s:o}", "error", imgctl_json_text(why.text));
	j = json_object();
	set(j, "type", json_string(info.type));
	set(j, "label", imgctl_json_text(info.label));
	set(j, "uuid", json_string(info.uuid));
	set(j, "size", imgctl_json_u64(info.size));
	set(j, "mountable", json_boolean(info.mountable));
	if (!strcmp(info.type, "ntfs"))
		ntfs_facts(j, dev);
	return j;
}

static json_t *part_facts(struct dev *disk, const struct part *p)
{
	json_t *j = json_object();
	char type[GUID_TEXT];
	struct dev *slice;

	set(j, "number", imgctl_json_u64(p->number));
	set(j, "offset", imgctl_json_u64(p->off));
	set(j, "size", imgctl_json_u64(p->len));
	set(j, "uuid", json_string(p->uuid));
	if (guid_is_zero(&p->type))
		snprintf(type, sizeof(type), "0x%02x", p->mbr_type);
	else
		guid_format(&p->type, type);
	set(j, "type", json_string(type));
	if (*p->label)
		set(j, "label", imgctl_json_text(p->label));
	if (!dev_slice_new(disk, p->off, p->len, &slice, NULL)) {
		set(j, "volume", volume_facts(slice));
		dev_close(slice);
	}
	return j;
}

void imgctl_info_inside(json_t *j, struct dev *disk)
{
	static const char *const schemes[] = { "none", "mbr", "gpt" };
	json_t *inside = json_object(), *all = json_array();
	struct diag why = DIAG_INIT;
	struct part_table t;

	set(j, "partitions", inside);
	set(inside, "list", all);
	if (part_load(disk, &t, &why)) {
		set(inside, "error", imgctl_json_text(why.text));
		return;
	}
	set(inside, "scheme", json_string(schemes[t.scheme]));
	if (*t.note)
		set(inside, "note", imgctl_json_text(t.note));
	if (t.scheme == PART_NONE)
		set(inside, "volume", volume_facts(disk));
	for (size_t i = 0; i < t.n; i++)
		json_array_append_new(all, part_facts(disk, &t.parts[i]));
	part_free(&t);
}
