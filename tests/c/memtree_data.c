/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/c/memtree_int.h"

static void block_free(struct memtree *m, uint32_t *b)
{
	if (!*b)
		return;
	if (m->n_spare == m->max_spare) {
		m->max_spare = m->max_spare ? m->max_spare * 2 : 64;
		m->spare = realloc(m->spare, m->max_spare * sizeof(*m->spare));
	}
	m->spare[m->n_spare++] = *b;
	*b = 0;
}

/* Old contents stay in it, for the fear of it. */
static int block_get(struct memtree *m, struct mem_node *n, uint64_t idx)
{
	static const uint8_t zeros[MEM_BLOCK];
	uint32_t b;

	if (idx >= n->n_blocks) {
		n->blocks = realloc(n->blocks, (idx + 1) * sizeof(*n->blocks));
		memset(n->blocks + n->n_blocks, 0,
		       (idx + 1 - n->n_blocks) * sizeof(*n->blocks));
		n->n_blocks = idx + 1;
	}
	if (n->blocks[idx])
		return 0;
	b = m->n_spare ? m->spare[--m->n_spare] : m->next_block++;
	if (dev_file_extend(m->store, (uint64_t)(b + 1) * MEM_BLOCK))
		return -ENOSPC;
	n->blocks[idx] = b;
	n->a.blocks += MEM_BLOCK / 512;
	return dev_write(m->store, zeros, MEM_BLOCK, (uint64_t)b * MEM_BLOCK);
}

void mem_cut(struct memtree *m, struct mem_node *n, uint64_t size)
{
	static const uint8_t zeros[MEM_BLOCK];
	uint64_t keep = div_up(size, MEM_BLOCK), tail = size % MEM_BLOCK;

	for (uint64_t i = keep; i < n->n_blocks; i++)
		block_free(m, &n->blocks[i]);
	n->n_blocks = min_of(n->n_blocks, (size_t)keep);
	if (tail && keep == n->n_blocks && n->blocks[keep - 1])
		dev_write(m->store, zeros, MEM_BLOCK - tail,
			  (uint64_t)n->blocks[keep - 1] * MEM_BLOCK + tail);
	n->a.size = size;
	n->a.blocks = 0;
	for (size_t i = 0; i < n->n_blocks; i++)
		n->a.blocks += n->blocks[i] ? MEM_BLOCK / 512 : 0;
}

/* The block at off, and how much of it is wanted. */
static uint32_t piece(struct mem_node *n, uint64_t off, uint64_t len,
		      uint64_t *part)
{
	uint64_t idx = off / MEM_BLOCK;

	*part = min_of(len, MEM_BLOCK - off % MEM_BLOCK);
	return idx < n->n_blocks ? n->blocks[idx] : 0;
}

static ssize_t host_read(struct memtree *m, void *buf, size_t len, uint64_t off)
{
	int ret;

	if (m->o.eio_at && m->o.eio_at - off < len)
		return -EIO;
	ret = dev_read(m->host, buf, len, off);
	return ret ? ret : (ssize_t)len;
}

ssize_t mem_read(struct tree *t, struct tree_file *f, void *buf, size_t len,
		 uint64_t off)
{
	struct mem_node *n = mem_node(t, f->id);
	struct memtree *m = mem_of(t);
	uint64_t part;
	int ret = 0;

	if (off >= n->a.size)
		return 0;
	len = (size_t)min_of((uint64_t)len, n->a.size - off);
	if (n->host)
		return host_read(m, buf, len, off);
	for (size_t done = 0; done < len && !ret; done += part) {
		uint32_t b = piece(n, off + done, len - done, &part);

		if (b)
			ret = dev_read(m->store, (uint8_t *)buf + done, part,
				       (uint64_t)b * MEM_BLOCK +
				       (off + done) % MEM_BLOCK);
		else
			memset((uint8_t *)buf + done, 0, part);
	}
	return ret ? ret : (ssize_t)len;
}

ssize_t mem_write(struct tree *t, struct tree_file *f, const void *buf,
		  size_t len, uint64_t off)
{
	struct mem_node *n = mem_node(t, f->id);
	struct memtree *m = mem_of(t);
	uint64_t part;

	if (n->host)
		return -EACCES;
	for (size_t done = 0; done < len; done += part) {
		uint64_t at = off + done;
		int ret = block_get(m, n, at / MEM_BLOCK);

		part = min_of(len - done, MEM_BLOCK - at % MEM_BLOCK);
		if (!ret)
			ret = dev_write(m->store, (const uint8_t *)buf + done,
					part, at % MEM_BLOCK + MEM_BLOCK *
					(uint64_t)n->blocks[at / MEM_BLOCK]);
		if (ret)
			return ret;
	}
	n->a.size = max_of(n->a.size, off + len);
	mem_touch(n, true);
	return (ssize_t)len;
}

int mem_extents(struct tree *t, struct tree_file *f, uint64_t off, uint64_t len,
		bool for_write, struct tree_extent *ext, int max)
{
	struct mem_node *n = mem_node(t, f->id);
	struct memtree *m = mem_of(t);
	int used = 0;

	if (m->o.no_map || (for_write && n->host))
		return -EOPNOTSUPP;
	if (off >= n->a.size)
		return 0;
	len = min_of(len, n->a.size - off);
	if (n->host) {
		*ext = (struct tree_extent) { m->host, off, len };
		return 1;
	}
	while (len) {
		struct tree_extent e = { 0 }, *last = &ext[used - 1];
		uint32_t b = piece(n, off, len, &e.len);

		e.dev = b ? m->store : NULL;
		e.off = b ? (uint64_t)b * MEM_BLOCK + off % MEM_BLOCK : 0;
		off += e.len;
		len -= e.len;
		if (used && last->dev == e.dev &&
		    (!b || last->off + last->len == e.off))
			last->len += e.len;
		else if (used < max)
			ext[used++] = e;
		else
			break;
	}
	return used;
}

int mem_allocate(struct tree *t, struct tree_file *f, int mode, uint64_t off,
		 uint64_t len)
{
	struct mem_node *n = mem_node(t, f->id);
	static const uint8_t zeros[MEM_BLOCK];
	uint64_t end = off + len, size = n->a.size, part;
	bool clear = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
	int ret = 0;

	for (; off < end && !ret; off += part) {
		uint32_t b = piece(n, off, end - off, &part);

		if (mode & FALLOC_FL_PUNCH_HOLE && part == MEM_BLOCK && b)
			block_free(mem_of(t), &n->blocks[off / MEM_BLOCK]);
		else if (b && clear)
			ret = dev_write(mem_of(t)->store, zeros, part,
					(uint64_t)b * MEM_BLOCK +
					off % MEM_BLOCK);
		else if (!(mode & FALLOC_FL_PUNCH_HOLE))
			ret = block_get(mem_of(t), n, off / MEM_BLOCK);
	}
	if (!(mode & FALLOC_FL_KEEP_SIZE))
		n->a.size = max_of(size, end);
	mem_touch(n, true);
	return ret;
}

off_t mem_seek(struct tree *t, struct tree_file *f, off_t off, int whence)
{
	struct mem_node *n = mem_node(t, f->id);
	uint64_t at = (uint64_t)off, part;

	if (off < 0 || at >= n->a.size)
		return -ENXIO;
	for (; at < n->a.size; at += part) {
		bool data = piece(n, at, UINT64_MAX, &part) || n->host;

		if (data == (whence == SEEK_DATA))
			return (off_t)at;
	}
	return whence == SEEK_DATA ? -ENXIO : (off_t)n->a.size;
}
