# SPDX-License-Identifier: GPL-3.0-or-later
# One archive a folder; the order of a link line is top to bottom.
include formats/base/local.mk
include formats/tree.mk
include formats/ntmeta.mk
include formats/codec/local.mk
include formats/vhd/local.mk
include formats/vhdx/local.mk
include formats/part/local.mk
include formats/disk/local.mk
include formats/merge/local.mk
include formats/ntfs/local.mk
include formats/volume/local.mk
include formats/view/local.mk
include formats/cim/local.mk
include formats/wim/local.mk
