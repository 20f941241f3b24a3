/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Drives a tree from lines of text, for tests in Python: paths from the root,
 * words split at blanks (%20 stands for a blank), one answer a command ("ok",
 * values, or "error NAME"), ended by a line "." where there may be several.
 *
 *	ls PATH			id type name, a line each, then "."
 *	find PATH		type size path, recursive, then "."
 *	stat PATH		id gen mode nlink uid gid size mtime.ns btime.ns
 *	rdev PATH		major minor
 *	cat PATH OFF LEN	hex
 *	sha256 PATH		of the whole file, by tree_read
 *	mapsha256 PATH		the same through tree_map and its ranges
 *	map PATH OFF LEN	as in devscript
 *	readlink PATH | xattrs PATH | getx PATH NAME (hex) | statfs
 *	seek PATH OFF data|hole
 *	create PATH MODE | mkdir PATH MODE | symlink PATH TARGET
 *	link OLD NEW | unlink PATH | rmdir PATH | rename OLD NEW FLAGS
 *	truncate PATH SIZE | chmod PATH MODE | chown PATH UID GID
 *	utime PATH SEC | write PATH OFF LEN BYTE | writef PATH OFF FILE
 *	put FILE PATH		creates PATH with the contents of FILE
 *	allocate PATH MODE OFF LEN | setx PATH NAME HEX | delx PATH NAME
 *	open PATH HANDLE r|w | close HANDLE | hread HANDLE OFF LEN
 *	sync | fsync PATH | check | writing | kill (ends at once, no close)
 */
#ifndef IMGFS_TESTS_TREESCRIPT_H
#define IMGFS_TESTS_TREESCRIPT_H

#include <stdio.h>

#include "formats/tree.h"

int treescript_run(struct tree *t, FILE *in, FILE *out);

#endif
