/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tables, selection and views when the n-th allocation or the n-th read
 * fails: an error of one line, or an answer that needed none of it. */
#include "tests/c/check.h"

#include <errno.h>

#include "formats/base/alloc.h"
#include "formats/base/bounds.h"
#include "formats/base/crc.h"
#include "formats/base/dev_mem.h"
#include "formats/part/part.h"
#include "formats/part/part_disk.h"
#include "formats/view/view.h"
#include "formats/volume/volume_select.h"

#define SECTORS 512u

/* A dev whose n-th read from now on fails. */
struct flaky {
	struct dev dev;
	struct dev *base;
	unsigned countdown;
};

static int flaky_read(struct dev *dev, void *buf, size_t len, uint64_t off)
{
	struct flaky *f = container_of(dev, struct flaky, dev);

	if (f->countdown && !--f->countdown)
		return -EIO;
	return dev_read(f->base, buf, len, off);
}

static const struct dev_ops flaky_ops = {
	.name = "flaky", .read = flaky_read,
};

static void put_header(uint8_t *disk, uint64_t my, uint64_t at)
{
	struct gpt_header_disk *h = (void *)(disk + my * 512);

	memset(h, 0, sizeof(*h));
	memcpy(h->signature, GPT_SIGNATURE, 8);
	h->revision = to_le32(0x10000);
	h->header_size = to_le32(GPT_HEADER_MIN);
	h->my_lba = to_le64(my);
	h->alternate_lba = to_le64(my == 1 ? SECTORS - 1 : 1);
	h->first_usable = to_le64(10);
	h->last_usable = to_le64(SECTORS - 10);
	h->entries_lba = to_le64(at);
	h->n_entries = to_le32(4);
	h->entry_size = to_le32(GPT_ENTRY_MIN);
	h->entries_crc = to_le32(crc32_zip(disk + at * 512, 512));
	h->header_crc = to_le32(crc32_zip(h, GPT_HEADER_MIN));
}

/* Two partitions; the second begins with an ext superblock. */
static void make_disk(uint8_t *disk)
{
	struct mbr_disk *mbr = (void *)disk;
	struct gpt_entry_disk *e = (void *)(disk + 2 * 512);

	memset(disk, 0, SECTORS * 512);
	mbr->entries[0].type = MBR_PROTECTIVE;
	mbr->entries[0].first = to_le32(1);
	mbr->entries[0].count = to_le32(SECTORS - 1);
	mbr->magic = to_le16(MBR_MAGIC);
	for (unsigned i = 0; i < 2; i++) {
		e[i].type.b[0] = e[i].id.b[0] = (uint8_t)(i + 1);
		e[i].first = to_le64(20 + 200 * i);
		e[i].last = to_le64(199 + 200 * i);
	}
	memcpy(disk + (SECTORS - 2) * 512, e, 512);
	put_header(disk, 1, 2);
	put_header(disk, SECTORS - 1, SECTORS - 2);
	disk[220 * 512 + 1024 + 0x38] = 0x53;
	disk[220 * 512 + 1024 + 0x39] = 0xef;
	disk[220 * 512 + 1024 + 4] = 90;
}

static int walk_all(struct dev *dev)
{
	struct diag why = DIAG_INIT;
	struct view_part parts[2] = { { .number = 1 }, { .number = 2 } };
	struct view_what what = { .disk = dev, .parts = parts, .n = 2 };
	struct volume_choice choice;
	struct part_table t;
	struct tree_attr a;
	struct tree *tree;
	int ret = part_load(dev, &t, &why);

	if (!ret && t.n != 2)
		ret = -EIO;
	if (!ret) {
		for (size_t i = 0; i < 2; i++) {
			parts[i].off = t.parts[i].off;
			parts[i].len = t.parts[i].len;
		}
		ret = volume_select(dev, &t, "type:ext2", &choice, &why);
		part_free(&t);
	}
	if (ret)
		return ret;
	CHECK_INT(choice.number, 2);
	dev_close(choice.dev);
	ret = view_raw_open(&what, &tree, &why);
	if (ret)
		return ret;
	CHECK_INT(tree_lookup(tree, TREE_ROOT, "p2.raw", &a), 0);
	CHECK_INT(a.size, 200 * 512 - 20 * 512);
	tree_close(tree);
	return 0;
}

static void test_every_allocation_fails(struct dev *dev)
{
	unsigned failed = 0;

	for (unsigned n = 1; n < 100; n++) {
		int ret;

		mem_fail_nth(n);
		ret = walk_all(dev);
		if (mem_fail_nth(0) < n)
			break;
		CHECK_INT(ret, -ENOMEM);
		failed++;
	}
	CHECK(failed > 4 && failed < 99);
}

static void test_every_read_fails(struct flaky *f)
{
	unsigned n;

	for (n = 1; n < 200; n++) {
		int ret;

		f->countdown = n;
		ret = walk_all(&f->dev);
		if (f->countdown)
			break;
		/* Another copy, an unread signature, or the error. */
		CHECK(ret == 0 || ret == -EIO || ret == -ENOENT);
	}
	CHECK(n > 10 && n < 200);
}

static void test_first_header_unreadable(struct flaky *f)
{
	struct diag why = DIAG_INIT;
	struct part_table t;
	unsigned used = 0;

	for (unsigned n = 2; n < 30; n++) {
		f->countdown = n;
		CHECK_INT(part_load(&f->dev, &t, &why), 0);
		CHECK_INT(t.n, 2);
		used += t.backup_used;
		part_free(&t);
	}
	CHECK_INT(used, 2);	/* the header's read, and the entries' */
}

int main(void)
{
	static uint8_t disk[SECTORS * 512];
	struct flaky f = { .dev = { .ops = &flaky_ops, .size = sizeof(disk),
				    .sector_size = 512 } };

	make_disk(disk);
	CHECK_INT(dev_mem_new(disk, sizeof(disk), &f.base), 0);
	CHECK_INT(walk_all(&f.dev), 0);
	test_every_allocation_fails(&f.dev);
	test_every_read_fails(&f);
	test_first_header_unreadable(&f);
	dev_close(f.base);
	return 0;
}
