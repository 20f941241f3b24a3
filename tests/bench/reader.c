/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reads a file and says how fast: reader seq|rand FILE BLOCK [COUNT]. seq reads
 * all of it in blocks; rand reads COUNT blocks at places that are the same in
 * every run. Prints bytes per second (seq) or reads per second (rand).
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double seq(int fd, char *buf, size_t block)
{
	double start = now(), sum = 0;
	ssize_t n;

	while ((n = read(fd, buf, block)) > 0)
		sum += (double)n;
	return n < 0 ? -1 : sum / (now() - start);
}

static double rnd(int fd, char *buf, size_t block, long count, off_t size)
{
	uint64_t x = 88172645463325252ull, blocks = (uint64_t)size / block;
	double start;

	/* Else the kernel reads ahead around every place. */
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	start = now();
	for (long i = 0; i < count; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		if (pread(fd, buf, block, (off_t)(x % blocks * block)) !=
		    (ssize_t)block)
			return -1;
	}
	return (double)count / (now() - start);
}

int main(int argc, char **argv)
{
	size_t block = argc > 3 ? strtoul(argv[3], NULL, 0) : 0;
	char *buf = block ? malloc(block) : NULL;
	int fd = argc > 3 ? open(argv[2], O_RDONLY) : -1;
	struct stat st;
	double got = -1;

	if (fd < 0 || !buf || fstat(fd, &st)) {
		fprintf(stderr, "usage: reader seq|rand FILE BLOCK [COUNT]\n");
		return 1;
	}
	if (!strcmp(argv[1], "seq"))
		got = seq(fd, buf, block);
	else if (argc > 4 && st.st_size >= (off_t)block)
		got = rnd(fd, buf, block, strtol(argv[4], NULL, 0), st.st_size);
	if (got < 0)
		perror(argv[2]);
	else
		printf("%.0f\n", got);
	return got < 0;
}
