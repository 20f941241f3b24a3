/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VHDX: a writing session (FORMAT.md 3, 10.2): nothing but a dirty log's
 * replay before the first change; then the headers' new identifiers; the log
 * only when metadata change for the first time.
 */
#include <string.h>

#include "formats/vhdx/vhdx_int.h"

/* A session writes the headers at most eight times. */
#define SEQ_RESERVE	64u
/* BATs up to this size are checked at mount time too: a few milliseconds. */
#define SMALL_BAT	(4u << 20)

static int check_cheap(struct vhdx *x, struct diag *why)
{
	if (vhdx_failed(x))
		return diag_fail(why, EIO, "vhdx: an earlier write failed");
	if (x->hdr.seq > UINT64_MAX - SEQ_RESERVE)
		return diag_fail(why, ERR_UNSUPP, "vhdx: header, the sequence "
				 "numbers are used up");
	if (!x->hdr.log_length)
		return diag_fail(why, ERR_UNSUPP, "vhdx: no log to write to");
	if (dev_size(x->io) > VHDX_FILE_MAX)
		return diag_fail(why, ERR_UNSUPP, "vhdx: file too large: %llu",
				 (unsigned long long)dev_size(x->io));
	if (x->info.has_parent && !x->parent)
		return diag_fail_as(why, ESTALE, OUT_CHAIN,
				    "vhdx: no parent was given");
	return 0;
}

static int check_full(struct vhdx *x, struct vhdx_space *space,
		      struct diag *why)
{
	int ret = vhdx_space_init(space);

	if (ret)
		return diag_fail(why, ret, "vhdx: out of memory");
	ret = vhdx_check_bat(x, space, why);
	if (ret)
		vhdx_space_free(space);
	return ret;
}

int vhdx_check_write(struct dev *dev, struct diag *why)
{
	struct vhdx *x = container_of(dev, struct vhdx, dev);
	struct vhdx_space space;
	int ret = check_cheap(x, why);

	if (!ret)
		ret = dev_check_write(x->file, why);
	if (ret || x->n_entries * 8 > SMALL_BAT)
		return ret;
	ret = check_full(x, &space, why);
	if (!ret)
		vhdx_space_free(&space);
	return ret;
}

int vhdx_begin_write(struct dev *dev, struct diag *why)
{
	struct vhdx *x = container_of(dev, struct vhdx, dev);
	struct vhdx_space *s = &x->space;
	int ret = check_cheap(x, why);

	if (!ret && !s->chunks)
		ret = check_full(x, s, why);
	if (!ret)
		ret = dev_begin_write(x->file, why);
	if (!ret && x->ram)
		ret = vhdx_log_to_file(x, why);
	if (ret)
		return ret;
	s->holes_end = round_up(dev_size(x->file), VHDX_MIB);
	s->holes_end = max_of(s->holes_end, round_up(s->end, VHDX_MIB));
	s->top = s->fresh = s->holes_end;
	s->hand[0] = s->hand[1] = 1;
	return 0;
}

int vhdx_barrier(struct vhdx *x)
{
	int ret = dev_flush(x->file);

	if (ret)
		vhdx_fail(x);
	return ret;
}

static int touch_locked(struct vhdx *x)
{
	int ret = 0;

	if (vhdx_failed(x))
		return -EIO;
	if (x->touched)
		return 0;
	if (!x->stamped)
		ret = guid_random(&x->hdr.file_write);
	if (!ret)
		ret = guid_random(&x->hdr.data_write);
	if (!ret)
		ret = vhdx_header_update(x);
	if (ret)
		return ret;
	x->stamped = true;
	__atomic_store_n(&x->touched, true, __ATOMIC_RELEASE);
	return 0;
}

int vhdx_touch(struct vhdx *x)
{
	int ret;

	if (vhdx_failed(x))
		return -EIO;
	if (__atomic_load_n(&x->touched, __ATOMIC_ACQUIRE))
		return 0;
	pthread_mutex_lock(&x->lock);
	ret = touch_locked(x);
	pthread_mutex_unlock(&x->lock);
	return ret;
}

static void end_log(struct vhdx *x)
{
	x->hdr.log = (struct guid) { { 0 } };
	if (!vhdx_barrier(x) && !vhdx_header_update(x))
		x->log.active = false;
}

/* What a failed session leaves is for the next open's replay. */
void vhdx_end(struct vhdx *x)
{
	uint64_t end = max_of(x->space.end, x->keep_size);

	if (!x->dev.writing || vhdx_flush(&x->dev) || vhdx_failed(x))
		return;
	if (x->log.active)
		end_log(x);
	if (!vhdx_failed(x) && !x->log.active && dev_size(x->file) > end)
		dev_file_truncate(x->file, end);
}
