# SPDX-License-Identifier: GPL-3.0-or-later
bin_PROGRAMS += tools/imgctl
tools_imgctl_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tools_imgctl_SOURCES = tools/imgctl.c tools/imgctl.h tools/imgctl_args.c \
	tools/imgctl_out.c tools/imgctl_form.c tools/imgctl_leaf.c \
	tools/imgctl_new.c tools/imgctl_path.c tools/imgctl_copy.c \
	tools/imgctl_info.c tools/imgctl_info.h tools/imgctl_info_text.c \
	tools/imgctl_inside.c tools/imgctl_blocks.c \
	tools/imgctl_map.c tools/imgctl_map.h tools/imgctl_map_walk.c \
	tools/imgctl_svg.c tools/imgctl_svg.h tools/imgctl_svg_draw.c \
	tools/imgctl_svg_parts.c \
	tools/imgctl_relink.c tools/imgctl_repair.c \
	tools/imgctl_check.c tools/imgctl_check.h tools/imgctl_check_disk.c \
	tools/imgctl_check_inside.c tools/imgctl_check_win.c \
	tools/imgctl_create.c tools/imgctl_compare.c \
	tools/imgctl_convert.c tools/imgctl_compact.c tools/imgctl_flat.h
tools_imgctl_LDADD = formats/volume/libvolume.a formats/ntfs/libntfs.a \
	formats/libntmeta.a formats/merge/libmerge.a formats/disk/libdisk.a formats/part/libpart.a \
	formats/vhdx/libvhdx.a formats/vhd/libvhd.a formats/libtree.a \
	formats/base/libbase.a $(NTFS3G_LIBS) $(EXT2FS_LIBS) \
	$(JANSSON_LIBS) $(ISAL_LIBS)
