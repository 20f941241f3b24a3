/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Named outcomes: what a negative return value means (HACKING.md 5). */
#ifndef IMGFS_BASE_ERR_H
#define IMGFS_BASE_ERR_H

#include <errno.h>

/* Use them negated, like any errno. */
#define ERR_CORRUPT	EUCLEAN		/* the bytes break the format */
#define ERR_UNSUPP	ENOTSUP		/* valid, but beyond us */
#define ERR_NOT_THIS	EMEDIUMTYPE	/* not this format: try the next */
/* EIO: storage did not give the bytes. ESTALE: the parent is not the one the
 * child was made from. EBUSY: locked. ENOENT: looked for and absent. */

#endif
