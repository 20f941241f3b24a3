# SPDX-License-Identifier: GPL-3.0-or-later
"""formats/codec against libwim's encoders: every format, every legal chunk
size, all kinds of data, and damage. tests/c/t_codec.c has the vectors."""
import math
import pathlib
import random
import struct
import subprocess

import pytest

SIZES = {
    "xpress": [1 << n for n in range(12, 17)],
    "lzx": [1 << n for n in range(15, 22)],
    "lzms": [1 << n for n in range(15, 23)],
}
ALL = [(kind, size) for kind, sizes in SIZES.items() for size in sizes]
KINDS = ["zeros", "random", "text", "code", "repetitive", "ramps16", "waves32",
         "near", "mixture"]


def code():
    """x86 instructions with calls and addresses, more than one chunk."""
    return pathlib.Path("/usr/bin/python3").resolve().read_bytes()


def text(rnd, size):
    words = ["".join(rnd.choices("etaoinshrdlu", k=rnd.randint(2, 9)))
             for _ in range(700)]
    out = " ".join(rnd.choices(words, k=size // 5))
    return out.encode()[:size]


def near(rnd, size):
    """Matches of every small offset and of lengths around each limit."""
    out = bytearray(b"x")
    while len(out) < size:
        offset = rnd.randint(1, 20)
        piece = rnd.randbytes(offset)
        length = rnd.choice([2, 3, 17, 18, 19, 256, 257, 258, 272, 273, 600])
        out += (piece * (length // offset + 2))[:offset + length]
    return bytes(out[:size])


def make(kind, size):
    rnd = random.Random(f"{kind} {size}")
    if kind == "zeros":
        return bytes(size)
    if kind == "random":
        # Random bytes do not shrink alone: something that does between them.
        return b"".join(rnd.randbytes(999) + bytes(200)
                        for _ in range(size // 1199 + 1))[:size]
    if kind == "text":
        return text(rnd, size)
    if kind == "code":
        data = code()
        at = rnd.randrange(max(1, len(data) - size))
        return data[at:at + size]
    if kind == "repetitive":
        return (rnd.randbytes(777) * (size // 777 + 1))[:size]
    if kind == "ramps16":
        return b"".join(struct.pack("<HH", i * 7 & 65535, (i * 3 + 9) & 65535)
                        for i in range(size // 4))
    if kind == "waves32":
        return b"".join(struct.pack("<i", int(1e6 * math.sin(i / 50)))
                        for i in range(size // 4))
    if kind == "near":
        return near(rnd, size)
    parts = [make(k, size // 8) for k in KINDS[:-1]]
    rnd.shuffle(parts)
    return b"".join(parts)


@pytest.fixture
def codec(tool):
    try:
        path = tool("codectool")
    except AssertionError:
        pytest.skip("codectool was built without libwim")

    def call(kind, chunk, data, *rest):
        p = subprocess.run([path, kind, str(chunk), *map(str, rest)],
                           input=data, capture_output=True, timeout=300)
        assert not p.returncode, p.stderr.decode(errors="replace")[-3000:]
        return [int(n) for n in p.stdout.split()]
    return call


@pytest.mark.parametrize("data", KINDS)
@pytest.mark.parametrize("kind,chunk", ALL)
def test_codec_decodes_what_libwim_compressed(codec, kind, chunk, data):
    size = min(max(chunk + chunk // 3, 200000), 700000)
    chunks, _, _ = codec(kind, chunk, make(data, size))
    # Ramps without repeats shrink for LZMS's delta matches alone, at times.
    assert chunks or data == "ramps16"


@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("data", ["zeros", "text", "code"])
def test_codec_short_chunks(codec, kind, data):
    """The last chunk of a file has any length: filters and offset slots go by
    that, LZX's window does not."""
    if kind != "xpress":
        for size in (10, 11, 12, 17, 18, 19, 255, 257, 1000, 32767, 32769):
            codec(kind, 32768, make(data, size))
    for size in (4095, 4097, 32766):
        chunks, _, _ = codec(kind, 65536, make(data, size))
        assert chunks == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lzx", "lzms"])
def test_codec_large_chunk(codec, kind):
    """Offsets beyond a megabyte, and codes rebuilt very often."""
    data = (code() + make("mixture", 4 << 20)) * 3
    chunk = 1 << 21 if kind == "lzx" else 1 << 26
    assert codec(kind, chunk, data)[0] == -(-len(data) // chunk)


@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("data", ["text", "code", "near", "waves32"])
def test_codec_damage_is_told_or_other_bytes(codec, kind, data):
    chunks, damaged, told = codec(kind, 32768, make(data, 40000), "damage", 7)
    assert chunks and damaged == 60 * chunks and told


@pytest.mark.parametrize("kind", SIZES)
def test_codec_truncated_input_is_an_error(codec, kind):
    """A third of what 'damage' does is truncation: a reader that takes the
    missing bits for zeros would find less."""
    _, damaged, told = codec(kind, 32768, make("text", 65536), "damage", 3)
    assert told >= damaged // 3
