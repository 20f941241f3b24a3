/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The door of the writing half: may this volume be written to, and what must
 * be on disk before its first modification. */
#include "formats/volume/vol_ext_int.h"

#include "formats/base/bounds.h"

int vol_ext_check_write(struct tree *t, struct diag *why)
{
	return diag_fail(why, EROFS, "ext4: read-only");
}

int vol_ext_begin_write(struct tree *t, struct diag *why)
{
	return vol_ext_check_write(t, why);
}

int vol_ext_sync(struct tree *t, uint64_t id, bool data_only)
{
	return 0;
}

void vol_ext_end_write(struct vol_ext *v)
{
}
