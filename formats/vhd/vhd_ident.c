/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Changing what the footers say: FORMAT.md 9.5. A file must never show two
 * good footers that differ, or nobody could tell which of them is meant. So
 * the end footer is hidden first, behind a sector of zeros; then the copy at 0
 * alone counts and is changed with one sector; then the end footer is
 * rewritten and shown again by cutting the file.
 */
#include "formats/base/dev_file.h"
#include "formats/base/wintime.h"
#include "formats/vhd/vhd_int.h"

int vhd_footer_hide(struct vhd *v)
{
	uint64_t end = round_up(v->footer.off + v->footer.len, VHD_SECTOR);
	int ret = dev_file_extend(v->file, end + VHD_SECTOR);

	/* A file that was longer already: no footer is at its end. */
	if (!ret)
		ret = dev_zero(v->file, dev_size(v->file) - VHD_SECTOR,
			       VHD_SECTOR, false);
	return ret ? ret : dev_flush(v->file);
}

int vhd_footer_put_copy(struct vhd *v, const struct vhd_footer_disk *raw)
{
	int ret = dev_write(v->file, raw, sizeof(*raw), 0);

	return ret ? ret : dev_flush(v->file);
}

int vhd_footer_show(struct vhd *v, const struct vhd_footer_disk *raw,
		    uint64_t off)
{
	int ret = dev_write(v->file, raw, sizeof(*raw), off);

	if (!ret)
		ret = dev_flush(v->file);
	if (!ret)
		ret = dev_file_truncate(v->file, off + sizeof(*raw));
	return ret ? ret : dev_flush(v->file);
}

/* One sector: a fixed disk has no other place. */
static int change_fixed(struct vhd *v, const struct vhd_footer_disk *raw)
{
	int ret = dev_write(v->file, raw, v->footer.len, v->footer.off);

	return ret ? ret : dev_flush(v->file);
}

static int change_sparse(struct vhd *v, const struct vhd_footer_disk *raw)
{
	uint64_t off = round_up(v->footer.off, VHD_SECTOR);
	int ret = vhd_footer_hide(v);

	if (!ret)
		ret = vhd_footer_put_copy(v, raw);
	if (!ret)
		ret = vhd_footer_show(v, raw, off);
	if (ret)
		return ret;
	v->footer.off = off;
	v->footer.len = sizeof(*raw);
	__atomic_store_n(&v->limit, off, __ATOMIC_RELEASE);
	return 0;
}

int vhd_footer_change(struct vhd *v, struct vhd_footer_disk *raw)
{
	int ret;

	raw->checksum = to_be32(vhd_checksum(raw, sizeof(*raw),
			offsetof(struct vhd_footer_disk, checksum)));
	ret = v->info.type == VHD_FIXED ? change_fixed(v, raw)
					: change_sparse(v, raw);
	/* The file shows the old or the new one: only a reopen can tell. */
	if (ret)
		__atomic_store_n(&v->failed, true, __ATOMIC_RELEASE);
	else
		v->footer.raw = *raw;
	return ret;
}

int vhd_settle(struct vhd *v, struct diag *why)
{
	int ret;

	if (!v->dev.writing)
		return diag_fail(why, EROFS, "vhd: not open for writing");
	ret = vhd_prepare(v);
	if (!ret)
		ret = vhd_flush(&v->dev);
	return ret ? diag_fail(why, ret, "vhd: cannot be written") : 0;
}

int vhd_set_id(struct vhd *v, const struct guid *id, struct diag *why)
{
	struct vhd_footer_disk raw;
	int ret = vhd_settle(v, why);

	if (ret)
		return ret;
	raw = v->footer.raw;
	memcpy(raw.id, id->b, sizeof(raw.id));
	raw.timestamp = to_be32(wintime_vhd_now());
	ret = vhd_footer_change(v, &raw);
	if (ret)
		return diag_fail(why, ret, "vhd: footer, the identity cannot "
				 "be changed");
	v->info.id = *id;
	v->info.timestamp = be32(raw.timestamp);
	return 0;
}
