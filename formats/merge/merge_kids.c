/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who else hangs on the files of a merge: children of the source go on with
 * the target; children of the target and of what lies between would be lost.
 * Only those in the directories of the chain and in search= can be found.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/merge/merge_int.h"

struct finder {
	struct merge *m;
	char *names;		/* owned; of the orphans */
	size_t n_orphans;
	char **grand;		/* owned; paths of the grandchildren */
	size_t n_grand;
};

static bool in_chain(const struct merge *m, const struct disk_image *img)
{
	for (size_t i = 0; i < m->j.n; i++)
		if (m->links[i].dev == img->dev && m->links[i].ino == img->ino)
			return true;
	return false;
}

static bool wants(const struct disk_image *img, const struct merge_link *l)
{
	return img->format == l->format && *l->id &&
	       (!strcmp(img->wants, l->id) || !strcmp(img->wants2, l->id));
}

/* Directories may be given twice. */
static bool is_known(const struct merge *m, const char *path)
{
	for (size_t i = 0; i < m->n_files; i++)
		if (!strcmp(m->files[i].path, path))
			return true;
	return false;
}

static int add_orphan(struct finder *f, const struct disk_image *img)
{
	char *all = mem_printf("%s%s%s", f->names ? f->names : "",
			       f->names ? ", " : "", img->path);

	free(f->names);
	f->names = all;
	f->n_orphans++;
	return all ? merge_add_file(f->m, MERGE_ORPHAN, img->path, img->id,
				    img->wants, img->size) : -ENOMEM;
}

static int add_grand(struct finder *f, const struct disk_image *img)
{
	char **more = mem_realloc(f->grand, f->n_grand + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	f->grand = more;
	more[f->n_grand] = mem_strdup(img->path);
	if (!more[f->n_grand])
		return -ENOMEM;
	f->n_grand++;
	return merge_add_file(f->m, MERGE_GRANDCHILD, img->path, img->id,
			      img->wants, img->size);
}

/* A disk_list_fn. */
static int look_at(void *ctx, const struct disk_image *img, const char *path,
		   const struct diag *why)
{
	struct finder *f = ctx;
	struct merge *m = f->m;

	if (!img || in_chain(m, img) || is_known(m, path))
		return 0;
	if (wants(img, &m->links[0]))
		return add_grand(f, img);
	for (size_t i = 1; i <= m->j.target; i++)
		if (wants(img, &m->links[i]))
			return add_orphan(f, img);
	return 0;
}

static int look_in(struct finder *f, const char *dir)
{
	char real[PATH_MAX];

	return realpath(dir, real) ? disk_list(real, look_at, f, NULL) : 0;
}

static int look_beside(struct finder *f, const char *path)
{
	char dir[PATH_MAX];
	char *slash;

	if (strlen(path) >= sizeof(dir))
		return -ENAMETOOLONG;
	strcpy(dir, path);
	slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = '\0';
	return look_in(f, dir);
}

static int open_kids(struct finder *f, struct diag *why)
{
	struct merge *m = f->m;
	int ret = 0;

	m->kids = mem_zalloc(f->n_grand + 1, sizeof(*m->kids));
	m->j.kids = mem_zalloc(f->n_grand + 1, sizeof(*m->j.kids));
	if (!m->kids || !m->j.kids)
		return diag_fail(why, ENOMEM, "out of memory");
	for (size_t i = 0; i < f->n_grand && !ret; i++) {
		struct merge_link *l = &m->kids[i];
		struct merge_jfile *file = &m->j.kids[i];

		ret = merge_link_open(f->grand[i], true, DEV_LOCK_WRITE,
				      &m->opts.disk, &m->job, l, why);
		if (!ret)
			ret = merge_link_set_parent(l, &m->links[0], why);
		if (ret)
			break;
		m->j.n_kids++;
		memcpy(file->id, l->id, sizeof(file->id));
		memcpy(file->parent, l->wants, sizeof(file->parent));
		file->path = mem_strdup(l->path);
		ret = file->path ? 0 : -ENOMEM;
	}
	return ret;
}

static int judge(struct finder *f, struct diag *why)
{
	if (!f->n_orphans || f->m->opts.orphan_others)
		return 0;
	return diag_fail_as(why, EBUSY, OUT_HAS_CHILDREN,
			    "%s: other children would be lost: %.600s "
			    "(--orphan-others merges all the same)",
			    merge_target(f->m)->path, f->names);
}

int merge_kids_find(struct merge *m, struct diag *why)
{
	struct finder f = { .m = m };
	int ret = 0;

	for (size_t i = 0; i <= m->j.target && !ret; i++)
		ret = look_beside(&f, m->links[i].path);
	for (size_t i = 0; i < m->opts.disk.n_search && !ret; i++)
		ret = look_in(&f, m->opts.disk.search[i]);
	if (ret)
		ret = diag_fail(why, ret, "looking for children: %s",
				strerror(-ret));
	if (!ret)
		ret = judge(&f, why);
	if (!ret)
		ret = open_kids(&f, why);
	for (size_t i = 0; i < f.n_grand; i++)
		free(f.grand[i]);
	free(f.grand);
	free(f.names);
	return ret;
}
