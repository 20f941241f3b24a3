/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Drives a dev from lines of text, for tests in Python. Numbers take 0x and
 * the suffixes k m g t. One answer line a command: "ok", a value, or
 * "error NAME"; the script goes on after an error.
 *
 *	size | sector | begin | flush
 *	read OFF LEN		hex of the bytes
 *	readf OFF LEN FILE	bytes into FILE
 *	sha256 OFF LEN
 *	write OFF LEN BYTE	LEN times BYTE
 *	writef OFF FILE		the bytes of FILE
 *	zero OFF LEN | unmap OFF LEN | discard OFF LEN | resize SIZE
 *	map OFF LEN		"fd@off+len zero+len read+len ..." for all of it
 */
#ifndef IMGFS_TESTS_DEVSCRIPT_H
#define IMGFS_TESTS_DEVSCRIPT_H

#include <stdio.h>

#include "formats/base/dev.h"

/* 0 when every command could be parsed. */
int devscript_run(struct dev *dev, FILE *in, FILE *out);

/* A number with 0x or a suffix; exits with a message when it is none. */
uint64_t devscript_number(const char *text);
/* ERR_CORRUPT and friends by name. */
const char *devscript_error(int code);

#endif
