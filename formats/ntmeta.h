/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Windows metadata as POSIX sees it, decided once for NTFS, WIM and CIM. No
 * I/O but through the callbacks of struct ntmeta_place.
 */
#ifndef IMGFS_NTMETA_H
#define IMGFS_NTMETA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* File attributes (MS-FSCC 2.6). */
enum {
	NTMETA_READONLY = 0x1,
	NTMETA_HIDDEN = 0x2,
	NTMETA_SYSTEM = 0x4,
	NTMETA_DIRECTORY = 0x10,
	NTMETA_NORMAL = 0x80,
	NTMETA_SPARSE = 0x200,
	NTMETA_REPARSE = 0x400,
	NTMETA_COMPRESSED = 0x800,
	NTMETA_OFFLINE = 0x1000,
	NTMETA_ENCRYPTED = 0x4000,
	NTMETA_RECALL_ON_OPEN = 0x40000,
	NTMETA_RECALL_ON_ACCESS = 0x400000,
};

/* Reparse tags (MS-FSCC 2.1.2.1) that mean something here. */
#define NTMETA_TAG_MOUNT_POINT 0xa0000003u
#define NTMETA_TAG_SYMLINK 0xa000000cu
#define NTMETA_TAG_DEDUP 0x80000013u
#define NTMETA_TAG_WOF 0x80000017u
#define NTMETA_TAG_LX_SYMLINK 0xa000001du
#define NTMETA_TAG_AF_UNIX 0x80000023u
#define NTMETA_TAG_LX_FIFO 0x80000024u
#define NTMETA_TAG_LX_CHR 0x80000025u
#define NTMETA_TAG_LX_BLK 0x80000026u
/* Bits 12 to 15 number the sync provider. */
#define NTMETA_TAG_CLOUD 0x9000001au
#define NTMETA_TAG_CLOUD_MASK 0xffff0fffu
/* The file stands for another name. */
#define NTMETA_TAG_SURROGATE 0x20000000u

/* What a file with attributes and perhaps a reparse tag is. */
enum ntmeta_kind {
	NTMETA_PLAIN,		/* file or directory: all its data is here */
	NTMETA_LINK,		/* a symlink whose target can be told */
	NTMETA_STRANGE_LINK,	/* a name surrogate that nobody knows */
	NTMETA_FIFO, NTMETA_CHR, NTMETA_BLK, NTMETA_SOCK,
	NTMETA_ELSEWHERE,	/* its data is not what the file has: reading
				 * must fail, never give zeros */
};

/* Type and permissions before anybody's umask. Windows permissions are ACLs:
 * POSIX bits say nothing about them, so they forbid nothing. */
mode_t ntmeta_mode(uint32_t attrs, bool dir);
enum ntmeta_kind ntmeta_kind_of(uint32_t tag, uint32_t attrs);
/* S_IFMT bits for a kind. */
mode_t ntmeta_type(enum ntmeta_kind kind, bool dir);
/* "SYMLINK", "WOF" ... as in IO_REPARSE_TAG_x, or NULL. */
const char *ntmeta_tag_name(uint32_t tag);

#define NTMETA_REPARSE_MAX 16384u	/* MS-FSCC 2.1.2: of the whole value */

struct ntmeta_reparse {
	uint32_t tag;
	bool relative;		/* symlinks: the target has no drive */
	bool utf8;		/* target: bytes of UTF-8, else UTF-16LE */
	const uint8_t *target;	/* in the value; NULL: none can be told */
	size_t target_len;	/* bytes */
};
/* A reparse point's value (with its 8-byte header): 0 or -ERR_CORRUPT. */
int ntmeta_reparse_decode(const void *value, size_t len,
			  struct ntmeta_reparse *out);

struct ntmeta_drive {
	char letter;		/* upper case */
	const char *path;
};

enum ntmeta_where {
	NTMETA_IN_VOLUME,	/* out counts from the volume's root */
	NTMETA_BESIDE,		/* out counts from the link's directory */
	NTMETA_OUTSIDE,		/* out is a path of the host */
	NTMETA_AS_IS,		/* can't be expressed: out is the text */
};

/* Where the Windows target text (UTF-8) leads. out has '/' as separators and
 * neither leading nor doubled ones, but for NTMETA_OUTSIDE and NTMETA_AS_IS.
 * Returns an enum ntmeta_where or -ENAMETOOLONG. */
int ntmeta_target(const char *text, bool relative,
		  const struct ntmeta_drive *drives, size_t n_drives,
		  char *out, size_t size);

/* 255 units in UTF-8 and the NUL. */
#define NTMETA_NAME_SIZE (255 * 3 + 1)

/* Where a link is, and how to walk from there. Nodes are the caller's. */
struct ntmeta_place {
	void *ctx;
	int (*parent)(void *ctx, uint64_t dir, uint64_t *up);
	/* Without regard to case; real: the name as the directory has it
	 * (NTMETA_NAME_SIZE bytes). */
	int (*child)(void *ctx, uint64_t dir, const char *name, uint64_t *id,
		     char *real);
	uint64_t root;
	uint64_t dir;		/* the link's directory */
	const struct ntmeta_drive *drives;
	size_t n_drives;
};

/* What readlink says: a path relative to the link's directory, or what is said
 * about targets that can't be expressed. Its length, or -errno. */
int ntmeta_link_text(const struct ntmeta_reparse *r,
		     const struct ntmeta_place *place, char *buf, size_t size);

/* "C:=/mnt/c" or "c=/mnt/c": 0 or -EINVAL. */
int ntmeta_drive_parse(const char *text, char *letter, const char **path);

/* Extended attributes under ntfs-3g's names. */
enum ntmeta_xattr {
	NTMETA_X_NONE,
	NTMETA_X_ACL, NTMETA_X_ATTRIB, NTMETA_X_ATTRIB_BE, NTMETA_X_REPARSE,
	NTMETA_X_OBJECT_ID, NTMETA_X_DOS_NAME, NTMETA_X_TIMES,
	NTMETA_X_TIMES_BE, NTMETA_X_CRTIME, NTMETA_X_CRTIME_BE, NTMETA_X_EA,
	NTMETA_X_EFSINFO,
};
enum ntmeta_xattr ntmeta_xattr_of(const char *name);

/* What a user.NAME or another namespace's name calls a stream; NULL for
 * names that are no stream (system.*). */
const char *ntmeta_xattr_stream(const char *name);

#endif
