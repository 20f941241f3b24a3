# SPDX-License-Identifier: GPL-3.0-or-later
"""VHDX: layers, identity, relinking, items, growing (formats/vhdx/FORMAT.md
12.3, 13), each with the power going at any moment."""
import random
import uuid

import pytest

from conftest import run
from maint import Maint, runs
from make import vhdx
from make.vhdx import MIB, Vhdx

NEW = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
KIND = {0: "parent", 1: "zero", 2: "zero", 3: "zero", 6: "data"}


@pytest.fixture
def mt(tool):
    return Maint(tool("mainttool"), "vhdx")


@pytest.fixture
def vt(tool):
    def drive(path, *lines, parents=(), args=()):
        args = [*args, *(x for p in parents for x in ("--parent", p))]
        p = run(tool("vhdxtool"), "open", *args, path,
                stdin="\n".join(lines) + "\n")
        return p.stdout.split("\n")[:-1]
    return drive


@pytest.fixture
def info(tool):
    def read(path):
        out = run(tool("vhdxtool"), "info", path).stdout
        return dict(line.split(" ", 1) for line in out.splitlines())
    return read


def base(tmp_path, n=8, lss=512):
    v = Vhdx(n * MIB, lss=lss)
    for i in range(n):
        v.put(i, vhdx.FULL, bytes([0x50 + i]) * MIB)
    return v.write(tmp_path / "p.vhdx")


def child(size=8 * MIB, lss=512, states=(0, 1, 2, 3, 6, 7, 7, 0)):
    v = Vhdx(size, lss=lss, parent=vhdx.linkage())
    bits = []
    for blk, state in enumerate(states):
        v.put(blk, state, b"C" * MIB if state > 5 else b"")
        if state == 7:
            per = MIB // lss
            bits += range(blk * per + 1, (blk + 1) * per, 3 + blk)
    v.bits(0, bits)
    v.expect = []
    for blk, state in enumerate(states):
        n = min(MIB, size - blk * MIB)
        if state != 7:
            v.expect.append((KIND[state], n))
            continue
        at = set(bits)
        v.expect += [("data" if s in at else "parent", lss)
                     for s in range(blk * MIB // lss,
                                    (blk * MIB + n) // lss)]
    return v


def whole(vt, path, parents=()):
    size = vt(path, "size", parents=parents, args=["--ro"])[0]
    return vt(path, f"sha256 0 {size}", parents=parents, args=["--ro"])


# ---- layers ----

@pytest.mark.parametrize("lss", [512, 4096])
def test_vhdx_layer_of_each_state(mt, tmp_path, lss):
    v = child(lss=lss, size=8 * MIB - lss)
    path = v.write(tmp_path / "c.vhdx")
    assert mt(path, f"layer 0 {v.size}", options=["--ro"]) == [runs(v.expect)]


def test_vhdx_layer_of_a_base_is_parent_where_nothing_is(mt, tmp_path):
    v = Vhdx(4 * MIB)
    v.put(2, vhdx.FULL)
    path = v.write(tmp_path / "b.vhdx")
    assert mt(path, "layer 0 4m", options=["--ro"]) == [
        f"parent+{2 * MIB} data+{MIB} parent+{MIB}"]


@pytest.mark.parametrize("size", [4 << 30, 9000 * MIB, 8192 * MIB + 512])
def test_vhdx_layer_across_bitmap_entries(mt, tmp_path, size):
    """Chunks of 4096 blocks: their entries lie between those of blocks."""
    rng = random.Random(size)
    v = Vhdx(size, parent=vhdx.linkage())
    kinds = {}
    for _ in range(60):
        blk = rng.choice([rng.randrange(v.n_blocks), 4095, 4096, 0,
                          v.n_blocks - 1]) % v.n_blocks
        kinds[blk] = rng.choice([1, 2, 3])
        v.put(blk, kinds[blk])
    v.bits(0, [])
    path = v.write(tmp_path / "c.vhdx")
    want = [("zero" if b in kinds else "parent", min(MIB, size - b * MIB))
            for b in range(v.n_blocks)]
    assert mt(path, f"layer 0 {size}", options=["--ro"]) == [runs(want)]


def test_vhdx_layer_of_64_tib_is_fast(mt, vt, tool, tmp_path):
    path = tmp_path / "big.vhdx"
    run(tool("vhdxtool"), "create", "dynamic", "64t", "1m", "512", "4096",
        path)
    mt(path, f"write {60 << 40} 1 1", f"layer 0 {64 << 40}", "flush")
    got = mt(path, f"layer 0 {64 << 40}", options=["--ro"])
    assert got == [f"parent+{60 << 40} data+{MIB} "
                   f"parent+{(4 << 40) - MIB}"]


def test_vhdx_layer_sees_what_was_just_written(mt, tmp_path):
    parent = base(tmp_path)
    path = child(states=(0,) * 8).write(tmp_path / "c.vhdx")
    got = mt(path, f"write {3 * MIB + 512} 512 1", "layer 0 8m", "flush",
             "layer 0 8m", parents=[parent])
    want = f"parent+{3 * MIB + 512} data+512 parent+{5 * MIB - 1024}"
    assert got == ["ok", want, "ok", want]


def test_vhdx_layer_through_a_dirty_log(mt, tmp_path):
    v = Vhdx(8 * MIB)
    off = v.put(3, vhdx.FULL)
    page = bytearray(v.bat_page())
    page[:8] = (0).to_bytes(8, "little")
    page[8:16] = (off | 6).to_bytes(8, "little")
    page[24:32] = (2).to_bytes(8, "little")
    v.dirty((0, vhdx.log_entry(5, [(v.bat_off, bytes(page))], last=v.next)))
    path = v.write(tmp_path / "d.vhdx")
    assert mt(path, "layer 0 8m", options=["--ro"]) == [
        f"parent+{MIB} data+{MIB} parent+{MIB} zero+{MIB} parent+{4 * MIB}"]


# ---- identity ----

def test_vhdx_set_data_guid_is_old_or_new_at_any_crash(mt, vt, info, tmp_path):
    v = Vhdx(4 * MIB)
    v.put(1, vhdx.FULL, b"A" * MIB)
    path = v.write(tmp_path / "a.vhdx")
    content, seen = whole(vt, path), set()
    for n, _ in mt.crash(path, f"id {NEW}"):
        got = info(path)["data_write"]
        assert got in (str(vhdx.DATA_GUID), str(NEW)), n
        seen.add(got)
        assert whole(vt, path) == content
    assert len(seen) == 2
    raw = path.read_bytes()
    assert [raw[o + 32:o + 48] for o in (65536, 131072)] == [NEW.bytes_le] * 2
    run("qemu-img", "check", "-f", "vhdx", path)


def test_vhdx_set_data_guid_stays_when_data_are_written(mt, info, tmp_path):
    path = Vhdx(4 * MIB).write(tmp_path / "a.vhdx")
    mt(path, f"id {NEW}", "write 0 4096 1", "flush", "write 2m 1 1", "flush")
    assert info(path)["data_write"] == str(NEW)


def test_vhdx_set_data_guid_twice_and_after_writing(mt, info, tmp_path):
    path = Vhdx(4 * MIB).write(tmp_path / "a.vhdx")
    other = uuid.UUID(int=99)
    mt(path, "write 0 4096 1", f"id {other}", "write 1m 1 2", f"id {NEW}")
    assert info(path)["data_write"] == str(NEW)
    assert mt(path, "layer 0 4m", options=["--ro"]) == [
        f"data+{2 * MIB} parent+{2 * MIB}"]
