/* SPDX-License-Identifier: GPL-3.0-or-later */
/* cimfs: a composite image, NAME.cim and its region files, as a directory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "formats/base/alloc.h"
#include "formats/cim/cim.h"
#include "fs/session/registry.h"
#include "fs/session/session.h"

struct cimfs_opts {
	char *volume, *streams, *lock;
	struct word_list drives;
	bool cache_regions, ignore_case, hide_hid;
};

#define AT(field) offsetof(struct cimfs_opts, field)

static const struct word words[] = {
	{ "volume", WORD_TEXT, AT(volume) },
	{ "cache_regions", WORD_ON, AT(cache_regions) },
	/* CimMountImage's flag: every mount here shows the image alone. */
	{ "child_only", WORD_IGNORE, 0 },
	{ "drive", WORD_LIST, AT(drives) },
	{ "streams_interface", WORD_TEXT, AT(streams) },
	{ "ignore_case", WORD_ON, AT(ignore_case) },
	{ "hide_hid_files", WORD_ON, AT(hide_hid) },
	{ "lock", WORD_TEXT, AT(lock) },
	{ NULL, WORD_IGNORE, 0 },
};

static const char help[] =
	"CIM: volume=GUID cache_regions child_only drive=C:=/mnt/c\n"
	"  streams_interface=xattr|none|windows ignore_case hide_hid_files\n"
	"  lock=image|none\n";

struct cimfs {
	char claim[sizeof("volume-") + GUID_TEXT];
	char volume[GUID_TEXT];		/* "" for none */
	int claim_fd;			/* -1 for none */
	struct tree *tree;		/* owned */
};

/* A volume GUID stands for one mount, as CimMountImage has it. */
static int claim_volume(struct cimfs *c, const char *text, struct diag *why)
{
	struct guid guid;
	pid_t pid;
	int ret;

	if (guid_parse(text, strlen(text), &guid))
		return diag_fail(why, EINVAL, "volume=%s: no GUID", text);
	guid_format(&guid, c->volume);
	snprintf(c->claim, sizeof(c->claim), "volume-%s", c->volume);
	ret = registry_claim(c->claim, &c->claim_fd, &pid);
	if (ret == -EEXIST && pid)
		return diag_fail(why, ret, "volume %s is taken by process %d",
				 c->volume, (int)pid);
	return ret ? diag_fail(why, ret, "volume %s is taken, or there is no "
			       "place to write it down: %s", c->volume,
			       strerror(-ret)) : 0;
}

/* Which of the words value is; the first when there is none. */
static int choose(const char *name, const char *value,
		  const char *const texts[], int *out, struct diag *why)
{
	*out = 0;
	if (!value)
		return 0;
	for (int i = 0; texts[i]; i++)
		if (!strcmp(value, texts[i])) {
			*out = i;
			return 0;
		}
	return diag_fail(why, EINVAL, "%s=%s: unknown", name, value);
}

static const char *const streams[] = { "xattr", "none", "windows", NULL };
static const char *const locks[] = { "image", "none", NULL };

/* An image may have thousands of region files, all open. */
static void raise_files(void)
{
	struct rlimit r;

	if (!getrlimit(RLIMIT_NOFILE, &r) && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static int close_image(struct tree *tree, void *state)
{
	struct cimfs *c = state;

	tree_close(tree);
	registry_unclaim(c->claim, c->claim_fd);
	free(c);
	return 0;
}

static int open_tree(const struct cimfs_opts *o, struct cimfs *c,
		     const struct session_request *req, struct diag *why)
{
	struct cim_opts v = {
		.ignore_case = o->ignore_case, .hide_hid_files = o->hide_hid,
		.cache_regions = o->cache_regions, .registry = req->registry,
		.drives = o->drives.items, .n_drives = o->drives.n,
	};
	int stream, lock;
	int ret = choose("streams_interface", o->streams, streams, &stream,
			 why);

	if (!ret)
		ret = choose("lock", o->lock, locks, &lock, why);
	if (ret)
		return ret;
	v.streams = (enum cim_streams)stream;
	v.no_lock = lock;
	if (o->volume)
		ret = claim_volume(c, o->volume, why);
	return ret ? ret : cim_open(req->image, &v, &c->tree, why);
}

static int open_image(void *opts, const struct session_request *req,
		      struct tree **tree, void **state,
		      struct diag *not_writable, struct diag *why)
{
	struct cimfs *c = mem_new(struct cimfs);
	int ret;

	if (!c)
		return diag_fail(why, ENOMEM, "out of memory");
	c->claim_fd = -1;
	raise_files();
	ret = open_tree(opts, c, req, why);
	if (ret) {
		close_image(NULL, c);
		return ret;
	}
	diag_fail(not_writable, EROFS, "CIM images are read-only");
	*tree = c->tree;
	*state = c;
	return 0;
}

static void describe(const void *state, json_t *entry)
{
	const struct cimfs *c = state;

	if (*c->volume)
		json_object_set_new(entry, "volume", json_string(c->volume));
}

int main(int argc, char **argv)
{
	struct cimfs_opts opts = { 0 };
	const struct session_type type = {
		.name = "cimfs", .usage = "[-o OPTIONS] IMAGE.cim DIR",
		.help = help, .words = words, .opts = &opts,
		.never_writes = true, .open = open_image,
		.close = close_image, .describe = describe,
	};
	int status = session_main(argc, argv, &type);

	word_list_free(&opts.drives);
	session_free_texts(words, &opts);
	return status;
}
