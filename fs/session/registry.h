/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which images are mounted, where, by which process: one JSON file a mount in
 * /run/imgfs (root) or $XDG_RUNTIME_DIR/imgfs. Locks decide who may write;
 * the registry only gives names, and an entry of a dead process means nothing.
 */
#ifndef IMGFS_SESSION_REGISTRY_H
#define IMGFS_SESSION_REGISTRY_H

#include <jansson.h>
#include <sys/types.h>

/* The directory, made if needed; NULL when there is no place for it. Static. */
const char *registry_dir(void);
/* text as a JSON string. A path need not be UTF-8: then its strange bytes are
 * question marks. NULL: out of memory. */
json_t *registry_text(const char *text);
/* Adds "pid" and "start" to entry and writes it; the file is NAME.PID. */
int registry_add(const char *name, json_t *entry);
/* Why this process ended badly; keeps the entry for whoever waits for it. */
void registry_fail(const char *name, const char *text);
void registry_remove(const char *name);
/* Takes a name for this process and what it forks, until *fd is given back or
 * the last of them ends. -EEXIST: *pid says who has it (0: not known);
 * -ENOENT: there is no place to write that down. */
int registry_claim(const char *what, int *fd, pid_t *pid);
void registry_unclaim(const char *what, int fd);	/* takes -1 */
/* The live or failed mount of device dev ("0:57") at dir by the program name:
 * its entry, a new reference, or NULL. An entry that knows its device is found
 * by that: one detached while busy lives on beside its successor. Entries of
 * dead processes without an error are removed. */
json_t *registry_find(const char *name, const char *dir, const char *dev);
/* The entry of a process that has ended, or NULL if it removed it itself. */
json_t *registry_take(const char *name, pid_t pid);

#endif
