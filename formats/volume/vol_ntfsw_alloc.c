/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fallocate(2): room ahead, zeros, holes. */
#include "formats/volume/vol_ntfsw_int.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>

#include <ntfs-3g/lcnalloc.h>

#include "formats/base/alloc.h"

#define ZEROS (1u << 20)

/* Zeros over what may hold something else: nothing behind the initialized
 * size, nothing in holes unless they are to be filled. */
static int write_zeros(struct vol_ntfsw *w, ntfs_attr *na, uint64_t off,
		       uint64_t end, bool fill)
{
	unsigned bits = w->vol->cluster_size_bits;
	void *zeros = mem_zalloc(1, ZEROS);
	int ret = zeros ? 0 : -ENOMEM;

	end = min_of(end, (uint64_t)na->initialized_size);
	while (!ret && off < end) {
		uint64_t part = min_of(end - off, (uint64_t)ZEROS);
		runlist_element *rl = NULL;

		errno = 0;
		if (NAttrNonResident(na)) {
			rl = ntfs_attr_find_vcn(na, (VCN)(off >> bits));
			if (!rl) {
				ret = vol_ntfsw_errno();
				break;
			}
			part = min_of(part, ((uint64_t)(rl->vcn + rl->length)
					     << bits) - off);
		}
		if (!rl || rl->lcn != LCN_HOLE || fill) {
			s64 n = ntfs_attr_pwrite(na, (s64)off, (s64)part,
						 zeros);

			if (n <= 0)
				ret = vol_ntfsw_errno();
			part = n > 0 ? (uint64_t)n : 0;
		}
		off += part;
	}
	free(zeros);
	return ret;
}

/* Fills the holes of a range that lies inside the size. */
static int fill_holes(struct vol_ntfsw *w, ntfs_attr *na, uint64_t off,
		      uint64_t end)
{
	unsigned bits = w->vol->cluster_size_bits;
	int ret = 0;

	while (!ret && off < end) {
		runlist_element *rl;
		uint64_t stop;

		rl = ntfs_attr_find_vcn(na, (VCN)(off >> bits));
		if (!rl)
			return -EIO;
		stop = min_of((uint64_t)(rl->vcn + rl->length) << bits, end);
		/* Writing raises the initialized size; a hole is split. */
		if (rl->lcn == LCN_HOLE) {
			static const uint8_t zero[4096];
			uint64_t n = min_of(stop - off, sizeof(zero));

			errno = 0;
			if (ntfs_attr_pwrite(na, (s64)off, (s64)n, zero) <= 0)
				ret = vol_ntfsw_errno();
			stop = off + n;
		}
		off = stop;
	}
	return ret;
}

/* The size as it was before room was made behind it. */
static int restore_size(ntfs_inode *ni, ntfs_attr *na, s64 size)
{
	ntfs_attr_search_ctx *ctx = ntfs_attr_get_search_ctx(ni, NULL);

	errno = 0;
	if (!ctx)
		return -ENOMEM;
	if (ntfs_attr_lookup(AT_DATA, AT_UNNAMED, 0, CASE_SENSITIVE, 0, NULL, 0,
			     ctx)) {
		ntfs_attr_put_search_ctx(ctx);
		return vol_ntfsw_errno();
	}
	ctx->attr->data_size = cpu_to_sle64(size);
	na->data_size = ni->data_size = size;
	if (na->initialized_size > size) {
		ctx->attr->initialized_size = cpu_to_sle64(size);
		na->initialized_size = size;
	}
	ntfs_inode_mark_dirty(ctx->ntfs_ino);
	NInoFileNameSetDirty(ni);
	ntfs_attr_put_search_ctx(ctx);
	return 0;
}

static int make_room(struct vol_ntfsw *w, ntfs_inode *ni, ntfs_attr *na,
		     uint64_t end, bool keep_size)
{
	s64 size = na->data_size;
	int ret = 0;

	if ((s64)end <= size)
		return 0;
	errno = 0;
	if (!NAttrNonResident(na) && ntfs_attr_force_non_resident(na))
		return vol_ntfsw_errno();
	if (ntfs_attr_truncate_solid(na, (s64)end))
		ret = vol_ntfsw_errno();
	if (!ret && keep_size)
		ret = restore_size(ni, na, size);
	return ret;
}

static int reserve(struct vol_ntfsw *w, ntfs_inode *ni, ntfs_attr *na,
		   uint64_t off, uint64_t end, bool keep_size)
{
	uint64_t inside = min_of(end, (uint64_t)na->data_size);
	int ret = 0;

	if (NAttrNonResident(na) && NAttrSparse(na) && off < inside)
		ret = fill_holes(w, na, off, inside);
	return ret ? ret : make_room(w, ni, na, end, keep_size);
}

/* A copy of the runs with a hole in [first, last); NULL: no memory. The
 * library grows run lists in pages, and expects whole ones. */
static runlist_element *with_hole(const runlist_element *old, VCN first,
				  VCN last)
{
	size_t n = 0, k = 0;
	runlist_element *rl;

	while (old[n].length)
		n++;
	rl = malloc(round_up((n + 4) * sizeof(*rl), 4096));
	if (!rl)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		VCN lo = old[i].vcn, hi = lo + old[i].length;
		VCN cut_lo = max_of(lo, first), cut_hi = min_of(hi, last);

		if (cut_lo >= cut_hi || old[i].lcn < 0) {
			rl[k++] = old[i];
			continue;
		}
		if (lo < cut_lo)
			rl[k++] = (runlist_element) { lo, old[i].lcn,
						      cut_lo - lo };
		rl[k++] = (runlist_element) { cut_lo, LCN_HOLE,
					      cut_hi - cut_lo };
		if (cut_hi < hi)
			rl[k++] = (runlist_element) {
				cut_hi, old[i].lcn + (cut_hi - lo),
				hi - cut_hi };
	}
	rl[k] = old[n];
	return rl;
}

/* Neighbouring holes become one, as the disk's form wants them. */
static void merge_holes(runlist_element *rl)
{
	runlist_element *to = rl;

	for (runlist_element *from = rl + 1; ; from++) {
		if (from->length && to->lcn == LCN_HOLE &&
		    from->lcn == LCN_HOLE) {
			to->length += from->length;
			continue;
		}
		*++to = *from;
		if (!from->length)
			return;
	}
}

/* The clusters that lie in [first, last) go back to the volume. */
static int free_clusters(struct vol_ntfsw *w, const runlist_element *rl,
			 VCN first, VCN last)
{
	int ret = 0;

	for (; rl->length; rl++) {
		VCN lo = max_of(rl->vcn, first);
		VCN hi = min_of((VCN)(rl->vcn + rl->length), last);

		errno = 0;
		if (rl->lcn >= 0 && lo < hi &&
		    ntfs_cluster_free_basic(w->vol, rl->lcn + (lo - rl->vcn),
					    hi - lo) && !ret)
			ret = vol_ntfsw_errno();
	}
	return ret;
}

static int punch_clusters(struct vol_ntfsw *w, ntfs_attr *na, VCN first,
			  VCN last)
{
	runlist_element *old, *rl;
	int ret;

	errno = 0;
	if (ntfs_attr_map_whole_runlist(na))
		return vol_ntfsw_errno();
	old = na->rl;
	rl = with_hole(old, first, last);
	if (!rl)
		return -ENOMEM;
	merge_holes(rl);
	na->rl = rl;
	NAttrSetRunlistDirty(na);
	if (ntfs_attr_update_mapping_pairs(na, 0)) {
		ret = vol_ntfsw_errno();
		/* Back to what it was: that did fit. */
		free(na->rl);
		na->rl = old;
		NAttrSetRunlistDirty(na);
		ntfs_attr_update_mapping_pairs(na, 0);
		return ret;
	}
	ret = free_clusters(w, old, first, last);
	free(old);
	return ret;
}

static int punch(struct vol_ntfsw *w, ntfs_attr *na, uint64_t off, uint64_t end)
{
	uint32_t size = w->vol->cluster_size;
	uint64_t first, last;
	int ret;

	end = min_of(end, (uint64_t)na->data_size);
	if (off >= end)
		return 0;
	first = round_up(off, size);
	last = end == (uint64_t)na->data_size ? round_up(end, size)
					      : round_down(end, size);
	if (!NAttrNonResident(na) || w->vol->major_ver < 3 || first >= last)
		return write_zeros(w, na, off, end, false);
	ret = write_zeros(w, na, off, first, false);
	if (!ret && last < end)
		ret = write_zeros(w, na, last, end, false);
	return ret ? ret : punch_clusters(w, na,
				(VCN)(first >> w->vol->cluster_size_bits),
				(VCN)(last >> w->vol->cluster_size_bits));
}

static int allocate(struct vol_ntfsw *w, ntfs_inode *ni, ntfs_attr *na,
		    int mode, const uint64_t range[2])
{
	bool keep = mode & FALLOC_FL_KEEP_SIZE;
	uint64_t off = range[0], end = range[1];
	int ret;

	/* Packed data has no room that could be kept. */
	if (na->data_flags & (ATTR_COMPRESSION_MASK | ATTR_IS_ENCRYPTED))
		return -EOPNOTSUPP;
	if (mode & FALLOC_FL_PUNCH_HOLE)
		return punch(w, na, off, end);
	if (mode & FALLOC_FL_ZERO_RANGE) {
		ret = write_zeros(w, na, off, end, true);
		if (ret)
			return ret;
	}
	return reserve(w, ni, na, off, end, keep);
}

int vol_ntfsw_allocate(struct tree *t, struct tree_file *f, int mode,
		       uint64_t off, uint64_t len)
{
	struct vol_ntfsw *w = VOL_NTFSW(t);
	ntfs_inode *ni;
	ntfs_attr *na;
	int ret;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE |
		     FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	ret = vol_ntfsw_get(w, f->id, &ni);
	if (ret)
		return ret;
	ret = vol_ntfsw_readable(ni);
	na = ret ? NULL : vol_ntfsw_data(ni);
	if (!na)
		return vol_ntfsw_put(ni, ret ? ret : vol_ntfsw_errno());
	ret = allocate(w, ni, na, mode, (uint64_t[]) { off, off + len });
	ntfs_attr_close(na);
	if (!ret) {
		ni->flags |= FILE_ATTR_ARCHIVE;
		vol_ntfsw_touch(ni, NTFS_UPDATE_MCTIME);
	}
	return vol_ntfsw_put(ni, ret);
}
