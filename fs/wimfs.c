/* SPDX-License-Identifier: GPL-3.0-or-later */
/* wimfs: a WIM, ESD or split SWM file as a directory, read-only. */
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/wim/wim.h"
#include "fs/session/registry.h"
#include "fs/session/session.h"

struct wimfs_opts {
	char *image, *verify, *streams;
	struct word_list refs, drives;
	bool check, unix_data;
	unsigned long long cache_size, workers;
};

#define AT(field) offsetof(struct wimfs_opts, field)

static const struct word words[] = {
	{ "image", WORD_TEXT, AT(image) },
	{ "verify", WORD_TEXT, AT(verify) },
	{ "streams_interface", WORD_TEXT, AT(streams) },
	{ "ref", WORD_LIST, AT(refs) },
	{ "drive", WORD_LIST, AT(drives) },
	{ "check", WORD_ON, AT(check) },
	{ "unix_data", WORD_ON, AT(unix_data) },
	{ "cachesize", WORD_NUMBER, AT(cache_size) },
	/* Requests are answered in parallel whatever is said here. */
	{ "workers", WORD_NUMBER, AT(workers) },
	{ NULL, WORD_IGNORE, 0 },
};

static const char help[] =
	"image=N|NAME (default: the only one, or all of them as 1, 2 ...)\n"
	"  ref=GLOB (other parts, or files with what is missing here) check\n"
	"  verify=none|meta|data cachesize=256M workers=N\n"
	"  unix_data streams_interface=xattr|none|windows drive=C:=/mnt/c\n";

struct choice {
	const char *text;
	int value;
};

static const struct choice verifies[] = {
	{ "none", WIM_VERIFY_NONE }, { "meta", WIM_VERIFY_META },
	{ "data", WIM_VERIFY_DATA }, { NULL, 0 },
};
static const struct choice streams[] = {
	{ "xattr", WIM_STREAMS_XATTR }, { "none", WIM_STREAMS_NONE },
	{ "windows", WIM_STREAMS_WINDOWS }, { NULL, 0 },
};

/* One of a few words; out keeps its default where text is NULL. */
static int choose(const char *name, const char *text, const struct choice *c,
		  int *out, struct diag *why)
{
	if (!text)
		return 0;
	for (; c->text; c++) {
		if (strcmp(c->text, text))
			continue;
		*out = c->value;
		return 0;
	}
	return diag_fail(why, EINVAL, "unknown value: %s=%s", name, text);
}

static void warn(void *ctx, const char *text)
{
	session_say("wimfs", "%s: %s", (const char *)ctx, text);
}

struct state {
	struct wim *wim;
	char *image;		/* owned: for warnings while mounted */
	unsigned shown;
};

/* A pattern that matches nothing was a mistake. */
static int expand(const struct word_list *patterns, glob_t *out,
		  struct diag *why)
{
	for (size_t i = 0; i < patterns->n; i++) {
		int ret = glob(patterns->items[i], i ? GLOB_APPEND : 0, NULL,
			       out);

		if (ret == GLOB_NOMATCH)
			return diag_fail(why, ENOENT, "no such file: ref=%s",
					 patterns->items[i]);
		if (ret)
			return diag_fail(why, EIO, "cannot look for ref=%s",
					 patterns->items[i]);
	}
	return 0;
}

static int open_wim(struct wimfs_opts *o, const struct session_request *req,
		    struct state *s, struct diag *why)
{
	struct wim_opts w = {
		.cache_size = o->cache_size, .check = o->check,
		.warn = req->quiet ? NULL : warn, .warn_ctx = s->image,
	};
	int verify = WIM_VERIFY_META;
	glob_t refs = { 0 };
	int ret = choose("verify", o->verify, verifies, &verify, why);

	w.verify = (enum wim_verify)verify;
	if (!ret)
		ret = expand(&o->refs, &refs, why);
	if (!ret) {
		w.refs = (const char *const *)refs.gl_pathv;
		w.n_refs = refs.gl_pathc;
		ret = wim_open(req->image, &w, &s->wim, why);
	}
	if (o->refs.n)
		globfree(&refs);
	return ret;
}

/* The one that was asked for, the only one, or 0: all. */
static int pick_image(const struct wimfs_opts *o, const struct wim *w,
		      unsigned *out, struct diag *why)
{
	struct wim_facts f;

	wim_facts(w, &f);
	*out = f.n_images == 1;
	if (!f.n_images)
		return diag_fail(why, ENOENT, "wim: no image in it");
	return o->image ? wim_find_image(w, o->image, out, why) : 0;
}

static int open_tree(struct wimfs_opts *o, const struct session_request *req,
		     struct state *s, struct tree **tree, struct diag *why)
{
	struct wim_tree_opts t = {
		.unix_data = o->unix_data, .uid = req->uid, .gid = req->gid,
		.drives = o->drives.items, .n_drives = o->drives.n,
	};
	int stream = WIM_STREAMS_XATTR;
	int ret = choose("streams_interface", o->streams, streams, &stream,
			 why);

	t.streams = (enum wim_streams)stream;
	if (!ret)
		ret = open_wim(o, req, s, why);
	if (!ret)
		ret = pick_image(o, s->wim, &s->shown, why);
	if (!ret)
		ret = wim_tree_open(s->wim, s->shown, &t, tree, why);
	return ret;
}

static int open_image(void *opts, const struct session_request *req,
		      struct tree **tree, void **state,
		      struct diag *not_writable, struct diag *why)
{
	struct state *s = mem_new(struct state);
	int ret = -ENOMEM;

	if (s)
		s->image = mem_strdup(req->image);
	if (s && s->image)
		ret = open_tree(opts, req, s, tree, why);
	else
		diag_fail(why, ENOMEM, "out of memory");
	if (ret) {
		if (s) {
			wim_close(s->wim);
			free(s->image);
		}
		free(s);
		return ret;
	}
	diag_fail(not_writable, EROFS, "a WIM is mounted read-only");
	*state = s;
	return 0;
}

static int close_image(struct tree *tree, void *state)
{
	struct state *s = state;

	tree_close(tree);
	wim_close(s->wim);
	free(s->image);
	free(s);
	return 0;
}

static int resolve(void *opts, struct diag *why)
{
	struct wimfs_opts *o = opts;
	int ret = session_absolute_list(&o->refs);

	return ret ? diag_fail(why, ret, "out of memory") : 0;
}

static void describe(const void *state, json_t *entry)
{
	const struct state *s = state;

	json_object_set_new(entry, "image_index", json_integer(s->shown));
}

int main(int argc, char **argv)
{
	struct wimfs_opts opts = { 0 };
	const struct session_type type = {
		.name = "wimfs", .usage = "[-o OPTIONS] IMAGE DIR",
		.help = help, .words = words, .opts = &opts,
		.never_writes = true,
		.resolve = resolve, .open = open_image, .close = close_image,
		.describe = describe,
	};
	int status = session_main(argc, argv, &type);

	word_list_free(&opts.refs);
	word_list_free(&opts.drives);
	session_free_texts(words, &opts);
	return status;
}
