/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The x86 filters, applied to a chunk's finished output: LZX (FORMAT.md 4.9)
 * and LZMS (5.11). All places they touch lie within the chunk by their own
 * rules, whatever the bytes. */
#include "formats/codec/codec_int.h"

/* The size of a file that every encoder of WIM assumes. */
#define E8_FILE_SIZE 12000000
#define E8_TAIL 10

static void put32(uint8_t *p, uint32_t v)
{
	le32_t raw = to_le32(v);

	memcpy(p, &raw, sizeof(raw));
}

static void e8_at(uint8_t *operand, int32_t i)
{
	int32_t a = (int32_t)le32_at(operand);

	if (a >= 0 && a < E8_FILE_SIZE)
		put32(operand, (uint32_t)(a - i));
	else if (a < 0 && a >= -i)
		put32(operand, (uint32_t)(a + E8_FILE_SIZE));
}

void codec_lzx_unfilter(uint8_t *out, size_t len)
{
	uint8_t *p = out, *end;

	if (len <= E8_TAIL)
		return;
	end = out + len - E8_TAIL;
	while (p < end) {
		p = memchr(p, 0xe8, (size_t)(end - p));
		if (!p)
			return;
		e8_at(p + 1, (int32_t)(p - out));
		p += 5;
	}
}

#define X86_TAIL	16
#define X86_NEAR	1023		/* to the last instruction, */
#define X86_NEAR_CALL	511		/* for a call half of it */
#define X86_FAR		65536
#define NOT_YET		(-1024)

typedef uint8_t vec __attribute__((vector_size(16)));

static inline vec vec_at(const uint8_t *p)
{
	vec v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* How many of the 16 bytes at p begin none of the instructions that matter,
 * all told; reads VEC_READS bytes. */
#define VEC_READS 18
static inline int32_t others(const uint8_t *p)
{
	vec a = vec_at(p), b = vec_at(p + 1), c = vec_at(p + 2), hit;
	uint64_t half;

	hit = (vec)((a & 0xfb) == 0x48) & (vec)((c & 7) == 5) &
		((vec)(b == 0x8d) | ((vec)(b == 0x8b) & (vec)(a == 0x48) &
				     (vec)((c & 0xf0) == 0)));
	hit |= (vec)((a & 0xfe) == 0xe8);
	hit |= (vec)(a == 0xf0) & (vec)(b == 0x83) & (vec)(c == 0x05);
	hit |= (vec)(a == 0xff) & (vec)(b == 0x15);
	half = le64_at(&hit);
	if (half)
		return __builtin_ctzll(half) / 8;
	half = le64_at((const uint8_t *)&hit + 8);
	return half ? 8 + __builtin_ctzll(half) / 8 : 16;
}

/* The opcode's length, 0: none. */
static inline unsigned int opcode(const uint8_t *p)
{
	switch (p[0]) {
	case 0x48:
		return (p[2] & 7) == 5 && (p[1] == 0x8d ||
			(p[1] == 0x8b && !(p[2] & 0xf0))) ? 3 : 0;
	case 0x4c:
		return (p[2] & 7) == 5 && p[1] == 0x8d ? 3 : 0;
	case 0xe8:
		return 1;
	case 0xf0:
		return p[1] == 0x83 && p[2] == 0x05 ? 3 : 0;
	case 0xff:
		return p[1] == 0x15 ? 2 : 0;
	default:
		return 0;
	}
}

/* Positions of this chunk begin here, farther than X86_FAR from the last. */
static uint32_t chunk_base(struct lzms *z, size_t len)
{
	uint32_t base = z->next_base;

	if (!base || len > UINT32_MAX - 2 * X86_FAR - base) {
		memset(z->target, 0, sizeof(z->target));
		base = 2 * X86_FAR;
	}
	z->next_base = base + (uint32_t)len + X86_FAR;
	return base;
}

/* The instruction at i whose opcode has n bytes: made absolute again where the
 * encoder made it relative. Returns its last byte's position. */
static inline int32_t translate(uint8_t *out, int32_t i, unsigned int n,
				int32_t last)
{
	uint8_t *operand = out + i + n;

	if (i - last <= (n == 1 ? X86_NEAR_CALL : X86_NEAR))
		put32(operand, le32_at(operand) - (uint32_t)i);
	return i + (int32_t)n + 3;
}

void codec_lzms_unfilter(struct lzms *z, uint8_t *out, size_t len)
{
	int32_t i = 1, at, end, last = NOT_YET;
	uint32_t base, *target;
	unsigned int n;

	if (len <= X86_TAIL + 1)
		return;
	base = chunk_base(z, len);
	end = (int32_t)len - X86_TAIL;
	while (i < end) {
		if (end - i >= VEC_READS - X86_TAIL) {
			n = (unsigned int)others(out + i);
			i += (int32_t)n;
			if (n == 16 || i >= end)
				continue;
		}
		n = opcode(out + i);
		if (!n) {
			i += out[i] == 0xe9 ? 5 : 1;
			continue;
		}
		at = i;
		i = translate(out, at, n, last);
		target = z->target + ((at + le16_at(out + at + n)) & 65535);
		if (base + (uint32_t)i - *target < X86_FAR)
			last = i;
		*target = base + (uint32_t)i;
		i++;
	}
}
