# SPDX-License-Identifier: GPL-3.0-or-later
"""VHDX: block states in base and child, and BAT entries that lie."""
import hashlib
import random

import pytest

from conftest import run
from make import vhdx
from make.vhdx import MIB, Vhdx


@pytest.fixture
def chain(tool, tmp_path):
    """chain([leaf, ..., base], *lines): the answers."""
    def drive(files, *lines, ro=True):
        paths = [v.write(tmp_path / f"{n}.vhdx") for n, v in enumerate(files)]
        parents = [a for p in paths[1:] for a in ("--parent", p)]
        p = run(tool("vhdxtool"), "open", *["--ro"] * ro, *parents, paths[0],
                stdin="\n".join(lines) + "\n", check=False)
        return p.stdout.split("\n")[:-1] if p.returncode == 0 else p.stderr
    return drive


def child(size=8 * MIB, **kw):
    return Vhdx(size, parent=vhdx.linkage(), **kw)


def base(size=8 * MIB, **kw):
    v = Vhdx(size, **kw)
    for blk in range(v.n_blocks):
        v.put(blk, vhdx.FULL, b"P" * v.block)
    return v


@pytest.mark.parametrize("state", [0, 1, 2, 3])
def test_vhdx_absent_states_in_a_base_read_zero(chain, state):
    v = Vhdx(8 * MIB)
    v.put(1, state)
    assert chain([v], "read 1m 2", "map 1m 1m") == ["0000", "zero+1048576"]


@pytest.mark.parametrize("state, want", [(0, "50"), (1, "00"), (2, "00"),
                                         (3, "00"), (6, "43")])
def test_vhdx_states_in_a_child(chain, state, want):
    v = child()
    v.put(1, state, b"C" * MIB if state == 6 else b"")
    assert chain([v, base()], "read 1m 1", "read 2m 1") == [want, "50"]


def test_vhdx_full_block_does_not_ask_its_bits(chain):
    v = child()
    v.put(1, vhdx.FULL, b"C" * MIB)
    v.bits(0, [])
    assert chain([v, base()], "read 1m 1") == ["43"]


def test_vhdx_partial_in_a_base_is_full(chain):
    v = Vhdx(8 * MIB)
    v.put(1, vhdx.PARTIAL, b"C" * MIB)
    assert chain([v], "read 1m 1") == ["43"]


@pytest.mark.parametrize("raw", [
    4, 5, 6, MIB | 6, 2 * MIB | 6, 3 * MIB | 6, 1 << 40 | 6,
    (1 << 64) - MIB | 6, 5 * MIB | 8 | 6, 5 * MIB | 1 << 19 | 6,
    2 * MIB | 3, 1 << 44 | 1])
def test_vhdx_lying_entry_is_an_error(chain, raw):
    v = Vhdx(8 * MIB)
    v.put(0, vhdx.FULL, b"A")
    v.bat[1] = raw
    assert chain([v], "read 0 1", "read 1m 1", "map 1m 1") == [
        "41", "error EUCLEAN", "error EUCLEAN"]


@pytest.mark.parametrize("raw", [0, 2, 4, 2 * MIB | 6, 1 << 40 | 6, MIB | 6, 6])
def test_vhdx_partial_without_a_bitmap_is_an_error(chain, raw):
    v = child()
    v.put(1, vhdx.PARTIAL, b"C" * MIB)
    v.bat[v.chunk] = raw
    assert chain([v, base()], "read 1m 1", "read 2m 1") == [
        "error EUCLEAN", "50"]


def test_vhdx_bitmap_entry_seven_counts_as_six(chain):
    v = child()
    v.put(1, vhdx.PARTIAL, b"C" * MIB)
    v.bits(0, [MIB // 512], state=7)
    assert chain([v, base()], "read 1m 1", "read 1049088 1") == ["43", "50"]


@pytest.mark.parametrize("lss", [512, 4096])
def test_vhdx_bit_order(chain, lss):
    v = child(lss=lss)
    per = MIB // lss
    picks = [0, 7, 8, per - 1, per, 2 * per - 1]
    for blk in (0, 1):
        v.put(blk, vhdx.PARTIAL, b"C" * MIB)
    v.bits(0, picks)
    got = chain([v, base(lss=lss)],
                *(f"read {s * lss} 1" for s in range(2 * per + 1)))
    assert [s for s, text in enumerate(got) if text == "43"] == picks


@pytest.mark.parametrize("lss, block, parent_block", [
    (512, MIB, 32 * MIB), (4096, MIB, MIB), (512, 4 * MIB, MIB)])
def test_vhdx_random_bits_three_deep(chain, lss, block, parent_block):
    rng = random.Random(lss + block)
    size = 9 * MIB
    files, want = [], bytearray(b"\0" * size)
    for level in range(3):
        v = (Vhdx(size, block=parent_block, lss=lss) if not level else
             child(size, block=block, lss=lss))
        fill, bits = bytes([0x61 + level]), []
        for blk in range(v.n_blocks):
            at, end = blk * v.block, min(size, (blk + 1) * v.block)
            state = rng.choice([0, 2, 6, 7] if level else [0, 2, 6])
            v.put(blk, state, fill * v.block if state >= 6 else b"")
            if state == 2:
                want[at:end] = bytes(end - at)
            elif state == 6:
                want[at:end] = fill * (end - at)
            elif state == 7:
                at += lss * rng.randrange(0, 100)
                end = min(end, at + lss * rng.randrange(1, 300))
                want[at:end] = fill * (end - at)
                bits += range(at // lss, end // lss)
        if level:
            v.bits(0, bits)
        files.insert(0, v)
    assert chain(files, f"sha256 0 {size}") == [
        hashlib.sha256(want).hexdigest()]


def test_vhdx_child_larger_than_its_parent(chain):
    assert chain([child(8 * MIB), base(2 * MIB)], "read 2097151 3",
                 "map 1m 7m") == ["500000", f"4@{5 * MIB}+1048576 zero+6291456"]


def test_vhdx_sector_sizes_of_a_chain_must_agree(chain):
    text = chain([child(lss=512), base(lss=4096)], "size")
    assert "sectors of 4096" in text and "ESTALE" in text


def test_vhdx_map_composes(chain):
    v = child()
    v.put(1, vhdx.PARTIAL, b"C" * MIB)
    v.bits(0, range(MIB // 512, MIB // 512 + 4))
    off = v.bat[1] & ~0xFFFFF
    assert chain([v, base()], "map 0 2m") == [
        f"4@{4 * MIB}+1048576 3@{off}+2048 4@{5 * MIB + 2048}+1046528"]


@pytest.mark.parametrize("what", [
    "overlap", "bitmap overlap", "anchor overlap", "no bitmap", "state",
    "reserved", "region", "past the end"])
def test_vhdx_writing_is_refused_on_any_lie(chain, what):
    v = child()
    off = v.put(0, vhdx.FULL, b"C")
    v.put(1, vhdx.FULL, b"D")
    v.bat[2] = {"overlap": off | 6, "bitmap overlap": 0, "state": 4,
                "anchor overlap": off | 3, "no bitmap": v.take(MIB) | 7,
                "reserved": v.take(MIB) | 0x106, "region": 3 * MIB | 6,
                "past the end": 1 << 40 | 6}[what]
    if what == "bitmap overlap":
        v.bat[v.chunk] = off | 6
    got = chain([v, base()], "begin", "write 3m 1 1", "read 0 1", ro=False)
    assert got == ["error EUCLEAN", "error EROFS", "43"]


def test_vhdx_last_chunk_without_bitmap_is_found(chain):
    v = child(2 * 4096 * MIB)
    v.bat[v.index(v.n_blocks - 1)] = v.take(MIB) | 7
    assert chain([v, Vhdx(8 * MIB)], "begin", ro=False) == ["error EUCLEAN"]
