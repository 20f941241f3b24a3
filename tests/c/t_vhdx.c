/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The vectors of FORMAT.md, and what is easier to see from the inside. */
#include "tests/c/check.h"

#include "formats/base/dev_mem.h"
#include "formats/vhdx/vhdx_int.h"

static void counting(void *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = (uint8_t)i;
}

static void test_header_vector(void)
{
	struct vhdx_header h = {
		.seq = 1, .version = 1,
		.log_length = VHDX_MIB, .log_offset = VHDX_MIB,
	};
	struct vhdx_disk_header raw;

	counting(&h.file_write, 16);
	for (int i = 0; i < 16; i++)
		h.data_write.b[i] = (uint8_t)(16 + i);
	vhdx_header_encode(&h, &raw);
	CHECK_INT(le32(raw.crc), 0x7DB9F1B9);
}

static void test_region_vector(void)
{
	static uint8_t raw[VHDX_KIB64];
	struct vhdx_disk_regions *t = (void *)raw;
	struct vhdx_disk_region *r = (void *)(t + 1);

	memcpy(t->sig, "regi", 4);
	t->count = to_le32(2);
	r[0] = (struct vhdx_disk_region) {
		VHDX_REGION_BAT, to_le64(3 << 20), to_le32(1 << 20), to_le32(1),
	};
	r[1] = (struct vhdx_disk_region) {
		VHDX_REGION_META, to_le64(2 << 20), to_le32(1 << 20),
		to_le32(1),
	};
	CHECK_INT(vhdx_crc(raw, sizeof(raw), 4), 0xC66B8CAE);
}

static void test_log_entry_vectors(void)
{
	static uint8_t buf[2 * VHDX_PAGE];
	struct vhdx x = {
		.log = { .seq = 1, .flushed_size = 4 << 20,
			 .last_size = 4 << 20 },
	};
	struct vhdx_disk_entry *e = (void *)buf;
	static uint8_t page[VHDX_PAGE];
	struct vhdx_image image = { 3 << 20, page };
	static const uint8_t want[32] = {
		0x64, 0x65, 0x73, 0x63, 0xFC, 0xFD, 0xFE, 0xFF,
		0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,
		0x00, 0x00, 0x30, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x02, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
	};

	counting(&x.hdr.log, 16);
	vhdx_logw_encode(&x, NULL, 0, buf);
	CHECK_INT(le32(e->crc), 0x610687DE);

	x.log.seq = 0x100000002;
	x.log.flushed_size = x.log.last_size = 8 << 20;
	counting(page, sizeof(page));
	vhdx_logw_encode(&x, &image, 1, buf);
	CHECK(!memcmp(buf + 64, want, sizeof(want)));
	CHECK(!memcmp(buf + VHDX_PAGE, "data\1\0\0\0", 8));
	CHECK(!memcmp(buf + 2 * VHDX_PAGE - 4, "\2\0\0\0", 4));
	/* The vector's entry has a zero descriptor behind ours. */
	e->count = to_le32(2);
	memcpy(buf + 96, "zero", 4);
	buf[96 + 9] = 0x20;
	buf[96 + 18] = 0x40;
	memcpy(buf + 96 + 24, want + 24, 8);
	CHECK_INT(vhdx_crc(buf, sizeof(buf), 4), 0xC204F465);
}

/* One flush of n pages, as vhdx_commit.c does it; every part must leave the
 * last durable sequence alone. */
static void flush_into_log(struct vhdx *x, size_t n)
{
	uint32_t length = x->hdr.log_length;

	x->log.tail = x->log.head;
	while (n) {
		uint32_t kept = (x->log.head + length - x->log.kept) % length;
		uint32_t start = x->log.head;
		size_t k = vhdx_logw_room(x, n), pages;

		CHECK(k > 0 && k <= n);
		pages = k + div_up(k, VHDX_FIRST_DESCS);
		CHECK(kept + pages * VHDX_PAGE < length);
		x->log.head = (start + pages * VHDX_PAGE) % length;
		x->log.kept = x->log.tail;
		x->log.tail = start;
		n -= k;
	}
}

static void test_log_room_leaves_the_last_sequence(void)
{
	for (uint32_t mib = 1; mib <= 8; mib++) {
		struct vhdx x = { .hdr.log_length = mib * VHDX_MIB };

		x.log.head = VHDX_PAGE;
		srandom(mib);
		for (int i = 0; i < 20000; i++)
			flush_into_log(&x, 1 + (size_t)random() %
				       (i % 3 ? 130 : 400));
		x.log.tail = x.log.head;
		x.log.kept = x.log.head;
		CHECK(vhdx_logw_room(&x, 126) == 126);
	}
}

static struct vhdx *open_new(const struct vhdx_create *what)
{
	struct diag why = DIAG_INIT;
	struct vhdx *x;
	struct dev *d;

	CHECK_INT(dev_mem_new(NULL, 0, &d), 0);
	CHECK_INT(vhdx_create(d, what, &why), 0);
	CHECK_INT(vhdx_open(d, NULL, &x, &why), 0);
	return x;
}

/* The table of FORMAT.md 6. */
static void test_geometry_table(void)
{
	static const struct {
		uint64_t size;
		uint32_t block, lss;
		uint64_t blocks, entries;
	} rows[] = {
		{ 10ull << 30, 2 << 20, 512, 5120, 5122 },
		{ 1ull << 40, 32 << 20, 4096, 32768, 32799 },
		{ 5ull << 30, 256 << 20, 512, 20, 21 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct vhdx *x = open_new(&(struct vhdx_create) {
			.type = VHDX_DYNAMIC, .size = rows[i].size,
			.block_size = rows[i].block,
			.sector_size = rows[i].lss,
		});

		CHECK_INT(x->n_blocks, rows[i].blocks);
		CHECK_INT(x->n_entries, rows[i].entries);
		vhdx_close(x);
	}
}

static void test_present_block_is_one_run_without_io(void)
{
	struct vhdx *x = open_new(&(struct vhdx_create) {
		.type = VHDX_FIXED, .size = 8 << 20, .block_size = 4 << 20,
	});
	struct dev_run run;

	CHECK_INT(dev_map(vhdx_dev(x), 1 << 20, 1 << 20, &run, 1), 1);
	CHECK(run.len == 1 << 20 && run.kind == DEV_RUN_READ);
	CHECK_INT(x->pages.n, 1);
	vhdx_close(x);
}

static void test_space_first_fit_then_end(void)
{
	struct vhdx_space s;

	CHECK_INT(vhdx_space_init(&s), 0);
	CHECK_INT(vhdx_space_mark(&s, 0, VHDX_MIB), 0);
	CHECK_INT(vhdx_space_mark(&s, 3 << 20, 2 << 20), 0);
	CHECK_INT(vhdx_space_mark(&s, 4 << 20, VHDX_MIB), -ERR_CORRUPT);
	CHECK_INT(vhdx_space_mark(&s, VHDX_FILE_MAX, VHDX_MIB), -ERR_CORRUPT);
	CHECK_INT(s.end, 5 << 20);
	vhdx_space_free(&s);
}

int main(void)
{
	test_header_vector();
	test_region_vector();
	test_log_entry_vectors();
	test_log_room_leaves_the_last_sequence();
	test_geometry_table();
	test_present_block_is_one_run_without_io();
	test_space_first_fit_then_end();
	return 0;
}
