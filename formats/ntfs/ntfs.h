/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * NTFS, read-only, as a tree that any number of threads may use at once. It
 * never writes, keeps at most about 8 MiB of the volume in memory, and reads
 * nothing before it is asked for: opening costs the boot sector, a few file
 * records and the upcase table.
 */
#ifndef IMGFS_NTFS_H
#define IMGFS_NTFS_H

#include "formats/base/dev.h"
#include "formats/ntfs/ntfs_id.h"
#include "formats/tree.h"

enum ntfs_streams { NTFS_STREAMS_XATTR, NTFS_STREAMS_NONE,
		    NTFS_STREAMS_WINDOWS };

struct ntfs_opts {
	bool ignore_case;	/* lookups; listings show names as they are */
	bool hide_hid_files;	/* listings leave hidden files out */
	bool show_sys_files;	/* listings show $MFT and its like */
	enum ntfs_streams streams;
	/* "C:=/mnt/c": where targets with a drive letter lead; copied. A
	 * letter that is not listed means this volume. */
	const char *const *drives;
	size_t n_drives;
};

/* opts may be NULL. dev outlives the tree and is not closed with it.
 * -ERR_NOT_THIS: no NTFS boot sector; -ERR_CORRUPT; -ERR_UNSUPP. */
int ntfs_open(struct dev *dev, const struct ntfs_opts *opts, struct tree **out,
	      struct diag *why);

/* What decides whether the volume may be written to, and what it calls
 * itself. Facts only: the caller judges. */
struct ntfs_state {
	uint8_t major, minor;	/* 3.1: Windows XP and later */
	uint16_t volume_flags;	/* as stored */
	bool dirty;		/* the volume is marked for chkdsk */
	bool log_clean;		/* $LogFile holds nothing to replay */
	bool hibernated;	/* hiberfil.sys holds a session (or Windows'
				 * fast startup) */
	bool bad_hiberfile;	/* hiberfil.sys is there but too short to tell:
				 * take it as hibernated */
	uint64_t serial;
	uint64_t size;		/* bytes that the volume says it has */
	char label[256 * 3 + 1];	/* UTF-8 */
};

int ntfs_state_of_tree(struct tree *t, struct ntfs_state *out,
		       struct diag *why);
/* The same for a volume that nobody has opened. */
int ntfs_state_of_dev(struct dev *dev, struct ntfs_state *out,
		      struct diag *why);

/* Node ids are ntfs_id.h's; those from here on are named streams
 * (streams_interface=windows) and belong to the tree that made them. */
#define NTFS_ID_STREAMS (1ULL << 49)

#endif
