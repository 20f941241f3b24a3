/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Making, linking, removing and renaming. What is removed while somebody has
 * it open stays as a ghost: a name in the root that listings do not show, gone
 * with the last release. After a crash it is a left-over file.
 */
#include "formats/volume/vol_ntfsw_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool is_system(u64 record)
{
	return record < FILE_first_user;
}

/* Directories of the system: what the library keeps open itself. */
static int check_parent(ntfs_inode *dir)
{
	if (!(dir->mrec->flags & MFT_RECORD_IS_DIRECTORY))
		return -ENOTDIR;
	if (dir->flags & FILE_ATTR_REPARSE_POINT)
		return -EOPNOTSUPP;
	return is_system(dir->mft_no) && dir->mft_no != FILE_root ? -EPERM : 0;
}

/* New files get what their directory says that children inherit. */
static le32 inherited_id(struct vol_ntfsw *w, ntfs_inode *dir, bool for_dir)
{
	struct SECURITY_CONTEXT scx = {
		.vol = w->vol, .pseccache = &w->permissions,
	};
	le32 *id = for_dir ? &w->inherit.dir_id : &w->inherit.file_id;

	/* Versions before 3.0 have no $Secure. */
	if (!w->vol->secure_ni)
		return 0;
	if (w->inherit.dir != dir->mft_no) {
		w->inherit.dir = dir->mft_no;
		w->inherit.file_id = w->inherit.dir_id = 0;
	}
	if (!*id)
		*id = ntfs_inherited_id(&scx, dir, for_dir);
	return *id;
}

static ntfs_inode *make(struct vol_ntfsw *w, ntfs_inode *dir,
			const struct vol_ntfsw_name *u,
			const struct tree_new *what)
{
	mode_t type = what->mode & S_IFMT;
	le32 id = inherited_id(w, dir, S_ISDIR(type));
	ntfschar *target = NULL;
	ntfs_inode *ni;
	int len;

	errno = 0;
	switch (type) {
	case S_IFCHR:
	case S_IFBLK:
		return ntfs_create_device(dir, id, u->u, (u8)u->len, type,
					  what->rdev);
	case S_IFLNK:
		len = ntfs_mbstoucs(what->target, &target);
		ni = len < 0 ? NULL : ntfs_create_symlink(dir, id, u->u,
					(u8)u->len, target, len);
		ntfs_ucsfree(target);
		return ni;
	case 0:
		type = S_IFREG;
		/* fall through */
	default:
		return ntfs_create(dir, id, u->u, (u8)u->len, type);
	}
}

int vol_ntfsw_create(struct tree *t, uint64_t dir, const char *name,
		     const struct tree_new *what, struct tree_attr *out)
{
	struct vol_ntfsw *w = VOL_NTFSW(t);
	struct vol_ntfsw_name u;
	ntfs_inode *parent, *ni;
	u64 record;
	int ret;

	if (w->opts.streams == STREAMS_WINDOWS && strchr(name, ':'))
		return S_ISREG(what->mode) || !(what->mode & S_IFMT)
			? vol_ntfsw_stream_create(w, dir, name, out) : -EINVAL;
	ret = vol_ntfsw_new_name(w, name, &u);
	if (!ret)
		ret = vol_ntfsw_get(w, dir, &parent);
	if (ret)
		return ret;
	ret = check_parent(parent);
	if (!ret && !vol_ntfsw_find(parent, &u, &record))
		ret = -EEXIST;
	if (ret)
		return vol_ntfsw_put(parent, ret);
	ni = make(w, parent, &u, what);
	if (!ni)
		return vol_ntfsw_put(parent, vol_ntfsw_errno());
	ni->flags |= FILE_ATTR_ARCHIVE;
	NInoSetDirty(ni);
	ret = vol_ntfsw_attr(w, ni, out);
	/* Its entry is updated in the directory that is open here. */
	errno = 0;
	if (ntfs_inode_close_in_dir(ni, parent) && !ret)
		ret = vol_ntfsw_errno();
	vol_ntfsw_touch(parent, NTFS_UPDATE_MCTIME);
	return vol_ntfsw_put(parent, ret);
}

/* Another name for a record, also of a directory (renaming). */
static int add_name(struct vol_ntfsw *w, u64 record, u64 dir,
		    const struct vol_ntfsw_name *name)
{
	ntfs_inode *ni, *parent;
	int ret = vol_ntfsw_get(w, ntfs_id_of_record(record), &ni);

	if (ret)
		return ret;
	ret = vol_ntfsw_get(w, ntfs_id_of_record(dir), &parent);
	if (ret)
		return vol_ntfsw_put(ni, ret);
	ret = check_parent(parent);
	errno = 0;
	if (!ret && ntfs_link(ni, parent, name->u, (u8)name->len))
		ret = vol_ntfsw_errno();
	if (!ret) {
		ni->flags |= FILE_ATTR_ARCHIVE;
		vol_ntfsw_touch(ni, NTFS_UPDATE_CTIME);
		vol_ntfsw_touch(parent, NTFS_UPDATE_MCTIME);
	}
	/* The directory first: closing the file looks its entry up there. */
	ret = vol_ntfsw_put(parent, ret);
	return vol_ntfsw_put(ni, ret);
}

int vol_ntfsw_link(struct tree *t, uint64_t id, uint64_t dir, const char *name,
		   struct tree_attr *out)
{
	struct vol_ntfsw *w = VOL_NTFSW(t);
	struct vol_ntfsw_name u;
	ntfs_inode *ni;
	u64 record;
	bool is_dir;
	int ret = vol_ntfsw_new_name(w, name, &u);

	if (!ret)
		ret = vol_ntfsw_get(w, id, &ni);
	if (ret)
		return ret;
	is_dir = ni->mrec->flags & MFT_RECORD_IS_DIRECTORY;
	ret = vol_ntfsw_put(ni, 0);
	if (is_dir || is_system(ntfs_record_of_id(id)))
		return -EPERM;
	if (!ret)
		ret = vol_ntfsw_get(w, dir, &ni);
	if (ret)
		return ret;
	ret = vol_ntfsw_find(ni, &u, &record);
	ret = vol_ntfsw_put(ni, ret ? ret : -EEXIST);
	if (ret != -ENOENT)
		return ret;
	ret = add_name(w, ntfs_record_of_id(id), ntfs_record_of_id(dir), &u);
	return ret ? ret : vol_ntfsw_getattr(t, id, out);
}

int vol_ntfsw_unlink(struct vol_ntfsw *w, u64 dir, u64 record,
		     const struct vol_ntfsw_name *name)
{
	ntfs_inode *ni, *parent;
	int ret = vol_ntfsw_get(w, ntfs_id_of_record(dir), &parent);

	if (ret)
		return ret;
	ret = vol_ntfsw_get(w, ntfs_id_of_record(record), &ni);
	if (ret)
		return vol_ntfsw_put(parent, ret);
	errno = 0;
	/* Closes both, whatever happens. */
	if (ntfs_delete(w->vol, NULL, ni, parent, name->u, (u8)name->len))
		ret = vol_ntfsw_errno();
	return ret;
}

static void ghost_name(u64 record, struct vol_ntfsw_name *out)
{
	char name[64];

	snprintf(name, sizeof(name), VOL_NTFSW_GHOST "%llu",
		 (unsigned long long)record);
	vol_ntfsw_name(name, out);
}

static int add_ghost(struct vol_ntfsw *w, u64 record)
{
	struct vol_ntfsw_name name;
	uint64_t id = ntfs_id_of_record(record);
	ntfs_inode *root;
	u64 old;
	int ret = vol_ntfsw_get(w, TREE_ROOT, &root);

	if (ret)
		return ret;
	ghost_name(record, &name);
	/* One that a crash left behind. */
	ret = vol_ntfsw_find(root, &name, &old);
	vol_ntfsw_put(root, 0);
	if (!ret)
		ret = vol_ntfsw_unlink(w, FILE_root, old, &name);
	if (ret && ret != -ENOENT)
		return ret;
	ret = add_name(w, record, FILE_root, &name);
	return ret ? ret : map_put(&w->ghosts, id, w);
}

static int remove_ghost(struct vol_ntfsw *w, u64 record)
{
	struct vol_ntfsw_name name;

	ghost_name(record, &name);
	map_del(&w->ghosts, ntfs_id_of_record(record));
	return vol_ntfsw_unlink(w, FILE_root, record, &name);
}

void vol_ntfsw_drop_ghost(struct vol_ntfsw *w, uint64_t id)
{
	if (w->ghosts.used && map_get(&w->ghosts, id))
		remove_ghost(w, ntfs_record_of_id(id));
}

void vol_ntfsw_drop_ghosts(struct vol_ntfsw *w)
{
	uint64_t id;
	void *value;

	for (size_t i = 0; map_next(&w->ghosts, &i, &id, &value); i = 0)
		vol_ntfsw_drop_ghost(w, id);
}

/* May this node lose a name? *last: it is the only one. */
static int check_victim(struct vol_ntfsw *w, u64 record, int dir_wanted,
			bool *keep)
{
	ntfs_inode *ni;
	struct tree_attr a;
	int ret;

	if (is_system(record))
		return -EPERM;
	ret = vol_ntfsw_get(w, ntfs_id_of_record(record), &ni);
	if (ret)
		return ret;
	ret = vol_ntfsw_attr(w, ni, &a);
	if (!ret && dir_wanted > 0 && !S_ISDIR(a.mode))
		ret = -ENOTDIR;
	if (!ret && !dir_wanted && S_ISDIR(a.mode))
		ret = -EISDIR;
	errno = 0;
	if (!ret && S_ISDIR(a.mode) && ntfs_check_empty_dir(ni) < 0)
		ret = vol_ntfsw_errno();
	*keep = a.nlink == 1 && !(ni->mrec->flags & MFT_RECORD_IS_DIRECTORY) &&
		tree_is_open(w->outer, a.id);
	return vol_ntfsw_put(ni, ret);
}

int vol_ntfsw_remove(struct tree *t, uint64_t dir, const char *name,
		     bool dir_wanted)
{
	struct vol_ntfsw *w = VOL_NTFSW(t);
	struct vol_ntfsw_name u;
	ntfs_inode *parent;
	u64 record;
	bool keep;
	int ret = vol_ntfsw_name(name, &u);

	if (!ret)
		ret = vol_ntfsw_get(w, dir, &parent);
	if (ret)
		return ret;
	ret = check_parent(parent);
	if (!ret)
		ret = vol_ntfsw_find(parent, &u, &record);
	ret = vol_ntfsw_put(parent, ret);
	if (ret == -ENOENT && !dir_wanted)
		return vol_ntfsw_stream_remove(w, dir, name);
	if (!ret)
		ret = check_victim(w, record, dir_wanted, &keep);
	if (!ret && keep)
		ret = add_ghost(w, record);
	if (ret)
		return ret;
	ret = vol_ntfsw_unlink(w, ntfs_record_of_id(dir), record, &u);
	if (ret && keep)
		remove_ghost(w, record);
	return ret;
}

/* One end of a renaming. */
struct place {
	u64 dir;
	struct vol_ntfsw_name name;
	u64 record;		/* what is there; 0: nothing ($MFT never) */
};

static int find_place(struct vol_ntfsw *w, uint64_t dir, struct place *p)
{
	ntfs_inode *ni;
	int ret = vol_ntfsw_get(w, dir, &ni);

	if (ret)
		return ret;
	p->dir = ntfs_record_of_id(dir);
	p->record = 0;
	ret = check_parent(ni);
	if (!ret)
		ret = vol_ntfsw_find(ni, &p->name, &p->record);
	return vol_ntfsw_put(ni, ret == -ENOENT ? 0 : ret);
}

/* A directory must not end up inside itself. */
static int check_descent(struct vol_ntfsw *w, u64 moved, u64 dir)
{
	for (int i = 0; i < 4096 && dir != FILE_root; i++) {
		ntfs_inode *ni, *up;
		int ret;

		if (dir == moved)
			return -EINVAL;
		ret = vol_ntfsw_get(w, ntfs_id_of_record(dir), &ni);
		if (ret)
			return ret;
		up = ntfs_dir_parent_inode(ni);
		ntfs_inode_close(ni);
		if (!up)
			return -EIO;
		dir = up->mft_no;
		ntfs_inode_close(up);
	}
	return dir == FILE_root ? 0 : -EIO;
}

/* The same name in other letters, or a name where nothing is. */
static int move_plain(struct vol_ntfsw *w, const struct place *from,
		      const struct place *to)
{
	int ret = add_name(w, from->record, to->dir, &to->name);

	if (ret)
		return ret;
	ret = vol_ntfsw_unlink(w, from->dir, from->record, &from->name);
	if (ret)
		vol_ntfsw_unlink(w, to->dir, from->record, &to->name);
	return ret;
}

static int move_recased(struct vol_ntfsw *w, const struct place *from,
			const struct place *to)
{
	struct place ghost = { .dir = FILE_root };
	int ret;

	ghost_name(from->record, &ghost.name);
	ghost.record = from->record;
	ret = move_plain(w, from, &ghost);
	if (ret)
		return ret;
	ret = move_plain(w, &ghost, to);
	if (ret)
		move_plain(w, &ghost, from);
	return ret;
}

/* Over something: it stays as a ghost until the new name is there, so that an
 * error on the way brings it back. */
static int move_over(struct vol_ntfsw *w, const struct place *from,
		     const struct place *to, bool keep)
{
	struct vol_ntfsw_name ghost;
	int ret = add_ghost(w, to->record);

	if (ret)
		return ret;
	ghost_name(to->record, &ghost);
	ret = vol_ntfsw_unlink(w, to->dir, to->record, &to->name);
	if (!ret) {
		ret = move_plain(w, from, to);
		if (ret)
			add_name(w, to->record, to->dir, &to->name);
	}
	if (!ret && keep)
		return 0;
	map_del(&w->ghosts, ntfs_id_of_record(to->record));
	vol_ntfsw_unlink(w, FILE_root, to->record, &ghost);
	return ret;
}

static int exchange(struct vol_ntfsw *w, const struct place *a,
		    const struct place *b)
{
	struct place mid = { .dir = FILE_root, .record = a->record };
	struct place b_at_a = *a, a_at_b = *b;
	int ret;

	ghost_name(a->record, &mid.name);
	ret = move_plain(w, a, &mid);
	if (ret)
		return ret;
	b_at_a.record = b->record;
	a_at_b.record = a->record;
	ret = move_plain(w, b, &b_at_a);
	if (ret) {
		move_plain(w, &mid, a);
		return ret;
	}
	ret = move_plain(w, &mid, &a_at_b);
	if (ret) {
		move_plain(w, &b_at_a, b);
		move_plain(w, &mid, a);
	}
	return ret;
}

static int is_dir(struct vol_ntfsw *w, u64 record)
{
	ntfs_inode *ni;
	u32 tag;
	int ret = vol_ntfsw_get(w, ntfs_id_of_record(record), &ni);

	if (ret)
		return ret;
	ret = S_ISDIR(vol_ntfsw_type(ni, &tag));
	return vol_ntfsw_put(ni, ret);
}

static int check_move(struct vol_ntfsw *w, const struct place *from,
		      const struct place *to, unsigned flags)
{
	int ret;

	if (!from->record)
		return -ENOENT;
	if (is_system(from->record) || (to->record && is_system(to->record)))
		return -EPERM;
	if (flags & RENAME_NOREPLACE && to->record)
		return -EEXIST;
	if (flags & RENAME_EXCHANGE && !to->record)
		return -ENOENT;
	ret = check_descent(w, from->record, to->dir);
	if (!ret && flags & RENAME_EXCHANGE)
		ret = check_descent(w, to->record, from->dir);
	return ret;
}

int vol_ntfsw_rename(struct tree *t, uint64_t dir, const char *name,
		     uint64_t ndir, const char *nname, unsigned flags)
{
	struct vol_ntfsw *w = VOL_NTFSW(t);
	struct place from, to;
	bool keep;
	int ret = vol_ntfsw_name(name, &from.name);

	if (!ret)
		ret = vol_ntfsw_new_name(w, nname, &to.name);
	if (!ret)
		ret = find_place(w, dir, &from);
	if (!ret)
		ret = find_place(w, ndir, &to);
	if (!ret)
		ret = check_move(w, &from, &to, flags);
	if (ret)
		return ret;
	if (!to.record)
		return move_plain(w, &from, &to);
	/* Two names of one file: POSIX wants nothing done. */
	if (to.record == from.record)
		return w->opts.ignore_case && strcmp(name, nname) &&
			from.dir == to.dir ? move_recased(w, &from, &to) : 0;
	if (flags & RENAME_EXCHANGE)
		return exchange(w, &from, &to);
	ret = is_dir(w, from.record);
	if (ret < 0)
		return ret;
	ret = check_victim(w, to.record, ret, &keep);
	return ret ? ret : move_over(w, &from, &to, keep);
}
