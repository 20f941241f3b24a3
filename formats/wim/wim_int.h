/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the parts of formats/wim share. */
#ifndef IMGFS_WIM_INT_H
#define IMGFS_WIM_INT_H

#include <libxml/tree.h>
#include <pthread.h>

#include "formats/base/bounds.h"
#include "formats/base/cache.h"
#include "formats/base/diag.h"
#include "formats/codec/codec.h"
#include "formats/wim/wim.h"
#include "formats/wim/wim_disk.h"

/* 16-bit numbers elsewhere in the format; wimlib's limit too. */
#define WIM_IMAGES_MAX 65535u
/* 7-Zip's limit: it goes into memory at once. */
#define WIM_XML_MAX (16u << 20)
/* LZMS' largest is 2^30, but a chunk is memory: Microsoft stops at 2^26. */
#define WIM_CHUNK_MAX (1u << 28)
/* No codec makes more of a byte: wimlib's bound for metadata. */
#define WIM_EXPANSION_MAX 512u
#define WIM_META_MAX (4ULL << 30)
#define WIM_DEPTH_MAX 16384u		/* wimlib's */
#define WIM_NAME_UNITS 255u		/* what Linux shows; NTFS' limit too */
#define WIM_NAME_UTF8 (WIM_NAME_UNITS * 3 + 1)
#define WIM_NONE UINT32_MAX
#define WIM_CACHE_SIZE (256ULL << 20)

/* A resource header, checked by whoever decoded it. */
struct wim_reshdr {
	uint64_t off, csize, usize;
	uint8_t flags;
};

struct wim_header {
	uint32_t version, flags, chunk_size;
	enum codec_kind codec;
	struct guid guid;
	unsigned part, n_parts, n_images, boot_index;
	struct wim_reshdr blobs, xml, integrity;
	bool pipable;
};

/* One file of the set, or a reference. */
struct wim_file {
	struct dev *dev;	/* owned */
	struct wim_header hdr;
	char *path;		/* owned; for sentences */
};

/* What a chunk reader needs to know; id is unique in a container. */
struct wim_res {
	struct wim_file *file;
	struct wim_reshdr hdr;
	uint32_t id;
	uint32_t chunk_size;
	enum codec_kind codec;
	const uint64_t *ends;	/* solid: where each chunk ends, from off */
	uint64_t data;		/* solid: where the first chunk is */
};

struct wim_solid {
	struct wim_res res;
	uint64_t *ends;		/* owned */
	uint64_t base;		/* in its run */
};

struct wim_blob {
	uint8_t hash[WIM_HASH];
	uint32_t refs;
	uint32_t solid;		/* index, or WIM_NONE */
	uint16_t file;
	uint8_t flags;
	uint8_t state;		/* atomic: enum wim_blob_state */
	uint8_t told;		/* atomic: that it is damaged */
	uint64_t off, csize, size;
};

enum wim_blob_state { WIM_BLOB_UNKNOWN, WIM_BLOB_GOOD, WIM_BLOB_BAD };

/* Hash -> blob; seeded, because the keys are a stranger's. */
struct wim_index {
	uint32_t *slots;	/* owned; blob + 1, 0: empty */
	size_t size;		/* power of two, or 0 */
	uint64_t seed;
};

/* Decoders that wait for work, of one kind and chunk size. */
struct wim_decoder {
	struct wim_decoder *next;
	struct codec *codec;
	enum codec_kind kind;
	uint32_t chunk_size;
	uint8_t *in;		/* owned; chunk_size bytes */
};

/* Blocks of one chunk size. */
struct wim_chunks {
	struct wim *w;
	struct cache *cache;
	uint32_t chunk_size;
	bool solid;
};
#define WIM_CHUNK_SIZES 32		/* powers of two */

struct wim {
	struct wim_file **files;	/* owned; [0] was opened by name */
	size_t n_files, max_files;
	struct wim_blob *blobs;		/* owned */
	size_t n_blobs, max_blobs;
	struct wim_solid *solids;	/* owned */
	size_t n_solids, max_solids;
	struct wim_index index;
	uint32_t *images;		/* owned: blob of each metadata */
	unsigned n_images;
	unsigned n_missing;		/* parts */
	xmlDocPtr xml;			/* owned, or NULL */
	struct wim_opts opts;

	pthread_mutex_t lock;		/* guards what follows */
	struct wim_decoder *idle;
	struct wim_chunks chunks[WIM_CHUNK_SIZES];
};

void wim_warn(const struct wim *w, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* wim_header.c */
struct wim_reshdr wim_reshdr_decode(const struct wim_disk_reshdr *raw);
int wim_header_load(struct dev *dev, struct wim_header *out, struct diag *why);

/* wim_blobs.c */
/* Adds what file idx has; its metadata only when it is the first. */
int wim_blobs_load(struct wim *w, size_t idx, struct diag *why);
const struct wim_blob *wim_blob_find(const struct wim *w, const uint8_t *hash);
/* wim_solid.c */
/* One more; first: the index of the first one of its run. */
int wim_solid_load(struct wim *w, size_t first, const struct wim_reshdr *hdr,
		   struct wim_file *file, struct diag *why);

/* wim_resource.c */
void wim_res_of(const struct wim *w, const struct wim_blob *b,
		struct wim_res *out, uint64_t *off);
/* One that is in no table: the table itself, the XML. */
int wim_res_plain(struct wim_file *file, const struct wim_reshdr *hdr,
		  struct wim_res *out, struct diag *why);
struct wim_chunk {
	uint64_t off;		/* in the file */
	uint32_t csize, usize;
};
int wim_chunk_find(const struct wim_res *r, uint64_t idx,
		   struct wim_chunk *out);
/* All len bytes, or -errno. */
int wim_res_read(struct wim *w, const struct wim_res *r, void *buf, size_t len,
		 uint64_t off);
int wim_blob_read(struct wim *w, const struct wim_blob *b, void *buf,
		  size_t len, uint64_t off);
/* All of it, unverified, by the rules for metadata; free it. */
int wim_blob_load(struct wim *w, const struct wim_blob *b, uint8_t **out,
		  struct diag *why);
/* Its SHA-1, once: 0, -EIO when it is wrong. */
int wim_blob_verify(struct wim *w, struct wim_blob *b);
bool wim_hash_is_zero(const uint8_t *hash);
void wim_hash_text(const uint8_t *hash, char text[static 41]);

/* wim_cache.c */
int wim_chunk_read(struct wim *w, const struct wim_res *r, uint64_t idx,
		   struct wim_chunk *c, void *out);
int wim_chunk_copy(struct wim *w, const struct wim_res *r, uint64_t idx,
		   uint32_t off, void *buf, uint32_t len);
void wim_cache_free(struct wim *w);

/* wim_xml.c */
int wim_xml_load(struct wim *w, struct diag *why);
void wim_xml_free(struct wim *w);

/* wim_set.c */
int wim_set_open(struct wim *w, const char *path, struct diag *why);
int wim_set_add(struct wim *w, struct dev *dev, const char *path,
		struct diag *why);

/* wim_meta.c: one image in memory, as it was stored and an index. */
struct wim_node {
	uint32_t inode;		/* the first node of its hard link group */
	uint32_t parent;
	uint32_t first, n;	/* children */
	uint32_t links;		/* of an inode */
	uint32_t dentry;	/* in units of 8 bytes */
};

struct wim_meta {
	uint8_t *raw;		/* owned */
	uint64_t size;
	struct wim_node *nodes;	/* owned; [0] is the root */
	uint32_t n, max;
	uint32_t n_hidden;	/* names that cannot be shown */
	uint64_t seed;
	uint32_t *names;	/* owned: (parent, name) -> node + 1 */
	uint32_t n_names;	/* slots: a power of two */
	uint32_t n_security;
	uint64_t *security;	/* owned: n_security + 1 offsets in raw */
};

int wim_meta_load(struct wim *w, unsigned image, struct wim_meta *out,
		  struct diag *why);
/* raw is taken over, also when it fails. */
int wim_meta_parse(uint8_t *raw, uint64_t size, struct wim_meta *out,
		   struct diag *why);
void wim_meta_free(struct wim_meta *m);
const struct wim_disk_dentry *wim_dentry(const struct wim_meta *m,
					 uint32_t node);
/* The name's units; their number. */
const uint8_t *wim_name(const struct wim_disk_dentry *d, size_t *units);
const uint8_t *wim_short_name(const struct wim_disk_dentry *d, size_t *units);
int wim_meta_child(const struct wim_meta *m, uint32_t dir, const char *name,
		   uint32_t *out);
int wim_meta_child_nocase(const struct wim_meta *m, uint32_t dir,
			  const char *name, uint32_t *out);
bool wim_is_dir(const struct wim_disk_dentry *d);

/* wim_index.c */
/* Fills m->names. */
int wim_meta_index(struct wim_meta *m);

/* wim_dentry.c: what hangs on a dentry. */
enum wim_stream_kind { WIM_S_DATA, WIM_S_NAMED, WIM_S_REPARSE, WIM_S_EFS,
		       WIM_S_NOTHING };
struct wim_stream {
	enum wim_stream_kind kind;
	const uint8_t *hash;
	const uint8_t *name;
	size_t units;		/* of the name */
	unsigned idx;		/* 0: the main hash */
};
/* Returns 0 to go on, anything else to stop. */
typedef int (*wim_stream_fn)(void *ctx, const struct wim_stream *s);
/* Classified as in FORMAT.md 6.4. */
int wim_streams_walk(const struct wim_disk_dentry *d, wim_stream_fn fn,
		     void *ctx);
/* The hash of the first of a kind, or NULL. */
const uint8_t *wim_stream_hash(const struct wim_disk_dentry *d,
			       enum wim_stream_kind kind);
/* Length and extra streams inside [off, size)? The end, or 0. */
uint64_t wim_dentry_check(const uint8_t *raw, uint64_t off, uint64_t size);
const uint8_t *wim_item_find(const struct wim_disk_dentry *d, uint32_t tag,
			     uint32_t *len);

/* wim_tree.c and its parts */
struct wim_image {
	struct wim_meta meta;
	bool loaded;
	int failed;
};

struct wim_drive {
	char letter;
	char *path;		/* owned */
};

struct wim_tree {
	struct tree tree;
	struct wim *w;
	unsigned only;		/* the one image shown, or 0: all */
	struct wim_tree_opts opts;
	struct wim_drive *drives;	/* owned */
	char **names;		/* owned: of the links to images, or NULLs */
	pthread_mutex_t lock;	/* guards loading */
	struct wim_image *images;	/* owned; w->n_images */
	char *label;		/* owned */
};

/* A node of an image, found. */
struct wim_place {
	struct wim_tree *t;
	struct wim_meta *m;
	unsigned image;		/* from 1 */
	uint32_t node;
	unsigned stream;	/* from 1; 0: the file itself */
};

#define WIM_ID_IMAGE_SHIFT 27	/* WIM_META_MAX holds 2^26 dentries */
#define WIM_ID_STREAM_SHIFT 44
/* Images beyond the largest number are the links by name. */
#define WIM_ID_LINKS (WIM_IMAGES_MAX + 1)

uint64_t wim_id(const struct wim_place *p);
/* The root of an image, which is loaded now. */
int wim_place_image(struct wim_tree *t, unsigned image, struct diag *why,
		    struct wim_place *out);
/* On to a named stream; -ENOENT. */
int wim_place_named(struct wim_place *p, const char *name);
int wim_place_find(struct wim_tree *t, uint64_t id, struct wim_place *out);
void wim_place_attr(const struct wim_place *p, struct tree_attr *out);
int wim_place_stream(const struct wim_place *p, struct wim_stream *out);
/* The reparse point's value with its header, up to NTMETA_REPARSE_MAX. */
int wim_reparse_value(const struct wim_place *p, uint8_t *buf, size_t *len);
int wim_link_text(const struct wim_place *p, char *buf, size_t size);
/* wim_root.c: the directory of all images. */
bool wim_root_is(const struct wim_tree *t, uint64_t id);
int wim_root_attr(struct wim_tree *t, uint64_t id, struct tree_attr *out);
int wim_root_lookup(struct wim_tree *t, const char *name,
		    struct tree_attr *out);
int wim_root_list(struct wim_tree *t, uint64_t from, tree_emit_fn emit,
		  void *ctx);
int wim_root_names(struct wim_tree *t);
int wim_root_readlink(struct wim_tree *t, uint64_t id, char *buf, size_t size);
ssize_t wim_getxattr(struct tree *t, uint64_t id, const char *name, void *buf,
		     size_t size);
ssize_t wim_listxattr(struct tree *t, uint64_t id, char *buf, size_t size);

#endif
