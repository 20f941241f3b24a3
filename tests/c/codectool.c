/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * codectool KIND CHUNK [damage SEED] < data: each chunk compressed by libwim
 * must decode to itself. damage: every chunk also truncated and with bits
 * flipped, which must end with -ERR_CORRUPT or other bytes. Prints how many
 * chunks there were, and how many damaged ones were told.
 */
#include <stdbool.h>
#include <stdint.h>
#include <wimlib.h>

#include "formats/base/bounds.h"
#include "formats/base/err.h"
#include "formats/codec/codec.h"
#include "tests/c/check.h"

#define TRIES 60

struct job {
	struct codec *codec;
	struct wimlib_compressor *peer;
	size_t chunk;
	bool damage;
	uint64_t seed;
	unsigned long chunks, damaged, told;
};

static uint64_t next_random(struct job *j)
{
	j->seed ^= j->seed << 13;
	j->seed ^= j->seed >> 7;
	j->seed ^= j->seed << 17;
	return j->seed;
}

/* Memory of exactly the right size, so that the sanitizers see every step
 * beside it. */
static int decode(struct job *j, const uint8_t *in, size_t in_len,
		  uint8_t **out, size_t len)
{
	uint8_t *exact = malloc(in_len + !in_len);
	int err;

	memcpy(exact, in, in_len);
	*out = malloc(len);
	err = codec_decode(j->codec, exact, in_len, *out, len);
	free(exact);
	return err;
}

static void spoil(struct job *j, uint8_t *in, size_t in_len, size_t len)
{
	uint8_t *out;
	int err;

	for (int i = 0; i < TRIES; i++) {
		size_t n = in_len, at = next_random(j) % in_len;
		uint8_t bit = (uint8_t)(1 << next_random(j) % 8);

		/* Half of the flips where the codes are. */
		if (i % 2)
			at %= 300;
		at = min_of(at, in_len - 1);
		if (i % 3 == 0)
			n = at;
		else
			in[at] ^= bit;
		err = decode(j, in, n, &out, len);
		CHECK(!err || err == -ERR_CORRUPT);
		j->damaged++;
		j->told += !!err;
		free(out);
		if (i % 3)
			in[at] ^= bit;
	}
}

static void one_chunk(struct job *j, const uint8_t *data, size_t len)
{
	uint8_t *in = malloc(len), *out;
	size_t n = wimlib_compress(data, len, in, len - 1, j->peer);

	if (n) {
		CHECK_INT(decode(j, in, n, &out, len), 0);
		for (size_t i = 0; i < len; i++)
			if (out[i] != data[i]) {
				fprintf(stderr, "chunk %lu: byte %zu\n",
					j->chunks, i);
				exit(1);
			}
		free(out);
		j->chunks++;
		if (j->damage)
			spoil(j, in, n, len);
	}
	free(in);
}

static enum codec_kind kind_of(const char *name)
{
	static const char *const names[] = { "none", "xpress", "lzx", "lzms" };

	for (int i = CODEC_XPRESS; i <= CODEC_LZMS; i++)
		if (!strcmp(names[i], name))
			return (enum codec_kind)i;
	exit(2);
}

int main(int argc, char **argv)
{
	struct job j = { .damage = argc > 4 };
	enum codec_kind kind;
	uint8_t *buf;
	size_t n;

	if (argc < 3)
		return 2;
	kind = kind_of(argv[1]);
	j.chunk = strtoul(argv[2], NULL, 0);
	j.seed = argc > 4 ? strtoul(argv[4], NULL, 0) * 2 + 1 : 1;
	CHECK_INT(codec_new(kind, j.chunk, &j.codec), 0);
	/* The numbers of the kinds are those of WIM and of libwim. */
	CHECK_INT(wimlib_create_compressor((int)kind, j.chunk, 0, &j.peer), 0);
	buf = malloc(j.chunk);
	while ((n = fread(buf, 1, j.chunk, stdin)) > 1)
		one_chunk(&j, buf, n);
	printf("%lu %lu %lu\n", j.chunks, j.damaged, j.told);
	free(buf);
	wimlib_free_compressor(j.peer);
	codec_free(j.codec);
	return 0;
}
