/* SPDX-License-Identifier: GPL-3.0-or-later */
/* imgctl convert: a disk with its chain as one new file. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "formats/base/bounds.h"
#include "formats/merge/merge.h"
#include "tools/imgctl.h"
#include "tools/imgctl_flat.h"

static int type_of(const struct imgctl_flat *f, struct imgctl_make *m,
		   struct diag *why)
{
	const char *word = f->type;

	if (!word)
		word = m->format == IMGCTL_RAW ? "fixed" : "dynamic";
	m->type = !strcmp(word, "dynamic") ? IMGCTL_DYNAMIC : IMGCTL_FIXED;
	if (m->type == IMGCTL_FIXED && strcmp(word, "fixed"))
		return diag_fail(why, EINVAL, "--type %s: should be fixed or "
				 "dynamic", word);
	if (m->type == IMGCTL_DYNAMIC && m->format == IMGCTL_RAW)
		return diag_fail(why, EINVAL, "a raw disk is not dynamic");
	/* Holes are kept: a raw file of ours is sparse unless asked for. */
	if (m->format == IMGCTL_RAW && !f->type)
		m->type = IMGCTL_DYNAMIC;
	return 0;
}

/* The disk that out will be. */
static int plan(struct imgctl *c, const struct imgctl_flat *f,
		const struct dev *from, struct imgctl_make *m,
		struct diag *why)
{
	int ret = imgctl_format_of(f->format, c->files[1], &m->format, why);

	if (!ret)
		ret = type_of(f, m, why);
	if (ret)
		return ret;
	if (f->block > UINT32_MAX)
		return diag_fail(why, EINVAL, "--block: too large");
	m->size = dev_size(from);
	m->block_size = (uint32_t)f->block;
	if (m->format == IMGCTL_VHDX) {
		m->sector_size = from->sector_size;
		m->phys_sector_size = from->phys_sector_size;
	} else if (m->format == IMGCTL_VHD && from->sector_size != 512) {
		return diag_fail(why, ERR_UNSUPP, "a VHD has sectors of 512 "
				 "bytes, %s of %u", c->files[0],
				 from->sector_size);
	}
	return 0;
}

static int say(struct imgctl *c, const struct imgctl_copied *done)
{
	char data[IMGCTL_SIZE_TEXT], zero[IMGCTL_SIZE_TEXT],
	     skip[IMGCTL_SIZE_TEXT];

	if (c->json)
		return imgctl_put_json(c, json_pack(
			"{s:o, s:o, s:o, s:o}",
			"image", imgctl_json_text(c->files[1]),
			"copied", imgctl_json_u64(done->data),
			"zero", imgctl_json_u64(done->zero),
			"free", imgctl_json_u64(done->skipped)));
	printf("%s: %s copied, %s of zeros left out", c->files[1],
	       imgctl_size_text(done->data, data),
	       imgctl_size_text(done->zero, zero));
	if (done->skipped)
		printf(", %s that are free inside",
		       imgctl_size_text(done->skipped, skip));
	puts("");
	return OUT_OK;
}

static volatile sig_atomic_t signalled;

static void on_signal(int sig)
{
	signalled = sig;
}

static bool stop(void *ctx)
{
	return signalled;
}

static void progress(void *ctx, uint64_t done, uint64_t total)
{
	if (done < total)
		imgctl_progress(done, total);
}

/* The merger's engine: many readers, and ranges of files that the kernel
 * copies or shares. */
static int merge(struct imgctl *c, struct disk *d, const struct imgctl_make *m,
		 struct imgctl_copied *out, struct diag *why)
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct merge_job job = { .progress = progress, .stop = stop };
	struct merge_flat flat = {
		.format = m->format == IMGCTL_VHD ? DISK_VHD : DISK_VHDX,
		.kind = m->type == IMGCTL_FIXED ? MERGE_FIXED : MERGE_DYNAMIC,
		.prealloc = m->type == IMGCTL_FIXED,
		.block_size = m->block_size,
	};
	struct merge_done done = { 0 };
	int ret;

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	ret = merge_to_file(d, c->files[1], &flat, &job, &done, why);
	imgctl_progress(0, 0);
	out->data = done.copied + done.cloned;
	out->zero = m->size - min_of(out->data, m->size);
	out->skipped = 0;
	return ret;
}

static int fill(struct imgctl *c, struct disk *d, const struct imgctl_flat *f,
		struct imgctl_copied *done, struct diag *why)
{
	struct imgctl_make m = { 0 };
	struct imgctl_new n;
	int ret = plan(c, f, disk_dev(d), &m, why);

	if (!ret && !f->skip && m.format != IMGCTL_RAW)
		return merge(c, d, &m, done, why);
	if (!ret)
		ret = imgctl_new_open(c, c->files[1], &m, true, &n, why);
	if (ret)
		return ret;
	ret = imgctl_copy(disk_dev(d), imgctl_new_dev(&n), f->skip, done, why);
	if (ret) {
		imgctl_new_abort(&n);
		return ret;
	}
	return imgctl_new_finish(&n, why);
}

int imgctl_flatten(struct imgctl *c, struct imgctl_flat *f)
{
	struct imgctl_copied done;
	struct diag why = DIAG_INIT;
	struct disk *d;
	int ret = disk_open(c->files[0], &c->disk, &d, &why);

	if (ret)
		return imgctl_fail(c, &why);
	if (f->prepare)
		ret = f->prepare(f, d, &why);
	if (!ret)
		ret = fill(c, d, f, &done, &why);
	disk_close(d);
	return ret ? imgctl_fail(c, &why) : say(c, &done);
}

static int run(struct imgctl *c, void *arg)
{
	return imgctl_flatten(c, arg);
}

int imgctl_convert(struct imgctl *c, int argc, char **argv)
{
	static const struct imgctl_form forms[] = { { NULL, run } };
	struct imgctl_flat f = { 0 };
	const struct imgctl_opt own[] = {
		{ "format", IMGCTL_TEXT, &f.format },
		{ "type", IMGCTL_TEXT, &f.type },
		{ "block", IMGCTL_SIZE, &f.block },
		{ NULL, IMGCTL_FLAG, NULL },
	};
	struct diag why = DIAG_INIT;
	int ret = imgctl_args(c, argc, argv, own, 2, 2, &why);

	if (ret == 1)
		return OUT_OK;
	return ret ? imgctl_fail(c, &why) : imgctl_by_content(forms, 1, c, &f);
}
