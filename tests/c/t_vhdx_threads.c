/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VHDX from many threads at once: writers share blocks, bitmap pages and even
 * the sectors' neighbours, one flushes, one zeroes, readers look on. For the
 * thread sanitizer, and for what is there in the end.
 */
#include <pthread.h>
#include <unistd.h>

#include "formats/base/bounds.h"
#include "formats/base/dev_file.h"
#include "formats/vhdx/vhdx.h"
#include "tests/c/check.h"

#define N_WRITERS	4u
#define SIZE		(24u << 20)
#define UNIT		3000u		/* no multiple of a sector */

struct job {
	struct dev *dev;
	unsigned n;
	const bool *stop;
};

/* Every N_WRITERS-th unit, in an order of its own. */
static void *writer(void *arg)
{
	struct job *j = arg;
	uint8_t buf[UNIT];
	unsigned n = SIZE / UNIT / N_WRITERS;

	memset(buf, (int)(j->n + 1), sizeof(buf));
	for (unsigned i = 0; i < n; i++) {
		unsigned k = i * 37 % n * N_WRITERS + j->n;

		CHECK_INT(dev_write(j->dev, buf, UNIT, (uint64_t)k * UNIT), 0);
	}
	return NULL;
}

static void *reader(void *arg)
{
	struct job *j = arg;
	uint8_t buf[UNIT];
	struct dev_run runs[4];

	for (unsigned i = 0; !__atomic_load_n(j->stop, __ATOMIC_RELAXED); i++) {
		unsigned k = i * 31 % (SIZE / UNIT);
		uint8_t mine = (uint8_t)(k % N_WRITERS + 1);

		CHECK_INT(dev_read(j->dev, buf, UNIT, (uint64_t)k * UNIT), 0);
		for (unsigned b = 0; b < UNIT; b++)
			CHECK(buf[b] == 'P' || buf[b] == mine || !buf[b]);
		CHECK(dev_map(j->dev, (uint64_t)k * UNIT, UNIT, runs, 4) > 0);
	}
	return NULL;
}

static void *flusher(void *arg)
{
	struct job *j = arg;

	while (!__atomic_load_n(j->stop, __ATOMIC_RELAXED)) {
		CHECK_INT(dev_flush(j->dev), 0);
		CHECK_INT(dev_zero(j->dev, SIZE, 2 << 20, true), 0);
		usleep(300);
	}
	return NULL;
}

static struct vhdx *make(const char *dir, const char *name,
			 const struct vhdx_create *what)
{
	char path[256];
	struct diag why = DIAG_INIT;
	struct dev *file;
	struct vhdx *x;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	CHECK_INT(dev_file_create(path, &file, &why), 0);
	unlink(path);
	CHECK_INT(vhdx_create(file, what, &why), 0);
	CHECK_INT(vhdx_open(file, NULL, &x, &why), 0);
	return x;
}

static void check_content(struct dev *dev)
{
	uint8_t buf[UNIT];

	for (unsigned k = 0; k < SIZE / UNIT / N_WRITERS * N_WRITERS; k++) {
		CHECK_INT(dev_read(dev, buf, UNIT, (uint64_t)k * UNIT), 0);
		for (unsigned b = 0; b < UNIT; b++)
			CHECK_INT(buf[b], k % N_WRITERS + 1);
	}
	CHECK_INT(dev_read(dev, buf, 1, SIZE), 0);
	CHECK_INT(buf[0], 0);
}

static void run_all(struct dev *dev)
{
	pthread_t writers[N_WRITERS], others[3];
	struct job jobs[N_WRITERS];
	bool stop = false;
	struct job look = { .dev = dev, .stop = &stop };

	for (unsigned i = 0; i < N_WRITERS; i++) {
		jobs[i] = (struct job) { .dev = dev, .n = i };
		pthread_create(&writers[i], NULL, writer, &jobs[i]);
	}
	for (unsigned i = 0; i < ARRAY_LEN(others); i++)
		pthread_create(&others[i], NULL, i ? reader : flusher, &look);
	for (unsigned i = 0; i < N_WRITERS; i++)
		pthread_join(writers[i], NULL);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < ARRAY_LEN(others); i++)
		pthread_join(others[i], NULL);
}

int main(void)
{
	char dir[] = "/tmp/t_vhdx.XXXXXX";
	struct vhdx_create what = {
		.type = VHDX_FIXED, .size = SIZE + (4 << 20),
		.block_size = 2 << 20,
	};
	static uint8_t fill[1 << 20];
	struct vhdx *parent, *child;

	CHECK(mkdtemp(dir));
	parent = make(dir, "p", &what);
	CHECK_INT(dev_begin_write(vhdx_dev(parent), NULL), 0);
	memset(fill, 'P', sizeof(fill));
	for (uint64_t off = 0; off < what.size; off += sizeof(fill))
		CHECK_INT(dev_write(vhdx_dev(parent), fill, sizeof(fill), off),
			  0);
	what = (struct vhdx_create) {
		.type = VHDX_DIFFERENCING, .parent = parent,
		.parent_relative = "p",
	};
	child = make(dir, "c", &what);
	CHECK_INT(vhdx_set_parent(child, vhdx_dev(parent), NULL), 0);
	CHECK_INT(dev_begin_write(vhdx_dev(child), NULL), 0);
	run_all(vhdx_dev(child));
	check_content(vhdx_dev(child));
	vhdx_close(child);
	vhdx_close(parent);
	rmdir(dir);
	return 0;
}
