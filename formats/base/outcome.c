/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/base/outcome.h"

#include "formats/base/bounds.h"
#include "formats/base/err.h"

/*
 * Msvm_*: 0 done, 32768 failed, 32769 access denied, 32770 not supported,
 * 32771 status unknown, 32772 timeout, 32773 invalid parameter, 32774 in use,
 * 32775 invalid state, 32776 wrong type, 32777 not available, 32778 out of
 * memory, 32779 file not found. HRESULTs are those of virtdisk and Win32.
 */
static const struct outcome_row rows[] = {
	{ OUT_OK, "ok", "done", 0, 0 },
	{ OUT_USAGE, "usage", "wrong use", 32773, 0x80070057 },
	{ OUT_BUSY, "busy", "in use", 32774, 0x800700AA },
	{ OUT_NOT_MOUNTED, "not-mounted", "not mounted", 32775, 0xC1420110 },
	{ OUT_FAILED, "failed", "failed", 32768, 0x80004005 },
	{ OUT_DIRTY_LOG, "dirty-log", "log cannot be replayed", 32775,
	  0xC03A0010 },
	{ OUT_CHAIN, "chain-broken", "differencing chain broken", 32775,
	  0xC03A000E },
	{ OUT_VOLUME_DIRTY, "volume-dirty", "file system not clean", 32775,
	  0x800703ED },
	{ OUT_UNSUPP, "unsupported", "not supported", 32770, 0x80070032 },
	{ OUT_CORRUPT, "corrupt", "damaged", 32768, 0x80070570 },
	{ OUT_LOCKED, "locked", "locked by another program", 32774,
	  0x80070020 },
	{ OUT_NO_SPACE, "no-space", "no space left", 32768, 0x80070070 },
	{ OUT_PARKED, "parked", "edits kept, not committed", 32775,
	  0xC1420117 },
	{ OUT_DENIED, "denied", "permission denied", 32769, 0x80070005 },
	{ OUT_VERIFY, "verify", "contents differ from checksum", 32768,
	  0x80070017 },
	{ OUT_HAS_CHILDREN, "has-children", "other disks depend on it", 32774,
	  0xC03A0017 },
	{ OUT_NOT_FOUND, "not-found", "file not found", 32779, 0x80070002 },
	{ OUT_EXISTS, "exists", "already exists", 32768, 0x800700B7 },
};

const struct outcome_row *outcome_find(enum outcome code)
{
	const struct outcome_row *failed = &rows[OUT_FAILED];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].code == code)
			return &rows[i];
	return failed;
}

enum outcome outcome_of_errno(int code)
{
	switch (code < 0 ? -code : code) {
	case 0: return OUT_OK;
	case EINVAL: return OUT_USAGE;
	case ENOENT: case ENOTDIR: return OUT_NOT_FOUND;
	case EEXIST: return OUT_EXISTS;
	case EACCES: case EPERM: case EROFS: return OUT_DENIED;
	case EBUSY: return OUT_LOCKED;
	case ESTALE: return OUT_CHAIN;
	case ENOSPC: case EDQUOT: case EFBIG: return OUT_NO_SPACE;
	case ERR_UNSUPP: case ERR_NOT_THIS: case ENOSYS: return OUT_UNSUPP;
	case ERR_CORRUPT: return OUT_CORRUPT;
	default: return OUT_FAILED;
	}
}
