/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who may use an image file: locks on the bytes that QEMU uses, so that it and
 * we exclude each other. Byte 100 + n says "I do n", byte 200 + n "I let
 * nobody else do n", where n is 0 for reading, 1 for writing, 3 for resizing.
 * All are read locks of the open file description, which never conflict by
 * themselves: a conflict is that somebody else has the complementary byte.
 * They work on a file that is open read-only, survive fork, and end when the
 * last descriptor is closed.
 */
#ifndef IMGFS_BASE_DEV_LOCK_H
#define IMGFS_BASE_DEV_LOCK_H

#include "formats/base/dev.h"

enum dev_lock {
	DEV_LOCK_NONE,
	DEV_LOCK_READ,		/* others may read too, nobody may write */
	DEV_LOCK_WRITE,		/* nobody else at all */
};

/*
 * From have (what this file holds) to want, in either direction; on failure
 * have stays. -EBUSY (OUT_LOCKED): the sentence names the holder where it can
 * be seen. -ENOLCK: the file system has no locks. registry: see dev_holder.h.
 */
int dev_lock_set(struct dev *file, enum dev_lock have, enum dev_lock want,
		 const char *registry, struct diag *why);
/* Would dev_lock_set() succeed now? Takes nothing. */
int dev_lock_test(struct dev *file, enum dev_lock want, const char *registry,
		  struct diag *why);

#endif
