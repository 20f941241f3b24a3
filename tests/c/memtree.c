/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/c/memtree_int.h"

void mem_touch(struct mem_node *n, bool data)
{
	clock_gettime(CLOCK_REALTIME, &n->a.ctime);
	if (data)
		n->a.mtime = n->a.ctime;
}

static struct mem_node *node_new(struct memtree *m, mode_t mode)
{
	struct mem_node *n = mem_new(struct mem_node);

	n->a = (struct tree_attr) {
		.id = ++m->next_id, .gen = 1, .mode = mode,
		.nlink = S_ISDIR(mode) ? 2 : 1,
	};
	mem_touch(n, true);
	n->a.atime = n->a.btime = n->a.mtime;
	map_put(&m->nodes, n->a.id, n);
	return n;
}

static void node_free(struct memtree *m, struct mem_node *n)
{
	mem_cut(m, n, 0);
	while (n->xattrs)
		mem_removexattr(&m->tree, n->a.id, n->xattrs->name);
	map_del(&m->nodes, n->a.id);
	for (size_t i = 0; i < n->n; i++)
		free(n->entries[i].name);
	free(n->entries);
	free(n->blocks);
	free(n->target);
	free(n);
}

void mem_node_drop(struct memtree *m, struct mem_node *n)
{
	if (!n->a.nlink && !tree_is_open(&m->tree, n->a.id))
		node_free(m, n);
}

static struct mem_entry *find(struct tree *t, struct mem_node *d,
			      const char *name)
{
	bool fold = t->caps & TREE_CAP_IGNORE_CASE;

	for (size_t i = 0; d && i < d->n; i++)
		if (!(fold ? strcasecmp : strcmp)(d->entries[i].name, name))
			return &d->entries[i];
	return NULL;
}

static void add(struct mem_node *d, const char *name, uint64_t id)
{
	if (d->n == d->max) {
		d->max = d->max ? d->max * 2 : 16;
		d->entries = realloc(d->entries, d->max * sizeof(*d->entries));
	}
	d->entries[d->n++] = (struct mem_entry) { strdup(name), id, ++d->seq };
	mem_touch(d, true);
}

static void del(struct mem_node *d, struct mem_entry *e)
{
	size_t i = (size_t)(e - d->entries);

	free(e->name);
	memmove(e, e + 1, (--d->n - i) * sizeof(*e));
	mem_touch(d, true);
}

static int mem_getattr(struct tree *t, uint64_t id, struct tree_attr *out)
{
	struct mem_node *n = mem_node(t, id);

	if (!n)
		return -ENOENT;
	*out = n->a;
	return 0;
}

static int mem_lookup(struct tree *t, uint64_t dir, const char *name,
		      struct tree_attr *out)
{
	struct mem_entry *e = find(t, mem_node(t, dir), name);

	if (!strcmp(name, "slow"))
		usleep(mem_of(t)->o.slow * 1000u);
	return e ? mem_getattr(t, e->id, out) : -ENOENT;
}

static int mem_list(struct tree *t, uint64_t dir, uint64_t from, bool want_attr,
		    tree_emit_fn emit, void *ctx)
{
	struct mem_node *d = mem_node(t, dir);
	size_t lo = 0, hi = d ? d->n : 0;
	int ret = d ? 0 : -ENOENT;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (d->entries[mid].seq > from)
			hi = mid;
		else
			lo = mid + 1;
	}
	for (; d && lo < d->n && !ret; lo++) {
		struct mem_node *n = mem_node(t, d->entries[lo].id);
		struct tree_entry e = {
			.name = d->entries[lo].name, .id = n->a.id,
			.type = n->a.mode & S_IFMT, .next = d->entries[lo].seq,
			.attr = t->caps & TREE_CAP_LIST_ATTR ? &n->a : NULL,
		};

		ret = emit(ctx, &e);
	}
	return ret < 0 ? ret : 0;
}

static int mem_readlink(struct tree *t, uint64_t id, char *buf, size_t size)
{
	struct mem_node *n = mem_node(t, id);

	if (!n || !n->target)
		return -EINVAL;
	return snprintf(buf, size, "%s", n->target);
}

static int mem_open(struct tree *t, uint64_t id, bool write,
		    struct tree_file **out)
{
	struct mem_node *n = mem_node(t, id);

	if (!n)
		return -ENOENT;
	*out = mem_new(struct tree_file);
	**out = (struct tree_file) { .id = id, .write = write };
	return 0;
}

static void mem_release(struct tree *t, struct tree_file *f)
{
	struct mem_node *n = mem_node(t, f->id);

	free(f);
	mem_node_drop(mem_of(t), n);
}

static int mem_create(struct tree *t, uint64_t dir, const char *name,
		      const struct tree_new *what, struct tree_attr *out)
{
	struct mem_node *d = mem_node(t, dir), *n;

	if (!d)
		return -ENOENT;
	if (find(t, d, name))
		return -EEXIST;
	n = node_new(mem_of(t), what->mode);
	n->a.uid = what->uid;
	n->a.gid = what->gid;
	n->a.rdev = what->rdev;
	n->target = what->target ? strdup(what->target) : NULL;
	n->a.size = what->target ? strlen(what->target) : 0;
	d->a.nlink += S_ISDIR(what->mode);
	add(d, name, n->a.id);
	*out = n->a;
	return 0;
}

static int mem_link(struct tree *t, uint64_t id, uint64_t dir, const char *name,
		    struct tree_attr *out)
{
	struct mem_node *d = mem_node(t, dir), *n = mem_node(t, id);

	if (find(t, d, name))
		return -EEXIST;
	n->a.nlink++;
	mem_touch(n, false);
	add(d, name, id);
	*out = n->a;
	return 0;
}

static int unhook(struct tree *t, struct mem_node *d, struct mem_entry *e)
{
	struct mem_node *n = mem_node(t, e->id);

	if (n->n)
		return -ENOTEMPTY;
	n->a.nlink -= S_ISDIR(n->a.mode) ? 2 : 1;
	d->a.nlink -= S_ISDIR(n->a.mode);
	mem_touch(n, false);
	del(d, e);
	mem_node_drop(mem_of(t), n);
	return 0;
}

static int mem_remove(struct tree *t, uint64_t dir, const char *name,
		      bool dir_wanted)
{
	struct mem_node *d = mem_node(t, dir);
	struct mem_entry *e = find(t, d, name);

	if (!e)
		return -ENOENT;
	if (dir_wanted != S_ISDIR(mem_node(t, e->id)->a.mode))
		return dir_wanted ? -ENOTDIR : -EISDIR;
	return unhook(t, d, e);
}

static int mem_rename(struct tree *t, uint64_t dir, const char *name,
		      uint64_t ndir, const char *nname, unsigned flags)
{
	struct mem_node *d = mem_node(t, dir), *nd = mem_node(t, ndir);
	struct mem_entry *e = find(t, d, name), *to = find(t, nd, nname);
	uint64_t id = e ? e->id : 0;
	int ret;

	if (!e || (flags & RENAME_EXCHANGE && !to))
		return -ENOENT;
	if (flags & RENAME_NOREPLACE && to)
		return -EEXIST;
	if (flags & RENAME_EXCHANGE) {
		e->id = to->id;
		to->id = id;
		return 0;
	}
	if (to && to != e && (ret = unhook(t, nd, to)))
		return ret;
	if (S_ISDIR(mem_node(t, id)->a.mode)) {
		d->a.nlink--;
		nd->a.nlink++;
	}
	del(d, find(t, d, name));
	add(nd, nname, id);
	return 0;
}

static int mem_setattr(struct tree *t, uint64_t id, const struct tree_attr *set,
		       unsigned mask, struct tree_attr *out)
{
	struct mem_node *n = mem_node(t, id);

	if (!n)
		return -ENOENT;
	if (mask & TREE_SET_MODE)
		n->a.mode = (n->a.mode & S_IFMT) | set->mode;
	if (mask & TREE_SET_UID)
		n->a.uid = set->uid;
	if (mask & TREE_SET_GID)
		n->a.gid = set->gid;
	mem_touch(n, mask & TREE_SET_SIZE);
	if (mask & TREE_SET_SIZE)
		mem_cut(mem_of(t), n, set->size);
	if (mask & TREE_SET_ATIME)
		n->a.atime = set->atime;
	if (mask & TREE_SET_MTIME)
		n->a.mtime = set->mtime;
	*out = n->a;
	return 0;
}

static int mem_statfs(struct tree *t, struct statvfs *out)
{
	*out = (struct statvfs) {
		.f_bsize = 4096, .f_frsize = 4096, .f_blocks = 1000000,
		.f_bfree = 500000, .f_bavail = 400000, .f_files = 1000,
		.f_ffree = 500, .f_favail = 500, .f_namemax = 255,
	};
	return 0;
}

static int mem_sync(struct tree *t, uint64_t id, bool data_only)
{
	__atomic_fetch_add(&mem_of(t)->syncs, 1, __ATOMIC_RELAXED);
	return 0;
}

static int mem_begin(struct tree *t, struct diag *why)
{
	return 0;
}

static void mem_close(struct tree *t)
{
	struct memtree *m = mem_of(t);
	uint64_t key;
	void *n;

	for (uint64_t id = 1; id <= m->next_id; id++)
		if ((n = map_get(&m->nodes, id)))
			node_free(m, n);
	for (size_t i = 0; map_next(&m->nodes, &i, &key, &n);)
		abort();
	map_free(&m->nodes);
	dev_close(m->store);
	dev_close(m->host);
	tree_fini(t);
	free(m->spare);
	free(m);
}

static const struct tree_ops mem_ops = {
	.name = "mem", .close = mem_close, .getattr = mem_getattr,
	.lookup = mem_lookup, .list = mem_list, .readlink = mem_readlink,
	.open = mem_open, .release = mem_release, .read = mem_read,
	.extents = mem_extents, .seek = mem_seek,
	.getxattr = mem_getxattr, .listxattr = mem_listxattr,
	.statfs = mem_statfs, .begin_write = mem_begin,
	.create = mem_create, .link = mem_link, .remove = mem_remove,
	.rename = mem_rename, .setattr = mem_setattr, .write = mem_write,
	.allocate = mem_allocate, .setxattr = mem_setxattr,
	.removexattr = mem_removexattr, .sync = mem_sync,
};

/* dNNN/fNNN, each file full of its own id's bytes. */
static void populate(struct memtree *m)
{
	uint8_t *buf = mem_alloc(1, m->o.file_size + 1);
	struct tree_new dir = { .mode = S_IFDIR | 0755 };
	struct tree_new file = { .mode = S_IFREG | 0644 };
	struct tree_attr d, f;
	char name[32];

	for (unsigned i = 0; i < m->o.dirs; i++) {
		snprintf(name, sizeof(name), "d%03u", i);
		mem_create(&m->tree, TREE_ROOT, name, &dir, &d);
		for (unsigned k = 0; k < m->o.files; k++) {
			struct tree_file h = { 0 };

			snprintf(name, sizeof(name), "f%03u", k);
			mem_create(&m->tree, d.id, name, &file, &f);
			h.id = f.id;
			memset(buf, (int)(f.id & 0xff), m->o.file_size);
			if (m->o.file_size)
				mem_write(&m->tree, &h, buf, m->o.file_size, 0);
		}
	}
	free(buf);
}

static int open_host(struct memtree *m, struct diag *why)
{
	struct mem_node *n;
	int ret;

	if (!m->o.host)
		return 0;
	ret = dev_file_open(m->o.host, false, &m->host, why);
	if (ret)
		return ret;
	n = node_new(m, S_IFREG | 0644);
	n->host = true;
	n->a.size = dev_size(m->host);
	n->a.blocks = n->a.size / 512;
	add(mem_node(&m->tree, TREE_ROOT), "host", n->a.id);
	return 0;
}

int memtree_new(const struct memtree_opts *o, struct tree **out,
		struct diag *why)
{
	struct memtree *m = mem_new(struct memtree);
	int ret = tree_init(&m->tree, &mem_ops);

	if (ret)
		abort();
	m->o = *o;
	m->tree.caps = o->caps;
	m->tree.turns = o->turns;
	m->tree.writable = o->writable;
	m->tree.frozen = o->frozen;
	m->next_block = 1;
	node_new(m, S_IFDIR | 0755);
	ret = dev_file_from_fd(memfd_create("store", MFD_CLOEXEC), "store",
			       true, &m->store, why);
	if (!ret)
		ret = dev_begin_write(m->store, why);
	if (!ret)
		ret = open_host(m, why);
	if (ret) {
		mem_close(&m->tree);
		return ret;
	}
	populate(m);
	*out = &m->tree;
	return 0;
}

unsigned memtree_syncs(const struct tree *t)
{
	return container_of(t, const struct memtree, tree)->syncs;
}
