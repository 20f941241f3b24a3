/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A unit test is a program: it stops at the first thing that is not so. */
#ifndef IMGFS_TESTS_CHECK_H
#define IMGFS_TESTS_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(cond) do { \
	if (!(cond)) { \
		fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, \
			#cond); \
		exit(1); \
	} } while (0)

#define CHECK_INT(got, want) do { \
	long long got_ = (long long)(got), want_ = (long long)(want); \
	if (got_ != want_) { \
		fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, \
			__LINE__, #got, got_, want_); \
		exit(1); \
	} } while (0)

#define CHECK_STR(got, want) do { \
	const char *got_ = (got), *want_ = (want); \
	if (strcmp(got_, want_)) { \
		fprintf(stderr, "%s:%d: %s is \"%s\", not \"%s\"\n", \
			__FILE__, __LINE__, #got, got_, want_); \
		exit(1); \
	} } while (0)

#endif
