# SPDX-License-Identifier: GPL-3.0-or-later
include fs/session/local.mk
include fs/glue/local.mk
include fs/vhdfs.mk
