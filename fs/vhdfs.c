/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vhdfs: a VHD or VHDX disk, chain and all, as a directory. */
#include <string.h>

#include "formats/base/bounds.h"
#include "formats/vhd/vhd.h"
#include "formats/view/view_image.h"
#include "fs/session/registry.h"
#include "fs/session/session.h"

struct vhdfs_opts {
	char *part, *view, *size, *log, *lock, *streams;
	struct word_list parents, search, drives;
	bool force, force_parent_write;
	bool recover, norecover, remove_hiberfile, norecovery;
	bool ignore_case, windows_names, hide_hid, hide_dot, show_sys;
	unsigned long long sb;
};

#define AT(field) offsetof(struct vhdfs_opts, field)

static const struct word words[] = {
	{ "part", WORD_TEXT, AT(part) }, { "view", WORD_TEXT, AT(view) },
	{ "size", WORD_TEXT, AT(size) }, { "log", WORD_TEXT, AT(log) },
	{ "lock", WORD_TEXT, AT(lock) },
	{ "streams_interface", WORD_TEXT, AT(streams) },
	{ "parent", WORD_LIST, AT(parents) },
	{ "search", WORD_LIST, AT(search) },
	{ "drive", WORD_LIST, AT(drives) },
	{ "force", WORD_ON, AT(force) },
	{ "force_parent_write", WORD_ON, AT(force_parent_write) },
	{ "recover", WORD_ON, AT(recover) },
	{ "norecover", WORD_OFF, AT(recover) },
	{ "remove_hiberfile", WORD_ON, AT(remove_hiberfile) },
	{ "norecovery", WORD_ON, AT(norecovery) },
	{ "noload", WORD_ON, AT(norecovery) },
	{ "ignore_case", WORD_ON, AT(ignore_case) },
	{ "windows_names", WORD_ON, AT(windows_names) },
	{ "hide_hid_files", WORD_ON, AT(hide_hid) },
	{ "hide_dot_files", WORD_ON, AT(hide_dot) },
	{ "show_sys_files", WORD_ON, AT(show_sys) },
	{ "sb", WORD_NUMBER, AT(sb) },
	/* Words of ntfs-3g and fuse2fs that change nothing here. */
	{ "acl", WORD_IGNORE, 0 }, { "user_xattr", WORD_IGNORE, 0 },
	{ "compression", WORD_IGNORE, 0 }, { "locale", WORD_IGNORE, 0 },
	{ "delay_mtime", WORD_IGNORE, 0 }, { "utf8", WORD_IGNORE, 0 },
	{ "nocompression", WORD_IGNORE, 0 }, { "inherit", WORD_IGNORE, 0 },
	{ "posix_nlink", WORD_IGNORE, 0 }, { "errors", WORD_IGNORE, 0 },
	{ "special_files", WORD_IGNORE, 0 }, { "iocharset", WORD_IGNORE, 0 },
	{ "codepage", WORD_IGNORE, 0 }, { "shortname", WORD_IGNORE, 0 },
	{ "time_offset", WORD_IGNORE, 0 }, { "ro_fallback", WORD_IGNORE, 0 },
	{ NULL, WORD_IGNORE, 0 },
};

static const char help[] =
	"Disk and chain: parent=FILE search=DIR drive=C:=/mnt/c force\n"
	"  force_parent_write size=current|chs|qemu log=memory|refuse "
	"lock=none\n"
	"Volume: part=auto|N|label:X|uuid:X|type:X|whole view=tree|raw|all\n"
	"  recover remove_hiberfile norecovery (noload) sb=N\n"
	"  streams_interface=xattr|none|windows ignore_case windows_names\n"
	"  show_sys_files hide_hid_files hide_dot_files\n";

struct choice {
	const char *text;
	int value;
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

static const struct choice views[] = {
	{ "tree", VIEW_TREE }, { "raw", VIEW_RAW }, { "all", VIEW_ALL },
	{ NULL, 0 },
};
static const struct choice sizes[] = {
	{ "current", VHD_SIZE_CURRENT }, { "chs", VHD_SIZE_CHS },
	{ "qemu", VHD_SIZE_QEMU }, { NULL, 0 },
};
static const struct choice logs[] = {
	{ "memory", 0 }, { "replay", 0 }, { "refuse", 1 }, { NULL, 0 },
};
static const struct choice locks[] = {
	{ "none", 1 }, { NULL, 0 },
};
static const struct choice streams[] = {
	{ "xattr", STREAMS_XATTR }, { "none", STREAMS_NONE },
	{ "windows", STREAMS_WINDOWS }, { NULL, 0 },
};

static void warn(void *ctx, const char *text)
{
	/* What is said of a file of the chain begins with its path. */
	if (*text == '/')
		session_say("vhdfs", "%s", text);
	else
		session_say("vhdfs", "%s: %s", (const char *)ctx, text);
}

static void set_flags(const struct vhdfs_opts *o,
		      const struct session_request *req,
		      struct view_image_opts *v)
{
	v->part = o->part;
	v->disk.want_write = !req->read_only;
	v->disk.force = o->force;
	v->disk.force_parent_write = o->force_parent_write;
	v->disk.parents = o->parents.items;
	v->disk.n_parents = o->parents.n;
	v->disk.search = o->search.items;
	v->disk.n_search = o->search.n;
	v->disk.drives = o->drives.items;
	v->disk.n_drives = o->drives.n;
	v->disk.registry = req->registry;
	v->volume = (struct volume_opts) {
		.recover = o->recover, .remove_hiberfile = o->remove_hiberfile,
		.norecovery = o->norecovery, .ignore_case = o->ignore_case,
		.windows_names = o->windows_names,
		.hide_hid_files = o->hide_hid, .hide_dot_files = o->hide_dot,
		.show_sys_files = o->show_sys, .sb = o->sb,
		.uid = req->uid, .gid = req->gid,
		.drives = o->drives.items, .n_drives = o->drives.n,
		.warn = req->quiet ? NULL : warn,
		.warn_ctx = (char *)(size_t)req->image,
	};
}

/* Words to numbers; a wrong one is found before anything is opened. */
static int set_choices(const struct vhdfs_opts *o, struct view_image_opts *v,
		       struct diag *why)
{
	int kind = VIEW_TREE, size = VHD_SIZE_CURRENT, refuse = 0, no_lock = 0;
	int stream = STREAMS_XATTR;
	int ret = choose("view", o->view, views, &kind, why);

	if (!ret)
		ret = choose("size", o->size, sizes, &size, why);
	if (!ret)
		ret = choose("log", o->log, logs, &refuse, why);
	if (!ret)
		ret = choose("lock", o->lock, locks, &no_lock, why);
	if (!ret)
		ret = choose("streams_interface", o->streams, streams, &stream,
			     why);
	v->kind = (enum view_kind)kind;
	v->disk.size_rule = size;
	v->disk.refuse_dirty_log = refuse;
	v->disk.no_lock = no_lock;
	v->volume.streams = (enum volume_streams)stream;
	return ret;
}

static int open_image(void *opts, const struct session_request *req,
		      struct tree **tree, void **state,
		      struct diag *not_writable, struct diag *why)
{
	struct view_image_opts v = { 0 };
	struct view_image *view;
	int ret;

	set_flags(opts, req, &v);
	ret = set_choices(opts, &v, why);
	if (!ret)
		ret = view_image_open(req->image, &v, &view, not_writable, why);
	if (ret)
		return ret;
	for (size_t i = 0; v.volume.warn && disk_note(view_image_disk(view), i);
	     i++)
		v.volume.warn(v.volume.warn_ctx,
			      disk_note(view_image_disk(view), i));
	*tree = view_image_tree(view);
	*state = view;
	return 0;
}

static int close_image(struct tree *tree, void *state)
{
	return view_image_close(state);
}

static int resolve(void *opts, struct diag *why)
{
	struct vhdfs_opts *o = opts;
	int ret = session_absolute_list(&o->parents);

	if (!ret)
		ret = session_absolute_list(&o->search);
	for (size_t i = 0; !ret && i < o->drives.n; i++) {
		const char *d = strchr(o->drives.items[i], '=');

		if (!d || d[1] != '/')
			return diag_fail(why, EINVAL, "a drive is written as "
					 "drive=C:=/mnt/c, not drive=%s",
					 o->drives.items[i]);
	}
	return ret ? diag_fail(why, ret, "out of memory") : 0;
}

static void describe(const void *state, json_t *entry)
{
	struct disk *d = view_image_disk((struct view_image *)(uintptr_t)state);
	json_t *chain = json_array();

	for (size_t i = 0; i < disk_depth(d); i++)
		json_array_append_new(chain,
				      registry_text(disk_link(d, i)->path));
	json_object_set_new(entry, "chain", chain);
}

int main(int argc, char **argv)
{
	struct vhdfs_opts opts = { 0 };
	const struct session_type type = {
		.name = "vhdfs", .usage = "[-o OPTIONS] IMAGE DIR",
		.help = help, .words = words, .opts = &opts,
		.resolve = resolve, .open = open_image, .close = close_image,
		.describe = describe,
	};
	int status = session_main(argc, argv, &type);

	word_list_free(&opts.parents);
	word_list_free(&opts.search);
	word_list_free(&opts.drives);
	session_free_texts(words, &opts);
	return status;
}
