/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IMGFS_TESTS_MEMTREE_INT_H
#define IMGFS_TESTS_MEMTREE_INT_H

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/base/dev_file.h"
#include "formats/base/map.h"
#include "tests/c/memtree.h"

#define MEM_BLOCK (8u << 10)

struct mem_entry {
	char *name;
	uint64_t id;
	uint64_t seq;		/* its position; grows */
};

struct mem_xattr {
	struct mem_xattr *next;
	size_t size;
	char *name;
	uint8_t value[];
};

struct mem_node {
	struct tree_attr a;
	struct mem_entry *entries;	/* directories */
	size_t n, max;
	uint64_t seq;
	uint32_t *blocks;		/* files; 0: a hole */
	size_t n_blocks;
	char *target;
	struct mem_xattr *xattrs;
	bool host;
};

struct memtree {
	struct tree tree;
	struct memtree_opts o;
	struct dev *store, *host;
	struct map nodes;
	uint64_t next_id;
	uint32_t next_block;
	uint32_t *spare;		/* freed blocks */
	size_t n_spare, max_spare;
	unsigned syncs;
};

static inline struct memtree *mem_of(struct tree *t)
{
	return container_of(t, struct memtree, tree);
}

static inline struct mem_node *mem_node(struct tree *t, uint64_t id)
{
	return map_get(&mem_of(t)->nodes, id);
}

void mem_touch(struct mem_node *n, bool data);
void mem_node_drop(struct memtree *m, struct mem_node *n);

/* memtree_data.c */
void mem_cut(struct memtree *m, struct mem_node *n, uint64_t size);
ssize_t mem_read(struct tree *t, struct tree_file *f, void *buf, size_t len,
		 uint64_t off);
ssize_t mem_write(struct tree *t, struct tree_file *f, const void *buf,
		  size_t len, uint64_t off);
int mem_extents(struct tree *t, struct tree_file *f, uint64_t off, uint64_t len,
		bool for_write, struct tree_extent *ext, int max);
int mem_allocate(struct tree *t, struct tree_file *f, int mode, uint64_t off,
		 uint64_t len);
off_t mem_seek(struct tree *t, struct tree_file *f, off_t off, int whence);

/* memtree_xattr.c */
ssize_t mem_getxattr(struct tree *t, uint64_t id, const char *name, void *buf,
		     size_t size);
ssize_t mem_listxattr(struct tree *t, uint64_t id, char *buf, size_t size);
int mem_setxattr(struct tree *t, uint64_t id, const char *name,
		 const void *value, size_t size, int flags);
int mem_removexattr(struct tree *t, uint64_t id, const char *name);

#endif
