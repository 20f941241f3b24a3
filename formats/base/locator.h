/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where a child says that its parent is: hints from a stranger, in the order
 * in which its format wants them tried. What they name is only trusted after
 * its identity was compared. */
#ifndef IMGFS_BASE_LOCATOR_H
#define IMGFS_BASE_LOCATOR_H

#include <stddef.h>

enum locator_kind {
	LOCATOR_RELATIVE,	/* to the child's directory, '/' or '\\' */
	LOCATOR_ABSOLUTE,	/* C:\\dir\\p.vhd or \\\\server\\share\\p.vhd */
	LOCATOR_VOLUME,		/* \\\\?\\Volume{guid}\\p.vhdx */
	LOCATOR_URL,		/* file:///dir/p.vhd, percent-encoded */
	LOCATOR_NAME,		/* a base name */
};

#define LOCATOR_MAX 8		/* VHD has eight entries, VHDX three keys */

struct locator {
	enum locator_kind kind;
	char *path;		/* UTF-8 as in the file, owned by the format */
};

#endif
