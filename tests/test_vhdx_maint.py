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


# ---- another parent ----

def link_of(info, path):
    i = info(path)
    return (i["linkage"], i["linkage2"],
            [v for k, v in i.items() if k == "parent"])


def links(tool, path):
    out = run(tool("vhdxtool"), "info", path).stdout.splitlines()
    return [x for x in out if x.startswith(("linkage", "parent ",
                                            "data_write"))]


LONG = "../" + "/".join(["directory%03d" % n for n in range(300)]) + "/q.vhdx"


@pytest.mark.parametrize("relative, windows", [
    ("-", "-"), ("../n/q.vhdx", "-"), ("q.vhdx", "D:\\n\\q.vhdx"),
    (LONG, "D:\\" + LONG[3:].replace("/", "\\"))])
@pytest.mark.parametrize("linkage2", [
    "-", pytest.param(str(uuid.UUID(int=5)), marks=pytest.mark.slow)])
def test_vhdx_relink_is_old_or_new_at_any_crash(
        mt, vt, tool, tmp_path, relative, windows, linkage2):
    parent = base(tmp_path)
    path = child().write(tmp_path / "c.vhdx")
    content, old = whole(vt, path, [parent]), links(tool, path)
    seen = set()
    verb = f"relink {NEW} {linkage2} {relative} {windows}"
    mt(path, verb, parents=[parent])
    new = links(tool, path)
    rel = ".\\parent.vhdx" if relative == "-" else relative.replace("/", "\\")
    want = [old[0], f"linkage {NEW}", "linkage2 " + (
        linkage2 if linkage2 != "-" else str(vhdx.NO_GUID)),
        "parent 0 " + (rel if rel[0] == "." else ".\\" + rel)]
    if windows != "-":
        want.append("parent 1 \\\\?\\" + windows)
    assert new == want
    path = child().write(tmp_path / "c.vhdx")
    for n, last in mt.crash(path, verb, parents=[parent], samples=1,
                            stride=2 if linkage2 == "-" else 4):
        got = links(tool, path)
        assert got in (old, new), n
        seen.add(got == new)
        assert whole(vt, path, [parent]) == content, n
        if not last and n % 8 == 0:
            mt(path, verb, parents=[parent])
            assert links(tool, path) == new
            assert whole(vt, path, [parent]) == content
    assert seen == {False, True}


def test_vhdx_relink_many_times(mt, tool, vt, tmp_path):
    parent = base(tmp_path)
    path = child().write(tmp_path / "c.vhdx")
    size, content = path.stat().st_size, whole(vt, path, [parent])
    for n in range(12):
        mt(path, *[f"relink {uuid.UUID(int=n * 10 + k + 1)} - {LONG}{k} -"
                   for k in range(3)], parents=[parent])
    assert path.stat().st_size == size
    assert links(tool, path)[1] == f"linkage {uuid.UUID(int=113)}"
    assert whole(vt, path, [parent]) == content


@pytest.mark.parametrize("what", ["tables", "room"])
def test_vhdx_relink_in_a_crowded_region(mt, tool, vt, tmp_path, what):
    """Other items stay; a region without room is replaced by a larger one."""
    parent = base(tmp_path)
    v = child()
    if what == "room":
        v.items.append((uuid.UUID(int=77), b"x" * (MIB - (65 << 10)), 1))
    else:
        v.items += [(uuid.UUID(int=n + 100), b"%4d" % n, n % 2)
                    for n in range(1500)]
    path = v.write(tmp_path / "c.vhdx")
    content, old, seen = whole(vt, path, [parent]), links(tool, path), set()
    verb = f"relink {NEW} - {LONG} -"
    for n, last in mt.crash(path, verb, parents=[parent], samples=1,
                            stride=2):
        got = links(tool, path)
        assert got == old or got[1] == f"linkage {NEW}"
        seen.add(got == old)
        assert whole(vt, path, [parent]) == content
    assert seen == {False, True}
    items = read_items(path)
    for guid, data, flags in v.items:
        if guid != vhdx.LOCATOR:
            assert items[guid, flags & 1] == (data, flags)


def read_items(path):
    """From the file itself, region table 2 first: both must be alike."""
    raw = path.read_bytes()
    tables = [raw[o:o + vhdx.KIB64] for o in (192 << 10, 256 << 10)]
    assert tables[0] == tables[1]
    count = int.from_bytes(tables[1][8:12], "little")
    at = {tables[1][16 + 32 * n:32 + 32 * n]:
          int.from_bytes(tables[1][32 + 32 * n:40 + 32 * n], "little")
          for n in range(count)}[vhdx.META.bytes_le]
    out = {}
    for n in range(int.from_bytes(raw[at + 10:at + 12], "little")):
        e = raw[at + 32 + 32 * n:at + 64 + 32 * n]
        off, length, flags = (int.from_bytes(e[k:k + 4], "little")
                              for k in (16, 20, 24))
        out[uuid.UUID(bytes_le=e[:16]), flags & 1] = (
            raw[at + off:at + off + length], flags)
    return out


def test_vhdx_relink_refuses_a_base(mt, tmp_path):
    mt.fails(base(tmp_path), f"relink {NEW} - - -", code="EINVAL")


# ---- items of the disk ----

def test_vhdx_copy_items_at_any_crash(mt, vt, info, tmp_path):
    a, b = Vhdx(8 * MIB), Vhdx(8 * MIB, pss=512)
    a.put(3, vhdx.FULL, b"A" * MIB)
    mine, theirs = uuid.UUID(int=1000), uuid.UUID(int=1001)
    a.items += [(mine, b"mine", 1), (theirs, b"old", 3)]
    b.item(vhdx.DISK_ID, uuid.UUID(int=9).bytes_le)
    b.items += [(theirs, b"theirs" * 1000, 3), (mine, b"not", 1),
                (uuid.UUID(int=1002), b"", 2)]
    source = b.write(tmp_path / "b.vhdx")
    path = a.write(tmp_path / "a.vhdx")
    content, seen = whole(vt, path), set()
    for n, last in mt.crash(path, f"items {source}"):
        i = info(path)
        seen.add((i["disk_id"], i["pss"]))
        assert whole(vt, path) == content
    assert seen == {(str(uuid.UUID(int=7)), "4096"),
                    (str(uuid.UUID(int=9)), "512")}
    items = read_items(path)
    assert items[mine, 1] == (b"mine", 1)
    assert items[theirs, 1] == (b"theirs" * 1000, 3)
    assert items[uuid.UUID(int=1002), 0] == (b"", 2)
    assert len(items) == 8


def test_vhdx_copy_items_that_are_there_changes_nothing(mt, tmp_path):
    path = Vhdx(8 * MIB).write(tmp_path / "a.vhdx")
    before = path.read_bytes()
    source = Vhdx(8 * MIB).write(tmp_path / "b.vhdx")
    mt(path, f"items {source}")
    assert path.read_bytes() == before


def test_vhdx_copy_items_of_a_crowd(mt, tmp_path):
    b = Vhdx(8 * MIB)
    b.items += [(uuid.UUID(int=n + 100), b"%500d" % n, 2)
                for n in range(1700)]
    path = Vhdx(8 * MIB).write(tmp_path / "a.vhdx")
    mt(path, f"items {b.write(tmp_path / 'b.vhdx')}", "write 0 512 1")
    items = read_items(path)
    assert len(items) == 1705
    assert items[uuid.UUID(int=1799), 0] == (b"%500d" % 1699, 2)


def test_vhdx_copy_items_refuses_another_size(mt, tmp_path):
    path = Vhdx(8 * MIB).write(tmp_path / "a.vhdx")
    for other in (Vhdx(9 * MIB), Vhdx(8 * MIB, lss=4096)):
        mt.fails(path, f"items {other.write(tmp_path / 'b.vhdx')}",
                 code="EINVAL")


# ---- growing ----

def full(vt, path, size, parents=()):
    out = path.with_suffix(".out")
    vt(path, f"readf 0 {size} {out}", parents=parents, args=["--ro"])
    return out.read_bytes()


def size_of(vt, path, parents=()):
    return int(vt(path, "size", parents=parents, args=["--ro"])[0])


@pytest.mark.parametrize("last", [0, 2, 3, 6])
@pytest.mark.parametrize("lss", [512, 4096])
def test_vhdx_grow_base_at_any_crash(mt, vt, tmp_path, last, lss):
    size, new = 3 * MIB - 4096, 9 * MIB
    v = Vhdx(size, lss=lss)
    v.put(0, vhdx.FULL, b"A" * MIB)
    v.put(2, last, b"B" * MIB if last == 6 else b"")
    v.bat[v.index(5)] = (40 * MIB) | 6		# what a larger disk left
    path = v.write(tmp_path / "a.vhdx")
    content, seen = full(vt, path, size), set()
    for n, _ in mt.crash(path, f"resize {new}", samples=1):
        now = size_of(vt, path)
        got = full(vt, path, now)
        assert got[:size] == content and not any(got[size:]), n
        seen.add(now)
    assert seen == {size, new}
    run("qemu-img", "check", "-f", "vhdx", path, check=lss == 512)


@pytest.mark.parametrize("state", [0, 1, 2, 6, 7])
@pytest.mark.parametrize("new", [3 * MIB, 5 * MIB - 512, 12 * MIB])
def test_vhdx_grow_child_hides_a_larger_parent(mt, vt, tmp_path, state, new):
    parent = base(tmp_path)
    size = 3 * MIB - 8192
    v = Vhdx(size, parent=vhdx.linkage())
    v.put(2, state, b"C" * MIB if state > 5 else b"")
    if state == 7:
        v.bits(0, [4096 + n for n in range(2048) if n % 3])	# stale, too
    v.bat[v.index(4)] = 7 | (80 * MIB)
    path = v.write(tmp_path / "c.vhdx")
    content, seen = full(vt, path, size, [parent]), set()
    for n, _ in mt.crash(path, f"resize {new}", parents=[parent], samples=1,
                         stride=3):
        now = size_of(vt, path, [parent])
        got = full(vt, path, now, [parent])
        assert got[:size] == content and not any(got[size:]), n
        seen.add(now)
    assert seen == {size, new}
    assert mt(path, f"write {new - 512} 512 9", "flush",
              parents=[parent]) == ["ok", "ok"]


@pytest.mark.parametrize("parent", [
    False, pytest.param(True, marks=pytest.mark.slow)])
def test_vhdx_grow_moves_the_bat_at_any_crash(mt, vt, tmp_path, parent):
    """From one MiB of BAT to three, with blocks around the old end."""
    parents = [base(tmp_path)] if parent else []
    size, new = 5 << 30, 300 << 30
    v = Vhdx(size, parent=vhdx.linkage() if parent else None)
    for blk in (0, 4095, 4096, v.n_blocks - 1):
        v.put(blk, vhdx.FULL, bytes([blk % 250 + 1]) * 4096)
    if parent:
        v.bits(0, [])
        v.put(7, vhdx.ZERO)
    else:
        v.bat[4096] = 0x1234567		# junk where no bitmap is
    path = v.write(tmp_path / "a.vhdx")
    probe = [f"read {b * MIB} 2" for b in (0, 4095, 4096, v.n_blocks - 1, 7)]
    want = vt(path, *probe, parents=parents, args=["--ro"])
    seen = set()
    for n, _ in mt.crash(path, f"resize {new}", parents=parents, samples=1,
                         stride=3):
        now = size_of(vt, path, parents)
        assert vt(path, *probe, parents=parents, args=["--ro"]) == want
        if now == new:
            assert mt(path, f"layer {size} {new - size}", options=["--ro"]
                      ) == [f"parent+{new - size}"]
        seen.add(now)
    assert seen == {size, new}
    mt(path, f"write {new - MIB} 1m 5", "write 3m 1m 6", parents=parents)
    assert vt(path, *probe, f"read {new - 2} 2", "read 3m 1",
              parents=parents, args=["--ro"]) == want + ["0505", "06"]
    if not parent:
        run("qemu-img", "check", "-f", "vhdx", path)
        run("qemu-io", "-f", "vhdx", "-c", f"read -P 5 {new - MIB} 1m",
            path)


def test_vhdx_grow_fixed_has_all_its_blocks(mt, vt, tool, tmp_path):
    path = tmp_path / "f.vhdx"
    run(tool("vhdxtool"), "create", "fixed", "4m", "1m", "512", "4096", path)
    mt(path, "write 0 4m 1", "resize 9437184", "write 9436672 512 2")
    assert full(vt, path, 9 * MIB) == (
        b"\1" * 4 * MIB + bytes(5 * MIB - 512) + b"\2" * 512)
    assert mt(path, "layer 0 9437184", options=["--ro"]) == [
        f"data+{9 * MIB}"]
    run("qemu-img", "check", "-f", "vhdx", path)


def test_vhdx_grow_to_64_tib(mt, vt, tool, tmp_path):
    path = tmp_path / "a.vhdx"
    run(tool("vhdxtool"), "create", "dynamic", "10m", "1m", "512", "4096",
        path)
    mt(path, "write 0 10m 1", "resize 64t", f"write {(64 << 40) - 512} 512 2",
       f"resize {64 << 40}")
    assert vt(path, "size", f"read {(64 << 40) - 513} 2", "read 10485759 2",
              args=["--ro"]) == [str(64 << 40), "0002", "0100"]
    assert path.stat().st_blocks * 512 < 64 * MIB
    assert "64 TiB" in run("qemu-img", "info", "-f", "vhdx", path).stdout


def test_vhdx_grow_a_file_that_was_cut_to_what_is_used(mt, vt, tmp_path):
    v = Vhdx(3 * MIB - 8192)
    v.put(2, vhdx.FULL, b"B" * (MIB - 8192))
    v.file_size = v.next - 8192
    path = v.write(tmp_path / "a.vhdx")
    mt(path, "resize 6m")
    got = full(vt, path, 6 * MIB)
    assert got[2 * MIB:3 * MIB - 8192] == b"B" * (MIB - 8192)
    assert not any(got[3 * MIB - 8192:])


def test_vhdx_resize_refusals(mt, tmp_path):
    path = Vhdx(8 * MIB).write(tmp_path / "a.vhdx")
    before = path.read_bytes()
    assert "smaller" in mt.fails(path, "resize 4m", code="EOPNOTSUPP")
    mt.fails(path, "resize 8388609", code="EINVAL")
    mt.fails(path, f"resize {(64 << 40) + 512}", code="EOPNOTSUPP")
    assert mt(path, "resize 8m") == ["ok"]
    assert path.read_bytes() == before


@pytest.mark.parametrize("verb", ["resize 400g", f"relink {NEW} - {LONG} -"])
def test_vhdx_maint_failing_anywhere_leaves_a_disk(mt, vt, tmp_path, verb):
    parent = base(tmp_path)
    path = tmp_path / "c.vhdx"
    child().write(path)
    content, done = full(vt, path, 8 * MIB, [parent]), False
    for n in range(1, 60):
        child().write(path)
        p = mt.run(path, verb, options=["--fail", n], parents=[parent])
        assert full(vt, path, 8 * MIB, [parent]) == content
        mt(path, verb, parents=[parent])
        if not p.returncode:
            done = True
            break
    assert done and n > 8


# ---- checking ----

def findings(mt, path):
    *lines, numbers = mt(path, "check", options=["--ro"])
    words = numbers.split()
    return ([" ".join(x.split(" ")[:2]) for x in lines],
            [int(w) for w in words[:8]],
            dict(zip(words[8::2], map(int, words[9::2]))))


def test_vhdx_check_of_sound_files_is_silent(mt, tool, tmp_path):
    found, states, sums = findings(mt, child().write(tmp_path / "c.vhdx"))
    assert found == [] and states == [2, 1, 1, 1, 0, 0, 1, 2]
    assert sums == {"bitmaps": 1, "allocated": 8 * MIB, "unused": 0}
    for kind in ("fixed", "dynamic"):
        path = tmp_path / f"{kind}.vhdx"
        run(tool("vhdxtool"), "create", kind, "10m", "1m", "512", "4096",
            path)
        mt(path, "write 3m 5 1", "resize 12m")
        assert findings(mt, path)[0] == []


@pytest.mark.parametrize("name, word", [
    ("header", "warning header"), ("identity", "warning header"),
    ("log", "warning log"), ("regions", "warning regions"),
    ("overlap", "error overlap"), ("region", "error block"),
    ("state", "error block"), ("reserved", "error block"),
    ("no bitmap", "error bitmap"), ("bad bitmap", "error block"),
    ("partial", "warning partial"), ("junk", "warning junk"),
    ("behind", "note behind"), ("hole", "note unused"),
    ("linkage2", "note parent"), ("locator", "warning parent")])
def test_vhdx_check_finds(mt, tmp_path, name, word):
    diff = name in ("no bitmap", "bad bitmap", "linkage2")
    parent = vhdx.linkage() if diff else None
    if name == "linkage2":
        parent = vhdx.locator([("parent_linkage", "{%s}" % NEW),
                               ("parent_linkage2", "{%s}" % NEW),
                               ("relative_path", ".\\p.vhdx")])
    size = 4097 * MIB if name == "junk" else 8 * MIB
    v = Vhdx(size, parent=parent)
    off = v.put(1, vhdx.FULL, b"A" * MIB)
    if name == "header":
        v.headers[0] = b"junk"
    elif name == "identity":
        v.headers[0] = vhdx.header(1, data_write=NEW)
    elif name == "log":
        v.dirty((0, vhdx.log_entry(5, [(v.bat_off, v.bat_page())],
                                   last=v.next)))
    elif name == "regions":
        v.tables[1] = b"junk"
    elif name == "overlap":
        v.put(2, vhdx.FULL, off=off)
    elif name == "region":
        v.put(2, vhdx.FULL, off=2 * MIB)
    elif name == "state":
        v.put(2, 4)
    elif name == "reserved":
        v.bat[2] = 8
    elif name == "no bitmap":
        v.put(2, vhdx.PARTIAL)
    elif name == "bad bitmap":
        v.bits(0, [], state=3)
    elif name == "partial":
        v.put(2, vhdx.PARTIAL)
    elif name == "junk":
        v.bat[4096] = 0x12345
    elif name == "behind":
        v.bat[20] = 6 | (4 * MIB)
    elif name == "hole":
        v.take(3 * MIB)
    elif name == "locator":
        v.items.append((vhdx.LOCATOR, vhdx.linkage(), 4))
    path = v.write(tmp_path / "a.vhdx")
    before = path.read_bytes()
    found, _, sums = findings(mt, path)
    assert found[0] == word and set(found[1:]) <= {"note unused"}, found
    assert path.read_bytes() == before
    assert sums["unused"] == {"hole": 3 * MIB, "bad bitmap": MIB}.get(name, 0)


def test_vhdx_check_of_a_hostile_table_is_short(mt, tmp_path):
    v = Vhdx(4000 * MIB)
    for n in range(4000):
        v.put(n, vhdx.FULL, off=(n % 5) * MIB)
    found, _, _ = findings(mt, v.write(tmp_path / "a.vhdx"))
    assert set(found) <= {"error block", "error overlap"}
    assert len(found) < 4000


def test_vhdx_check_of_64_tib_is_fast(mt, tool, tmp_path):
    path = tmp_path / "big.vhdx"
    run(tool("vhdxtool"), "create", "dynamic", "64t", "1m", "512", "4096",
        path)
    mt(path, f"write {60 << 40} 1 1")
    found, states, _ = findings(mt, path)
    assert found == [] and states[6] == 1 and sum(states) == 64 << 20


def test_vhdx_check_of_real_disks_has_no_errors(mt, tool, corpus):
    n = 0
    for path in sorted(corpus.rglob("*.vhdx")):
        if run(tool("vhdxtool"), "info", path, check=False).returncode:
            continue
        found, _, _ = findings(mt, path)
        assert not [f for f in found if f.startswith("error")], (path, found)
        n += 1
    assert n > 3


def test_vhdx_check_after_all_kinds_of_maintenance(mt, tmp_path):
    parent = base(tmp_path)
    path = child().write(tmp_path / "c.vhdx")
    mt(path, "resize 300g", f"relink {NEW} - {LONG} -", f"id {NEW}",
       "write 200g 1m 3", "resize 600g", parents=[parent])
    found, _, sums = findings(mt, path)
    # The two tables that were left, for the next session.
    assert found == ["note unused"] and sums["unused"] == 4 * MIB
