/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The one table of results: what went wrong, as the exit status of imgctl and
 * vhdmerge, as the return code of Msvm_ImageManagementService and as the
 * HRESULT that a Windows tool would show. The mounting daemons exit with
 * mount(8)'s bits and show these with --json.
 */
#ifndef IMGFS_BASE_OUTCOME_H
#define IMGFS_BASE_OUTCOME_H

#include <stdint.h>

enum outcome {
	OUT_OK = 0,
	OUT_USAGE = 1,
	OUT_BUSY = 2,		/* still in use */
	OUT_NOT_MOUNTED = 3,
	OUT_FAILED = 4,		/* anything without a number of its own */
	OUT_DIRTY_LOG = 10,	/* dirty log that cannot be replayed */
	OUT_CHAIN = 11,		/* parent missing, wrong, cyclic, resized */
	OUT_VOLUME_DIRTY = 12,	/* dirty or hibernated file system */
	OUT_UNSUPP = 13,
	OUT_CORRUPT = 14,
	OUT_LOCKED = 15,
	OUT_NO_SPACE = 16,
	OUT_PARKED = 17,	/* edits are kept, but not committed */
	OUT_DENIED = 18,
	OUT_VERIFY = 19,
	OUT_HAS_CHILDREN = 20,
	OUT_NOT_FOUND = 21,
	OUT_EXISTS = 22,
};

struct outcome_row {
	enum outcome code;
	const char *name;	/* stable word for JSON */
	const char *text;	/* a few words for people */
	uint32_t msvm;		/* Msvm_ImageManagementService return value */
	uint32_t hresult;
};

/* Never NULL: unknown codes give the row of OUT_FAILED. */
const struct outcome_row *outcome_find(enum outcome code);

/* The outcome that a negative errno stands for where nothing better is known.
 */
enum outcome outcome_of_errno(int code);

#endif
