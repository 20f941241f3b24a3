/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reads files and tells how fast, as one number:
 *
 *	readers seq FILE...	MB/s, 1 MiB a call, one thread a FILE
 *	readers rand N FILE	reads/s of 4 KiB at N random places
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BIG (1 << 20)
#define SMALL 4096
#define FILES_MAX 16

struct job {
	const char *path;
	uint64_t bytes;
	pthread_t thread;
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static void *read_all(void *arg)
{
	struct job *j = arg;
	void *buf = aligned_alloc(4096, BIG);
	int fd = open(j->path, O_RDONLY);
	ssize_t n;

	if (fd < 0 || !buf)
		die(j->path);
	while ((n = read(fd, buf, BIG)) > 0)
		j->bytes += (uint64_t)n;
	if (n < 0)
		die(j->path);
	close(fd);
	free(buf);
	return NULL;
}

static void seq(char **paths, int n)
{
	struct job jobs[FILES_MAX] = { 0 };
	double start = now();
	uint64_t sum = 0;

	if (n > FILES_MAX)
		n = FILES_MAX;
	for (int i = 0; i < n; i++) {
		jobs[i].path = paths[i];
		if (pthread_create(&jobs[i].thread, NULL, read_all, &jobs[i]))
			die("thread");
	}
	for (int i = 0; i < n; i++) {
		pthread_join(jobs[i].thread, NULL);
		sum += jobs[i].bytes;
	}
	printf("%.1f\n", (double)sum / 1e6 / (now() - start));
}

static void rnd(const char *path, long n)
{
	static uint8_t buf[SMALL];
	uint64_t x = 88172645463325252ULL;	/* the same places each time */
	int fd = open(path, O_RDONLY);
	struct stat st;
	double start;

	if (fd < 0 || fstat(fd, &st) || st.st_size < SMALL)
		die(path);
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	start = now();
	for (long i = 0; i < n; i++) {
		uint64_t at;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		at = x % ((uint64_t)st.st_size / SMALL) * SMALL;
		if (pread(fd, buf, SMALL, (off_t)at) != SMALL)
			die(path);
	}
	printf("%.0f\n", (double)n / (now() - start));
}

int main(int argc, char **argv)
{
	if (argc >= 3 && !strcmp(argv[1], "seq"))
		seq(argv + 2, argc - 2);
	else if (argc == 4 && !strcmp(argv[1], "rand"))
		rnd(argv[3], atol(argv[2]));
	else
		return fprintf(stderr, "usage: readerss seq FILE... | "
			       "readers rand N FILE\n"), 1;
	return 0;
}
