/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Things worth saying once. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/disk/disk_int.h"

static bool said(const struct disk *d, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(d->notes[i], text))
			return true;
	return false;
}

/* A note that memory has no room for is not worth failing for. */
void disk_add_note(struct disk *d, const char *fmt, ...)
{
	struct diag line = DIAG_INIT;
	char *text = mem_alloc(1, DIAG_MAX);
	va_list ap;
	size_t n;

	if (!text)
		return;
	va_start(ap, fmt);
	vsnprintf(text, DIAG_MAX, fmt, ap);
	va_end(ap);
	/* Names come from images and directories: keep terminals safe. */
	diag_fail(&line, EIO, "%s", text);
	free(text);
	pthread_mutex_lock(&d->note_lock);
	n = atomic_load(&d->n_notes);
	text = n < DISK_NOTES_MAX && !said(d, n, line.text)
	       ? mem_strdup(line.text) : NULL;
	if (text) {
		d->notes[n] = text;
		atomic_store(&d->n_notes, n + 1);
	}
	pthread_mutex_unlock(&d->note_lock);
}

const char *disk_note(const struct disk *d, size_t i)
{
	return i < atomic_load(&d->n_notes) ? d->notes[i] : NULL;
}
