/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Contents of files: reading, writing, sizes. */
#include "formats/volume/vol_ntfsw_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/base/alloc.h"

#define FILE_OF(f) container_of(f, struct vol_ntfsw_file, file)

static int check_open(struct vol_ntfsw *w, uint64_t id, bool write)
{
	struct tree_attr a;
	ntfs_inode *ni;
	int ret;

	if (vol_ntfsw_is_stream(id))
		return vol_ntfsw_stream_attr(w, id, &a);
	ret = vol_ntfsw_get(w, id, &ni);
	if (ret)
		return ret;
	ret = vol_ntfsw_readable(ni);
	/* Reading tells, as with our reader. */
	if (ret == -EOPNOTSUPP && !write)
		ret = 0;
	if (!ret && write && ni->mft_no < FILE_first_user)
		ret = -EPERM;
	return vol_ntfsw_put(ni, ret);
}

int vol_ntfsw_file_open(struct tree *t, uint64_t id, bool write,
			struct tree_file **out)
{
	struct vol_ntfsw *w = VOL_NTFSW(t);
	struct vol_ntfsw_file *f;
	int ret = check_open(w, id, write);

	if (ret)
		return ret;
	f = mem_new(struct vol_ntfsw_file);
	if (!f)
		return -ENOMEM;
	f->file = (struct tree_file) { .id = id, .write = write };
	*out = &f->file;
	return 0;
}

ntfs_attr *vol_ntfsw_data(ntfs_inode *ni)
{
	ntfs_attr *na;

	errno = 0;
	na = ntfs_attr_open(ni, AT_DATA, AT_UNNAMED, 0);
	/* Where there is no unnamed one the library takes the first. */
	if (na && na->name_len) {
		ntfs_attr_close(na);
		na = NULL;
		errno = ENOENT;
	}
	return na;
}

/* The unnamed data, with its inode. -ENODATA: an (indexed) system file that
 * has none, which reads as empty. */
static int open_data(struct vol_ntfsw *w, uint64_t id, ntfs_inode **ni,
		     ntfs_attr **na)
{
	int ret;

	if (vol_ntfsw_is_stream(id))
		return vol_ntfsw_stream_open(w, id, ni, na);
	ret = vol_ntfsw_get(w, id, ni);
	if (ret)
		return ret;
	ret = vol_ntfsw_readable(*ni);
	if (ret)
		return vol_ntfsw_put(*ni, ret);
	*na = vol_ntfsw_data(*ni);
	if (*na)
		return 0;
	ret = errno == ENOENT ? -ENODATA : vol_ntfsw_errno();
	return vol_ntfsw_put(*ni, ret);
}

static int close_data(ntfs_inode *ni, ntfs_attr *na, int ret)
{
	ntfs_attr_close(na);
	return vol_ntfsw_put(ni, ret);
}

/* The last block of a compressed file is packed when it is complete. */
static void finish_compressed(struct vol_ntfsw *w, uint64_t id)
{
	ntfs_inode *ni;
	ntfs_attr *na;

	if (open_data(w, id, &ni, &na))
		return;
	if (na->data_flags & ATTR_COMPRESSION_MASK)
		ntfs_attr_pclose(na);
	close_data(ni, na, 0);
}

void vol_ntfsw_file_release(struct tree *t, struct tree_file *file)
{
	struct vol_ntfsw_file *f = FILE_OF(file);
	struct vol_ntfsw *w = VOL_NTFSW(t);
	uint64_t id = file->id;

	if (f->wrote)
		finish_compressed(w, id);
	free(f);
	if (!tree_is_open(w->outer, id))
		vol_ntfsw_drop_ghost(w, id);
}

/* Lies somewhere as it is: neither resident nor packed. */
static bool is_plain(const ntfs_attr *na)
{
	return NAttrNonResident(na) &&
		!(na->data_flags & (ATTR_COMPRESSION_MASK | ATTR_IS_ENCRYPTED));
}

/* One extent at off, before end: dev NULL in holes and past what was ever
 * written. */
static int one_extent(struct vol_ntfsw *w, ntfs_attr *na, uint64_t off,
		      uint64_t end, struct tree_extent *e)
{
	unsigned bits = w->vol->cluster_size_bits;
	uint64_t init = (uint64_t)na->initialized_size, stop;
	runlist_element *rl;

	*e = (struct tree_extent) { .len = end - off };
	if (off >= init)
		return 0;
	errno = 0;
	rl = ntfs_attr_find_vcn(na, (VCN)(off >> bits));
	if (!rl)
		return errno == ENOENT ? -EIO : vol_ntfsw_errno();
	if (rl->lcn < 0 && rl->lcn != LCN_HOLE)
		return -EIO;
	stop = (uint64_t)(rl->vcn + rl->length) << bits;
	stop = min_of(stop, init);
	e->len = min_of(stop, end) - off;
	if (rl->lcn == LCN_HOLE)
		return 0;
	e->dev = w->dev;
	e->off = ((uint64_t)rl->lcn << bits) +
		(off - ((uint64_t)rl->vcn << bits));
	if (!range_within(e->off, e->len, dev_size(w->dev)))
		return -EIO;
	/* Somebody is going to look at the dev itself, or to change it. */
	return vol_ntfsw_cache_release(w->cache, e->off, e->len);
}

static int fill_extents(struct vol_ntfsw *w, ntfs_attr *na, uint64_t off,
			uint64_t len, struct tree_extent *ext, int max)
{
	uint64_t size = (uint64_t)na->data_size, end;
	int n = 0;

	if (off >= size)
		return 0;
	end = off + min_of(len, size - off);
	while (off < end && n < max) {
		int ret = one_extent(w, na, off, end, &ext[n]);

		if (ret)
			return ret;
		off += ext[n++].len;
	}
	return n;
}

int vol_ntfsw_extents(struct tree *t, struct tree_file *f, uint64_t off,
		      uint64_t len, bool for_write, struct tree_extent *ext,
		      int max)
{
	struct vol_ntfsw *w = VOL_NTFSW(t);
	ntfs_inode *ni;
	ntfs_attr *na;
	int ret = open_data(w, f->id, &ni, &na), n = -EOPNOTSUPP;

	if (ret)
		return ret == -ENODATA ? 0 : ret;
	if (is_plain(na))
		n = fill_extents(w, na, off, len, ext, max);
	/* Holes have to be filled first: only up to there. */
	for (int i = 0; for_write && i < n; i++)
		if (!ext[i].dev)
			n = i;
	ret = close_data(ni, na, 0);
	return ret ? ret : n;
}

static ssize_t read_plain(struct vol_ntfsw *w, ntfs_attr *na, uint8_t *buf,
			  size_t len, uint64_t off)
{
	size_t done = 0;

	if (off >= (uint64_t)na->data_size)
		return 0;
	len = (size_t)min_of((uint64_t)len, (uint64_t)na->data_size - off);
	while (done < len) {
		struct tree_extent e;
		int ret = one_extent(w, na, off + done, off + len, &e);

		if (ret)
			return ret;
		if (!e.dev)
			memset(buf + done, 0, (size_t)e.len);
		else
			ret = dev_read(e.dev, buf + done, (size_t)e.len, e.off);
		if (ret)
			return ret;
		done += (size_t)e.len;
	}
	return (ssize_t)done;
}

static ssize_t read_packed(ntfs_attr *na, uint8_t *buf, size_t len,
			   uint64_t off)
{
	size_t done = 0;

	while (done < len) {
		s64 n;

		errno = 0;
		n = ntfs_attr_pread(na, (s64)(off + done), (s64)(len - done),
				    buf + done);
		if (n < 0)
			return vol_ntfsw_errno();
		if (!n)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

ssize_t vol_ntfsw_read(struct tree *t, struct tree_file *f, void *buf,
		       size_t len, uint64_t off)
{
	struct vol_ntfsw *w = VOL_NTFSW(t);
	ntfs_inode *ni;
	ntfs_attr *na;
	ssize_t got;
	int ret = open_data(w, f->id, &ni, &na);

	if (ret)
		return ret == -ENODATA ? 0 : ret;
	got = is_plain(na) ? read_plain(w, na, buf, len, off)
			   : read_packed(na, buf, len, off);
	ret = close_data(ni, na, 0);
	return ret ? ret : got;
}

off_t vol_ntfsw_seek(struct tree *t, struct tree_file *f, off_t off,
		     int whence)
{
	struct vol_ntfsw *w = VOL_NTFSW(t);
	struct tree_extent e = { .len = 0 };
	ntfs_inode *ni;
	ntfs_attr *na;
	uint64_t at = (uint64_t)off, size;
	bool data = whence == SEEK_DATA, found = false;
	int ret = open_data(w, f->id, &ni, &na);

	if (ret)
		return ret == -ENODATA ? -ENXIO : ret;
	size = (uint64_t)na->data_size;
	if (off < 0 || at >= size)
		return close_data(ni, na, -ENXIO);
	while (!ret && at < size && !found) {
		/* What is not plain counts as data all through. */
		if (is_plain(na))
			ret = one_extent(w, na, at, size, &e);
		else
			e = (struct tree_extent) { w->dev, 0, size - at };
		found = data == !!e.dev;
		if (!found)
			at += e.len;
	}
	ret = close_data(ni, na, ret);
	if (ret)
		return ret;
	if (!found)
		return data ? -ENXIO : (off_t)size;
	return (off_t)at;
}

/* All of it or an error; what came before an error is written. */
static int write_all(ntfs_attr *na, const uint8_t *buf, size_t len,
		     uint64_t off, size_t *done)
{
	*done = 0;
	errno = 0;
	/* The library zeroes the gap by the runs that happen to be mapped, and
	 * fails (2022.10.3) when they do not begin where the gap does. */
	if (NAttrNonResident(na) && (s64)off > na->initialized_size &&
	    ntfs_attr_map_whole_runlist(na))
		return vol_ntfsw_errno();
	while (*done < len) {
		s64 n;

		errno = 0;
		n = ntfs_attr_pwrite(na, (s64)(off + *done), (s64)(len - *done),
				     buf + *done);
		if (n <= 0)
			return vol_ntfsw_errno();
		*done += (size_t)n;
	}
	return 0;
}

ssize_t vol_ntfsw_write(struct tree *t, struct tree_file *f, const void *buf,
			size_t len, uint64_t off)
{
	struct vol_ntfsw *w = VOL_NTFSW(t);
	ntfs_inode *ni;
	ntfs_attr *na;
	size_t done;
	int ret = open_data(w, f->id, &ni, &na);

	if (ret)
		return ret;
	ret = write_all(na, buf, len, off, &done);
	if (na->data_flags & ATTR_COMPRESSION_MASK)
		FILE_OF(f)->wrote = true;
	if (done) {
		ni->flags |= FILE_ATTR_ARCHIVE;
		vol_ntfsw_touch(ni, NTFS_UPDATE_MCTIME);
		ret = 0;
	}
	ret = close_data(ni, na, ret);
	return ret ? ret : (ssize_t)done;
}

void vol_ntfsw_wrote(struct tree *t, struct tree_file *f)
{
	ntfs_inode *ni;

	if (vol_ntfsw_get(VOL_NTFSW(t), f->id, &ni))
		return;
	ni->flags |= FILE_ATTR_ARCHIVE;
	vol_ntfsw_touch(ni, NTFS_UPDATE_MCTIME);
	ntfs_inode_close(ni);
}

int vol_ntfsw_resize(struct vol_ntfsw *w, ntfs_inode *ni, uint64_t size)
{
	ntfs_attr *na;
	size_t done;
	int ret = vol_ntfsw_readable(ni);

	if (ret)
		return ret;
	na = vol_ntfsw_data(ni);
	if (!na)
		return vol_ntfsw_errno();
	/* The library grows a compressed file by writing its last byte. */
	if (na->data_flags & ATTR_COMPRESSION_MASK &&
	    (s64)size > na->initialized_size)
		ret = write_all(na, (const uint8_t *)"", 1, size - 1, &done);
	else if (ntfs_attr_truncate(na, (s64)size))
		ret = vol_ntfsw_errno();
	ntfs_attr_close(na);
	if (!ret) {
		ni->flags |= FILE_ATTR_ARCHIVE;
		vol_ntfsw_touch(ni, NTFS_UPDATE_MCTIME);
	}
	return ret;
}
