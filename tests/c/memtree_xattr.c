/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "tests/c/memtree_int.h"

static struct mem_xattr **find(struct mem_node *n, const char *name)
{
	struct mem_xattr **x = &n->xattrs;

	while (*x && strcmp((*x)->name, name))
		x = &(*x)->next;
	return x;
}

ssize_t mem_getxattr(struct tree *t, uint64_t id, const char *name, void *buf,
		     size_t size)
{
	struct mem_node *n = mem_node(t, id);
	struct mem_xattr *x;
	char syncs[16];

	if (!n)
		return -ENOENT;
	if (id == TREE_ROOT && !strcmp(name, "user.syncs")) {
		snprintf(syncs, sizeof(syncs), "%u", mem_of(t)->syncs);
		if (size)
			memcpy(buf, syncs, min_of(size, strlen(syncs)));
		return (ssize_t)strlen(syncs);
	}
	x = *find(n, name);
	if (!x)
		return -ENODATA;
	if (size && size < x->size)
		return -ERANGE;
	if (size)
		memcpy(buf, x->value, x->size);
	return (ssize_t)x->size;
}

ssize_t mem_listxattr(struct tree *t, uint64_t id, char *buf, size_t size)
{
	struct mem_node *n = mem_node(t, id);
	size_t sum = 0;

	for (struct mem_xattr *x = n ? n->xattrs : NULL; x; x = x->next) {
		size_t len = strlen(x->name) + 1;

		if (size && sum + len > size)
			return -ERANGE;
		if (size)
			memcpy(buf + sum, x->name, len);
		sum += len;
	}
	return n ? (ssize_t)sum : -ENOENT;
}

int mem_removexattr(struct tree *t, uint64_t id, const char *name)
{
	struct mem_node *n = mem_node(t, id);
	struct mem_xattr **x = n ? find(n, name) : NULL, *old;

	if (!x || !*x)
		return n ? -ENODATA : -ENOENT;
	old = *x;
	*x = old->next;
	free(old->name);
	free(old);
	return 0;
}

int mem_setxattr(struct tree *t, uint64_t id, const char *name,
		 const void *value, size_t size, int flags)
{
	struct mem_node *n = mem_node(t, id);
	struct mem_xattr *x;

	if (!n)
		return -ENOENT;
	if (*find(n, name)) {
		if (flags & XATTR_CREATE)
			return -EEXIST;
		mem_removexattr(t, id, name);
	} else if (flags & XATTR_REPLACE) {
		return -ENODATA;
	}
	x = malloc(sizeof(*x) + size);
	*x = (struct mem_xattr) {
		.next = n->xattrs, .size = size, .name = strdup(name),
	};
	memcpy(x->value, value, size);
	n->xattrs = x;
	/* As NTFS has it: what the kernel knows has other names too. */
	if (!strcmp(name, "system.mtime") && size == 8) {
		uint64_t sec;

		memcpy(&sec, value, 8);
		n->a.mtime = (struct timespec) { .tv_sec = (time_t)sec };
	}
	return 0;
}
