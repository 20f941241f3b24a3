/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the parts of VHDX share.
 *
 * Lock order: flush_lock, lock, pages.lock. Readers take pages.lock alone.
 */
#ifndef IMGFS_VHDX_INT_H
#define IMGFS_VHDX_INT_H

#include <pthread.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/base/dev_file.h"
#include "formats/base/map.h"
#include "formats/vhdx/vhdx.h"
#include "formats/vhdx/vhdx_disk.h"

struct vhdx_header {
	uint64_t seq;
	struct guid file_write, data_write, log;
	uint16_t log_version, version;
	uint32_t log_length;
	uint64_t log_offset;
};

struct vhdx_extent {
	uint64_t off, len;
};

struct vhdx_item {
	struct guid id;
	uint32_t off, len;		/* off from the region's start */
	uint32_t flags;
};

/* A page of metadata (BAT or bitmap) in memory. */
struct vhdx_page {
	uint64_t idx;			/* file offset / VHDX_PAGE */
	uint64_t changes;		/* how often it was edited */
	bool dirty;			/* newer than the file and the log */
	bool used;			/* since the clock's hand came by */
	uint8_t data[VHDX_PAGE];
};

struct vhdx_pages {
	pthread_rwlock_t lock;
	struct map map;			/* idx -> page, owned by ring */
	struct vhdx_page **ring;
	size_t n, cap, hand;
	size_t n_dirty;
	uint64_t epoch;			/* changes when the file's pages do */
};

/* Which MiB of the file are in use; only while writing. */
struct vhdx_space {
	uint64_t **chunks;		/* bit per MiB, owned; NULL: all free */
	uint64_t end;			/* behind the last MiB in use */
	uint64_t holes_end;		/* free MiB below it may be junk */
	uint64_t top;			/* next MiB behind holes_end */
	uint64_t fresh;			/* from here on the file is zeros */
	uint64_t hand[2];		/* no hole before: blocks, bitmaps */
};

/* The log while this session writes it. Guarded by flush_lock. */
struct vhdx_log {
	bool active;			/* the headers name it */
	uint64_t seq;			/* of the next entry */
	uint32_t head;			/* position of the next entry */
	uint32_t tail;			/* oldest entry that a replay needs */
	uint32_t kept;			/* the tail that the last durable entry
					 * names: its sequence must stay */
	uint64_t flushed_size;		/* file size known to be durable */
	uint64_t last_size;		/* end of all structures */
};

struct vhdx {
	struct dev dev;			/* the disk */
	struct dev *file;		/* owned */
	struct dev *ram;		/* owned; replayed log over file */
	struct dev *io;			/* ram or file: all reads go there */
	struct dev *parent;		/* not owned */
	struct vhdx_info info;

	struct vhdx_header hdr;		/* the current one */
	int hdr_copy;			/* which of the two it is */
	struct vhdx_extent bat, meta;
	struct vhdx_extent *extents;	/* owned, sorted: header MiB, log, */
	size_t n_extents;		/* regions: nothing else is there */
	bool regions_differ;		/* one copy is bad or another */
	int regions_copy;		/* the good one */
	struct vhdx_item *items;	/* owned */
	size_t n_items;

	unsigned block_shift;
	uint64_t chunk_blocks;		/* blocks a bitmap block covers */
	uint64_t n_blocks, n_entries;	/* of the BAT */
	struct vhdx_pages pages;

	pthread_mutex_t lock;		/* allocation, every metadata change */
	pthread_mutex_t flush_lock;	/* one flush at a time */
	struct vhdx_space space;	/* under lock */
	struct map new_chunks;		/* under lock: bitmap blocks that no
					 * durable BAT entry shows yet */
	struct vhdx_log log;
	uint64_t keep_size;		/* the file's size as found */
	bool stamped;			/* FileWriteGuid is this session's */
	bool touched;			/* DataWriteGuid is this session's */
	bool wrote;			/* since the last barrier */
	bool failed;			/* the session is lost */
};

static inline bool vhdx_failed(const struct vhdx *x)
{
	return __atomic_load_n(&x->failed, __ATOMIC_RELAXED);
}

static inline void vhdx_fail(struct vhdx *x)
{
	__atomic_store_n(&x->failed, true, __ATOMIC_RELAXED);
}

static inline uint32_t vhdx_block_size(const struct vhdx *x)
{
	return 1u << x->block_shift;
}

/* vhdx_header.c */
uint32_t vhdx_crc(const void *buf, size_t len, size_t crc_at);
void vhdx_header_encode(const struct vhdx_header *h,
			struct vhdx_disk_header *raw);
int vhdx_header_load(struct vhdx *x, struct diag *why);
/* Makes x->hdr (changed by the caller) the current header: both copies, a
 * barrier after each. */
int vhdx_header_update(struct vhdx *x);
/* One copy of it, without a barrier. */
int vhdx_header_write(struct vhdx *x);

/* vhdx_region.c */
int vhdx_region_load(struct vhdx *x, struct diag *why);
/* Does the range touch the header MiB, the log or a region? */
bool vhdx_region_hit(const struct vhdx *x, uint64_t off, uint64_t len);
/* Queues the good table for the other copy's place. Needs lock. */
int vhdx_region_repair(struct vhdx *x);

/* vhdx_meta.c */
int vhdx_meta_load(struct vhdx *x, struct diag *why);
/* A whole item; *data is the caller's. */
int vhdx_meta_read(struct vhdx *x, const struct vhdx_item *item,
		   uint8_t **data, struct diag *why);

/* vhdx_locator.c */
int vhdx_locator_decode(const uint8_t *data, size_t len,
			struct vhdx_info *info, struct diag *why);
struct vhdx_locator_text {
	const struct guid *linkage, *linkage2;	/* the second may be NULL */
	const char *relative, *volume, *absolute;	/* NULL: none */
};
/* The item; *data is the caller's. */
int vhdx_locator_encode(const struct vhdx_locator_text *text, uint8_t **data,
			size_t *len, struct diag *why);

/* vhdx_log.c */
/* Replays a dirty log into x->ram; leaves x->io on it. */
int vhdx_log_load(struct vhdx *x, struct diag *why);
/* Brings x->ram to the file and empties the log (FORMAT.md 9.7). */
int vhdx_log_to_file(struct vhdx *x, struct diag *why);

/* vhdx_logw.c */
struct vhdx_image {			/* a page as it goes into the log */
	uint64_t off;			/* in the file */
	const uint8_t *data;		/* VHDX_PAGE bytes */
};
/* An entry in buf (vhdx_logw_len(n) bytes). */
void vhdx_logw_encode(const struct vhdx *x, const struct vhdx_image *pages,
		      size_t n, uint8_t *buf);
/* How many of n pages the next barrier can commit without losing the sequence
 * before. */
size_t vhdx_logw_room(const struct vhdx *x, size_t n);
/* Writes entries for n pages, no barrier. After an error the log is as it
 * was. */
int vhdx_logw_append(struct vhdx *x, const struct vhdx_image *pages, size_t n);
/* An empty entry, then both headers name the log. */
int vhdx_logw_start(struct vhdx *x);

/* vhdx_pages.c */
int vhdx_pages_init(struct vhdx *x);
void vhdx_pages_free(struct vhdx *x);
/* The byte at off of the file, readable to its page's end until put. */
int vhdx_page_get(struct vhdx *x, uint64_t off, const uint8_t **data);
/* The same for changing it; needs lock. */
int vhdx_page_edit(struct vhdx *x, uint64_t off, uint8_t **data);
void vhdx_page_put(struct vhdx *x);
size_t vhdx_pages_dirty(struct vhdx *x);
/* Too much is waiting: flush soon. */
bool vhdx_pages_full(struct vhdx *x);

/* vhdx_bat.c */
struct vhdx_bat {
	enum vhdx_state state;
	uint64_t off;			/* 0: no space in the file */
};
/* 0 or -ERR_CORRUPT for an entry that breaks a rule. */
int vhdx_bat_decode(const struct vhdx *x, uint64_t blk, uint64_t raw,
		    struct vhdx_bat *out);
int vhdx_bat_decode_bitmap(const struct vhdx *x, uint64_t raw, uint64_t *off);
int vhdx_bat_get(struct vhdx *x, uint64_t blk, struct vhdx_bat *out);
/* Where a chunk's bitmap is; 0: it has none. */
int vhdx_bat_get_bitmap(struct vhdx *x, uint64_t chunk, uint64_t *off);
int vhdx_bat_set(struct vhdx *x, uint64_t blk, enum vhdx_state state,
		 uint64_t off);
int vhdx_bat_set_bitmap(struct vhdx *x, uint64_t chunk, uint64_t off);
/* The bytes of a block that belong to the disk. */
uint64_t vhdx_bat_used(const struct vhdx *x, uint64_t blk);

/* vhdx_check.c */
/* Every BAT entry, marking what it uses in space. */
int vhdx_check_bat(struct vhdx *x, struct vhdx_space *space, struct diag *why);
/* How much from off in the file on is certain to be zeros without reading.
 * Pages in memory may be newer. */
uint64_t vhdx_check_hole(struct vhdx *x, uint64_t off, uint64_t len);

/* vhdx_bitmap.c */
/* Length in bytes of the run of equal bits at off, at most len; *set tells
 * which. off and off + len lie in one block. */
int vhdx_bitmap_run(struct vhdx *x, uint64_t off, uint64_t len, bool *set,
		    uint64_t *run);
/* Sets or clears the bits of whole sectors in one block. */
int vhdx_bitmap_put(struct vhdx *x, uint64_t off, uint64_t len, bool set);
/* Allocates the chunk's bitmap block unless it has one. */
int vhdx_bitmap_need(struct vhdx *x, uint64_t chunk);

/* vhdx_read.c */
int vhdx_read(struct dev *dev, void *buf, size_t len, uint64_t off);
int vhdx_map(struct dev *dev, uint64_t off, uint64_t len, struct dev_run *runs,
	     int max);

/* vhdx_alloc.c */
int vhdx_space_init(struct vhdx_space *s);
void vhdx_space_free(struct vhdx_space *s);
/* -ERR_CORRUPT when a part of it is in use already. */
int vhdx_space_mark(struct vhdx_space *s, uint64_t off, uint64_t len);
/* len is a block's or a bitmap block's; *zeros: it reads as zeros. */
int vhdx_space_take(struct vhdx *x, uint64_t len, uint64_t *off, bool *zeros);
/* Back again, if it was never shown. */
void vhdx_space_return(struct vhdx *x, uint64_t off, uint64_t len);

/* vhdx_write.c */
int vhdx_write(struct dev *dev, const void *buf, size_t len, uint64_t off);
int vhdx_zero(struct dev *dev, uint64_t off, uint64_t len, bool may_unmap);

/* vhdx_session.c */
int vhdx_check_write(struct dev *dev, struct diag *why);
int vhdx_begin_write(struct dev *dev, struct diag *why);
/* Before the first change that a guest can see. */
int vhdx_touch(struct vhdx *x);
/* fsync of the file; the session is lost when it fails. */
int vhdx_barrier(struct vhdx *x);
/* Ends the session: everything applied, the log empty, the file trimmed. */
void vhdx_end(struct vhdx *x);

/* vhdx_ident.c */
/* Everything written is durable; needs writing to have begun. */
int vhdx_settle(struct vhdx *x, struct diag *why);
/* Before the first change that no guest can see. */
int vhdx_stamp(struct vhdx *x);

/* vhdx_move.c */
/* Bytes into pages of metadata, anywhere; needs lock. */
int vhdx_page_store(struct vhdx *x, uint64_t off, const void *data,
		    size_t len);
/* Whole pages; takes lock, edits those that differ from the file's. */
int vhdx_page_replace(struct vhdx *x, uint64_t off, const void *data,
		      size_t len);
/* Zeros for a region, len bytes. */
int vhdx_region_take(struct vhdx *x, uint64_t len, uint64_t *off);
/* Both tables name *to, where the region's bytes are durable; *region is
 * x->bat or x->meta. Nothing else may wait to be flushed. */
int vhdx_region_move(struct vhdx *x, const struct guid *id,
		     struct vhdx_extent *region, const struct vhdx_extent *to);

/* vhdx_items.c */
struct vhdx_new_item {
	struct guid id;
	uint32_t flags;
	uint32_t off, len;		/* off of one that stays as it is */
	const uint8_t *data;		/* NULL: it stays */
};
/* These are the items from now on; durable on return. After vhdx_settle() and
 * a stamp. */
int vhdx_items_commit(struct vhdx *x, struct vhdx_new_item *items, size_t n,
		      struct diag *why);
/* One of the system's items gets other bytes. */
int vhdx_items_replace(struct vhdx *x, const struct guid *id,
		       const uint8_t *data, size_t len, struct diag *why);

/* vhdx_grow.c */
int vhdx_resize(struct dev *dev, uint64_t size, struct diag *why);

/* vhdx_commit.c */
int vhdx_flush(struct dev *dev);

#endif
