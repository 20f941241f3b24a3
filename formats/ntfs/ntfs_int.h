/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the parts of formats/ntfs share. libntfs-3g, which lives in the same
 * programs, exports names that begin with ntfs_, too: a name of ours must be
 * none of its own, or the library calls ours (test_ntfs_write.py looks).
 */
#ifndef IMGFS_NTFS_INT_H
#define IMGFS_NTFS_INT_H

#include <pthread.h>

#include "formats/base/bounds.h"
#include "formats/base/cache.h"
#include "formats/base/diag.h"
#include "formats/base/map.h"
#include "formats/ntfs/ntfs.h"
#include "formats/ntfs/ntfs_disk.h"

/* Update sequences protect strides of this many bytes, whatever a sector. */
#define NTFS_STRIDE 512u
/* Caches work in these: a miss costs little more than one record, and the
 * neighbours, which a listing asks for next, come along. */
#define NTFS_CHUNK 16384u
#define NTFS_MFT_SHARDS 8
#define NTFS_MFT_BLOCKS 32	/* per shard: 4 MiB in all */
#define NTFS_RAW_SHARDS 4
#define NTFS_RAW_BLOCKS 32	/* per shard: 2 MiB in all */
/* Record sizes: Windows writes 1 and 4 KiB. */
#define NTFS_RECORD_MIN 512u
#define NTFS_RECORD_MAX NTFS_CHUNK
#define NTFS_INDEX_MIN 512u
#define NTFS_INDEX_MAX 65536u	/* as large as clusters were for decades */
/* Windows stops at 256 KiB; memory is asked for before it is read. */
#define NTFS_LIST_MAX (1u << 20)
/* A million entries in each node's 65536 bytes need four levels. */
#define NTFS_INDEX_DEPTH 16
/* Runs of one file: 16 bytes each in memory, and beyond what an attribute list
 * of legal size can hold. */
#define NTFS_RUNS_MAX (1u << 22)
#define NTFS_HOLE UINT64_MAX
#define NTFS_NAME_UNITS 255
#define NTFS_NAME_UTF8 (NTFS_NAME_UNITS * 3 + 1)
#define NTFS_UPCASE_LEN 65536u

struct ntfs_geometry {
	uint32_t sector_size;
	uint32_t cluster_size;
	unsigned cluster_shift;
	uint64_t n_clusters;
	uint64_t size;		/* bytes, without the backup boot sector */
	uint32_t record_size;
	uint32_t index_size;
	uint64_t mft_lcn;
	uint64_t serial;
};

/* Clusters from vcn to the next run's vcn (or the list's end). */
struct ntfs_run {
	uint64_t vcn;
	uint64_t lcn;		/* NTFS_HOLE */
};

struct ntfs_runs {
	struct ntfs_run *v;	/* owned; ascending, none empty */
	size_t n, max;
	uint64_t end;		/* the VCN behind the last */
};

struct ntfs_drive {
	char letter;		/* upper case */
	char *path;		/* owned */
};

struct ntfs {
	struct tree tree;
	struct dev *dev;
	struct ntfs_geometry geo;
	struct ntfs_opts opts;	/* drives: not used, see below */
	struct ntfs_drive *drives;
	size_t n_drives;
	uint16_t *upcase;	/* NTFS_UPCASE_LEN */
	char label[NTFS_NAME_UTF8];
	uint8_t major, minor;
	uint16_t volume_flags;

	struct ntfs_runs mft;
	uint64_t mft_size;	/* initialized bytes of $MFT */
	uint64_t n_records;
	struct cache *mft_cache[NTFS_MFT_SHARDS];
	struct cache *raw_cache[NTFS_RAW_SHARDS];

	pthread_mutex_t lock;	/* guards what follows */
	struct map streams;	/* id -> struct ntfs_node, owned */
	bool free_known;
	uint64_t n_free;	/* clusters */
};

/* A file record that stays in memory until ntfs_rec_put(). */
struct ntfs_rec {
	uint64_t num;
	const uint8_t *data;
	uint32_t used;
	uint32_t attrs_off;
	uint16_t seq, flags, n_links;
	uint64_t base;		/* reference; 0 in a base record */
	struct cache *cache;
	const void *block;
};

/* One attribute (or one extent of it), checked; points into its record. */
struct ntfs_attr {
	uint32_t type;
	uint16_t flags, instance;
	const le16_t *name;
	uint8_t name_len;
	bool resident;
	const uint8_t *value;	/* resident: the value, else mapping pairs */
	uint32_t value_len;
	uint64_t first_vcn, end_vcn;
	uint64_t allocated, size, initialized, compressed;
	uint8_t unit_shift;
};

/* Which attributes a walk wants. */
struct ntfs_want {
	uint32_t type;		/* 0: all */
	bool any_name;
	bool first_only;	/* no extents behind the first */
	const le16_t *name;
	uint8_t name_len;
};

/* Returns 0 to go on, 1 to stop, -errno to fail. */
typedef int (*ntfs_attr_fn)(void *ctx, const struct ntfs_attr *attr);

/* The contents of one attribute. Never changes once loaded. */
struct ntfs_stream {
	struct ntfs *v;
	bool resident;
	uint16_t flags;
	uint8_t unit_shift;
	uint8_t *value;		/* owned; resident only */
	struct ntfs_runs runs;
	uint64_t size, initialized, allocated;
	pthread_mutex_t lock;	/* guards unit and unit_vcn */
	uint8_t *unit;		/* owned; the last decompressed unit */
	uint64_t unit_vcn;
};

/* A directory or view index, ready to walk. */
struct ntfs_index {
	struct ntfs *v;
	uint64_t record;
	uint8_t *root;		/* owned: value of INDEX_ROOT */
	uint32_t root_len;
	uint32_t block_size;
	unsigned vcn_shift;	/* bytes of a subnode VCN */
	bool large;		/* blocks and bitmap are there */
	struct ntfs_stream blocks;
	struct ntfs_stream bitmap;
};

/* Entries of one node, bounds checked. */
struct ntfs_entries {
	const uint8_t *p;
	uint32_t first, end;	/* offsets in p */
};

struct ntfs_entry {
	uint64_t ref;
	const uint8_t *key;
	uint16_t key_len, flags, len;
	uint64_t child;		/* VCN, with NTFS_ENTRY_NODE */
	const uint8_t *raw;
};

/* A decoded FILE_NAME. */
struct ntfs_name {
	uint64_t parent;
	uint32_t attrs, tag;
	uint8_t len, space;
	const le16_t *units;
};

/* A named stream that was given a node id. */
struct ntfs_node {
	uint64_t record;
	uint8_t name_len;
	le16_t name[NTFS_NAME_UNITS];
};

/* What a record says about its file. */
struct ntfs_info {
	struct tree_attr a;
	uint32_t attrs;		/* NTFS file attributes */
	uint32_t security_id;	/* 0: none */
	uint64_t times[4];	/* created modified mft accessed, FILETIME */
	bool std, reparse, encrypted, compressed;
	bool elsewhere;		/* ntmeta.h: reading must fail */
	uint32_t tag;
	uint64_t parent;	/* reference of the first name's directory */
};

/* ntfs_boot.c: no I/O. */
int ntfs_boot_decode(const struct ntfs_disk_boot *raw, uint64_t dev_size,
		     struct ntfs_geometry *out, struct diag *why);

/* ntfs_rec.c */
/* Checks the magic and undoes the update sequence in place. */
int ntfs_fixup(uint8_t *buf, uint32_t len, const char *magic);
/* Checks the header of a record that was fixed up. */
int ntfs_rec_decode(const uint8_t *buf, uint32_t size, struct ntfs_rec *out);
int ntfs_rec_caches(struct ntfs *v);
void ntfs_rec_caches_free(struct ntfs *v);
void ntfs_rec_forget(struct ntfs *v);
/* Any record in use. -ENOENT when it is free or past the end. */
int ntfs_rec_get(struct ntfs *v, uint64_t num, struct ntfs_rec *out);
/* The same for a base record: -ENOENT for extents of other files. */
int ntfs_rec_get_base(struct ntfs *v, uint64_t num, struct ntfs_rec *out);
/* By reference: -ERR_CORRUPT when its sequence number is another. */
int ntfs_rec_get_ref(struct ntfs *v, uint64_t ref, struct ntfs_rec *out);
void ntfs_rec_put(struct ntfs_rec *rec);
/* Metadata through the raw cache. */
int ntfs_raw_read(struct ntfs *v, uint64_t off, void *buf, size_t len);

/* ntfs_run.c */
int ntfs_runs_add(const struct ntfs_geometry *geo, struct ntfs_runs *runs,
		  const struct ntfs_attr *attr);
void ntfs_runs_free(struct ntfs_runs *runs);
/* Index of the run that holds vcn < runs->end. */
size_t ntfs_runs_find(const struct ntfs_runs *runs, uint64_t vcn);
/* Clusters from vcn to the end of its run; *lcn may be NTFS_HOLE. */
uint64_t ntfs_runs_at(const struct ntfs_runs *runs, uint64_t vcn,
		      uint64_t *lcn);
/* Bytes, holes as zeros. cached: through the raw cache. */
int ntfs_runs_read(struct ntfs *v, const struct ntfs_runs *runs, uint64_t off,
		   void *buf, size_t len, bool cached);

/* ntfs_attr.c */
/* Starts with *pos = 0. 1, 0 at the end, or -ERR_CORRUPT. */
int ntfs_attr_next(const struct ntfs_rec *rec, uint32_t *pos,
		   struct ntfs_attr *out);
/* All attributes of a file that match, through its attribute list if it has
 * one. Returns what fn returned last. */
int ntfs_attr_walk(struct ntfs *v, const struct ntfs_rec *rec,
		   const struct ntfs_want *want, ntfs_attr_fn fn, void *ctx);
bool ntfs_attr_named(const struct ntfs_attr *a, const le16_t *name,
		     uint8_t len);

/* ntfs_stream.c */
/* -ENOENT when there is no such attribute. out needs no preparation. */
int ntfs_stream_load(struct ntfs *v, const struct ntfs_rec *rec, uint32_t type,
		     const char *ascii_name, struct ntfs_stream *out);
int ntfs_stream_load_named(struct ntfs *v, const struct ntfs_rec *rec,
			   const struct ntfs_want *want,
			   struct ntfs_stream *out);
void ntfs_stream_free(struct ntfs_stream *s);
/* All len bytes inside the size; decompresses. */
int ntfs_stream_read(struct ntfs_stream *s, void *buf, size_t len,
		     uint64_t off, bool cached);
/* A whole small attribute in one allocation: -ERR_CORRUPT past max. */
int ntfs_stream_slurp(struct ntfs *v, const struct ntfs_rec *rec,
		      const struct ntfs_want *want, uint32_t max,
		      uint8_t **out, uint32_t *len);
int ntfs_stream_extents(struct ntfs_stream *s, uint64_t off, uint64_t len,
			struct tree_extent *ext, int max);
off_t ntfs_stream_seek(struct ntfs_stream *s, off_t off, int whence);

/* ntfs_lznt1.c: no I/O. Fills dst; what the data does not reach is zeros. */
int ntfs_lznt1(const uint8_t *src, size_t src_len, uint8_t *dst,
	       size_t dst_len);

/* ntfs_comp.c */
int ntfs_comp_read(struct ntfs_stream *s, void *buf, size_t len, uint64_t off);
/* Bytes from off on that are all hole (*hole) or all data, by whole units. */
uint64_t ntfs_comp_span(const struct ntfs_stream *s, uint64_t off, bool *hole);

/* ntfs_name.c */
int ntfs_name_decode(const uint8_t *value, uint32_t len,
		     struct ntfs_name *out);
/* As NTFS orders names: without case, then with it. */
int ntfs_name_compare(const struct ntfs *v, const le16_t *a, size_t a_len,
		      const le16_t *b, size_t b_len);
bool ntfs_name_same(const struct ntfs *v, const le16_t *a, size_t a_len,
		    const le16_t *b, size_t b_len);
/* 0: not to be shown (has a NUL or '/'). Else the length. */
int ntfs_name_utf8(const le16_t *units, size_t n, char *out);

/* ntfs_index.c */
int ntfs_index_open(struct ntfs *v, const struct ntfs_rec *rec,
		    const char *name, struct ntfs_index *out);
void ntfs_index_close(struct ntfs_index *ix);
/* Next entry that has a key. 1, 0 at the end, or -ERR_CORRUPT. */
int ntfs_entry_next(const struct ntfs_entries *e, uint32_t *pos,
		    struct ntfs_entry *out);
int ntfs_index_root(const struct ntfs_index *ix, struct ntfs_entries *out);
/* Block idx into buf (block_size bytes). */
int ntfs_index_block(struct ntfs_index *ix, uint64_t idx, uint8_t *buf,
		     struct ntfs_entries *out);
/* The first block in use from *idx on: 1, or 0 when there is none. */
int ntfs_index_next_block(struct ntfs_index *ix, uint64_t *idx);
/* Descends: compare says where the wanted key is (<0: before the entry, 0:
 * found, >0: behind) and takes what it wants from the entry. -ENOENT. */
typedef int (*ntfs_cmp_fn)(void *ctx, const struct ntfs_entry *e);
int ntfs_index_find(struct ntfs_index *ix, ntfs_cmp_fn cmp, void *ctx);

/* ntfs_stat.c */
int ntfs_info_load(struct ntfs *v, const struct ntfs_rec *rec,
		   struct ntfs_info *out);

/* ntfs_dir.c */
int ntfs_dir_find(struct ntfs *v, uint64_t dir, const char *name,
		  uint64_t *ref);
/* With the name as the directory has it (NTFS_NAME_UTF8 bytes). */
int ntfs_dir_find_nocase(struct ntfs *v, uint64_t dir, const char *name,
			 uint64_t *ref, char *real);
int ntfs_dir_list(struct ntfs *v, uint64_t dir, uint64_t from, bool want_attr,
		  tree_emit_fn emit, void *ctx);

/* ntfs_link.c */
/* Finds out what a reparse point or a system file stands for: type, rdev and
 * size in info->a. */
int ntfs_link_classify(struct ntfs *v, const struct ntfs_rec *rec,
		       struct ntfs_info *info);
int ntfs_link_target(struct ntfs *v, const struct ntfs_rec *rec,
		     const struct ntfs_info *info, char *buf, size_t size);

/* ntfs_node.c */
int ntfs_node_find(struct ntfs *v, uint64_t id, struct ntfs_node *out);
int ntfs_node_lookup(struct ntfs *v, uint64_t dir, const char *name,
		     struct tree_attr *out);
int ntfs_node_getattr(struct ntfs *v, uint64_t id, struct tree_attr *out);

/* ntfs_xattr.c */
ssize_t ntfs_getxattr(struct tree *t, uint64_t id, const char *name, void *buf,
		      size_t size);
ssize_t ntfs_listxattr(struct tree *t, uint64_t id, char *buf, size_t size);

/* ntfs_secure.c: the descriptor in one allocation. -ENODATA. */
int ntfs_secure_load(struct ntfs *v, const struct ntfs_rec *rec,
		     const struct ntfs_info *info, uint8_t **out,
		     uint32_t *len);

/* ntfs_state.c */
int ntfs_state_load(struct ntfs *v, struct ntfs_state *out, struct diag *why);

/* ntfs_tree.c */
extern const struct tree_ops ntfs_tree_ops;

/* ntfs.c */
void ntfs_free_volume(struct ntfs *v);
int ntfs_open_volume(struct dev *dev, const struct ntfs_opts *opts,
		     struct ntfs **out, struct diag *why);

#endif
