/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the parts of formats/vhd share.
 *
 * Locks, in the order in which they are taken: flush_lock, stripe (one of
 * those), alloc_lock. Readers take none: they see a block through three
 * atomics, its BAT entry, its flags and the words of its bitmap, and whoever
 * writes makes the bytes in the file right before he changes these.
 */
#ifndef IMGFS_VHD_INT_H
#define IMGFS_VHD_INT_H

#include <pthread.h>

#include "formats/base/bounds.h"
#include "formats/base/dev.h"
#include "formats/vhd/vhd.h"
#include "formats/vhd/vhd_disk.h"

#define VHD_BLOCK_MIN	512u
/* A judgement: 128 times what Windows writes; the bitmap is still 64 KiB. */
#define VHD_BLOCK_MAX	(256u << 20)
/* What 32-bit sector numbers can address: a larger BAT has no use. */
#define VHD_DISK_MAX	(1ull << 41)
/* The largest disk that Windows creates (FORMAT.md 2.4). */
#define VHD_CREATE_MAX	(2040ull << 30)
/* Longest path in a parent locator that is believed: twice Windows' limit. */
#define VHD_PATH_MAX	(64u << 10)

#define VHD_PAGE_ENTRIES 1024u		/* 4 KiB of BAT */
#define VHD_BAT_SECTOR_ENTRIES (VHD_SECTOR / 4)
/* Pages kept: all of a 2 TiB disk with 2 MiB blocks, about 13 MiB. Disks with
 * tiny blocks beyond that read their entries from the file each time. */
#define VHD_PAGES_MAX	1024u
/* Bitmaps of partial blocks kept for readers, bytes. Beyond that a piece is
 * read from the file each time. */
#define VHD_BITMAPS_MAX	(8u << 20)
#define VHD_STRIPES	16u

enum vhd_flag {
	VHD_BLOCK_CHECKED = 1,	/* lies inside the file, over no structure */
	VHD_BLOCK_FULL = 2,	/* every sector of the disk in it is here */
};

/* The bitmap of a block, sector 0 in the top bit of word 0. Never freed before
 * close: readers hold no lock. */
struct vhd_bitmap {
	struct vhd_bitmap *next_dirty;	/* guarded by alloc_lock */
	uint64_t blk;
	bool dirty;			/* atomic */
	uint64_t words[];		/* atomic */
};

/* A piece of the BAT in memory. Never freed before close. */
struct vhd_page {
	struct vhd_page *next_dirty;	/* guarded by alloc_lock */
	uint64_t idx;
	uint8_t dirty;			/* a bit a BAT sector; alloc_lock */
	uint8_t flags[VHD_PAGE_ENTRIES];	/* atomic, enum vhd_flag */
	uint32_t entry[VHD_PAGE_ENTRIES];	/* atomic, host order */
	struct vhd_bitmap *bitmap[VHD_PAGE_ENTRIES];	/* atomic */
};

/* A decoded and checked footer, and where it was found. */
struct vhd_footer {
	struct vhd_footer_disk raw;	/* what is to be at both places */
	enum vhd_type type;
	uint64_t data_off;
	uint64_t current_size, chs_size;
	uint64_t off;		/* of the end footer, or the file size */
	uint32_t len;		/* 512, 511 or 0 */
	bool end_ok;		/* raw lies at off */
	bool copy_ok;		/* dynamic: offset 0 holds the same 512 bytes */
	bool copy_valid;	/* ... or at least a valid footer */
	bool copy_conflict;	/* ... of another size, type or id */
	bool temporary, saved_state;
};

/* A decoded and checked dynamic header. */
struct vhd_header {
	uint64_t bat_off;
	uint64_t n_entries;	/* in the file */
	uint32_t block_size;
	bool has_next;		/* an unknown structure follows: do not write */
	struct guid parent_id;
	uint32_t parent_timestamp;
	struct vhd_header_disk raw;
};

struct vhd {
	struct dev dev;		/* the disk */
	struct dev *file;	/* owned */
	struct dev *parent;	/* not owned; NULL until set */
	struct vhd_opts opts;
	struct vhd_info info;	/* owns the paths of info.parents */
	struct vhd_footer footer;
	struct vhd_header header;

	/* Derived; constant after open. */
	uint64_t n_blocks;	/* that the disk uses */
	uint32_t block_shift;
	uint32_t bitmap_bytes;	/* on disk, whole sectors */
	uint32_t bitmap_words;	/* in memory */
	uint32_t sectors_per_block;
	bool lsb_bitmap;	/* tapdisk 0.1: bits the other way round */
	bool parent_raw;	/* differencing with a zero parent id */

	struct vhd_page **pages;	/* owned; elements atomic */
	uint64_t n_pages;
	uint32_t pages_kept;		/* atomic */
	uint64_t bitmaps_kept;		/* atomic, bytes */

	pthread_mutex_t flush_lock;	/* one flush at a time */
	uint64_t flush_begun;	/* atomic: number of the last one */
	uint64_t flush_done;	/* the last good one; guarded by flush_lock */
	pthread_mutex_t alloc_lock;	/* below, and the dirty lists */
	pthread_mutex_t stripe[VHD_STRIPES];	/* new bits of block idx % n */
	uint64_t limit;		/* atomic: blocks end here: the end footer */
	uint64_t end;		/* everything used lies before (9.2) */
	struct vhd_page *dirty_pages;
	struct vhd_bitmap *dirty_bitmaps;
	bool prepared;		/* atomic: the first change was made safe */
	bool failed;		/* atomic: a flush failed, nothing is certain */
};

static inline struct vhd *vhd_of(struct dev *dev)
{
	return container_of(dev, struct vhd, dev);
}

static inline uint64_t vhd_block_bytes(const struct vhd *v)
{
	return (uint64_t)v->bitmap_bytes + v->header.block_size;
}

/* Sectors of block blk that the disk has: fewer in the last one. */
static inline uint32_t vhd_block_sectors(const struct vhd *v, uint64_t blk)
{
	uint64_t left = v->dev.size - (blk << v->block_shift);

	return (uint32_t)div_up(min_of(left, (uint64_t)v->header.block_size),
				VHD_SECTOR);
}

/* vhd_footer.c */
uint32_t vhd_checksum(const void *raw, size_t len, size_t checksum_off);
/* Finds the footer that counts and checks it (FORMAT.md 3). */
int vhd_footer_load(struct dev *file, bool force, struct vhd_footer *out,
		    struct diag *why);
/* A new footer for size bytes, checksum included (FORMAT.md 2). */
int vhd_footer_encode(struct vhd_footer_disk *out, enum vhd_type type,
		      uint64_t size);
uint64_t vhd_size_by_rule(const struct vhd_footer *f, enum vhd_size_rule rule);

/* vhd_header.c */
int vhd_header_load(struct dev *file, const struct vhd_footer *f, bool force,
		    struct vhd_header *out, struct diag *why);
/* Appends the hints of header to info->parents (FORMAT.md 7.2). */
int vhd_parents_load(struct dev *file, const struct vhd_header *h,
		     struct vhd_info *info);
void vhd_parents_free(struct vhd_info *info);
/* Bytes from a locator's offset on that are its own; FORMAT.md 6. */
uint64_t vhd_locator_room(const struct vhd_locator_disk *l);
/* Where the room of the last locator ends, at least low. */
uint64_t vhd_locators_end(struct dev *file, const struct vhd_header *h,
			  uint64_t low);

/* vhd_paths.c */
#define VHD_PATH_ROOM	4096u	/* for each path that we write */
struct vhd_paths {
	uint8_t relative[VHD_PATH_ROOM], windows[VHD_PATH_ROOM]; /* UTF-16LE */
	size_t relative_len, windows_len;	/* bytes */
	be16_t name[VHD_NAME_UNITS];
};
/* windows may be NULL: windows_len stays 0. out is zeroed by the caller. */
int vhd_paths_encode(const char *relative, const char *windows,
		     struct vhd_paths *out, struct diag *why);
struct vhd_locator_disk vhd_paths_locator(const char *code, uint64_t off,
					  size_t len);

/* vhd_bat.c */
struct vhd_block {
	uint64_t blk;
	uint64_t start;		/* of the bitmap in the file; 0: absent */
	uint64_t data;		/* of sector 0 */
	bool full;
	struct vhd_page *page;	/* NULL: not kept */
	uint32_t slot;		/* in page */
};
/* Looks block blk up and checks where it lies (FORMAT.md 11, row 8). */
int vhd_bat_get(struct vhd *v, uint64_t blk, struct vhd_block *out);
/* The page of block blk, kept whatever the limit says: for writers. */
int vhd_bat_page(struct vhd *v, uint64_t blk, struct vhd_page **out);
/* The whole table, overlaps too; sets v->end (FORMAT.md 9.2, 11). */
int vhd_bat_check(struct vhd *v, struct diag *why);
int vhd_bat_new(struct vhd *v);
void vhd_bat_free(struct vhd *v);

/* vhd_bitmap.c */
/* How many sectors from first on (at most max) are alike, and whether they
 * are here. b is allocated and not full. */
int vhd_bitmap_run(struct vhd *v, struct vhd_block *b, uint32_t first,
		   uint32_t max, bool *here, uint32_t *n);
/* The bitmap of a block, kept whatever the limit says: for writers. */
int vhd_bitmap_get(struct vhd *v, struct vhd_block *b, struct vhd_bitmap **out);
struct vhd_bitmap *vhd_bitmap_new(struct vhd *v, uint64_t blk);
bool vhd_bitmap_test(const struct vhd_bitmap *m, uint32_t first, uint32_t n);
/* Sets bits and puts the bitmap on the dirty list; may make the block full. */
void vhd_bitmap_set(struct vhd *v, struct vhd_block *b, struct vhd_bitmap *m,
		    uint32_t first, uint32_t n);
/* The words as they lie on disk, v->bitmap_bytes of them. */
void vhd_bitmap_encode(const struct vhd *v, const struct vhd_bitmap *m,
		       void *raw);

/* vhd_read.c */
int vhd_read(struct dev *dev, void *buf, size_t len, uint64_t off);
int vhd_map(struct dev *dev, uint64_t off, uint64_t len, struct dev_run *runs,
	    int max);

/* vhd_alloc.c */
/* Makes the first change safe: footer copy, end footer, batmap. */
int vhd_prepare(struct vhd *v);
/* Gives block b a place in the file if it has none. */
int vhd_alloc(struct vhd *v, struct vhd_block *b);

/* vhd_write.c */
int vhd_write(struct dev *dev, const void *buf, size_t len, uint64_t off);
int vhd_zero(struct dev *dev, uint64_t off, uint64_t len, bool may_unmap);

/* vhd_walk.c */
typedef int (*vhd_entry_fn)(void *ctx, uint64_t blk, uint32_t sector);
/* Every entry of the table in the file that names a block, those behind the
 * disk's end too; ends when emit says other than 0. After vhd_settle(). */
int vhd_walk(struct vhd *v, vhd_entry_fn emit, void *ctx);
/* Do copy, header, BAT, end footer and all blocks leave the range alone? 1, 0
 * or -errno. */
int vhd_walk_free(struct vhd *v, uint64_t off, uint64_t len);

/* vhd_ident.c */
/* Everything written is durable, both footers are good and alike. */
int vhd_settle(struct vhd *v, struct diag *why);
/* Another footer at both places, its checksum computed; after vhd_settle().
 * One sector makes it valid. */
int vhd_footer_change(struct vhd *v, struct vhd_footer_disk *raw);
/* Its steps; each is durable on return. */
int vhd_footer_hide(struct vhd *v);
int vhd_footer_put_copy(struct vhd *v, const struct vhd_footer_disk *raw);
int vhd_footer_show(struct vhd *v, const struct vhd_footer_disk *raw,
		    uint64_t off);

/* vhd_relink.c */
/* The dynamic header with its first sector changed, checksum computed: one
 * write, so that it is the old or the new one. Durable on return. */
int vhd_header_change(struct vhd *v, struct vhd_header_disk *raw);

/* vhd_grow.c */
int vhd_resize(struct dev *dev, uint64_t size, struct diag *why);

/* vhd_flush.c */
int vhd_flush(struct dev *dev);

#endif
