/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How much of one file of a chain is what. */
#include "tools/imgctl_info.h"

void imgctl_info_blocks(json_t *j, const struct imgctl_leaf *l)
{
}
