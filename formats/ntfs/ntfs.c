/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening and closing an NTFS volume. */
#include "formats/ntfs/ntfs.h"

#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/ntfs/ntfs_int.h"
#include "formats/ntmeta.h"

#define DRIVES_MAX 26

/* The first piece of $MFT's data, out of record 0 itself. */
static int begin_mft(struct ntfs *v, const struct ntfs_rec *rec)
{
	struct ntfs_attr a;
	uint32_t pos = 0;
	int ret;

	while ((ret = ntfs_attr_next(rec, &pos, &a)) > 0)
		if (a.type == NTFS_AT_DATA && !a.name_len && !a.resident &&
		    !a.first_vcn)
			break;
	if (ret <= 0)
		return ret ? ret : -ERR_CORRUPT;
	v->mft_size = a.initialized;
	v->n_records = a.initialized / v->geo.record_size;
	return ntfs_runs_add(&v->geo, &v->mft, &a);
}

/* The others; their records are found with what is known so far. */
static int add_mft(void *ctx, const struct ntfs_attr *a)
{
	struct ntfs *v = ctx;

	return a->first_vcn ? ntfs_runs_add(&v->geo, &v->mft, a) : 0;
}

static int load_mft(struct ntfs *v, uint8_t *buf)
{
	static const struct ntfs_want want = { .type = NTFS_AT_DATA };
	struct ntfs_rec rec = { .num = NTFS_REC_MFT };
	uint32_t size = v->geo.record_size;
	int ret = dev_read(v->dev, buf, size,
			   v->geo.mft_lcn << v->geo.cluster_shift);

	if (!ret)
		ret = ntfs_fixup(buf, size, "FILE");
	if (!ret)
		ret = ntfs_rec_decode(buf, size, &rec);
	if (!ret)
		ret = begin_mft(v, &rec);
	if (!ret)
		ret = ntfs_attr_walk(v, &rec, &want, add_mft, v);
	/* Records were read while runs were missing. */
	ntfs_rec_forget(v);
	if (!ret && v->mft_size > v->mft.end << v->geo.cluster_shift)
		ret = -ERR_CORRUPT;
	return ret;
}

static int open_mft(struct ntfs *v, struct diag *why)
{
	uint8_t *buf = mem_alloc(v->geo.record_size, 1);
	int ret = buf ? load_mft(v, buf) : -ENOMEM;

	free(buf);
	if (ret)
		return diag_fail(why, ret, "ntfs: $MFT at cluster %llu can't "
				 "be read: %s",
				 (unsigned long long)v->geo.mft_lcn,
				 strerror(-ret));
	return 0;
}

static int take_volume(void *ctx, const struct ntfs_attr *a)
{
	struct ntfs_disk_volume_info vi;
	struct ntfs *v = ctx;
	size_t units = min_of(a->value_len / 2, NTFS_NAME_UNITS + 0u);

	if (a->type == NTFS_AT_VOLUME_NAME && a->resident)
		ntfs_name_utf8((const le16_t *)a->value, units, v->label);
	if (a->type != NTFS_AT_VOLUME_INFORMATION)
		return 0;
	if (!a->resident || a->value_len < sizeof(vi))
		return -ERR_CORRUPT;
	memcpy(&vi, a->value, sizeof(vi));
	v->major = vi.major;
	v->minor = vi.minor;
	v->volume_flags = le16(vi.flags);
	return 0;
}

static int open_info(struct ntfs *v, struct diag *why)
{
	static const struct ntfs_want all = { .any_name = true };
	struct ntfs_rec rec;
	int ret = ntfs_rec_get_base(v, NTFS_REC_VOLUME, &rec);

	if (!ret) {
		ret = ntfs_attr_walk(v, &rec, &all, take_volume, v);
		ntfs_rec_put(&rec);
	}
	if (ret)
		return diag_fail(why, ret == -ENOENT ? ERR_CORRUPT : ret,
				 "ntfs: $Volume can't be read: %s",
				 strerror(-ret));
	/* 1.1 and 1.2 are NT 3.51 and 4, 3.0 and 3.1 all since. */
	if (v->major != 1 && v->major != 3)
		return diag_fail(why, ERR_UNSUPP, "ntfs: version %u.%u",
				 v->major, v->minor);
	return 0;
}

static int load_upcase(struct ntfs *v)
{
	struct ntfs_stream s;
	struct ntfs_rec rec;
	int ret = ntfs_rec_get_base(v, NTFS_REC_UPCASE, &rec);

	if (ret)
		return ret;
	ret = ntfs_stream_load(v, &rec, NTFS_AT_DATA, "", &s);
	ntfs_rec_put(&rec);
	if (ret)
		return ret;
	ret = -ERR_CORRUPT;
	if (s.size >= NTFS_UPCASE_LEN * 2)
		ret = ntfs_stream_read(&s, v->upcase, NTFS_UPCASE_LEN * 2, 0,
				       false);
	for (size_t i = 0; !ret && i < NTFS_UPCASE_LEN; i++)
		v->upcase[i] = le16toh(v->upcase[i]);
	ntfs_stream_free(&s);
	return ret;
}

static int open_upcase(struct ntfs *v, struct diag *why)
{
	int ret;

	v->upcase = mem_alloc(NTFS_UPCASE_LEN, sizeof(*v->upcase));
	if (!v->upcase)
		return -ENOMEM;
	ret = load_upcase(v);
	if (ret)
		return diag_fail(why, ret == -ENOENT ? ERR_CORRUPT : ret,
				 "ntfs: $UpCase can't be read: %s",
				 strerror(-ret));
	return 0;
}

static int copy_opts(struct ntfs *v, const struct ntfs_opts *opts,
		     struct diag *why)
{
	if (!opts)
		return 0;
	v->opts = *opts;
	v->opts.drives = NULL;
	if (opts->n_drives > DRIVES_MAX)
		return diag_fail(why, EINVAL, "ntfs: %zu drive letters",
				 opts->n_drives);
	v->drives = mem_zalloc(opts->n_drives + 1, sizeof(*v->drives));
	if (!v->drives)
		return -ENOMEM;
	for (size_t i = 0; i < opts->n_drives; i++) {
		const char *path;

		if (ntmeta_drive_parse(opts->drives[i], &v->drives[i].letter,
				       &path))
			return diag_fail(why, EINVAL, "drive=%s: not like "
					 "C:=/mnt/c", opts->drives[i]);
		v->drives[i].path = mem_strdup(path);
		if (!v->drives[i].path)
			return -ENOMEM;
		v->n_drives++;
	}
	return 0;
}

static int open_parts(struct ntfs *v, const struct ntfs_opts *opts,
		      struct diag *why)
{
	struct ntfs_disk_boot boot;
	int ret;

	if (dev_size(v->dev) < sizeof(boot))
		return diag_fail(why, ERR_NOT_THIS, "ntfs: no boot sector");
	ret = dev_read(v->dev, &boot, sizeof(boot), 0);
	if (ret)
		return diag_fail(why, ret, "ntfs: boot sector: %s",
				 strerror(-ret));
	ret = ntfs_boot_decode(&boot, dev_size(v->dev), &v->geo, why);
	if (!ret)
		ret = copy_opts(v, opts, why);
	if (!ret)
		ret = ntfs_rec_caches(v);
	if (!ret)
		ret = open_mft(v, why);
	if (!ret)
		ret = open_info(v, why);
	if (!ret)
		ret = open_upcase(v, why);
	return ret;
}

int ntfs_open_volume(struct dev *dev, const struct ntfs_opts *opts,
		     struct ntfs **out, struct diag *why)
{
	struct ntfs *v = mem_new(struct ntfs);
	int ret;

	if (!v)
		return -ENOMEM;
	pthread_mutex_init(&v->lock, NULL);
	v->dev = dev;
	ret = open_parts(v, opts, why);
	if (ret)
		ntfs_free_volume(v);
	else
		*out = v;
	return ret;
}

int ntfs_open(struct dev *dev, const struct ntfs_opts *opts, struct tree **out,
	      struct diag *why)
{
	struct ntfs *v;
	int ret = ntfs_open_volume(dev, opts, &v, why);

	if (ret)
		return ret;
	ret = tree_init(&v->tree, &ntfs_tree_ops);
	if (ret) {
		ntfs_free_volume(v);
		return ret;
	}
	v->tree.turns = TREE_PARALLEL;
	v->tree.caps = TREE_CAP_SEEK_LIST | TREE_CAP_LIST_ATTR |
		       TREE_CAP_NO_OWNERS;
	if (v->opts.ignore_case)
		v->tree.caps |= TREE_CAP_IGNORE_CASE;
	v->tree.frozen = true;
	v->tree.label = v->label[0] ? v->label : NULL;
	*out = &v->tree;
	return 0;
}

void ntfs_free_volume(struct ntfs *v)
{
	uint64_t key;
	void *node;

	tree_fini(&v->tree);
	for (size_t i = 0; map_next(&v->streams, &i, &key, &node);)
		free(node);
	map_free(&v->streams);
	ntfs_rec_caches_free(v);
	ntfs_runs_free(&v->mft);
	for (size_t i = 0; i < v->n_drives; i++)
		free(v->drives[i].path);
	free(v->drives);
	free(v->upcase);
	pthread_mutex_destroy(&v->lock);
	free(v);
}
