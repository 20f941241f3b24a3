/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The bytes are those of QEMU's block/file-posix.c, known since QEMU 2.10. */
#include "formats/base/dev_lock.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "formats/base/bounds.h"
#include "formats/base/dev_file.h"
#include "formats/base/dev_holder.h"

enum { DOES = 100, DENIES = 200 };
enum { READING = 0, WRITING = 1, RESIZING = 3 };

static const int things[] = { READING, WRITING, RESIZING };

static bool does(enum dev_lock lock, int thing)
{
	return lock == DEV_LOCK_WRITE ||
	       (lock == DEV_LOCK_READ && thing == READING);
}

static bool denies(enum dev_lock lock, int thing)
{
	return lock == DEV_LOCK_WRITE ||
	       (lock == DEV_LOCK_READ && thing != READING);
}

/* Old kernels and network file systems have several words for it. */
static int lock_error(int err)
{
	switch (err) {
	case EINVAL: case ENOSYS: case EOPNOTSUPP: case ENOLCK:
		return -ENOLCK;
	default:
		return -err;
	}
}

static int set_byte(int fd, int at, bool on)
{
	struct flock l = {
		.l_type = on ? F_RDLCK : F_UNLCK, .l_whence = SEEK_SET,
		.l_start = at, .l_len = 1,
	};

	return fcntl(fd, F_OFD_SETLK, &l) ? lock_error(errno) : 0;
}

/* Does another open file description lock this byte in any way? */
static int held_elsewhere(int fd, int at)
{
	struct flock l = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET,
		.l_start = at, .l_len = 1,
	};

	if (fcntl(fd, F_OFD_GETLK, &l))
		return lock_error(errno);
	return l.l_type != F_UNLCK;
}

/* Adds first and removes afterwards, as QEMU does: at no instant is less held
 * than in both states. */
static int apply(int fd, enum dev_lock lock)
{
	for (size_t i = 0; i < ARRAY_LEN(things); i++) {
		int t = things[i], ret = 0;

		if (does(lock, t))
			ret = set_byte(fd, DOES + t, true);
		if (!ret && denies(lock, t))
			ret = set_byte(fd, DENIES + t, true);
		if (ret)
			return ret;
	}
	for (size_t i = 0; i < ARRAY_LEN(things); i++) {
		int t = things[i];

		if (!does(lock, t))
			set_byte(fd, DOES + t, false);
		if (!denies(lock, t))
			set_byte(fd, DENIES + t, false);
	}
	return 0;
}

/* The byte of somebody else that stands against lock, 0, or -errno. */
static int find_conflict(int fd, enum dev_lock lock)
{
	for (size_t i = 0; i < ARRAY_LEN(things); i++) {
		int t = things[i], ret = 0;

		if (denies(lock, t) && (ret = held_elsewhere(fd, DOES + t)))
			return ret < 0 ? ret : DOES + t;
		if (does(lock, t) && (ret = held_elsewhere(fd, DENIES + t)))
			return ret < 0 ? ret : DENIES + t;
	}
	return 0;
}

static int refuse(struct dev *file, int at, const char *registry,
		  struct diag *why)
{
	const char *path = dev_file_path(file);
	char holder[256];

	if (at == -ENOLCK)
		return diag_fail(why, ENOLCK,
				 "%s: its file system has no locks", path);
	if (at < 0)
		return diag_fail(why, at, "%s: cannot lock: %s", path,
				 strerror(-at));
	dev_holder_find(dev_file_fd(file), at, registry, holder,
			sizeof(holder));
	return diag_fail_as(why, EBUSY, OUT_LOCKED, "%s: in use by %s", path,
			    holder);
}

int dev_lock_test(struct dev *file, enum dev_lock want, const char *registry,
		  struct diag *why)
{
	int at = find_conflict(dev_file_fd(file), want);

	return at ? refuse(file, at, registry, why) : 0;
}

/* Looking before taking spares others a refusal because of us; looking again
 * afterwards settles the race: of two that took at once at most one goes on. */
int dev_lock_set(struct dev *file, enum dev_lock have, enum dev_lock want,
		 const char *registry, struct diag *why)
{
	int fd = dev_file_fd(file);
	int at;

	if (want <= have)	/* what is held already needs no leave */
		return apply(fd, want);
	at = find_conflict(fd, want);
	if (!at) {
		at = apply(fd, want);
		if (!at)
			at = find_conflict(fd, want);
		if (at)
			apply(fd, have);
	}
	return at ? refuse(file, at, registry, why) : 0;
}
