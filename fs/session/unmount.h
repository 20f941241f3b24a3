/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Unmounting that returns when everything is on disk and the lock is free. */
#ifndef IMGFS_SESSION_UNMOUNT_H
#define IMGFS_SESSION_UNMOUNT_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include "formats/base/diag.h"

struct unmount_opts {
	bool lazy;		/* detach now, finish when the last user left */
	bool force;
	unsigned timeout;	/* seconds to wait for the daemon; 0: forever */
};

#define UNMOUNT_DEV 32		/* room for a device as mountinfo writes it */

/* Does this errno say that the daemon has died, or does so just now? */
static inline bool unmount_dead(int err)
{
	return err == ENOTCONN || err == ECONNABORTED;
}

/* Is the topmost mount at dir of type fuse.NAME? dev becomes its device,
 * "0:57". The file system itself is not asked. */
bool unmount_find(const char *name, const char *dir, char dev[UNMOUNT_DEV]);
/* dir is a mount of program name. -EBUSY names the processes that keep it
 * busy; -EINVAL: not one of ours. */
int unmount_dir(const char *name, const char *dir,
		const struct unmount_opts *opts, struct diag *why);
/* "123 (bash), 456 (vim)" of processes that use the mount at dir, as far as
 * they can be seen; empty when none can. */
void unmount_users(const char *dir, char *buf, size_t size);

#endif
