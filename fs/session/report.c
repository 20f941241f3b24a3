/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fs/session/report.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "fs/session/registry.h"
#include "fs/session/session.h"

/* A program's options, set once while it starts. */
static bool as_json;
static bool to_log;

void report_as_json(bool on)
{
	as_json = on;
}

void report_to_log(const char *name)
{
	openlog(name, LOG_PID, LOG_DAEMON);
	to_log = true;
}

static void put_line(const char *name, const char *text)
{
	if (to_log)
		syslog(LOG_WARNING, "%s", text);
	else
		fprintf(stderr, "%s: %s\n", name, text);
}

void session_say(const char *name, const char *fmt, ...)
{
	char text[DIAG_MAX + 256];
	va_list ap;
	json_t *j;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!as_json || to_log) {
		put_line(name, text);
		return;
	}
	j = json_pack("{s:s, s:o}", "program", name, "warning",
		      registry_text(text));
	json_dumpf(j, stderr, JSON_COMPACT);
	fputc('\n', stderr);
	json_decref(j);
}

int report_status(const struct diag *why)
{
	switch (why->out) {
	case OUT_OK: return EXIT_MOUNT_OK;
	case OUT_USAGE: return EXIT_MOUNT_USAGE;
	default: break;
	}
	return why->code == -ENOMEM || why->code == -EAGAIN ||
	       why->code == -EMFILE ? EXIT_MOUNT_SYSTEM : EXIT_MOUNT_FAIL;
}

static void put_json(const char *name, const char *image,
		     const struct diag *why, int status)
{
	const struct outcome_row *row = outcome_find(why->out);
	json_t *j = json_pack("{s:s, s:i, s:i, s:s, s:o, s:I, s:I}",
		"program", name, "exit", status, "code", (int)why->out,
		"name", row->name, "message", registry_text(why->text),
		"msvm", (json_int_t)row->msvm,
		"hresult", (json_int_t)row->hresult);

	if (image)
		json_object_set_new(j, "image", registry_text(image));
	json_dumpf(j, stderr, JSON_COMPACT);
	fputc('\n', stderr);
	json_decref(j);
}

int report_error(const char *name, const char *image, const struct diag *why)
{
	int status = report_status(why);

	if (as_json && !to_log)
		put_json(name, image, why, status);
	else if (image && !strstr(why->text, image))
		session_say(name, "%s: %s", image, why->text);
	else
		session_say(name, "%s", why->text);
	return status;
}
