/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One disk's content into another, new one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "tools/imgctl.h"

#define PIECE	(2u << 20)
/* Zeros are looked for in these: the smallest that a host keeps a hole for. */
#define GRAIN	4096u

struct copy {
	struct dev *from, *to;
	const struct imgctl_skip *skip;
	size_t next;		/* the first skip range not behind us */
	uint8_t *buf;		/* owned */
	struct imgctl_copied *done;
	struct diag *why;
};

static bool all_zero(const uint8_t *p, size_t len)
{
	return !*p && !memcmp(p, p + 1, len - 1);
}

static int fail(struct copy *c, int ret, const char *what, uint64_t off)
{
	return diag_fail(c->why, ret, "%s at %llu: %s", what,
			 (unsigned long long)off, strerror(-ret));
}

/* buf is what [off, off + len) holds. Neighbouring grains go in one write. */
static int put(struct copy *c, size_t len, uint64_t off)
{
	size_t at = 0;

	while (at < len) {
		size_t n = min_of(len - at, (size_t)GRAIN), end = at + n;
		int ret;

		if (all_zero(c->buf + at, n)) {
			c->done->zero += n;
			at = end;
			continue;
		}
		while (end < len) {
			n = min_of(len - end, (size_t)GRAIN);
			if (all_zero(c->buf + end, n))
				break;
			end += n;
		}
		ret = dev_write(c->to, c->buf + at, end - at, off + at);
		if (ret)
			return fail(c, ret, "cannot write", off + at);
		c->done->data += end - at;
		at = end;
	}
	return 0;
}

static int copy_data(struct copy *c, uint64_t off, uint64_t len)
{
	while (len) {
		size_t n = (size_t)min_of(len, (uint64_t)PIECE - off % PIECE);
		int ret = dev_read(c->from, c->buf, n, off);

		if (ret)
			return fail(c, ret, "cannot read", off);
		ret = put(c, n, off);
		if (ret)
			return ret;
		imgctl_progress(off, dev_size(c->from));
		off += n;
		len -= n;
	}
	return 0;
}

uint64_t imgctl_hole(const struct dev_run *run, uint64_t len)
{
	off_t data = lseek(run->fd, (off_t)run->off, SEEK_DATA);

	/* ENXIO: nothing but a hole to the end of the file. */
	if (data < 0)
		return errno == ENXIO ? len : 0;
	return min_of((uint64_t)data - run->off, len);
}

/* A host that keeps no holes says that all is data. */
static int copy_file_run(struct copy *c, struct dev_run run, uint64_t off)
{
	while (run.len) {
		uint64_t hole = imgctl_hole(&run, run.len), n = run.len - hole;
		off_t end;
		int ret;

		c->done->zero += hole;
		off += hole;
		run.off += hole;
		if (!n)
			return 0;
		end = lseek(run.fd, (off_t)run.off, SEEK_HOLE);
		if (end > (off_t)run.off)
			n = min_of(n, (uint64_t)end - run.off);
		ret = copy_data(c, off, n);
		if (ret)
			return ret;
		off += n;
		run.off += n;
		run.len -= hole + n;
	}
	return 0;
}

static int copy_run(struct copy *c, const struct dev_run *run, uint64_t off)
{
	switch (run->kind) {
	case DEV_RUN_ZERO:
		c->done->zero += run->len;
		return 0;
	case DEV_RUN_FD:
		return copy_file_run(c, *run, off);
	case DEV_RUN_READ:
		break;
	}
	return copy_data(c, off, run->len);
}

static int copy_range(struct copy *c, uint64_t off, uint64_t len)
{
	struct dev_run runs[16];

	while (len) {
		int n = dev_map(c->from, off, len, runs, ARRAY_LEN(runs));

		if (n <= 0)
			return fail(c, n ? n : -EIO, "cannot read", off);
		for (int i = 0; i < n; i++) {
			int ret = copy_run(c, &runs[i], off);

			if (ret)
				return ret;
			off += runs[i].len;
			len -= runs[i].len;
		}
	}
	return 0;
}

/* How much from off on is to be copied, up to size; 0: skip bytes are not. */
static uint64_t wanted(struct copy *c, uint64_t off, uint64_t size,
		       uint64_t *skip)
{
	const struct imgctl_skip *s = c->skip;

	while (s && c->next < s->n &&
	       s->ranges[c->next].off + s->ranges[c->next].len <= off)
		c->next++;
	if (!s || c->next == s->n || s->ranges[c->next].off >= size)
		return size - off;
	if (s->ranges[c->next].off > off)
		return s->ranges[c->next].off - off;
	*skip = min_of(s->ranges[c->next].off + s->ranges[c->next].len, size) -
		off;
	return 0;
}

static int copy_all(struct copy *c)
{
	uint64_t off = 0, size = dev_size(c->from);

	while (off < size) {
		uint64_t skip = 0, len = wanted(c, off, size, &skip);
		int ret = len ? copy_range(c, off, len) : 0;

		if (ret)
			return ret;
		c->done->skipped += skip;
		off += len + skip;
	}
	return 0;
}

int imgctl_copy(struct dev *from, struct dev *to,
		const struct imgctl_skip *skip, struct imgctl_copied *out,
		struct diag *why)
{
	struct copy c = {
		.from = from, .to = to, .skip = skip, .done = out, .why = why,
		.buf = mem_alloc(1, PIECE),
	};
	int ret;

	*out = (struct imgctl_copied) { 0 };
	if (!c.buf)
		return diag_fail(why, ENOMEM, "out of memory");
	ret = copy_all(&c);
	imgctl_progress(0, 0);
	free(c.buf);
	return ret;
}
