/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What decides whether an NTFS volume may be written to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/ntfs/ntfs_int.h"

#define PAGE_MAX 65536u
/* The header that Windows writes; a shorter file can't say what it is. */
#define HIBERFILE_HEADER 4096u

enum page { PAGE_NONE, PAGE_EMPTY, PAGE_RECORDS, PAGE_RESTART };

struct restart {
	enum page kind;
	uint64_t lsn;
	bool clean;
};

/* Looks at the restart page at pos. buf: PAGE_MAX bytes. */
static int read_page(struct ntfs_stream *log, uint64_t pos, uint8_t *buf,
		     struct restart *out)
{
	struct ntfs_disk_restart_page p;
	struct ntfs_disk_restart_area a;
	uint32_t size, off;
	int ret;

	*out = (struct restart) { .kind = PAGE_NONE };
	if (!range_within(pos, NTFS_STRIDE, log->size))
		return 0;
	ret = ntfs_stream_read(log, buf, NTFS_STRIDE, pos, true);
	if (ret)
		return ret;
	memcpy(&p, buf, sizeof(p));
	if (!memcmp(p.multi.magic, "\xff\xff\xff\xff", 4))
		out->kind = PAGE_EMPTY;
	if (!memcmp(p.multi.magic, "RCRD", 4))
		out->kind = PAGE_RECORDS;
	size = le32(p.system_page_size);
	if ((memcmp(p.multi.magic, "RSTR", 4) &&
	     memcmp(p.multi.magic, "CHKD", 4)) || !is_pow2(size) ||
	    size < NTFS_STRIDE || size > PAGE_MAX ||
	    !range_within(pos, size, log->size))
		return 0;
	ret = ntfs_stream_read(log, buf, size, pos, true);
	if (ret)
		return ret;
	off = le16(p.area_off);
	if (ntfs_fixup(buf, size, (const char *)p.multi.magic) ||
	    !range_within(off, sizeof(a), size))
		return 0;
	memcpy(&a, buf + off, sizeof(a));
	out->kind = PAGE_RESTART;
	out->lsn = le64(a.lsn);
	out->clean = le16(a.in_use_list) == NTFS_LOG_NO_CLIENT ||
		     le16(a.flags) & NTFS_LOG_CLEAN;
	return 0;
}

/* The two restart pages are a system page apart, and that is a power of two:
 * the newer one counts. A log of nothing but 0xff was emptied by a tool. */
static int judge_log(struct ntfs_stream *log, uint8_t *buf, bool *clean)
{
	struct restart best = { .kind = PAGE_NONE }, page;
	bool empty = true;
	int ret;

	for (uint64_t pos = 0; pos <= PAGE_MAX;
	     pos = pos ? pos << 1 : NTFS_STRIDE) {
		ret = read_page(log, pos, buf, &page);
		if (ret)
			return ret;
		if (page.kind != PAGE_EMPTY)
			empty = false;
		if (page.kind == PAGE_RECORDS)
			break;
		if (page.kind == PAGE_RESTART &&
		    (best.kind == PAGE_NONE || page.lsn > best.lsn))
			best = page;
	}
	*clean = best.kind == PAGE_RESTART ? best.clean : empty;
	return 0;
}

static int load_log(struct ntfs *v, bool *clean)
{
	struct ntfs_stream log;
	struct ntfs_rec rec;
	uint8_t *buf;
	int ret = ntfs_rec_get_base(v, NTFS_REC_LOGFILE, &rec);

	if (ret)
		return ret;
	ret = ntfs_stream_load(v, &rec, NTFS_AT_DATA, "", &log);
	ntfs_rec_put(&rec);
	if (ret)
		return ret;
	buf = mem_alloc(PAGE_MAX, 1);
	ret = buf ? judge_log(&log, buf, clean) : -ENOMEM;
	free(buf);
	ntfs_stream_free(&log);
	return ret;
}

static int judge_hiberfile(struct ntfs_stream *s, struct ntfs_state *out)
{
	uint8_t head[4];
	int ret;

	if (s->size < HIBERFILE_HEADER) {
		out->bad_hiberfile = true;
		return 0;
	}
	ret = ntfs_stream_read(s, head, sizeof(head), 0, true);
	if (ret)
		return ret;
	out->hibernated = !memcmp(head, "hibr", 4) || !memcmp(head, "HIBR", 4);
	return 0;
}

static int load_hiberfile(struct ntfs *v, struct ntfs_state *out)
{
	char real[NTFS_NAME_UTF8];
	struct ntfs_stream s;
	struct ntfs_rec rec;
	uint64_t ref;
	int ret = ntfs_dir_find_nocase(v, NTFS_REC_ROOT, "hiberfil.sys", &ref,
				       real);

	if (ret)
		return ret == -ENOENT ? 0 : ret;
	ret = ntfs_rec_get_ref(v, ref, &rec);
	if (ret)
		return ret;
	ret = ntfs_stream_load(v, &rec, NTFS_AT_DATA, "", &s);
	ntfs_rec_put(&rec);
	if (ret)
		return ret == -ENOENT ? 0 : ret;
	ret = judge_hiberfile(&s, out);
	ntfs_stream_free(&s);
	return ret;
}

int ntfs_state_load(struct ntfs *v, struct ntfs_state *out, struct diag *why)
{
	struct ntfs_state s = {
		.major = v->major, .minor = v->minor,
		.volume_flags = v->volume_flags,
		.dirty = v->volume_flags & NTFS_VOLUME_DIRTY,
		.serial = v->geo.serial, .size = v->geo.size,
	};
	int ret = load_log(v, &s.log_clean);

	if (ret)
		return diag_fail(why, ret, "ntfs: $LogFile can't be read: %s",
				 strerror(-ret));
	ret = load_hiberfile(v, &s);
	if (ret)
		return diag_fail(why, ret, "ntfs: hiberfil.sys can't be read: "
				 "%s", strerror(-ret));
	snprintf(s.label, sizeof(s.label), "%s", v->label);
	*out = s;
	return 0;
}

int ntfs_state_of_tree(struct tree *t, struct ntfs_state *out, struct diag *why)
{
	return ntfs_state_load(container_of(t, struct ntfs, tree), out, why);
}

int ntfs_state_of_dev(struct dev *dev, struct ntfs_state *out, struct diag *why)
{
	struct ntfs *v;
	int ret = ntfs_open_volume(dev, NULL, &v, why);

	if (ret)
		return ret;
	ret = ntfs_state_load(v, out, why);
	ntfs_free_volume(v);
	return ret;
}
