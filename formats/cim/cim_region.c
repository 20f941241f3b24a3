/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The files of a CIM: NAME.cim, and region_GUID_N beside it, which hold all
 * data and metadata (FORMAT.md, "Files of an image", "RegionOffset").
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/base/dev_file.h"
#include "formats/base/dev_lock.h"
#include "formats/cim/cim_int.h"

/* The largest .cim there can be: 65535 parents. */
#define IMAGE_MAX (sizeof(struct cim_disk_image) + \
		   65535 * sizeof(struct cim_disk_set))

/* Nobody may replace a file while it is mounted. */
static int lock_file(const struct cim *v, struct dev *dev, struct diag *why)
{
	int ret;

	if (v->opts.no_lock)
		return 0;
	ret = dev_lock_set(dev, DEV_LOCK_NONE, DEV_LOCK_READ, v->opts.registry,
			   why);
	if (ret == -ENOLCK) {	/* nobody else can lock there either */
		diag_clear(why);
		return 0;
	}
	return ret;
}

int cim_image_load(struct cim *v, const char *path, struct diag *why)
{
	uint8_t *raw;
	size_t len;
	int ret = dev_file_open(path, false, &v->image, why);

	if (ret)
		return ret;
	ret = lock_file(v, v->image, why);
	if (ret)
		return ret;
	len = (size_t)min_of(dev_size(v->image), (uint64_t)IMAGE_MAX);
	raw = mem_alloc(len + 1, 1);
	if (!raw)
		return diag_fail(why, ENOMEM, "out of memory");
	ret = dev_read(v->image, raw, len, 0);
	if (ret)
		diag_fail(why, ret, "%s: %s", path, strerror(-ret));
	else if ((ret = cim_header_decode(raw, len, &v->head, why)))
		diag_in(why, ret, "cim");
	free(raw);
	return ret;
}

int cim_region_check(struct dev *dev, unsigned idx, struct diag *why)
{
	struct cim_disk_region h;
	size_t len = (size_t)min_of(dev_size(dev), (uint64_t)sizeof(h));
	int ret = dev_read(dev, &h, len, 0);

	if (ret)
		return diag_fail(why, ret, "%s", strerror(-ret));
	ret = cim_common_decode(&h, len, CIM_TYPE_REGION, why);
	if (ret == -ERR_NOT_THIS)
		return diag_fail(why, ERR_CORRUPT, "no region file");
	if (!ret && len < sizeof(h))
		ret = diag_fail(why, ERR_CORRUPT, "header cut short");
	if (!ret && le16(h.idx) != idx)
		ret = diag_fail(why, ERR_CORRUPT, "its header says that it is "
				"region %u of its set", le16(h.idx));
	return ret;
}

/* The file in dir that Windows would find; NULL: none. */
static char *find_nocase(const char *dir, const char *name)
{
	DIR *d = opendir(*dir ? dir : ".");
	char *found = NULL;
	struct dirent *e;

	while (d && !found && (e = readdir(d)))
		if (!strcasecmp(e->d_name, name))
			found = mem_printf("%s%s", dir, e->d_name);
	if (d)
		closedir(d);
	return found;
}

static int open_nocase(const char *dir, const char *name, struct dev **out,
		       struct diag *why)
{
	char *path = mem_printf("%s%s", dir, name), *other;
	struct diag first = DIAG_INIT;
	int ret;

	if (!path)
		return diag_fail(why, ENOMEM, "out of memory");
	ret = dev_file_open(path, false, out, &first);
	if (ret == -ENOENT && (other = find_nocase(dir, name))) {
		diag_clear(&first);
		ret = dev_file_open(other, false, out, &first);
		free(other);
	}
	if (ret == -ENOENT)
		diag_fail(why, ret, "cim: region file missing: %s", path);
	else if (ret)
		diag_fail(why, ret, "%s", first.text);
	free(path);
	return ret;
}

static int open_region(struct cim *v, const char *dir,
		       const struct cim_set *set, unsigned idx,
		       struct diag *why)
{
	char guid[GUID_TEXT], name[80];
	struct dev *dev;
	int ret;

	snprintf(name, sizeof(name), "region_%s_%u",
		 guid_format(&set->guid, guid), idx);
	ret = open_nocase(dir, name, &dev, why);
	if (ret)
		return ret;
	v->regions[v->n_regions++] = dev;
	v->bytes += dev_size(dev);
	ret = cim_region_check(dev, idx, why);
	if (ret)
		return diag_in(why, ret, "cim: %s", name);
	if (v->opts.cache_regions && dev_file_fd(dev) >= 0)
		posix_fadvise(dev_file_fd(dev), 0, 0, POSIX_FADV_WILLNEED);
	return lock_file(v, dev, why);
}

int cim_regions_open(struct cim *v, const char *path, struct diag *why)
{
	const char *slash = strrchr(path, '/');
	char *dir;
	int ret = 0;

	v->regions = mem_zalloc(v->head.n_regions, sizeof(*v->regions));
	dir = mem_printf("%.*s", slash ? (int)(slash + 1 - path) : 0, path);
	if (!v->regions || !dir)
		ret = diag_fail(why, ENOMEM, "out of memory");
	for (size_t s = 0; s < v->head.n_sets && !ret; s++)
		for (unsigned i = 0; i < v->head.sets[s].n && !ret; i++)
			ret = open_region(v, dir, &v->head.sets[s], i, why);
	free(dir);
	return ret;
}

int cim_find(const struct cim *v, uint64_t ro, uint64_t len,
	     struct cim_spot *out, struct diag *why)
{
	uint64_t idx = ro >> CIM_OFFSET_BITS, off = ro & CIM_OFFSET_MASK;

	if (idx >= v->n_regions)
		return diag_fail(why, ERR_CORRUPT, "region offset 0x%llx, but "
				 "there are %zu regions",
				 (unsigned long long)ro, v->n_regions);
	if (!off || !range_within(off, len, dev_size(v->regions[idx])))
		return diag_fail(why, ERR_CORRUPT, "region offset 0x%llx and "
				 "%llu bytes leave the region of %llu",
				 (unsigned long long)ro,
				 (unsigned long long)len, (unsigned long long)
				 dev_size(v->regions[idx]));
	*out = (struct cim_spot) { v->regions[idx], off };
	return 0;
}

int cim_load(const struct cim *v, uint64_t ro, void *buf, size_t len,
	     struct diag *why)
{
	struct cim_spot at;
	int ret = cim_find(v, ro, len, &at, why);

	if (ret)
		return ret;
	ret = dev_read(at.dev, buf, len, at.off);
	return ret ? diag_fail(why, ret, "region offset 0x%llx: %s",
			       (unsigned long long)ro, strerror(-ret)) : 0;
}
