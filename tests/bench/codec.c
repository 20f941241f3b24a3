/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * codec KIND CHUNK FILE [LEVEL [ROUNDS]]: FILE's chunks, compressed by libwim,
 * are decoded by libwim and by us in turns; prints the best round of each in
 * MB/s of output, and the ratio. Both results are compared.
 */
#include <time.h>
#include <wimlib.h>

#include "formats/base/bounds.h"
#include "formats/codec/codec.h"
#include "tests/c/check.h"

struct piece {
	size_t off, len, in_len;
	unsigned char *in;
};

struct bench {
	unsigned char *data, *ours, *theirs;
	size_t size, total, n;
	struct piece *pieces;
	struct codec *codec;
	struct wimlib_decompressor *peer;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void load(struct bench *b, const char *path)
{
	FILE *f = fopen(path, "rb");

	CHECK(f);
	fseek(f, 0, SEEK_END);
	b->size = (size_t)ftell(f);
	rewind(f);
	b->data = malloc(b->size);
	b->ours = calloc(1, b->size);
	b->theirs = calloc(1, b->size);
	CHECK(fread(b->data, 1, b->size, f) == b->size);
	fclose(f);
}

static void squeeze(struct bench *b, int kind, size_t chunk, unsigned int level)
{
	struct wimlib_compressor *c;

	CHECK(!wimlib_create_compressor(kind, chunk, level, &c));
	b->pieces = calloc(b->size / chunk + 1, sizeof(*b->pieces));
	for (size_t off = 0; off < b->size; off += chunk) {
		struct piece p = { .off = off,
			.len = min_of(chunk, b->size - off) };

		p.in = malloc(p.len);
		p.in_len = wimlib_compress(b->data + off, p.len, p.in,
					   p.len - 1, c);
		if (p.in_len) {
			b->pieces[b->n++] = p;
			b->total += p.len;
		}
	}
	wimlib_free_compressor(c);
}

static double run_theirs(struct bench *b)
{
	double t = now();

	for (struct piece *p = b->pieces; p < b->pieces + b->n; p++)
		CHECK(!wimlib_decompress(p->in, p->in_len, b->theirs + p->off,
					 p->len, b->peer));
	return now() - t;
}

static double run_ours(struct bench *b)
{
	double t = now();

	for (struct piece *p = b->pieces; p < b->pieces + b->n; p++)
		CHECK(!codec_decode(b->codec, p->in, p->in_len,
				    b->ours + p->off, p->len));
	return now() - t;
}

int main(int argc, char **argv)
{
	static const char *const names[] = { "none", "xpress", "lzx", "lzms" };
	double t, ours = 1e9, theirs = 1e9;
	struct bench b = { 0 };
	int kind = 0, rounds;
	size_t chunk;

	if (argc < 4)
		return 2;
	for (int i = 1; i < 4; i++)
		if (!strcmp(names[i], argv[1]))
			kind = i;
	chunk = strtoul(argv[2], NULL, 0);
	rounds = argc > 5 ? atoi(argv[5]) : 7;
	load(&b, argv[3]);
	squeeze(&b, kind, chunk, argc > 4 ? (unsigned int)atoi(argv[4]) : 0);
	CHECK(!codec_new((enum codec_kind)kind, chunk, &b.codec));
	CHECK(!wimlib_create_decompressor(kind, chunk, &b.peer));
	for (int i = 0; i < rounds; i++) {
		t = run_theirs(&b);
		theirs = min_of(t, theirs);
		t = run_ours(&b);
		ours = min_of(t, ours);
	}
	CHECK(!memcmp(b.ours, b.theirs, b.size));
	printf("%s %zu: libwim %.0f MB/s, ours %.0f MB/s, %.2f x\n", argv[1],
	       chunk, (double)b.total / theirs / 1e6,
	       (double)b.total / ours / 1e6, theirs / ours);
	return 0;
}
