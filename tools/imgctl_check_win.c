/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Would Windows attach this? What Hyper-V and diskpart refuse although the
 * file breaks no rule of its format. Sources: Microsoft's "Failed to mount,
 * the file must be uncompressed and unencrypted and must not be sparse"
 * (ERROR_VHD_..., 0xC03A001A), the size limits of Mount-VHD, and Azure's
 * "Prepare a Windows VHD to upload".
 */
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "formats/base/dev_file.h"
#include "tools/imgctl_check.h"

#define MIB (1ULL << 20)
#define GIB (1ULL << 30)
#define TIB (1ULL << 40)
#define VHD_MAX	(2040 * GIB)
#define VHDX_MAX (64 * TIB)

static void wrong(struct imgctl_check *k, const char *text)
{
	imgctl_find(k, IMGCTL_ERROR, OUT_UNSUPP, "windows", "windows: %s",
		    text);
}

static void odd(struct imgctl_check *k, const char *text)
{
	imgctl_find(k, IMGCTL_WARNING, OUT_OK, "windows", "windows: %s", text);
}

/* A file system of Linux keeps holes without a flag: what counts is how it is
 * copied to Windows. */
static void check_host(struct imgctl_check *k, struct dev *file)
{
	struct statx sx;
	int fd = dev_file_fd(file);

	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &sx))
		return;
	if (sx.stx_attributes & STATX_ATTR_COMPRESSED)
		wrong(k, "the file is compressed by its file system");
	if (sx.stx_attributes & STATX_ATTR_ENCRYPTED)
		wrong(k, "the file is encrypted by its file system");
	if (sx.stx_blocks * 512 < sx.stx_size / 4096 * 4096)
		odd(k, "the file has holes here: copied as a sparse file "
		    "(rsync -S, cp --sparse) it will not be attached");
}

static void check_name(struct imgctl_check *k, const struct imgctl_leaf *l)
{
	const char *dot = strrchr(k->c->files[0], '.');
	const char *want[2] = { l->vhd ? ".vhd" : ".vhdx",
				l->vhd ? ".avhd" : ".avhdx" };

	if (!dot || (strcasecmp(dot, want[0]) && strcasecmp(dot, want[1])))
		imgctl_find(k, IMGCTL_ERROR, OUT_UNSUPP, "windows", "windows: "
			    "the name must end in %s or %s", want[0], want[1]);
}

/* A parent is found by a path that Windows can follow, or not at all. */
static void check_locators(struct imgctl_check *k, const struct locator *l,
			   size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (l[i].kind == LOCATOR_RELATIVE ||
		    l[i].kind == LOCATOR_ABSOLUTE ||
		    l[i].kind == LOCATOR_VOLUME)
			return;
	wrong(k, "no path to the parent that it follows (imgctl relink writes "
	      "one)");
}

static void check_vhd(struct imgctl_check *k, const struct vhd_info *info)
{
	if (info->current_size > VHD_MAX)
		wrong(k, "a VHD larger than 2040 GiB");
	if (info->type != VHD_FIXED && info->block_size != 2 * MIB &&
	    info->block_size != MIB / 2)
		wrong(k, "blocks of neither 512 KiB nor 2 MiB");
	if (info->current_size != info->size)
		odd(k, "it takes the footer's current size; this disk is read "
		    "with the size of its geometry, which QEMU means");
	if (info->footer_damaged)
		odd(k, "the footer at the end is damaged");
	if (info->saved_state)
		odd(k, "it belongs to a virtual machine in saved state");
	if (info->type == VHD_DIFFERENCING)
		check_locators(k, info->parents, info->n_parents);
	if (info->current_size % MIB || info->type != VHD_FIXED)
		imgctl_find(k, IMGCTL_NOTE, OUT_OK, "azure", "azure: takes "
			    "fixed VHDs of whole MiB, not this one");
}

static void check_vhdx(struct imgctl_check *k, struct imgctl_leaf l)
{
	const struct vhdx_info *info = vhdx_info(l.vhdx);

	if (info->size > VHDX_MAX)
		wrong(k, "a VHDX larger than 64 TiB");
	if (info->size < 3 * MIB)
		wrong(k, "a VHDX smaller than 3 MiB");
	if (dev_size(l.file) % MIB)
		odd(k, "the file's size is no multiple of 1 MiB");
	if (info->log_dirty)
		odd(k, "the log is replayed when it attaches the disk, which "
		    "it can't read-only");
	if (info->has_parent)
		check_locators(k, info->parents, info->n_parents);
	imgctl_find(k, IMGCTL_NOTE, OUT_OK, "azure", "azure: takes fixed VHDs "
		    "of whole MiB, not this one");
}

void imgctl_check_windows(struct imgctl_check *k, const struct imgctl_leaf *l)
{
	if (!l->vhd && !l->vhdx) {
		wrong(k, "attaches VHD and VHDX, no raw disk");
		return;
	}
	check_name(k, l);
	check_host(k, l->file);
	if (l->vhd)
		check_vhd(k, vhd_info(l->vhd));
	else
		check_vhdx(k, *l);
}
