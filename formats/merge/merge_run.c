/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The steps of a merge in place: VHD FORMAT.md 12.4, VHDX FORMAT.md 13.4.
 * Each can be done again from its beginning, by another process, after any
 * crash; the journal says which is next.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/base/dev_file.h"
#include "formats/merge/merge_int.h"

/* How often the journal learns how far it is: each costs a sync. */
#define MARK_EVERY (4ull << 30)

static int name_step(struct merge *m)
{
	return m->job.step ? m->job.step(m->job.ctx) : 0;
}

static int save(struct merge *m, struct diag *why)
{
	int ret = name_step(m);

	if (ret)
		return diag_fail(why, ret, "%s: %s", m->j.path, strerror(-ret));
	ret = merge_journal_save(&m->j, why);
	if (!ret)
		m->begun = true;
	return ret;
}

/* ---- copying ---- */

static bool all_zero(const uint8_t *p, size_t len)
{
	return !*p && !memcmp(p, p + 1, len - 1);
}

static int put_data(void *ctx, uint64_t off, const uint8_t *buf, size_t len)
{
	struct dev *to = merge_target(ctx)->low;

	/* A dynamic disk need not keep zeros. */
	if (all_zero(buf, len))
		return dev_zero(to, off, len, false);
	return dev_write(to, buf, len, off);
}

static int put_zero(void *ctx, uint64_t off, uint64_t len)
{
	return dev_zero(merge_target(ctx)->low, off, len, false);
}

static int put_clone(void *ctx, struct dev *src, uint64_t off, size_t len)
{
	return merge_clone(merge_target(ctx)->low, src, off, len);
}

static int remember(struct merge *m)
{
	int ret = dev_flush(merge_target(m)->low);

	m->j.done = m->reached;
	m->mark_at = m->reached + MARK_EVERY;
	return ret ? ret : save(m, NULL);
}

static int mark(void *ctx, uint64_t off)
{
	struct merge *m = ctx;

	m->reached = off;
	return off < m->mark_at ? 0 : remember(m);
}

static int copy_data(struct merge *m, struct diag *why)
{
	struct merge_link *target = merge_target(m);
	struct merge_copy c = {
		.job = &m->job, .from = m->j.done, .size = m->plan.size,
		.next = merge_walk_next, .data = put_data, .zero = put_zero,
		.clone = target->vhdx &&
			 merge_clone_works(target->path, m->links[0].low)
			 ? put_clone : NULL,
		.clone_fd = dev_file_fd(target->file),
		.mark = mark, .ctx = m,
	};
	int ret;

	m->reached = m->j.done;
	m->mark_at = m->reached + MARK_EVERY;
	merge_walk_reset(m);
	ret = merge_copy_run(&c);
	/* A stop is no failure: what was done need not be done again. */
	if (ret == -ECANCELED) {
		remember(m);
		return diag_fail(why, ret, "stopped");
	}
	if (!ret)
		ret = dev_flush(target->low);
	return ret ? diag_fail(why, ret, "%s: merging into it: %s",
			       target->path, strerror(-ret)) : 0;
}

/* The content of a VHD leaves no other trace than the time stamp. */
static uint64_t stamp_of(const struct merge_link *l)
{
	struct stat st;

	if (l->vhdx || stat(l->path, &st))
		return 0;
	return (uint64_t)st.st_mtim.tv_sec * 1000000000u +
	       (uint64_t)st.st_mtim.tv_nsec;
}

static void put_stamps(struct merge *m)
{
	for (size_t i = 0; i < m->j.target; i++)
		m->j.files[i].stamp = stamp_of(&m->links[i]);
}

static bool stamps_hold(const struct merge *m)
{
	for (size_t i = 0; i < m->j.target; i++)
		if (m->j.files[i].stamp != stamp_of(&m->links[i]))
			return false;
	return true;
}

static int rotate(struct merge *m, struct diag *why)
{
	struct merge_link *target = merge_target(m);
	char id[40];
	int ret = 0;

	/* Each session that writes to a VHDX needs an identity of its own. */
	if (target->vhdx)
		ret = merge_id_new(DISK_VHDX, id);
	else
		memcpy(id, m->j.new_id, sizeof(id));
	if (ret)
		return diag_fail(why, ret, "no random numbers for an identity");
	if (!stamps_hold(m))
		m->j.done = 0;
	ret = merge_link_rotate(target, &m->links[m->j.target - 1], id, why);
	if (ret)
		return ret;
	put_stamps(m);
	m->j.step = MERGE_COPY;
	return save(m, why);
}

static int grow(struct merge *m, struct diag *why)
{
	struct merge_link *target = merge_target(m);

	if (dev_size(target->low) >= m->plan.size)
		return 0;
	if (dev_resize(target->low, m->plan.size, why))
		return diag_in(why, -EIO, "%s", target->path);
	return 0;
}

static int copy_step(struct merge *m, struct diag *why)
{
	struct merge_link *target = merge_target(m);
	int ret = rotate(m, why);

	if (!ret)
		ret = grow(m, why);
	if (!ret)
		ret = copy_data(m, why);
	if (!ret && target->vhdx)
		ret = vhdx_copy_items(target->vhdx, m->links[0].vhdx, why);
	if (!ret)
		ret = dev_flush(target->low);
	if (ret)
		return diag_fail(why, ret, "%s: %s", target->path,
				 strerror(-ret));
	m->j.step = MERGE_RELINK;
	return save(m, why);
}

/* ---- afterwards ---- */

static int relink_step(struct merge *m, struct diag *why)
{
	struct merge_link *target = merge_target(m);
	int ret = 0;

	for (size_t i = 0; i < m->j.n_kids && !ret; i++)
		if (strcmp(m->kids[i].wants, target->id))
			ret = merge_link_relink(&m->kids[i], target->id, target,
						&m->links[0], why);
	if (ret)
		return ret;
	m->j.step = MERGE_FINISH;
	return save(m, why);
}

static int remove_name(struct merge *m, const char *path)
{
	int ret = name_step(m);

	if (!ret && unlink(path) && errno != ENOENT)
		ret = -errno;
	return ret ? ret : merge_sync_dir(path);
}

static int remove_files(struct merge *m, struct diag *why)
{
	int ret = 0;

	for (size_t i = 0; i < m->j.target && !ret; i++) {
		/* Something else may have this name by now. */
		if (!m->links[i].path)
			continue;
		ret = remove_name(m, m->links[i].path);
		if (ret)
			diag_fail(why, ret, "%s: %s", m->links[i].path,
				  strerror(-ret));
	}
	return ret;
}

/* The children stay true to a copy of the old target, and to nothing else. */
static int let_go(struct merge *m, struct diag *why)
{
	size_t i = m->j.target - 1;
	struct merge_link *child = &m->links[i];
	const char *old = m->j.files[i].parent;

	if (!strcmp(child->wants, old) && !*child->wants2)
		return 0;
	return merge_link_relink(child, old, NULL, NULL, why);
}

/* The journal of a merge that kept its files tells who they are. */
static int end_journal(struct merge *m)
{
	char *target = merge_target(m)->path;
	char *done = merge_journal_path(target, "merged");
	int ret = done ? name_step(m) : -ENOMEM;

	if (!ret && rename(m->j.path, done))
		ret = -errno;
	free(done);
	return ret ? ret : merge_sync_dir(target);
}

static int finish_step(struct merge *m, struct diag *why)
{
	int ret = m->j.remove ? remove_files(m, why) : let_go(m, why);

	if (ret)
		return ret;
	ret = m->j.remove ? remove_name(m, m->j.path) : end_journal(m);
	return ret ? diag_fail(why, ret, "%s: %s", m->j.path, strerror(-ret))
		   : 0;
}

int merge_run(struct merge *m, struct diag *why)
{
	int ret = m->begun ? 0 : save(m, why);

	if (!ret && m->j.step <= MERGE_COPY)
		ret = copy_step(m, why);
	if (!ret && m->j.step == MERGE_RELINK)
		ret = relink_step(m, why);
	if (!ret && m->j.step == MERGE_FINISH)
		ret = finish_step(m, why);
	return ret;
}

/* ---- back ---- */

/* What would not open again without the merge's end. */
static int check_abort(const struct merge *m, struct diag *why)
{
	const struct merge_link *target = &m->links[m->j.target];
	const struct merge_link *child = &m->links[m->j.target - 1];
	bool linked = m->j.step == MERGE_FINISH;

	for (size_t i = 0; i < m->j.n_kids; i++)
		linked = linked || merge_link_fits(&m->kids[i], target);
	if (linked)
		return diag_fail_as(why, EBUSY, OUT_BUSY, "%s: all is copied "
				    "and its new children hang on it: only "
				    "--resume is left", target->path);
	if (child->vhdx && dev_size(child->low) < dev_size(target->low))
		return diag_fail_as(why, EBUSY, OUT_BUSY, "%s: has grown "
				    "beyond %s: only --resume is left",
				    target->path, child->path);
	return 0;
}

int merge_abort(struct merge *m, struct diag *why)
{
	struct merge_link *target = merge_target(m);
	struct merge_link *child = &m->links[m->j.target - 1];
	int ret = check_abort(m, why);

	if (!ret && (strcmp(child->wants, target->id) || *child->wants2))
		ret = merge_link_relink(child, target->id, NULL, NULL, why);
	if (ret)
		return ret;
	ret = remove_name(m, m->j.path);
	return ret ? diag_fail(why, ret, "%s: %s", m->j.path, strerror(-ret))
		   : 0;
}
