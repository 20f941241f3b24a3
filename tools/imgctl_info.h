/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of imgctl info. */
#ifndef IMGFS_IMGCTL_INFO_H
#define IMGFS_IMGCTL_INFO_H

#include "tools/imgctl.h"

/* Adds "blocks": how many blocks of the file are in which state. */
void imgctl_info_blocks(json_t *j, const struct imgctl_leaf *l);
/* Adds "partitions": the table, and the volumes with it. */
void imgctl_info_inside(json_t *j, struct dev *disk);
/* All of it for people, on stdout. */
void imgctl_info_text(const json_t *j);

#endif
