/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vhdfs: a VHD or VHDX disk, chain and all, as a directory. */
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/disk/disk.h"
#include "formats/part/part.h"
#include "formats/vhd/vhd.h"
#include "formats/view/view.h"
#include "formats/volume/volume.h"
#include "formats/volume/volume_select.h"
#include "fs/session/session.h"

struct vhdfs_opts {
	char *part, *view, *size, *log, *streams;
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
	{ "streams_interface", WORD_TEXT, AT(streams) },
	{ "parent", WORD_LIST, AT(parents) },
	{ "search", WORD_LIST, AT(search) },
	{ "drive", WORD_LIST, AT(drives) },
	{ "force", WORD_ON, AT(force) },
	{ "force_parent_write", WORD_ON, AT(force_parent_write) },
	{ "recover", WORD_ON, AT(recover) },
	{ "norecover", WORD_ON, AT(norecover) },
	{ "remove_hiberfile", WORD_ON, AT(remove_hiberfile) },
	{ "norecovery", WORD_ON, AT(norecovery) },
	{ "noload", WORD_ON, AT(norecovery) },
	{ "ignore_case", WORD_ON, AT(ignore_case) },
	{ "windows_names", WORD_ON, AT(windows_names) },
	{ "hide_hid_files", WORD_ON, AT(hide_hid) },
	{ "hide_dot_files", WORD_ON, AT(hide_dot) },
	{ "show_sys_files", WORD_ON, AT(show_sys) },
	{ "sb", WORD_NUMBER, AT(sb) },
	{ NULL, WORD_IGNORE, 0 },
};

static const char help[] =
	"Disk and chain: parent=FILE search=DIR drive=C:=/mnt/c force\n"
	"  force_parent_write size=current|chs|qemu log=memory|refuse\n"
	"Volume: part=auto|N|label:X|uuid:X|type:X|whole view=tree|raw|all\n"
	"  recover remove_hiberfile norecovery (noload) sb=N\n"
	"  streams_interface=xattr|none|windows ignore_case windows_names\n"
	"  show_sys_files hide_hid_files hide_dot_files\n";

/* What close() takes apart again. */
struct vhdfs_state {
	struct disk *disk;
	struct part_table table;
	struct volume_choice choice;
	struct dev **slices;		/* of the raw views, owned */
	struct tree **volumes;		/* of view=all, owned */
};
