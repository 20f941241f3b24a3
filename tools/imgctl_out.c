/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What imgctl says: errors, JSON, sizes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "formats/base/bounds.h"
#include "tools/imgctl.h"

json_t *imgctl_json_u64(uint64_t v)
{
	/* JSON numbers of programs end at 2^63. */
	return json_integer((json_int_t)min_of(v, (uint64_t)INT64_MAX));
}

json_t *imgctl_json_text(const char *text)
{
	json_t *j = json_string(text);
	char *copy;

	if (j || !(copy = strdup(text)))
		return j;
	for (char *p = copy; *p; p++)
		if (*p & 0x80)
			*p = '?';
	j = json_string(copy);
	free(copy);
	return j;
}

static void fail_json(const struct imgctl *c, const struct diag *why)
{
	const struct outcome_row *row = outcome_find(why->out);
	json_t *j = json_object();

	json_object_set_new(j, "program", json_string("imgctl"));
	json_object_set_new(j, "verb", json_string(c->verb->name));
	json_object_set_new(j, "exit", json_integer((int)why->out));
	json_object_set_new(j, "code", json_integer((int)why->out));
	json_object_set_new(j, "name", json_string(row->name));
	json_object_set_new(j, "message", imgctl_json_text(why->text));
	json_object_set_new(j, "msvm", json_integer(row->msvm));
	json_object_set_new(j, "hresult", json_integer(row->hresult));
	json_dumpf(j, stderr, JSON_COMPACT);
	fputc('\n', stderr);
	json_decref(j);
}

int imgctl_fail(const struct imgctl *c, const struct diag *why)
{
	struct diag said = *why;

	if (!said.code)
		diag_fail(&said, EIO, "failed without a reason");
	if (c->json)
		fail_json(c, &said);
	else
		fprintf(stderr, "imgctl %s: %s\n", c->verb->name, said.text);
	return (int)said.out;
}

void imgctl_usage(const struct imgctl *c, bool wrong)
{
	fprintf(wrong ? stderr : stdout, "imgctl %s %s\n%s\n", c->verb->name,
		c->verb->usage, c->verb->summary);
}

int imgctl_put_json(const struct imgctl *c, json_t *j)
{
	struct diag why = DIAG_INIT;
	int ret = j ? json_dumpf(j, stdout, JSON_INDENT(2)) : -1;

	json_decref(j);
	if (!ret && putchar('\n') != EOF && !fflush(stdout))
		return OUT_OK;
	diag_fail(&why, errno ? errno : ENOMEM, "cannot write the result");
	return imgctl_fail(c, &why);
}

const char *imgctl_size_text(uint64_t size, char text[IMGCTL_SIZE_TEXT])
{
	static const char *const units[] = {
		"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB",
	};
	double v = (double)size;
	size_t u = 0;

	while (v >= 1024 && u + 1 < ARRAY_LEN(units)) {
		v /= 1024;
		u++;
	}
	if (v == (double)(uint64_t)v)
		snprintf(text, IMGCTL_SIZE_TEXT, "%llu %s",
			 (unsigned long long)v, units[u]);
	else
		snprintf(text, IMGCTL_SIZE_TEXT, "%.4g %s", v, units[u]);
	return text;
}

void imgctl_progress(uint64_t done, uint64_t total)
{
	static struct timespec last;
	struct timespec now;
	long ms;

	if (!isatty(STDERR_FILENO))
		return;
	if (!total) {
		if (last.tv_sec)
			fputs("\r\033[K", stderr);
		last.tv_sec = 0;
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (now.tv_sec - last.tv_sec) * 1000 +
	     (now.tv_nsec - last.tv_nsec) / 1000000;
	if (last.tv_sec && ms < 500)
		return;
	last = now;
	fprintf(stderr, "\r%3u %%", (unsigned)((double)done * 100 /
					       (double)total));
}

const char *imgctl_registry(void)
{
	static char path[4096];
	const char *run = getenv("XDG_RUNTIME_DIR");

	if (!geteuid())
		return "/run/imgfs";
	if (!run || !*run)
		return NULL;
	snprintf(path, sizeof(path), "%s/imgfs", run);
	return path;
}
