/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The command line of a mounting daemon and of its mount(8) helper. */
#ifndef IMGFS_SESSION_CMDLINE_H
#define IMGFS_SESSION_CMDLINE_H

#include "fs/session/session.h"
#include "fs/session/unmount.h"

enum cmdline_action { CMD_MOUNT, CMD_UNMOUNT, CMD_HELP, CMD_VERSION, CMD_FAKE };

struct cmdline {
	enum cmdline_action action;
	const char *image, *dir;	/* as given */
	bool foreground, debug, single, json, quiet;
	bool read_only, must_write, nonempty;
	bool direct_io, kernel_cache, auto_cache;
	bool allow_other, allow_root, fake_perms, auto_unmount;
	double attr_timeout, entry_timeout, negative_timeout;
	struct word_id uid, gid, umask, fmask, dmask;
	char *fsname, *subtype;		/* owned; only over the defaults */
	struct word_list pass;		/* for the mount call */
	struct unmount_opts unmount;
};

/* argv[0] decides: umount.fuse.NAME, mount.NAME (the helper's own meaning of
 * -f, -s, -v, -n), or the program itself. 0 or -EINVAL. */
int cmdline_parse(int argc, char **argv, const struct session_type *type,
		  struct cmdline *out, struct diag *why);
void cmdline_free(struct cmdline *c);
void cmdline_help(const struct session_type *type);

#endif
