/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From the leaf to the base. */
#include <string.h>

#include "formats/disk/disk_int.h"

/* The same id twice: copies of one file that lead to each other. */
static int check_ids(const struct disk *d, const struct disk_node *parent,
		     struct diag *why)
{
	for (size_t i = 0; i < d->n; i++) {
		const struct disk_node *n = d->nodes[i];

		if (n->pub.format == parent->pub.format && *parent->pub.id &&
		    !strcmp(n->pub.id, parent->pub.id))
			return diag_fail_as(why, ELOOP, OUT_CHAIN,
					    "%s: the chain is a circle: it and "
					    "%s both have id %s", parent->path,
					    n->path, n->pub.id);
	}
	return 0;
}

/* Both formats keep the parent's id when only sizes are wrong by a tool that
 * knows no better: what lies where is then unknown. */
static int check_sizes(struct disk *d, const struct disk_node *child,
		       const struct disk_node *parent, struct diag *why)
{
	if (child->low->sector_size != parent->low->sector_size)
		return diag_fail_as(why, ESTALE, OUT_CHAIN,
				    "%s: has sectors of %u bytes, its parent "
				    "%s of %u", child->path,
				    child->low->sector_size, parent->path,
				    parent->low->sector_size);
	if (parent->pub.size <= child->pub.size)
		return 0;
	/* It grew for the child's child, whose content it takes over. */
	if (disk_merge_found(parent))
		return 0;
	/* A VHD smaller than its parent is legal (FORMAT.md 7.3); a VHDX's
	 * parent gets another id when it is resized. */
	if (child->vhd || d->opts.force) {
		disk_add_note(d, "%s: is smaller (%llu bytes) than its parent "
			      "%s (%llu)", child->path,
			      (unsigned long long)child->pub.size, parent->path,
			      (unsigned long long)parent->pub.size);
		return 0;
	}
	return diag_fail_as(why, ESTALE, OUT_CHAIN,
			    "%s: its parent %s was resized: it has %llu bytes, "
			    "the child %llu", child->path, parent->path,
			    (unsigned long long)parent->pub.size,
			    (unsigned long long)child->pub.size);
}

static int join(struct disk *d, struct disk_node *parent, struct diag *why)
{
	struct disk_node *child = d->nodes[d->n - 1];
	int ret = check_ids(d, parent, why);

	if (!ret)
		ret = check_sizes(d, child, parent, why);
	if (ret)
		return ret;
	return child->vhd ? vhd_set_parent(child->vhd, parent->low, why)
			  : vhdx_set_parent(child->vhdx, parent->low, why);
}

/* A zero parent id fits every raw disk: nothing could be checked. */
static int check_raw_parent(const struct disk *d, struct diag *why)
{
	const struct disk_node *child = d->nodes[d->n - 1];

	if (!child->vhd || d->opts.force ||
	    !guid_is_zero(&vhd_info(child->vhd)->parent_id))
		return 0;
	return diag_fail_as(why, ESTALE, OUT_CHAIN,
			    "%s: names no parent id, as if its parent were a "
			    "raw disk: add force if that is so", child->path);
}

static int add_parent(struct disk *d, const char *parent_opt, struct diag *why)
{
	struct disk_node *parent;
	int ret;

	if (d->n == DISK_CHAIN_MAX)
		return diag_fail_as(why, ELOOP, OUT_CHAIN,
				    "%s: the chain has more than %d files",
				    d->nodes[0]->path, DISK_CHAIN_MAX);
	ret = check_raw_parent(d, why);
	if (!ret)
		ret = disk_find_parent(d, parent_opt, &parent, why);
	if (ret)
		return ret;
	ret = join(d, parent, why);
	if (ret) {
		disk_node_close(parent);
		return ret;
	}
	disk_node_note(d, parent);
	d->nodes[d->n++] = parent;
	return 0;
}

int disk_chain_walk(struct disk *d, const struct disk_opts *opts,
		    struct diag *why)
{
	size_t used = 0;

	while (disk_node_wants_parent(d->nodes[d->n - 1])) {
		const char *opt = used < opts->n_parents
				  ? opts->parents[used++] : NULL;
		int ret = add_parent(d, opt, why);

		if (ret)
			return ret;
	}
	if (used < opts->n_parents)
		return diag_fail(why, EINVAL, "parent=%s: %s has no parent",
				 opts->parents[used],
				 d->nodes[d->n - 1]->path);
	return 0;
}
