/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a merge will do and whether it can: nothing changes here (VHD FORMAT.md
 * 12.3, VHDX FORMAT.md 13.3). */
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/base/dev_file.h"
#include "formats/merge/merge_int.h"

/* Headers that move, a bitmap block, a log: never more than a few MiB. */
#define SLACK (4u << 20)

int merge_add_file(struct merge *m, enum merge_role role, const char *path,
		   const char *id, const char *parent, uint64_t size)
{
	struct merge_file *more = mem_realloc(m->files, m->n_files + 1,
					      sizeof(*more));
	struct merge_file *f;

	if (!more)
		return -ENOMEM;
	m->files = more;
	f = &more[m->n_files];
	*f = (struct merge_file) {
		.role = role, .path = mem_strdup(path), .size = size,
	};
	if (!f->path)
		return -ENOMEM;
	memcpy(f->id, id, strnlen(id, sizeof(f->id) - 1));
	memcpy(f->parent, parent, strnlen(parent, sizeof(f->parent) - 1));
	m->n_files++;
	return 0;
}

static int add_links(struct merge *m)
{
	int ret = 0;

	for (size_t i = 0; i < m->j.n && !ret; i++) {
		const struct merge_link *l = &m->links[i];

		ret = merge_add_file(m, i < m->j.target ? MERGE_MERGED
				     : i == m->j.target ? MERGE_TARGET
				     : MERGE_BELOW, l->path, l->id, l->wants,
				     l->low ? dev_size(l->low) : 0);
	}
	return ret;
}

static int check_sizes(const struct merge *m, struct diag *why)
{
	const struct merge_link *top = &m->links[0];
	const struct merge_link *target = &m->links[m->j.target];
	uint64_t new = dev_size(top->low), old = dev_size(target->low);

	for (size_t i = 0; i < m->j.target; i++)
		if (m->links[i].low->sector_size != target->low->sector_size)
			return diag_fail(why, ERR_UNSUPP, "%s: has sectors of "
					 "%u bytes, %s of %u", m->links[i].path,
					 m->links[i].low->sector_size,
					 target->path,
					 target->low->sector_size);
	if (new < old)
		return diag_fail(why, ERR_UNSUPP, "%s: has %llu bytes, less "
				 "than %s with %llu: merge it to a new file",
				 top->path, (unsigned long long)new,
				 target->path, (unsigned long long)old);
	return 0;
}

static bool is_fixed(const struct merge_link *l)
{
	return l->vhd ? vhd_info(l->vhd)->type == VHD_FIXED
		      : vhdx_info(l->vhdx)->fixed;
}

struct tally {
	struct merge *m;
	uint64_t block, last;	/* last: the block that was counted + 1 */
};

/* Blocks of the target that data goes to and that are not there. */
static int count_blocks(struct tally *t, uint64_t off, uint64_t len)
{
	struct merge_link *target = merge_target(t->m);
	uint64_t size = dev_size(target->low), end = off + len;
	int ret = 0;

	while (off < end && !ret) {
		uint64_t blk = off / t->block, n = t->block - off % t->block;
		int kind = LAYER_PARENT;

		if (off < size && blk >= t->last)
			ret = merge_link_layer(target, off, 1, &kind, &n);
		if (!ret && blk >= t->last && kind != LAYER_DATA)
			t->m->plan.blocks++;
		t->last = blk + 1;
		off = t->last * t->block;
	}
	return ret;
}

static int count(struct merge *m)
{
	struct tally t = { .m = m, .block = merge_link_block(merge_target(m)) };
	uint64_t off = 0, size = m->plan.size;
	int ret = 0;

	while (off < size && !ret) {
		struct merge_seg seg;

		ret = merge_walk_next(m, off, size - off, &seg);
		if (ret)
			break;
		if (seg.kind == MERGE_DATA)
			m->plan.copy += seg.len;
		else if (seg.kind == MERGE_ZERO)
			m->plan.zero += seg.len;
		if (seg.kind == MERGE_DATA && t.block &&
		    !is_fixed(merge_target(m)))
			ret = count_blocks(&t, off, seg.len);
		off += seg.len;
	}
	merge_walk_reset(m);
	merge_target(m)->layer_len = 0;
	return ret;
}

/* A fixed disk can be a sparse file: what has no room yet. */
static uint64_t fixed_need(const struct merge *m)
{
	struct merge_link *target = &m->links[m->j.target];
	uint64_t size = dev_size(target->low), there;
	struct stat st;

	if (stat(target->path, &st) || !S_ISREG(st.st_mode))
		return m->plan.grow;
	there = (uint64_t)st.st_blocks * 512;
	return m->plan.grow + (there >= size ? 0
			       : min_of(size - there, m->plan.copy));
}

static int check_space(struct merge *m, struct diag *why)
{
	struct merge_link *target = merge_target(m);
	uint64_t block = merge_link_block(target);
	struct statvfs vfs;

	if (is_fixed(target))
		m->plan.need = fixed_need(m);
	else
		m->plan.need = m->plan.blocks * (block + 4096) +
			       m->plan.grow / (1u << 20) * 8;
	m->plan.need += SLACK;
	if (statvfs(target->path, &vfs))
		return diag_fail(why, errno, "%s: %s", target->path,
				 strerror(errno));
	m->plan.room = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	if (m->plan.need > m->plan.room)
		return diag_fail(why, ENOSPC, "%s: %llu bytes are needed, the "
				 "file system has %llu", target->path,
				 (unsigned long long)m->plan.need,
				 (unsigned long long)m->plan.room);
	return 0;
}

static int check_writable(struct merge *m, struct diag *why)
{
	int ret = dev_check_write(merge_target(m)->low, why);

	if (ret)
		return diag_in(why, ret, "%s", merge_target(m)->path);
	ret = dev_check_write(m->links[m->j.target - 1].low, why);
	return ret ? diag_in(why, ret, "%s", m->links[m->j.target - 1].path)
		   : 0;
}

int merge_plan_make(struct merge *m, struct diag *why)
{
	struct merge_link *target = merge_target(m);
	int ret = check_sizes(m, why);

	if (ret)
		return ret;
	m->plan.format = target->format;
	m->plan.size = dev_size(m->links[0].low);
	m->plan.grow = m->plan.size - dev_size(target->low);
	m->plan.remove = m->j.remove;
	ret = check_writable(m, why);
	if (!ret && add_links(m))
		ret = diag_fail(why, ENOMEM, "out of memory");
	if (!ret)
		ret = merge_kids_find(m, why);
	if (ret)
		return ret;
	ret = count(m);
	return ret ? diag_fail(why, ret, "%s: cannot be read: %s",
			       m->links[0].path, strerror(-ret))
		   : check_space(m, why);
}
