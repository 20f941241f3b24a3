/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A file dev that writes down everything that changes it, for crash tests:
 * tests/crash.py builds every state that a power cut could leave.
 *
 * The record: lines "W off len\n" followed by len raw bytes, "S size\n" for a
 * change of size, "Z off len\n" for zeroing and "F\n" for a flush that ended.
 */
#ifndef IMGFS_TESTS_DEV_RECORD_H
#define IMGFS_TESTS_DEV_RECORD_H

#include "formats/base/dev.h"

/* Takes base over. fail_after: the n-th change fails with EIO, and all after
 * it (0: never). */
int dev_record_new(struct dev *base, const char *record,
		   unsigned long fail_after, struct dev **out);

#endif
