/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Errors as a line for people or JSON for programs; exit statuses. */
#ifndef IMGFS_SESSION_REPORT_H
#define IMGFS_SESSION_REPORT_H

#include <stdbool.h>

#include "formats/base/diag.h"

enum {				/* mount(8)'s bits */
	EXIT_MOUNT_OK = 0,
	EXIT_MOUNT_USAGE = 1,
	EXIT_MOUNT_SYSTEM = 2,
	EXIT_MOUNT_BUG = 4,
	EXIT_MOUNT_USER = 8,
	EXIT_MOUNT_FAIL = 32,
};

/* The mount(8) status that stands for what was said. */
int report_status(const struct diag *why);
/* Tells why on stderr (or in the system log, see report_to_log) and returns
 * report_status(why). image may be NULL. */
int report_error(const char *name, const char *image, const struct diag *why);
/* From now on: one JSON object a line. */
void report_as_json(bool on);
/* From now on: the system log, because stderr is closed. */
void report_to_log(const char *name);

#endif
