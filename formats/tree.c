/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/tree_hold.h"

/* Lock order: holds of nodes (ascending id), then this, then the backend. */
struct tree_lock {
	pthread_rwlock_t rw;
};

int tree_init(struct tree *t, const struct tree_ops *ops)
{
	struct tree_lock *lock = mem_new(struct tree_lock);
	int ret = lock ? tree_hold_table_new(&t->holds) : -ENOMEM;

	if (ret) {
		free(lock);
		return ret;
	}
	pthread_rwlock_init(&lock->rw, NULL);
	t->lock = lock;
	t->ops = ops;
	return 0;
}

void tree_fini(struct tree *t)
{
	tree_hold_table_free(t->holds);
	t->holds = NULL;
	if (t->lock)
		pthread_rwlock_destroy(&t->lock->rw);
	free(t->lock);
	t->lock = NULL;
}

void tree_close(struct tree *t)
{
	if (t)
		t->ops->close(t);
}

/* A backend may change its turns in begin_write, which holds the lock for
 * writing: so the answer is asked again under the lock. */
static void lock_read(struct tree *t)
{
	if (__atomic_load_n(&t->turns, __ATOMIC_ACQUIRE) == TREE_SERIAL) {
		pthread_rwlock_wrlock(&t->lock->rw);
		return;
	}
	pthread_rwlock_rdlock(&t->lock->rw);
	if (t->turns != TREE_SERIAL)
		return;
	pthread_rwlock_unlock(&t->lock->rw);
	pthread_rwlock_wrlock(&t->lock->rw);
}

static void unlock(struct tree *t)
{
	pthread_rwlock_unlock(&t->lock->rw);
}

/* Makes ready for a modification and takes the lock for it. */
static int lock_write(struct tree *t)
{
	if (!t->writable)
		return -EROFS;
	if (t->writing && t->turns == TREE_PARALLEL) {
		pthread_rwlock_rdlock(&t->lock->rw);
		return 0;
	}
	pthread_rwlock_wrlock(&t->lock->rw);
	if (!t->writing && !t->failed) {
		t->failed = t->ops->begin_write ?
			t->ops->begin_write(t, &t->why_not) : -EROFS;
		if (!t->failed)
			__atomic_store_n(&t->writing, true, __ATOMIC_RELEASE);
	}
	if (!t->failed)
		return 0;
	unlock(t);
	return t->failed;
}

#define READ_OP(t, call) ({ \
	lock_read(t); \
	__auto_type ret_ = (t)->ops->call; \
	unlock(t); \
	ret_; })

#define WRITE_OP(t, call) ({ \
	ssize_t ret_ = lock_write(t); \
	if (!ret_) { \
		ret_ = (t)->ops->call; \
		unlock(t); \
	} \
	ret_; })

/* Under which number the bytes of a file are held. */
static uint64_t hold_of(const struct tree *t, uint64_t id)
{
	return t->shared_bytes ? TREE_ROOT : id;
}

static int check_name(const char *name)
{
	size_t len = strlen(name);

	if (!len || strchr(name, '/') || !strcmp(name, ".") ||
	    !strcmp(name, ".."))
		return -EINVAL;
	return len > TREE_NAME_MAX ? -ENAMETOOLONG : 0;
}

int tree_getattr(struct tree *t, uint64_t id, struct tree_attr *out)
{
	return READ_OP(t, getattr(t, id, out));
}

int tree_lookup(struct tree *t, uint64_t dir, const char *name,
		struct tree_attr *out)
{
	int ret = check_name(name);

	if (ret)
		return ret == -EINVAL ? -ENOENT : ret;
	return READ_OP(t, lookup(t, dir, name, out));
}

int tree_list(struct tree *t, uint64_t dir, uint64_t from, bool want_attr,
	      tree_emit_fn emit, void *ctx)
{
	return READ_OP(t, list(t, dir, from, want_attr, emit, ctx));
}

int tree_readlink(struct tree *t, uint64_t id, char *buf, size_t size)
{
	if (!t->ops->readlink)
		return -EINVAL;
	return READ_OP(t, readlink(t, id, buf, size));
}

int tree_open(struct tree *t, uint64_t id, bool write, struct tree_file **out)
{
	int ret;

	if (write && !t->writable)
		return -EROFS;
	/* Opening for writing modifies nothing; O_TRUNC is a setattr. Counted
	 * in the same turn, or an unlink between would free the node twice. */
	lock_read(t);
	ret = t->ops->open(t, id, write, out);
	if (!ret) {
		ret = tree_hold_opened(t->holds, id);
		if (ret)
			t->ops->release(t, *out);
	}
	unlock(t);
	return ret;
}

void tree_release(struct tree *t, struct tree_file *f)
{
	uint64_t id = f->id;

	/* Closing first: the backend asks tree_is_open() for the others; but in
	 * the same turn, or who unlinks meanwhile frees the node as well. */
	lock_read(t);
	tree_hold_closed(t->holds, id);
	t->ops->release(t, f);
	unlock(t);
}

ssize_t tree_read(struct tree *t, struct tree_file *f, void *buf, size_t len,
		  uint64_t off)
{
	if (off > INT64_MAX || len > SSIZE_MAX)
		return -EINVAL;
	return READ_OP(t, read(t, f, buf, len, off));
}

off_t tree_seek(struct tree *t, struct tree_file *f, off_t off, int whence)
{
	struct tree_attr a;
	int ret;

	if (t->ops->seek)
		return READ_OP(t, seek(t, f, off, whence));
	/* Everything is data up to the end, where the hole begins. */
	ret = tree_getattr(t, f->id, &a);
	if (ret)
		return ret;
	if (off < 0 || (uint64_t)off >= a.size)
		return -ENXIO;
	return whence == SEEK_DATA ? off : (off_t)a.size;
}

ssize_t tree_getxattr(struct tree *t, uint64_t id, const char *name, void *buf,
		      size_t size)
{
	if (!t->ops->getxattr)
		return -EOPNOTSUPP;
	return READ_OP(t, getxattr(t, id, name, buf, size));
}

ssize_t tree_listxattr(struct tree *t, uint64_t id, char *buf, size_t size)
{
	if (!t->ops->listxattr)
		return 0;
	return READ_OP(t, listxattr(t, id, buf, size));
}

int tree_statfs(struct tree *t, struct statvfs *out)
{
	if (!t->ops->statfs)
		return -ENOSYS;
	return READ_OP(t, statfs(t, out));
}

int tree_check_write(struct tree *t, struct diag *why)
{
	if (t->writing)
		return 0;
	if (!t->writable || !t->ops->begin_write)
		return diag_fail(why, EROFS, "%s: read-only", t->ops->name);
	if (!t->ops->check_write)
		return 0;
	return READ_OP(t, check_write(t, why));
}

bool tree_is_open(struct tree *t, uint64_t id)
{
	return tree_hold_is_open(t->holds, id);
}

int tree_create(struct tree *t, uint64_t dir, const char *name,
		const struct tree_new *what, struct tree_attr *out)
{
	int ret = check_name(name);

	if (ret)
		return ret;
	if (!t->ops->create)
		return -EROFS;
	return (int)WRITE_OP(t, create(t, dir, name, what, out));
}

int tree_link(struct tree *t, uint64_t id, uint64_t dir, const char *name,
	      struct tree_attr *out)
{
	int ret = check_name(name);

	if (ret)
		return ret;
	if (!t->ops->link)
		return t->writable ? -EPERM : -EROFS;
	return (int)WRITE_OP(t, link(t, id, dir, name, out));
}

/* Waits for readers of what name stands for; 0 in *id when it is absent. */
static int hold_victim(struct tree *t, uint64_t dir, const char *name,
		       uint64_t *id)
{
	struct tree_attr a;
	int ret = tree_lookup(t, dir, name, &a);

	*id = 0;
	if (ret)
		return ret;
	ret = tree_hold_exclusive(t->holds, hold_of(t, a.id));
	if (!ret)
		*id = a.id;
	return ret;
}

static void release_victim(struct tree *t, uint64_t id)
{
	if (id)
		tree_hold_release_exclusive(t->holds, hold_of(t, id));
}

int tree_remove(struct tree *t, uint64_t dir, const char *name, bool dir_wanted)
{
	uint64_t victim;
	int ret = check_name(name);

	if (ret)
		return ret;
	if (!t->ops->remove || !t->writable)
		return -EROFS;
	ret = hold_victim(t, dir, name, &victim);
	if (ret)
		return ret;
	ret = (int)WRITE_OP(t, remove(t, dir, name, dir_wanted));
	release_victim(t, victim);
	return ret;
}

int tree_rename(struct tree *t, uint64_t dir, const char *name, uint64_t ndir,
		const char *nname, unsigned flags)
{
	uint64_t victim;
	int ret = check_name(name);

	if (!ret)
		ret = check_name(nname);
	if (ret)
		return ret;
	if (!t->ops->rename)
		return -EROFS;
	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	ret = hold_victim(t, ndir, nname, &victim);
	if (ret && ret != -ENOENT)
		return ret;
	ret = (int)WRITE_OP(t, rename(t, dir, name, ndir, nname, flags));
	release_victim(t, victim);
	return ret;
}

int tree_setattr(struct tree *t, uint64_t id, const struct tree_attr *set,
		 unsigned mask, struct tree_attr *out)
{
	bool moves = mask & TREE_SET_SIZE;
	int ret;

	if (!t->ops->setattr || !t->writable)
		return -EROFS;
	if (moves && set->size > INT64_MAX)
		return -EFBIG;
	ret = moves ? tree_hold_exclusive(t->holds, hold_of(t, id)) : 0;
	if (ret)
		return ret;
	ret = (int)WRITE_OP(t, setattr(t, id, set, mask, out));
	if (moves)
		tree_hold_release_exclusive(t->holds, hold_of(t, id));
	return ret;
}

/* Bytes that stay where they are move without the lock. Returns 1 when all was
 * written, 0 when the backend must do it, or -errno. */
static int overwrite(struct tree *t, struct tree_file *f, const uint8_t *buf,
		     size_t len, uint64_t off)
{
	struct tree_extent ext[16];
	uint64_t sum = 0;
	int n, ret = lock_write(t);

	if (ret)
		return ret;
	n = t->ops->extents(t, f, off, len, true, ext, ARRAY_LEN(ext));
	unlock(t);
	for (int i = 0; i < n; i++) {
		if (!ext[i].dev)
			return 0;
		sum += ext[i].len;
	}
	if (n <= 0 || sum < len)
		return 0;
	for (int i = 0; i < n && len; i++) {
		size_t part = (size_t)min_of((uint64_t)len, ext[i].len);

		ret = dev_write(ext[i].dev, buf, part, ext[i].off);
		if (ret)
			return ret;
		buf += part;
		len -= part;
	}
	pthread_rwlock_wrlock(&t->lock->rw);
	if (t->ops->wrote)
		t->ops->wrote(t, f);
	unlock(t);
	return 1;
}

ssize_t tree_write(struct tree *t, struct tree_file *f, const void *buf,
		   size_t len, uint64_t off)
{
	ssize_t ret;

	if (!t->ops->write || !f->write)
		return t->writable ? -EBADF : -EROFS;
	if (len > SSIZE_MAX || off > INT64_MAX - len)
		return -EFBIG;
	if (!len)
		return 0;
	ret = tree_hold_shared(t->holds, hold_of(t, f->id));
	if (ret)
		return ret;
	ret = t->ops->extents ? overwrite(t, f, buf, len, off) : 0;
	tree_hold_release(t->holds, hold_of(t, f->id));
	if (ret)
		return ret < 0 ? ret : (ssize_t)len;
	/* The backend may move clusters (compression, resident to not). */
	ret = tree_hold_exclusive(t->holds, hold_of(t, f->id));
	if (ret)
		return ret;
	ret = WRITE_OP(t, write(t, f, buf, len, off));
	tree_hold_release_exclusive(t->holds, hold_of(t, f->id));
	return ret;
}

int tree_allocate(struct tree *t, struct tree_file *f, int mode, uint64_t off,
		  uint64_t len)
{
	int ret;

	if (!t->ops->allocate)
		return -EOPNOTSUPP;
	if (!f->write)
		return -EBADF;
	if (!len || off > INT64_MAX || len > INT64_MAX - off)
		return len ? -EFBIG : -EINVAL;
	ret = tree_hold_exclusive(t->holds, hold_of(t, f->id));
	if (ret)
		return ret;
	ret = (int)WRITE_OP(t, allocate(t, f, mode, off, len));
	tree_hold_release_exclusive(t->holds, hold_of(t, f->id));
	return ret;
}

int tree_setxattr(struct tree *t, uint64_t id, const char *name,
		  const void *value, size_t size, int flags)
{
	int ret;

	if (!t->ops->setxattr)
		return t->writable ? -EOPNOTSUPP : -EROFS;
	/* Streams and reparse data are attributes too: they may move. */
	ret = tree_hold_exclusive(t->holds, hold_of(t, id));
	if (ret)
		return ret;
	ret = (int)WRITE_OP(t, setxattr(t, id, name, value, size, flags));
	tree_hold_release_exclusive(t->holds, hold_of(t, id));
	return ret;
}

int tree_removexattr(struct tree *t, uint64_t id, const char *name)
{
	int ret;

	if (!t->ops->removexattr)
		return t->writable ? -EOPNOTSUPP : -EROFS;
	ret = tree_hold_exclusive(t->holds, hold_of(t, id));
	if (ret)
		return ret;
	ret = (int)WRITE_OP(t, removexattr(t, id, name));
	tree_hold_release_exclusive(t->holds, hold_of(t, id));
	return ret;
}

int tree_sync(struct tree *t, uint64_t id, bool data_only)
{
	if (!__atomic_load_n(&t->writing, __ATOMIC_ACQUIRE) || !t->ops->sync)
		return 0;
	return (int)WRITE_OP(t, sync(t, id, data_only));
}

/* Turns extents into ranges of fds, outside the lock. */
static int extents_to_runs(const struct tree_extent *ext, int n,
			   struct dev_run *runs, int max)
{
	int used = 0;

	for (int i = 0; i < n && used < max; i++) {
		struct dev_run part[8];
		uint64_t done = 0;

		while (done < ext[i].len && used < max) {
			int got = 1;

			part[0] = (struct dev_run) {
				.kind = DEV_RUN_ZERO, .fd = -1,
				.len = ext[i].len,
			};
			if (ext[i].dev)
				got = dev_map(ext[i].dev, ext[i].off + done,
					      ext[i].len - done, part,
					      ARRAY_LEN(part));
			if (got <= 0)
				return got ? got : -EIO;
			for (int k = 0; k < got && used < max; k++) {
				used = dev_run_add(runs, used, max, part[k]);
				done += part[k].len;
			}
		}
	}
	return used;
}

int tree_map(struct tree *t, struct tree_file *f, uint64_t off, uint64_t len,
	     struct dev_run *runs, int max, struct tree_pin *pin)
{
	struct tree_extent ext[16];
	int n, ret;

	pin->id = 0;
	if (!t->ops->extents)
		return -EOPNOTSUPP;
	if (!len || off > INT64_MAX || max < 1)
		return len ? -EINVAL : 0;
	ret = tree_hold_shared(t->holds, hold_of(t, f->id));
	if (ret)
		return ret;
	n = READ_OP(t, extents(t, f, off, len, false, ext, ARRAY_LEN(ext)));
	ret = n <= 0 ? n : extents_to_runs(ext, n, runs, max);
	if (ret <= 0) {
		tree_hold_release(t->holds, hold_of(t, f->id));
		return ret;
	}
	pin->id = hold_of(t, f->id);
	return ret;
}

int tree_extents(struct tree *t, struct tree_file *f, uint64_t off,
		 uint64_t len, struct tree_extent *ext, int max)
{
	if (!t->ops->extents || t->writable)
		return -EOPNOTSUPP;
	return READ_OP(t, extents(t, f, off, len, false, ext, max));
}

void tree_unmap(struct tree *t, struct tree_pin *pin)
{
	if (pin->id)
		tree_hold_release(t->holds, pin->id);
	pin->id = 0;
}
