/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the parts of the CIM reader share. Only this folder includes it. */
#ifndef IMGFS_CIM_INT_H
#define IMGFS_CIM_INT_H

#include <pthread.h>

#include "formats/base/bounds.h"
#include "formats/base/cache.h"
#include "formats/base/map.h"
#include "formats/cim/cim.h"
#include "formats/cim/cim_disk.h"
#include "formats/ntmeta.h"

#define CIM_NAME_UTF8 (CIM_NAME_UNITS * 3 + 1)

/* What the image's own header says. */
struct cim_header {
	uint32_t major, minor;
	uint64_t fs;
	struct cim_set {
		struct guid guid;
		unsigned n;
	} *sets;		/* owned; parents first, the own set last */
	size_t n_sets;
	size_t n_regions;	/* of all sets */
};

struct cim_stream {
	uint64_t off;		/* a RegionOffset */
	uint64_t len;
	unsigned type;
	bool sparse;		/* zeros, whatever off says */
};

struct cim_file {
	uint32_t attrs;		/* FILE_ATTRIBUTE_*, all of them */
	uint32_t tag;
	uint64_t times[4];	/* created, written, changed, accessed */
	struct cim_stream data;
	uint64_t sd, ea, reparse, streams;
	uint16_t ea_len;
	bool dir;
};

/* What the walk found out about a file. */
struct cim_seen {
	uint32_t n_links;	/* 0: no name leads here */
	uint32_t parent;	/* the directory of the first name */
};

struct cim_table {
	uint64_t off;
	uint32_t n, entry_size;
	struct cim_seen *seen;	/* owned; n of them, NULL before the first */
};

/* A link table that was checked: names and entries are inside it. */
struct cim_links {
	const uint8_t *p;
	uint32_t len, n;
	unsigned entry_size;
};

struct cim_dir {
	struct cim_dir *newer, *older;	/* dirs.lock */
	uint32_t id;
	unsigned refs;			/* dirs.lock */
	size_t bytes;
	uint8_t *raw;			/* owned */
	struct cim_links links;
	uint32_t *slots;		/* owned; hash -> index + 1 */
	uint32_t mask;
};

struct cim_dirs {
	pthread_mutex_t lock;
	struct cim_dir ends;		/* ring; ends.older is the newest */
	struct map map;
	size_t bytes;
};

struct cim {
	struct tree tree;
	struct cim_opts opts;	/* without its pointers */
	struct cim_drive {
		char letter;
		char *path;	/* owned */
	} *drives;
	size_t n_drives;
	struct cim_header head;
	struct dev *image;		/* owned */
	struct dev **regions;		/* owned; n_regions of them */
	size_t n_regions;
	uint16_t *upcase;		/* owned */
	struct cim_table *tables;	/* owned */
	uint32_t n_tables, root;
	struct cache *files;		/* file tables, entries of 0x60 */
	struct cim_dirs dirs;
	uint64_t n_names, n_files, bytes;
};

static inline struct cim *cim_of(const struct tree *t)
{
	return container_of((struct tree *)(uintptr_t)t, struct cim, tree);
}

/* The tree's root is 1: its file id and 1 change places. */
static inline uint64_t cim_node(const struct cim *v, uint32_t id)
{
	return id == v->root ? TREE_ROOT : id == TREE_ROOT ? v->root : id;
}

static inline uint64_t cim_id(const struct cim *v, uint64_t node)
{
	return node == TREE_ROOT ? v->root : node == v->root ? TREE_ROOT : node;
}

/* cim_head.c: headers. No I/O. */
int cim_common_decode(const void *raw, size_t len, unsigned type,
		      struct diag *why);
/* raw: the whole .cim file. out->sets is the caller's. */
int cim_header_decode(const void *raw, size_t len, struct cim_header *out,
		      struct diag *why);
void cim_header_free(struct cim_header *h);

/* cim_region.c: the files that hold everything */
int cim_image_load(struct cim *v, const char *path, struct diag *why);
int cim_regions_open(struct cim *v, const char *path, struct diag *why);
/* Does the dev hold region idx? */
int cim_region_check(struct dev *dev, unsigned idx, struct diag *why);
/* Where len bytes at a RegionOffset are. off counts in dev. */
struct cim_spot {
	struct dev *dev;
	uint64_t off;
};
int cim_find(const struct cim *v, uint64_t ro, uint64_t len,
	     struct cim_spot *out, struct diag *why);
int cim_load(const struct cim *v, uint64_t ro, void *buf, size_t len,
	     struct diag *why);

/* cim_table.c: from the filesystem object to files */
int cim_fs_load(struct cim *v, struct diag *why);
void cim_tables_free(struct cim *v);
/* Remembers a table between calls; ends with cim_peek_end(). */
struct cim_peek {
	const void *block;
	uint32_t table;
};
int cim_file_peek(struct cim *v, struct cim_peek *peek, uint64_t id,
		  struct cim_file *out, struct diag *why);
void cim_peek_end(struct cim *v, struct cim_peek *peek);
int cim_file_load(struct cim *v, uint64_t id, struct cim_file *out,
		  struct diag *why);
int cim_stream_decode(const struct cim_disk_stream *raw, struct cim_stream *out,
		      struct diag *why);
/* NULL: no such file. Known after the walk. */
const struct cim_seen *cim_seen_of(const struct cim *v, uint64_t id);

/* cim_link.c: link tables. No I/O. */
struct cim_name {
	const uint8_t *units;	/* UTF-16LE, unaligned */
	unsigned n;
};
int cim_links_decode(const void *raw, size_t len, unsigned entry_size,
		     struct cim_links *out, struct diag *why);
/* Ascending by the upcase table, no two the same. */
int cim_links_check_order(const uint16_t *upcase, const struct cim_links *l,
			  struct diag *why);
struct cim_name cim_links_name(const struct cim_links *l, uint32_t i);
uint32_t cim_links_id(const struct cim_links *l, uint32_t i);
void cim_links_stream(const struct cim_links *l, uint32_t i,
		      struct cim_disk_stream *out);
bool cim_name_same(const uint16_t *upcase, struct cim_name a,
		   struct cim_name b);	/* upcase NULL: exactly */
uint32_t cim_name_hash(const uint16_t *upcase, struct cim_name a);

/* cim_dir.c: directories, and a few of them kept */
void cim_dirs_init(struct cim_dirs *d);
void cim_dirs_end(struct cim_dirs *d);
/* One directory from its file; not kept, no hash. */
int cim_dir_load(struct cim *v, uint32_t id, const struct cim_file *f,
		 struct cim_dir **out, struct diag *why);
void cim_dir_free(struct cim_dir *d);
int cim_dir_get(struct cim *v, uint64_t id, struct cim_dir **out);
void cim_dir_put(struct cim *v, struct cim_dir *d);
/* name is UTF-8; its index, or -ENOENT. */
int64_t cim_dir_find(const struct cim *v, const struct cim_dir *d,
		     const char *name, bool ignore_case);

/* cim_walk.c: all names once, after cim_fs_load() */
int cim_walk(struct cim *v, struct diag *why);

/* cim_data.c: what streams hold */
struct cim_seg {
	uint64_t off;		/* in the file; the next one's is the end */
	uint64_t pos;		/* in the region */
};
struct cim_data {
	uint64_t len;
	struct dev *dev;	/* NULL: zeros */
	struct cim_seg *segs;	/* owned */
	size_t n;
};
int cim_data_load(const struct cim *v, const struct cim_stream *s,
		  struct cim_data *out, struct diag *why);
void cim_data_free(struct cim_data *d);
/* off < d->len; returns how many extents. */
int cim_data_extents(const struct cim_data *d, uint64_t off, uint64_t len,
		     struct tree_extent *ext, int max);
int cim_data_read(const struct cim_data *d, void *buf, size_t len,
		  uint64_t off);

/* cim_meta.c: what hangs on a file. *out is the caller's (free), NULL for
 * nothing there; as stored, and checked inside. */
int cim_sd_load(const struct cim *v, const struct cim_file *f, uint8_t **out,
		size_t *len, struct diag *why);
int cim_ea_load(const struct cim *v, const struct cim_file *f, uint8_t **out,
		size_t *len, struct diag *why);
int cim_reparse_load(const struct cim *v, const struct cim_file *f,
		     uint8_t **out, size_t *len, struct diag *why);
/* The same with its 8-byte head, which may be missing in the image. */
int cim_reparse_load_whole(const struct cim *v, const struct cim_file *f,
			   uint8_t **out, size_t *len, struct diag *why);
/* The stream table; out->p is the caller's and NULL for no streams. */
int cim_streams_load(const struct cim *v, const struct cim_file *f,
		     struct cim_links *out, struct diag *why);

/* cim_stream.c: FILE:STREAM as files. Nodes from 1 << 32 on are streams. */
#define CIM_NODE_STREAM_SHIFT 32
static inline bool cim_node_is_stream(uint64_t node)
{
	return node >> CIM_NODE_STREAM_SHIFT;
}
/* By name: its place in the table, -ENOENT. */
int64_t cim_stream_find(const struct cim *v, const struct cim_file *f,
			const char *name, struct cim_stream *out);
int cim_stream_load(struct cim *v, uint64_t node, struct cim_file *f,
		    struct cim_stream *out);
int cim_stream_attr(struct cim *v, uint64_t node, struct tree_attr *out);
int cim_stream_lookup(struct cim *v, const struct cim_dir *d, const char *name,
		      struct tree_attr *out);

/* cim_stat.c */
int cim_attr(struct cim *v, uint32_t id, const struct cim_file *f,
	     struct tree_attr *out);
int cim_link_text(struct cim *v, uint32_t id, const struct cim_file *f,
		  char *buf, size_t size);

/* cim_xattr.c */
ssize_t cim_getxattr(struct tree *t, uint64_t node, const char *name, void *buf,
		     size_t size);
ssize_t cim_listxattr(struct tree *t, uint64_t node, char *buf, size_t size);

/* cim_tree.c */
extern const struct tree_ops cim_tree_ops;

/* cim.c: after head and regions are there, everything else. Also what a fuzz
 * target calls. */
int cim_new(const struct cim_opts *opts, struct cim **out, struct diag *why);
int cim_start(struct cim *v, struct diag *why);
void cim_free(struct cim *v);

#endif
