/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VHDX: another identity for the disk's content (FORMAT.md 3, 13.4). */
#include <string.h>

#include "formats/vhdx/vhdx_int.h"

int vhdx_settle(struct vhdx *x, struct diag *why)
{
	int ret;

	if (!x->dev.writing)
		return diag_fail(why, EROFS, "vhdx: not open for writing");
	ret = vhdx_flush(&x->dev);
	return ret ? diag_fail(why, ret, "vhdx: cannot be written: %s",
			       strerror(-ret)) : 0;
}

int vhdx_stamp(struct vhdx *x)
{
	int ret;

	if (vhdx_failed(x))
		return -EIO;
	if (x->stamped)
		return 0;
	ret = guid_random(&x->hdr.file_write);
	if (!ret)
		ret = vhdx_header_update(x);
	if (!ret)
		x->stamped = true;
	return ret;
}

int vhdx_set_data_guid(struct vhdx *x, const struct guid *id, struct diag *why)
{
	int ret = vhdx_settle(x, why);

	if (ret)
		return ret;
	if (!x->stamped)
		ret = guid_random(&x->hdr.file_write);
	if (!ret) {
		x->hdr.data_write = *id;
		ret = vhdx_header_update(x);
	}
	/* One header may have the new one: only a reopen can tell. */
	if (ret) {
		vhdx_fail(x);
		return diag_fail(why, ret, "vhdx: header, the identity cannot "
				 "be changed: %s", strerror(-ret));
	}
	x->stamped = true;
	__atomic_store_n(&x->touched, true, __ATOMIC_RELEASE);
	return 0;
}
