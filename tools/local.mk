# SPDX-License-Identifier: GPL-3.0-or-later
include tools/imgctl.mk
include tools/vhdmerge.mk
