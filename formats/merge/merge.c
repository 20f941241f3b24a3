/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opens and closes a merge in place: a new one, or one that was begun. */
#include "formats/merge/merge.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/base/alloc.h"
#include "formats/merge/merge_int.h"

void merge_close(struct merge *m)
{
	if (!m)
		return;
	for (size_t i = 0; m->kids && i < m->j.n_kids; i++)
		merge_link_close(&m->kids[i]);
	for (size_t i = 0; m->links && i < m->j.n; i++)
		merge_link_close(&m->links[i]);
	for (size_t i = 0; i < m->n_files; i++)
		free((char *)(uintptr_t)m->files[i].path);
	free(m->files);
	free(m->kids);
	free(m->links);
	merge_journal_free(&m->j);
	free(m);
}

const struct merge_plan *merge_plan(const struct merge *m)
{
	return &m->plan;
}

static struct merge *new_merge(const struct merge_opts *opts,
			       const struct merge_job *job)
{
	struct merge *m = mem_new(struct merge);

	if (!m)
		return NULL;
	m->opts = *opts;
	if (job)
		m->job = *job;
	return m;
}

/* ---- the files of a chain ---- */

/* Which link is the file at path? */
static int find_link(const struct disk *d, const char *path, size_t *out,
		     struct diag *why)
{
	struct stat want, is;

	if (stat(path, &want))
		return diag_fail(why, errno, "%s: %s", path, strerror(errno));
	for (size_t i = 0; i < disk_depth(d); i++) {
		if (stat(disk_link(d, i)->path, &is) ||
		    is.st_dev != want.st_dev || is.st_ino != want.st_ino)
			continue;
		*out = i;
		return 0;
	}
	return diag_fail_as(why, ESTALE, OUT_CHAIN,
			    "%s: is not an ancestor of %s", path,
			    disk_link(d, 0)->path);
}

static int take_path(struct merge *m, const struct disk_link *l,
		     struct diag *why)
{
	char *path = merge_journal_path(l->path, "merge");
	bool busy = path && !access(path, F_OK);

	free(path);
	if (busy)
		return diag_fail_as(why, EBUSY, OUT_BUSY, "%s: a merge into it "
				    "is in progress: vhdmerge --resume %s",
				    l->path, l->path);
	m->j.files[m->j.n].path = mem_strdup(l->path);
	if (!m->j.files[m->j.n++].path)
		return diag_fail(why, ENOMEM, "out of memory");
	return 0;
}

/* By the rules of every opener; then it is let go, to be locked for good. */
static int resolve(struct merge *m, const char *child, const char *parent,
		   struct diag *why)
{
	struct disk *d;
	int ret = disk_open(child, &m->opts.disk, &d, why);

	if (ret)
		return ret;
	ret = find_link(d, parent, &m->j.target, why);
	if (!ret && !m->j.target)
		ret = diag_fail(why, EINVAL, "%s: cannot be merged into itself",
				child);
	if (!ret && disk_link(d, m->j.target)->format == DISK_RAW)
		ret = diag_fail(why, ERR_UNSUPP, "%s: a raw disk has no "
				"identity to change: merge to a new file",
				parent);
	m->j.files = mem_zalloc(disk_depth(d) + 1, sizeof(*m->j.files));
	if (!ret && !m->j.files)
		ret = diag_fail(why, ENOMEM, "out of memory");
	for (size_t i = 0; !ret && i < disk_depth(d); i++)
		ret = take_path(m, disk_link(d, i), why);
	disk_close(d);
	return ret;
}

static int open_link(struct merge *m, size_t i, struct diag *why)
{
	/* The one below which something changes, and the one that does. */
	bool write = i == m->j.target || i + 1 == m->j.target;

	return merge_link_open(m->j.files[i].path, write, i <= m->j.target
			       ? DEV_LOCK_WRITE : DEV_LOCK_READ,
			       &m->opts.disk, &m->job, &m->links[i], why);
}

static int open_links(struct merge *m, struct diag *why)
{
	int ret = 0;

	m->links = mem_zalloc(m->j.n, sizeof(*m->links));
	if (!m->links)
		return diag_fail(why, ENOMEM, "out of memory");
	for (size_t i = 0; i < m->j.n && !ret; i++)
		ret = open_link(m, i, why);
	for (size_t i = m->j.n - 1; i > 0 && !ret; i--)
		ret = merge_link_set_parent(&m->links[i - 1], &m->links[i],
					    why);
	return ret;
}

/* Between the two openings anything can have happened. */
static int check_again(const struct merge *m, struct diag *why)
{
	for (size_t i = 0; i + 1 < m->j.n; i++)
		if (!merge_link_fits(&m->links[i], &m->links[i + 1]))
			return diag_fail_as(why, ESTALE, OUT_CHAIN,
					    "%s: %s is not its parent",
					    m->links[i].path,
					    m->links[i + 1].path);
	return 0;
}

/* ---- a new one ---- */

static int carry_past(struct merge *m, const struct merge_journal *old)
{
	size_t n = old->target + old->n_past, k = 0;

	if (n > MERGE_PAST_MAX)
		n = MERGE_PAST_MAX;
	m->j.past = mem_zalloc(n + 1, sizeof(*m->j.past));
	if (!m->j.past)
		return -ENOMEM;
	for (size_t i = 0; i < old->target && k < n; i++, k++) {
		memcpy(m->j.past[k].id, old->files[i].id, 40);
		memcpy(m->j.past[k].parent, old->files[i].parent, 40);
	}
	for (size_t i = 0; i < old->n_past && k < n; i++, k++)
		m->j.past[k] = old->past[i];
	m->j.n_past = k;
	return 0;
}

/* Merges before this one that kept their files. */
static int load_past(struct merge *m)
{
	char *path = merge_journal_path(merge_target(m)->path, "merged");
	struct merge_journal old = { 0 };
	int ret = path ? 0 : -ENOMEM;

	if (!ret && !merge_journal_load(path, &old, NULL)) {
		ret = carry_past(m, &old);
		merge_journal_free(&old);
	}
	free(path);
	return ret;
}

static int fill_journal(struct merge *m, struct diag *why)
{
	struct merge_link *target = merge_target(m);
	int ret = merge_id_new(target->format, m->j.new_id);

	m->j.format = target->format;
	m->j.size = dev_size(m->links[0].low);
	m->j.remove = m->opts.remove;
	for (size_t i = 0; i < m->j.n; i++) {
		memcpy(m->j.files[i].id, m->links[i].id, 40);
		memcpy(m->j.files[i].parent, m->links[i].wants, 40);
	}
	m->j.path = merge_journal_path(target->path, "merge");
	if (!ret && !m->j.path)
		ret = -ENOMEM;
	if (!ret)
		ret = load_past(m);
	return ret ? diag_fail(why, ret, "%s: %s", target->path,
			       strerror(-ret)) : 0;
}

static void show_plan(struct merge *m)
{
	m->plan.files = m->files;
	m->plan.n_files = m->n_files;
	m->plan.journal = m->j.path;
	m->plan.step = m->j.step;
}

int merge_open(const char *child, const char *parent,
	       const struct merge_opts *opts, const struct merge_job *job,
	       struct merge **out, struct diag *why)
{
	struct merge *m = new_merge(opts, job);
	int ret;

	if (!m)
		return diag_fail(why, ENOMEM, "out of memory");
	ret = resolve(m, child, parent, why);
	if (!ret)
		ret = open_links(m, why);
	if (!ret)
		ret = check_again(m, why);
	if (!ret)
		ret = fill_journal(m, why);
	if (!ret)
		ret = merge_plan_make(m, why);
	if (ret) {
		merge_close(m);
		return ret;
	}
	show_plan(m);
	*out = m;
	return 0;
}

/* ---- one that was begun ---- */

static int load_journal(const char *target, struct merge_journal *j,
			struct diag *why)
{
	char real[PATH_MAX];
	char *path;
	int ret;

	if (!realpath(target, real))
		return diag_fail(why, errno, "%s: %s", target, strerror(errno));
	path = merge_journal_path(real, "merge");
	if (!path)
		return diag_fail(why, ENOMEM, "out of memory");
	if (access(path, F_OK))
		ret = diag_fail(why, ENOENT, "%s: no merge into it was begun",
				target);
	else
		ret = merge_journal_load(path, j, why);
	free(path);
	if (!ret && strcmp(j->files[j->target].path, real)) {
		ret = diag_fail(why, ESTALE, "%s: was begun for %s: the files "
				"must lie where they lay", j->path,
				j->files[j->target].path);
		merge_journal_free(j);
	}
	return ret;
}

/* Is each file the one of then? */
static int check_ids(const struct merge *m, struct diag *why)
{
	const struct merge_link *t = &m->links[m->j.target];
	const struct merge_link *x = &m->links[m->j.target - 1];
	bool ours = t->vhdx ? merge_link_fits(x, t)
		    : !strcmp(t->id, m->j.new_id) ||
		      !strcmp(t->id, m->j.files[m->j.target].id);

	for (size_t i = 0; i < m->j.n; i++)
		if (i != m->j.target && m->links[i].path &&
		    strcmp(m->links[i].id, m->j.files[i].id))
			return diag_fail_as(why, ESTALE, OUT_CHAIN, "%s: is "
					    "not the file of the merge: has id "
					    "%s, not %s", m->links[i].path,
					    m->links[i].id, m->j.files[i].id);
	if (!ours && m->j.step != MERGE_FINISH)
		return diag_fail_as(why, ESTALE, OUT_CHAIN, "%s: is not the "
				    "file of the merge: has id %s", t->path,
				    t->id);
	return 0;
}

static int reopen_kids(struct merge *m, struct diag *why)
{
	int ret = 0;

	m->kids = mem_zalloc(m->j.n_kids + 1, sizeof(*m->kids));
	if (!m->kids)
		return diag_fail(why, ENOMEM, "out of memory");
	for (size_t i = 0; i < m->j.n_kids && !ret; i++) {
		ret = merge_link_open(m->j.kids[i].path, true, DEV_LOCK_WRITE,
				      &m->opts.disk, &m->job, &m->kids[i], why);
		if (!ret)
			ret = merge_link_set_parent(&m->kids[i], &m->links[0],
						    why);
		if (!ret && strcmp(m->kids[i].id, m->j.kids[i].id))
			ret = diag_fail_as(why, ESTALE, OUT_CHAIN,
					   "%s: is not the file of the merge",
					   m->kids[i].path);
	}
	return ret;
}

/* Only names are left to remove: some may be gone. */
static int reopen_rest(struct merge *m, struct diag *why)
{
	int ret = 0;

	m->links = mem_zalloc(m->j.n, sizeof(*m->links));
	if (!m->links)
		return diag_fail(why, ENOMEM, "out of memory");
	for (size_t i = 0; i <= m->j.target && !ret; i++) {
		struct merge_link *l = &m->links[i];

		if (access(m->j.files[i].path, F_OK))
			continue;
		ret = open_link(m, i, why);
		if (!ret && i < m->j.target && strcmp(l->id, m->j.files[i].id))
			merge_link_close(l);
	}
	return ret;
}

static int reopen_links(struct merge *m, struct diag *why)
{
	int ret;

	if (m->j.step == MERGE_FINISH && m->j.remove)
		return reopen_rest(m, why);
	ret = open_links(m, why);
	if (!ret)
		ret = check_ids(m, why);
	return ret || m->j.step == MERGE_FINISH ? ret : reopen_kids(m, why);
}

int merge_reopen(const char *target, const struct merge_opts *opts,
		 const struct merge_job *job, struct merge **out,
		 struct diag *why)
{
	struct merge *m = new_merge(opts, job);
	int ret;

	if (!m)
		return diag_fail(why, ENOMEM, "out of memory");
	ret = load_journal(target, &m->j, why);
	if (!ret)
		ret = reopen_links(m, why);
	if (ret) {
		merge_close(m);
		return ret;
	}
	m->begun = true;
	m->plan.format = m->j.format;
	m->plan.size = m->j.size;
	m->plan.remove = m->j.remove;
	show_plan(m);
	*out = m;
	return 0;
}

int merge_status_read(const char *target, struct merge_status *out,
		      struct diag *why)
{
	struct merge_journal j = { 0 };
	int ret = load_journal(target, &j, why);

	if (ret)
		return ret;
	*out = (struct merge_status) {
		.step = j.step, .size = j.size,
		.done = j.step > MERGE_COPY ? j.size : j.done,
		.child = mem_strdup(j.files[0].path),
	};
	merge_journal_free(&j);
	return out->child ? 0 : diag_fail(why, ENOMEM, "out of memory");
}

void merge_status_free(struct merge_status *st)
{
	free(st->child);
	*st = (struct merge_status) { 0 };
}
