/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VHDX: the whole BAT, before the first write (FORMAT.md 11.1, step 7). Holes
 * of the file are skipped: the map of a sparse 64 TiB disk is 513 MiB of them.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/vhdx/vhdx_int.h"

#define STEP	(256u << 10)
/* An overlay looks at each page of the range that it is asked about. */
#define LOOK_MAX	(16u << 20)

struct walk {
	struct vhdx *x;
	struct vhdx_space *space;
	struct diag *why;
	uint8_t *buf;		/* STEP bytes */
	/* A chunk with a partial block needs a bitmap: the index of its entry,
	 * which comes later; 0: none is awaited. */
	uint64_t awaited;
};

static int refuse(struct walk *w, uint64_t idx, const char *what)
{
	return diag_fail(w->why, ERR_CORRUPT, "vhdx: BAT entry %llu, %s",
			 (unsigned long long)idx, what);
}

static int mark(struct walk *w, uint64_t idx, uint64_t off, uint64_t len)
{
	int ret = off ? vhdx_space_mark(w->space, off, len) : 0;

	if (ret == -ERR_CORRUPT)
		return refuse(w, idx, "its space belongs to something else");
	return ret ? diag_fail(w->why, ret, "vhdx: out of memory") : 0;
}

static int check_bitmap(struct walk *w, uint64_t idx, uint64_t raw)
{
	uint64_t off;

	/* Files without a parent have junk here (FORMAT.md 6). */
	if (!w->x->info.has_parent)
		return 0;
	if (vhdx_bat_decode_bitmap(w->x, raw, &off))
		return refuse(w, idx, "impossible bitmap block");
	if (w->awaited && !off)
		return refuse(w, idx, "no bitmap for a partial block");
	w->awaited = 0;
	return mark(w, idx, off, VHDX_MIB);
}

static int check_entry(struct walk *w, uint64_t idx, uint64_t raw)
{
	uint64_t per = w->x->chunk_blocks + 1, blk = idx - idx / per;
	struct vhdx_bat e;

	if (w->awaited && idx > w->awaited)
		return refuse(w, w->awaited, "no bitmap for a partial block");
	if (idx % per == w->x->chunk_blocks)
		return check_bitmap(w, idx, raw);
	/* Behind the last block of a differencing file's last chunk. */
	if (blk >= w->x->n_blocks || !raw)
		return 0;
	if (vhdx_bat_decode(w->x, blk, raw, &e))
		return refuse(w, idx, "impossible block");
	if (e.state == VHDX_PARTIAL)
		w->awaited = idx / per * per + w->x->chunk_blocks;
	return mark(w, idx, e.off, vhdx_block_size(w->x));
}

static bool all_zero(const uint8_t *p, size_t len)
{
	return !p[0] && !memcmp(p, p + 1, len - 1);
}

static int check_step(struct walk *w, uint64_t at, size_t len)
{
	int ret = dev_read(w->x->io, w->buf, len, w->x->bat.off + at);

	if (ret)
		return diag_fail(w->why, ret, "vhdx: BAT: %s", strerror(-ret));
	for (size_t i = 0; i < len && !ret;) {
		size_t n = min_of((size_t)VHDX_PAGE, len - i);

		if (all_zero(w->buf + i, n)) {
			i += n;
			continue;
		}
		for (n += i; i < n && !ret; i += 8)
			ret = check_entry(w, (at + i) / 8, le64_at(w->buf + i));
	}
	return ret;
}

uint64_t vhdx_check_hole(struct vhdx *x, uint64_t off, uint64_t len)
{
	struct dev_run run;
	off_t data;

	if (dev_map(x->io, off, min_of(len, (uint64_t)LOOK_MAX), &run, 1) != 1)
		return 0;
	if (run.kind == DEV_RUN_ZERO)
		return run.len;
	if (run.kind != DEV_RUN_FD)
		return 0;
	data = lseek(run.fd, (off_t)run.off, SEEK_DATA);
	if (data < 0)
		return errno == ENXIO ? run.len : 0;
	return min_of((uint64_t)data - run.off, run.len);
}

static int walk_all(struct walk *w)
{
	uint64_t end = w->x->n_entries * 8;

	for (uint64_t at = 0; at < end;) {
		uint64_t off = w->x->bat.off + at;
		uint64_t len = min_of((uint64_t)STEP, end - at);
		uint64_t skip = round_down(vhdx_check_hole(w->x, off,
							   end - at),
					   VHDX_PAGE);
		int ret;

		if (skip) {
			at += skip;
			continue;
		}
		ret = check_step(w, at, (size_t)len);
		if (ret)
			return ret;
		at += len;
	}
	if (w->awaited)
		return refuse(w, w->awaited, "no bitmap for a partial block");
	return 0;
}

int vhdx_check_bat(struct vhdx *x, struct vhdx_space *space, struct diag *why)
{
	struct walk w = { .x = x, .space = space, .why = why };
	int ret = 0;

	for (size_t i = 0; i < x->n_extents && !ret; i++)
		ret = vhdx_space_mark(space, x->extents[i].off,
				      x->extents[i].len);
	w.buf = mem_alloc(1, STEP);
	if (!w.buf || ret)
		ret = diag_fail(why, ret ? ret : ENOMEM,
				"vhdx: regions cannot be marked: %s",
				strerror(ret ? -ret : ENOMEM));
	else
		ret = walk_all(&w);
	free(w.buf);
	return ret;
}
