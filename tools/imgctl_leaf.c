/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One file of a chain as what it is, without its parents. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/base/alloc.h"
#include "formats/base/dev_file.h"
#include "formats/base/dev_lock.h"
#include "tools/imgctl.h"

struct dev *imgctl_leaf_dev(const struct imgctl_leaf *l)
{
	return l->vhd ? vhd_dev(l->vhd) : l->vhdx ? vhdx_dev(l->vhdx) : l->file;
}

void imgctl_leaf_close(struct imgctl_leaf *l)
{
	if (l->vhd)
		vhd_close(l->vhd);
	else if (l->vhdx)
		vhdx_close(l->vhdx);
	else
		dev_close(l->file);
	*l = (struct imgctl_leaf) { 0 };
}

static int lock(const struct imgctl *c, struct dev *file, bool want_write,
		struct diag *why)
{
	int ret;

	if (c->disk.no_lock && !want_write)
		return 0;
	ret = dev_lock_set(file, DEV_LOCK_NONE,
			   want_write ? DEV_LOCK_WRITE : DEV_LOCK_READ,
			   c->disk.registry, why);
	if (ret == -ENOLCK && (c->disk.no_lock || !want_write)) {
		diag_clear(why);
		ret = 0;
	}
	return ret;
}

static int recognise(const struct imgctl *c, struct imgctl_leaf *l,
		     struct diag *why)
{
	struct vhd_opts vhd = { .force = c->force };
	struct vhdx_opts vhdx = { 0 };
	int ret = vhdx_probe(l->file);

	if (!ret)
		return vhdx_open(l->file, &vhdx, &l->vhdx, why);
	if (ret == -ERR_NOT_THIS)
		ret = vhd_probe(l->file);
	if (!ret)
		return vhd_open(l->file, &vhd, &l->vhd, why);
	if (ret == -ERR_NOT_THIS)
		return 0;
	return diag_fail(why, ret, "cannot be read: %s", strerror(-ret));
}

static int refused(const char *path, struct diag *why)
{
	int err = why->code;

	return strstr(why->text, path) ? err : diag_in(why, err, "%s", path);
}

int imgctl_not_merging(const char *path, struct diag *why)
{
	char real[PATH_MAX], *slash, *journal;
	bool there;

	if (!realpath(path, real) || !(slash = strrchr(real, '/')))
		return 0;
	journal = mem_printf("%.*s/.%s.merge", (int)(slash - real), real,
			     slash + 1);
	if (!journal)
		return diag_fail(why, ENOMEM, "out of memory");
	there = !faccessat(AT_FDCWD, journal, F_OK, AT_SYMLINK_NOFOLLOW);
	free(journal);
	return there ? diag_fail_as(why, EBUSY, OUT_BUSY, "%s: a merge into "
				    "it is in progress: vhdmerge --resume %s",
				    path, path) : 0;
}

int imgctl_leaf_open(const struct imgctl *c, const char *path, bool want_write,
		     struct imgctl_leaf *out, struct diag *why)
{
	struct imgctl_leaf l = { 0 };
	int ret = dev_file_open(path, want_write, &l.file, why);

	if (ret)
		return ret;
	if (want_write && !l.file->writable)
		ret = diag_fail(why, EACCES, "%s: may not be written", path);
	if (!ret)
		ret = lock(c, l.file, want_write, why);
	/* Behind the lock: whoever merges has it while it makes a journal. */
	if (!ret && want_write)
		ret = imgctl_not_merging(path, why);
	if (!ret)
		ret = recognise(c, &l, why);
	if (ret) {
		imgctl_leaf_close(&l);
		return refused(path, why);
	}
	*out = l;
	return 0;
}
