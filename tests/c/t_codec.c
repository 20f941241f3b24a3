/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The decoders on the vectors of formats/codec/FORMAT.md 8.1, whole and
 * damaged; every buffer is exactly as large as it must be. */
#include <stdint.h>

#include "formats/base/bounds.h"
#include "formats/base/err.h"
#include "formats/codec/codec_int.h"
#include "tests/c/check.h"

#define CHUNK 32768

static const uint8_t lzx_abc[] = {
	0x1a, 0x20, 0x00, 0x42, 0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x01, 0x30,
	0xda, 0x07, 0x3e, 0xfb, 0xf5, 0xfb, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x01, 0x00, 0x08, 0x01, 0x17, 0x67, 0xfb, 0x3e, 0x80, 0xed, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x08, 0x00, 0x7f, 0x08, 0x8f, 0xff, 0x1b, 0xfa,
	0x80, 0x96,
};
static const uint8_t lzx_raw[] = {
	0x00, 0x60, 0x00, 0x40, 0x01, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
	0x01, 0x00, 0x00, 0x00, 0x41, 0x42, 0x43, 0x44,
};
static const uint8_t lzms_abc[] = {
	0xee, 0x64, 0xd0, 0xff, 0x00, 0x00, 0x00, 0x60, 0x27, 0x63, 0x62, 0x61,
};
static const uint8_t lzms_ramp[] = {
	0x26, 0x3a, 0x78, 0x1e, 0x00, 0x00, 0x00, 0x00, 0x00, 0xea, 0x75, 0x94,
	0x13, 0x2c, 0x10, 0x5c, 0x2c, 0xf6, 0x03, 0xef, 0x03, 0xe8,
};
static const uint8_t lzms_cat[] = {
	0x21, 0x0f, 0x1d, 0xc1, 0x00, 0xb8, 0x00, 0x00, 0x50, 0xbf, 0x0a, 0xda,
	0xa9, 0xda, 0x2c, 0x8b, 0x0e, 0xc4, 0xed, 0xcd, 0xfa, 0x73, 0x20, 0x74,
	0x61, 0x63, 0x20, 0x65, 0x68, 0x74,
};

struct vector {
	enum codec_kind kind;
	const uint8_t *in;
	size_t in_len;
	const uint8_t *want;
	size_t len;
};

/* Decodes with a codec of its own, from and into exact buffers. */
static int decode(enum codec_kind kind, const uint8_t *in, size_t in_len,
		  uint8_t *out, size_t len)
{
	uint8_t *exact_in = malloc(in_len + !in_len), *exact = malloc(len);
	struct codec *c;
	int err;

	CHECK_INT(codec_new(kind, CHUNK, &c), 0);
	memcpy(exact_in, in, in_len);
	err = codec_decode(c, exact_in, in_len, exact, len);
	memcpy(out, exact, len);
	codec_free(c);
	free(exact_in);
	free(exact);
	return err;
}

static void whole(const struct vector *v)
{
	uint8_t out[CHUNK];

	CHECK_INT(decode(v->kind, v->in, v->in_len, out, v->len), 0);
	CHECK(!memcmp(out, v->want, v->len));
}

/* Damaged input is told, or gives other bytes; the sanitizers watch. */
static void damaged(const struct vector *v)
{
	uint8_t in[512], out[CHUNK];
	int err;

	for (size_t n = 0; n < v->in_len; n++) {
		err = decode(v->kind, v->in, n, out, v->len);
		CHECK(!err || err == -ERR_CORRUPT);
		if (n < 4)
			CHECK_INT(err, -ERR_CORRUPT);
	}
	memcpy(in, v->in, v->in_len);
	for (size_t bit = 0; bit < v->in_len * 8; bit++) {
		in[bit / 8] ^= (uint8_t)(1 << bit % 8);
		err = decode(v->kind, in, v->in_len, out, v->len);
		CHECK(!err || err == -ERR_CORRUPT);
		in[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void test_vectors(void)
{
	uint8_t xpress[263] = { [48] = 0x20, [49] = 0x33, [128] = 0x02,
		[143] = 0x20, [256] = 0x2a, 0x37, 0, 0, 0xff, 0x9d, 0x01 };
	uint8_t abc[420], ramp[128];
	static const char cat[] =
		"the cat sat on the mat; the cat sat on the mat; ";
	const struct vector all[] = {
		{ CODEC_XPRESS, xpress, sizeof(xpress), abc, sizeof(abc) },
		{ CODEC_LZX, lzx_abc, sizeof(lzx_abc), abc, sizeof(abc) },
		{ CODEC_LZX, lzx_raw, sizeof(lzx_raw),
		  (const uint8_t *)"ABCD", 4 },
		{ CODEC_LZMS, lzms_abc, sizeof(lzms_abc), abc, sizeof(abc) },
		{ CODEC_LZMS, lzms_ramp, sizeof(lzms_ramp), ramp,
		  sizeof(ramp) },
		{ CODEC_LZMS, lzms_cat, sizeof(lzms_cat),
		  (const uint8_t *)cat, 48 },
	};

	for (int i = 0; i < 420; i++)
		abc[i] = (uint8_t)('a' + i % 3);
	for (int i = 0; i < 64; i++) {
		ramp[2 * i] = (uint8_t)(1000 + 7 * i);
		ramp[2 * i + 1] = (uint8_t)((1000 + 7 * i) >> 8);
	}
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		whole(&all[i]);
		damaged(&all[i]);
	}
}

static void test_what_is_refused(void)
{
	struct codec *c = NULL;
	uint8_t b[CHUNK + 1] = { 0 };

	CHECK_INT(codec_new(CODEC_NONE, CHUNK, &c), -EINVAL);
	CHECK_INT(codec_new(CODEC_LZX, 16384, &c), -EINVAL);
	CHECK_INT(codec_new(CODEC_LZX, 1 << 22, &c), -EINVAL);
	CHECK_INT(codec_new(CODEC_XPRESS, 1 << 17, &c), -EINVAL);
	CHECK_INT(codec_new(CODEC_LZMS, (1u << 30) + 1, &c), -EINVAL);
	CHECK(!c);
	for (int kind = CODEC_XPRESS; kind <= CODEC_LZMS; kind++) {
		CHECK_INT(codec_new(kind, CHUNK, &c), 0);
		CHECK_INT(codec_decode(c, b, 0, b, 1), -ERR_CORRUPT);
		CHECK_INT(codec_decode(c, b, 0, b, 0), 0);
		CHECK_INT(codec_decode(c, b, 8, b, CHUNK + 1), -EINVAL);
		codec_free(c);
	}
	codec_free(NULL);
	CHECK_INT(decode(CODEC_LZMS, b, 5, b, 100), -ERR_CORRUPT);
}

static void test_e8_of_lzx(void)
{
	static const uint8_t operand[][8] = {
		{ 0x64, 0, 0, 0, 0x50, 0, 0, 0 },
		{ 0xec, 0xff, 0xff, 0xff, 0xec, 0x1a, 0xb7, 0 },
		{ 0xeb, 0xff, 0xff, 0xff, 0xeb, 0xff, 0xff, 0xff },
		{ 0, 0x1b, 0xb7, 0, 0, 0x1b, 0xb7, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(operand); i++) {
		uint8_t out[100] = { [20] = 0xe8, [90] = 0xe8 };

		memcpy(out + 21, operand[i], 4);
		codec_lzx_unfilter(out, sizeof(out));
		CHECK(!memcmp(out + 21, operand[i] + 4, 4));
		CHECK(!out[91]);
	}
}

/* The slots of FORMAT.md 5.7 and 5.8 that are given for checking. */
static void test_slots_of_lzms(void)
{
	struct lzms *z = calloc(1, sizeof(*z));

	codec_lzms_init(z);
	CHECK_INT(z->off_base[427], 4056229);
	CHECK_INT(z->off_base[799], 1180427429);
	CHECK_INT(z->len_base[53], 67755);
	CHECK_INT(z->len_base[54], 1073809579);
	free(z);
}

static void code_is(unsigned int n, const uint32_t *freq, const char *want)
{
	uint32_t table[1 << LZMS_POWER_ROOT], f[LZMS_POWERS];
	struct lzms_code c = {
		{ n, LZMS_POWER_ROOT, 15, LZMS_POWER_ROOM, false },
		table, f, 512, 0
	};

	memcpy(f, freq, n * sizeof(*f));
	codec_lzms_code_rebuild(&c);
	for (unsigned int s = 0; s < n; s++, want += strspn(want, " ")) {
		size_t len = strspn(want, "01");
		unsigned long code = strtoul(want, NULL, 2);

		CHECK_INT(table[code << (LZMS_POWER_ROOT - len)],
			  s << 8 | len);
		CHECK_INT(f[s], freq[s] / 2 + 1);
		want += len;
	}
}

static void test_codes_of_lzms(void)
{
	code_is(5, (uint32_t[]){ 1, 1, 1, 1, 1 }, "110 111 00 01 10");
	code_is(5, (uint32_t[]){ 1, 1, 2, 2, 3 }, "110 111 00 01 10");
	code_is(4, (uint32_t[]){ 3, 1, 1, 2 }, "0 110 111 10");
	code_is(6, (uint32_t[]){ 5, 5, 5, 5, 1, 1 },
		"110 00 01 10 1110 1111");
	code_is(7, (uint32_t[]){ 1, 1, 1, 3, 4, 7, 11 },
		"111110 111111 11110 1110 110 10 0");
}

int main(void)
{
	test_vectors();
	test_what_is_refused();
	test_e8_of_lzx();
	test_slots_of_lzms();
	test_codes_of_lzms();
	return 0;
}
