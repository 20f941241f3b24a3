/* SPDX-License-Identifier: GPL-3.0-or-later */
/* imgctl info: everything that can be told about a disk without changing it,
 * as one JSON object, which imgctl_info_text.c shows to people. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "formats/base/bounds.h"
#include "formats/base/dev_file.h"
#include "formats/base/dev_lock.h"
#include "tools/imgctl.h"
#include "tools/imgctl_info.h"

static void set(json_t *j, const char *key, json_t *value)
{
	json_object_set_new(j, key, value);
}

static void set_guid(json_t *j, const char *key, const struct guid *g, bool be)
{
	char text[GUID_TEXT];

	if (!guid_is_zero(g))
		set(j, key, json_string(be ? guid_format_be(g, text)
					   : guid_format(g, text)));
}

static json_t *locators(const struct locator *l, size_t n)
{
	static const char *const kinds[] = {
		"relative", "absolute", "volume", "url", "name",
	};
	json_t *all = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(all, json_pack("{s:s, s:o}",
			"kind", kinds[l[i].kind],
			"path", imgctl_json_text(l[i].path)));
	return all;
}

/* Seconds since 2000 (VHD), as ISO 8601. */
static json_t *vhd_time(uint32_t seconds)
{
	time_t t = (time_t)seconds + 946684800;
	char text[32] = "";
	struct tm tm;

	if (gmtime_r(&t, &tm))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(text);
}

static void vhd_facts(json_t *j, struct vhd *v)
{
	const struct vhd_info *info = vhd_info(v);

	set_guid(j, "id", &info->id, true);
	set_guid(j, "parent_id", &info->parent_id, true);
	set(j, "creator", imgctl_json_text(info->creator));
	set(j, "created", vhd_time(info->timestamp));
	if (info->block_size)
		set(j, "block_size", imgctl_json_u64(info->block_size));
	set(j, "saved_state", json_boolean(info->saved_state));
	set(j, "footer_damaged", json_boolean(info->footer_damaged));
	set(j, "footer_copy_differs", json_boolean(info->copy_differs));
	set(j, "size_current", imgctl_json_u64(info->current_size));
	set(j, "size_chs", imgctl_json_u64(info->chs_size));
	if (info->n_parents)
		set(j, "locators", locators(info->parents, info->n_parents));
}

static void vhdx_facts(json_t *j, struct vhdx *x)
{
	const struct vhdx_info *info = vhdx_info(x);

	set_guid(j, "id", &info->data_write_guid, false);
	set_guid(j, "parent_id", &info->parent_linkage, false);
	set_guid(j, "parent_id2", &info->parent_linkage2, false);
	set_guid(j, "disk_id", &info->disk_id, false);
	set_guid(j, "file_write_guid", &info->file_write_guid, false);
	set(j, "creator", imgctl_json_text(info->creator));
	set(j, "block_size", imgctl_json_u64(info->block_size));
	set(j, "log", json_pack("{s:b, s:i}", "dirty", info->log_dirty,
				"entries", (int)info->log_entries));
	if (info->n_parents)
		set(j, "locators", locators(info->parents, info->n_parents));
}

static void file_facts(json_t *j, struct dev *file)
{
	struct stat st;

	if (fstat(dev_file_fd(file), &st))
		return;
	set(j, "file_size", imgctl_json_u64(dev_size(file)));
	set(j, "allocated", imgctl_json_u64((uint64_t)st.st_blocks * 512));
}

static json_t *link_facts(const char *path, struct dev *file,
			  const struct imgctl_leaf *l)
{
	static const char *const vhd_types[] = {
		"fixed", "dynamic", "differencing",
	};
	const struct dev *dev = imgctl_leaf_dev(l);
	json_t *j = json_object();

	set(j, "path", imgctl_json_text(path));
	set(j, "kind", json_string("disk"));
	set(j, "format", json_string(l->vhd ? "vhd" : l->vhdx ? "vhdx"
				     : "raw"));
	if (l->vhd)
		set(j, "type", json_string(vhd_types[vhd_info(l->vhd)->type -
						     VHD_FIXED]));
	else if (l->vhdx)
		set(j, "type", json_string(vhdx_info(l->vhdx)->has_parent
			? "differencing" : vhdx_info(l->vhdx)->fixed
			? "fixed" : "dynamic"));
	else
		set(j, "type", json_string("fixed"));
	set(j, "virtual_size", imgctl_json_u64(dev_size(dev)));
	set(j, "sector_size", imgctl_json_u64(dev->sector_size));
	set(j, "physical_sector_size",
	    imgctl_json_u64(dev->phys_sector_size));
	file_facts(j, file);
	if (l->vhd)
		vhd_facts(j, l->vhd);
	else if (l->vhdx)
		vhdx_facts(j, l->vhdx);
	imgctl_info_blocks(j, l);
	return j;
}

static json_t *chain_facts(struct disk *d)
{
	json_t *all = json_array();

	for (size_t i = 0; i < disk_depth(d); i++) {
		const struct disk_link *k = disk_link(d, i);
		struct imgctl_leaf l = {
			.file = k->file,
			.vhd = k->format == DISK_VHD ? k->container : NULL,
			.vhdx = k->format == DISK_VHDX ? k->container : NULL,
		};

		json_array_append_new(all, link_facts(k->path, k->file, &l));
	}
	return all;
}

/* Would a reader, would a writer get in now? In whose way are they? */
static json_t *lock_facts(const struct imgctl *c, const char *path)
{
	struct diag read = DIAG_INIT, write = DIAG_INIT;
	struct dev *file;
	json_t *j;

	if (dev_file_open(path, false, &file, NULL))
		return json_object();
	dev_lock_test(file, DEV_LOCK_READ, c->disk.registry, &read);
	dev_lock_test(file, DEV_LOCK_WRITE, c->disk.registry, &write);
	dev_close(file);
	j = json_pack("{s:b, s:b}", "may_read", !read.code, "may_write",
		      !write.code);
	if (write.code)
		set(j, "why", imgctl_json_text(read.code ? read.text
					       : write.text));
	return j;
}

static void add_notes(json_t *j, const struct disk *d)
{
	json_t *all = json_array();

	for (size_t i = 0; disk_note(d, i); i++)
		json_array_append_new(all, imgctl_json_text(disk_note(d, i)));
	set(j, "notes", all);
}

/* A broken chain, or a locked one: what the file itself says. */
static json_t *alone(struct imgctl *c, struct diag *why)
{
	struct imgctl_leaf l;
	struct imgctl own = *c;
	struct diag said = DIAG_INIT;
	json_t *j;

	own.disk.no_lock = true;
	if (imgctl_leaf_open(&own, c->files[0], false, &l, &said))
		return NULL;
	j = link_facts(c->files[0], l.file, &l);
	set(j, "error", json_pack("{s:s, s:o}", "name",
				  outcome_find(why->out)->name, "message",
				  imgctl_json_text(why->text)));
	imgctl_leaf_close(&l);
	return j;
}

static json_t *whole(struct imgctl *c, struct disk *d)
{
	json_t *chain = chain_facts(d), *j = json_object();

	json_object_update(j, json_array_get(chain, 0));
	set(j, "chain", chain);
	imgctl_info_inside(j, disk_dev(d));
	add_notes(j, d);
	return j;
}

/* Looking is allowed while somebody writes, but then nothing inside is
 * trusted: only the leaf's own words are shown. */
static int info_disk(struct imgctl *c, void *arg)
{
	struct diag why = DIAG_INIT;
	struct disk *d = NULL;
	json_t *j = NULL;

	if (!disk_open(c->files[0], &c->disk, &d, &why))
		j = whole(c, d);
	else if (why.out == OUT_CHAIN || why.out == OUT_LOCKED)
		j = alone(c, &why);
	disk_close(d);
	if (!j)
		return imgctl_fail(c, &why);
	set(j, "lock", lock_facts(c, c->files[0]));
	if (c->json) {
		int ret = imgctl_put_json(c, j);

		return ret ? ret : (int)why.out;
	}
	imgctl_info_text(j);
	json_decref(j);
	return why.code ? imgctl_fail(c, &why) : OUT_OK;
}

int imgctl_info(struct imgctl *c, int argc, char **argv)
{
	static const struct imgctl_form forms[] = { { NULL, info_disk } };
	struct diag why = DIAG_INIT;
	int ret = imgctl_args(c, argc, argv, NULL, 1, 1, &why);

	if (ret == 1)
		return OUT_OK;
	return ret ? imgctl_fail(c, &why)
		   : imgctl_by_content(forms, ARRAY_LEN(forms), c, NULL);
}
