# SPDX-License-Identifier: GPL-3.0-or-later
"""VHD, writing: formats/vhd/FORMAT.md 9 and 11 and the list in 13."""
import os
import random
import struct
import subprocess
import time

import pytest

import crash
from conftest import run
from make import vhd
from make.vhd import DIFF, Image, pattern
from vhd_common import Tool, runs_of, sha


@pytest.fixture
def t(tool):
    return Tool(tool("vhdtool"))


@pytest.fixture
def put(tmp_path):
    """put(bytes or Image) -> a file with them."""
    def write(data, name="d.vhd"):
        path = tmp_path / name
        path.write_bytes(data.raw if isinstance(data, Image) else data)
        return path
    return write


SIZE = 64 << 10
SOME = {0: pattern(4096, 1), 3: pattern(4096, 2), 15: pattern(4096, 3)}
CHILD_ID = b"child-id-childid"


def child(size=SIZE, **args):
    return Image(size, DIFF, parent_id=vhd.ID, footer_args={"uid": CHILD_ID},
                 **args)


def bat_of(raw):
    """The BAT by an independent reader."""
    head = struct.unpack_from(">Q", raw, 16)[0]
    off, = struct.unpack_from(">Q", raw, head + 16)
    n, = struct.unpack_from(">I", raw, head + 28)
    return struct.unpack_from(f">{n}I", raw, off)


def both_footers_good(raw):
    return raw[:512] == raw[-512:] and raw[:8] == b"conectix" and \
        struct.unpack_from(">I", raw, 64)[0] == vhd.checksum(raw[:512], 64)


# --- nothing before the first write

@pytest.mark.parametrize("script", [
    ["read 0 4096", "map 0 65536"], ["begin"], ["begin", "flush"],
    ["begin", "read 0 512", "flush"]])
def test_vhd_untouched_without_a_write(t, put, script):
    for n, img in enumerate((Image(SIZE, blocks=SOME),
                             Image(SIZE, blocks=SOME, front=bytes(512)),
                             Image(SIZE, blocks=SOME, end=b""))):
        path = put(img, f"{n}.vhd")
        os.utime(path, ns=(10 ** 18, 10 ** 18))
        t.script(path, script)
        assert path.read_bytes() == img.raw
        assert path.stat().st_mtime_ns == 10 ** 18


def test_vhd_write_before_begin_refused(t, put):
    path = put(Image(SIZE, blocks=SOME))
    assert t.script(path, ["write 0 512 1", "zero 0 512"]) == \
        ["error EROFS"] * 2


def test_vhd_read_only_file_is_not_written(t, put):
    path = put(Image(SIZE, blocks=SOME))
    assert t.script(path, ["begin", "write 0 512 1"], "--ro") == \
        ["error EROFS"] * 2


@pytest.mark.parametrize("args, code", [
    ({"footer_args": {"saved": 1}}, "EOPNOTSUPP"),
    ({"footer_args": {"features": 3}}, "EOPNOTSUPP"),
    ({"front": vhd.footer(SIZE * 2)}, "EUCLEAN"),
    ({"front": vhd.footer(SIZE, uid=b"z" * 16)}, "EUCLEAN")])
def test_vhd_state_refuses_writing_unless_forced(t, put, args, code):
    path = put(Image(SIZE, blocks=SOME, **args))
    before = path.read_bytes()
    assert t.script(path, ["begin"]) == [f"error {code}"]
    assert path.read_bytes() == before
    assert t.script(path, ["begin", "write 0 1 0", "flush"], "--force") == \
        ["ok"] * 3


def test_vhd_odd_size_is_not_written(t, put):
    raw = vhd.footer(SIZE - 100)
    path = put(raw + Image(SIZE, blocks=SOME).raw[512:-512] + raw)
    assert t.script(path, ["begin"]) == ["error EOPNOTSUPP"]


def test_vhd_unknown_next_structure_is_not_written(t, put):
    path = put(Image(SIZE, blocks=SOME, header_args={"next_off": 4096}))
    assert t.script(path, ["begin"]) == ["error EOPNOTSUPP"]


# --- dynamic

def test_vhd_dynamic_write_and_reread(t, put):
    img = Image(SIZE, blocks=SOME)
    path = put(img)
    want = bytearray(img.content())
    want[5000:14000] = b"\x07" * 9000
    want[65535:] = b"\x08"
    t.script(path, ["begin", "write 5000 9000 7", "write 65535 1 8", "flush"])
    assert t.read(path) == bytes(want)
    assert both_footers_good(path.read_bytes())


def test_vhd_dynamic_new_blocks_are_aligned_and_full(t, tmp_path):
    path = t.create(tmp_path / "d.vhd", "dynamic", "16m")
    t.script(path, ["begin", "write 5m 1 1", "write 9m 1 2", "flush"])
    raw = path.read_bytes()
    used = [e for e in bat_of(raw) if e != vhd.UNALLOCATED]
    assert len(used) == 2 and len(raw) == max(used) * 512 + (2 << 20) + 1024
    for e in used:
        assert (e * 512 + 512) % 4096 == 0
        assert raw[e * 512:e * 512 + 512] == b"\xff" * 512


def test_vhd_dynamic_new_block_over_remains_reads_zeros(t, put):
    """A gap full of an interrupted allocation's bytes is free space."""
    img = Image(SIZE, blocks=SOME)
    junk = b"\xee" * 20000 + bytes(480)
    path = put(img.raw[:-512] + junk + img.footer)
    want = bytearray(img.content())
    want[8192:8193] = want[16384:16385] = want[24576:24577] = b"\x01"
    t.script(path, ["begin", "write 8192 1 1", "write 16384 1 1",
                    "write 24576 1 1", "flush"])
    assert t.read(path) == bytes(want)
    assert both_footers_good(path.read_bytes())


def test_vhd_dynamic_large_tail_keeps_its_footer(t, put):
    img = Image(SIZE, blocks=SOME, tail=1 << 20)
    path = put(img)
    t.script(path, ["begin", "write 8192 1 1", "flush"])
    assert path.stat().st_size == len(img.raw)
    assert both_footers_good(path.read_bytes())


def test_vhd_dynamic_overwrite_changes_nothing_else(t, put):
    img = Image(SIZE, blocks=SOME)
    path = put(img)
    t.script(path, ["begin", "write 12300 1000 9", "flush"])
    raw = path.read_bytes()
    at = img.entries[3] * 512 + 512 + 12
    assert raw == img.raw[:at] + b"\x09" * 1000 + img.raw[at + 1000:]


def test_vhd_dynamic_write_under_clear_bit(t, put):
    img = Image(SIZE, blocks={2: (pattern(4096), [0, 3])})
    path = put(img)
    want = bytearray(img.content())
    want[8192 + 600:8192 + 700] = b"\x05" * 100
    want[8192 + 3584:8192 + 4096] = b"\x06" * 512
    t.script(path, ["begin", "write 8792 100 5", "write 11776 512 6", "flush"])
    assert t.read(path) == bytes(want)


def test_vhd_dynamic_zero_allocates_nothing(t, put):
    img = Image(SIZE, blocks=SOME)
    path = put(img)
    t.script(path, ["begin", f"zero 0 {SIZE}", "flush"])
    assert t.read(path) == bytes(SIZE)
    assert bat_of(path.read_bytes()) == tuple(img.entries)


def test_vhd_dynamic_511_byte_footer_written(t, put):
    img = Image(SIZE, blocks=SOME)
    path = put(img.raw[:-1])
    want = bytearray(img.content())
    want[8192:8704] = b"\x01" * 512
    t.script(path, ["begin", "write 8192 512 1", "flush"])
    assert t.read(path) == bytes(want)
    assert both_footers_good(path.read_bytes())


def test_vhd_fixed_511_byte_footer_written(t, put):
    raw = vhd.fixed(pattern(8192))[:-1]
    path = put(raw)
    t.script(path, ["begin", "write 100 100 1", "flush"])
    assert path.read_bytes() == raw[:100] + b"\x01" * 100 + raw[200:]


def test_vhd_write_past_the_end(t, put):
    path = put(Image(SIZE, blocks=SOME))
    assert t.script(path, ["begin", f"write {SIZE - 1} 2 1",
                           f"write {SIZE} 1 1", f"zero {SIZE} 1"])[1:] == \
        ["error ENOSPC"] * 3


def test_vhd_front_copy_is_repaired_before_the_first_change(t, put, tmp_path):
    img = Image(SIZE, blocks=SOME, front=bytes(512))
    path, record = put(img), tmp_path / "rec"
    t.script(path, ["begin", "write 0 512 1", "flush"], "--record", record)
    assert crash.load(record)[:2] == [("W", 0, img.footer), ("F",)]
    assert both_footers_good(path.read_bytes())


@pytest.mark.parametrize("cut", [0, 1, 511, 512])
def test_vhd_end_footer_is_repaired(t, put, cut):
    img = Image(SIZE, blocks=SOME, end=bytes(512))
    path = put(img.raw[:len(img.raw) - cut])
    want = bytearray(img.content())
    want[:512] = b"\x01" * 512
    t.script(path, ["begin", "write 0 512 1", "flush"])
    assert t.info(path)["damaged"] == ["0"]
    assert t.read(path) == bytes(want)
    assert both_footers_good(path.read_bytes())


@pytest.mark.parametrize("order", ["padding", "long"])
def test_vhd_bat_bytes_that_are_not_entries_stay(t, put, order):
    """What lies behind the last entry that the disk uses is not ours."""
    args = {"bat_pad": b"\x5a"}
    if order == "long":
        args = {"n": 30, "bat_pad": b"\xff"}
    img = Image(SIZE, blocks=SOME, **args)
    path = put(img)
    t.script(path, ["begin", "write 8192 512 1", "flush"])
    at = img.bat_off + 4 * 16
    assert path.read_bytes()[at:img.bat_off + 512] == \
        img.raw[at:img.bat_off + 512]


def batmap(off):
    return struct.pack(">8sQIII", b"tdbatmap", off + 512, 1, 0x10002,
                       0xFFFFFFFF).ljust(512, b"\0") + b"\x80".ljust(512, b"\0")


def test_vhd_tapdisk_batmap_invalidated_first(t, put, tmp_path):
    """FORMAT.md 7.6: durable before the first change."""
    img = Image(SIZE, blocks=SOME, extra=[(2048, batmap(2048))], footer_args={
        "creator": b"tap\0", "version": 0x10003})
    path, record = put(img), tmp_path / "rec"
    t.script(path, ["begin", "write 8192 512 1", "flush"], "--record", record)
    assert crash.load(record)[:2] == [("W", 2048, bytes(512)), ("F",)]
    assert path.read_bytes()[2560:3072] == batmap(2048)[512:]


def test_vhd_tapdisk_batmap_of_unknown_version(t, put):
    raw = bytearray(batmap(2048))
    raw[20] = 9
    img = Image(SIZE, blocks=SOME, extra=[(2048, bytes(raw))], footer_args={
        "creator": b"tap\0", "version": 0x10003})
    assert t.script(put(img), ["begin"]) == ["error EOPNOTSUPP"]


def test_vhd_no_block_lands_on_a_locator(t, put):
    """A locator behind the last block is in use up to its room."""
    img = child(locators=[(b"W2ru", b".\0\\\0p\0", 4096)],
                blocks={0: pattern(4096)})
    base = put(vhd.fixed(pattern(SIZE)), "base.vhd")
    head = struct.unpack_from(">Q", img.raw, 16)[0]
    off = struct.unpack_from(">Q", img.raw, head + 576 + 16)[0]
    raw = bytearray(img.raw[:-512])
    far = len(raw)
    raw += img.raw[off:off + 512] + bytes(3584)
    raw[head:head + 1024] = vhd.header(
        img.bat_off, 16, 4096, parent_id=vhd.ID,
        locators=[vhd.locator(b"W2ru", far, b".\0\\\0p\0", 4096)])
    path = put(bytes(raw) + img.footer)
    t.script(path, ["begin", "write 8192 512 1", "flush"], parents=[base])
    assert path.read_bytes()[far:far + 6] == b".\0\\\0p\0"
    assert min(e for e in bat_of(path.read_bytes())[1:]) * 512 >= far + 4096


# --- differencing

@pytest.fixture
def base(put):
    data = pattern(SIZE, 77)
    return put(vhd.fixed(data), "base.vhd"), data


def test_vhd_child_write_unaligned(t, put, base):
    parent, data = base
    img = child(blocks={2: (pattern(4096, 5), [0, 2])})
    path = put(img)
    want = bytearray(img.content(data))
    script = ["begin"]
    for off, n, b in ((100, 50, 1), (511, 2, 2), (8192 + 500, 700, 3),
                      (8192 + 1500, 1, 4), (30000, 9000, 5), (65535, 1, 6)):
        want[off:off + n] = bytes([b]) * n
        script.append(f"write {off} {n} {b}")
    answer = t.script(path, script + [f"sha256 0 {SIZE}", "flush"],
                      parents=[parent])
    assert answer[-2] == sha(bytes(want))
    assert t.read(path, parents=[parent]) == bytes(want)
    assert parent.read_bytes() == vhd.fixed(data)


def test_vhd_child_bits_in_whole_bytes(t, put, base):
    """FORMAT.md 9.4: the rest of a 4 KiB group comes from the parent."""
    parent, data = base
    path = put(child(SIZE + 512, block=8192))
    t.script(path, ["begin", "write 12800 512 1", "write 32767 1 1",
                    f"write {SIZE} 100 1", "flush"], parents=[parent])
    raw = path.read_bytes()
    bits = {blk: raw[bat_of(raw)[blk] * 512:][:512] for blk in (1, 3, 8)}
    assert bits == {1: vhd.bitmap(8192, range(8, 16)),
                    3: vhd.bitmap(8192, range(8, 16)),
                    8: vhd.bitmap(8192, [0])}
    start = bat_of(raw)[1] * 512 + 512 + 4096
    assert raw[start:start + 512] == data[12288:12800]


def test_vhd_forced_footer_is_written_right(t, put):
    """Wrong checksums that were let pass do not spread."""
    bad = vhd.footer(SIZE, bad_checksum=True)
    img = Image(SIZE, blocks=SOME, front=bad, end=bad)
    path = put(img)
    t.script(path, ["begin", "write 0 512 1", "flush"], "--force")
    assert both_footers_good(path.read_bytes())
    assert path.stat().st_size == len(img.raw)
    assert t.read(path)[:513] == b"\x01" * 512 + SOME[0][512:513]


def test_vhd_child_zeros_hide_the_parent(t, put, base):
    parent, data = base
    img = child(blocks={2: (pattern(4096, 5), [0, 2])})
    path = put(img)
    want = bytearray(img.content(data))
    script = ["begin"]
    for word, off, n in (("zero", 600, 1000), ("unmap", 8192, 4096),
                         ("zero", 20000, 20000), ("unmap", 65000, 536)):
        want[off:off + n] = bytes(n)
        script.append(f"{word} {off} {n}")
    t.script(path, script + ["flush"], parents=[parent])
    assert t.read(path, parents=[parent]) == bytes(want)


def test_vhd_child_zero_over_zeros_allocates_nothing(t, put):
    parent = put(Image(SIZE, blocks={3: pattern(4096)}), "base.vhd")
    path = put(child(SIZE * 2))
    t.script(path, ["begin", "zero 0 12288", f"zero {SIZE} {SIZE}", "flush"],
             parents=[parent])
    assert set(bat_of(path.read_bytes())) == {vhd.UNALLOCATED}


def test_vhd_child_block_becomes_full(t, put, base):
    parent, data = base
    path = put(child(block=8192))
    answer = t.script(path, ["begin", "write 8192 4096 1", "map 8192 8192",
                             "write 12288 4096 2", "map 8192 8192", "flush"],
                      parents=[parent])
    assert len(runs_of(answer[2])) == 2 and len(runs_of(answer[4])) == 1


def test_vhd_child_old_remains_are_not_bits(t, put, base):
    """Bytes behind the last block are not taken for a new block's bitmap."""
    parent, data = base
    img = child()
    path = put(img.raw[:-512] + b"\xff" * 8192 + img.footer)
    want = bytearray(data)
    want[0:512] = b"\x01" * 512
    t.script(path, ["begin", "write 0 512 1", "flush"], parents=[parent])
    assert t.read(path, parents=[parent]) == bytes(want)


# --- any writes, against a model

def random_script(rng, size, n):
    """(line, off, len, byte) of writes of all shapes."""
    out = []
    for i in range(n):
        length = rng.choice([1, 511, 512, 513, 1024, 4096, 5000, 12288])
        off = rng.randrange(0, size - length)
        if rng.random() < 0.6:
            off, length = off // 512 * 512, -(-length // 512) * 512
        byte = rng.choice([0, i % 255 + 1])
        word = "write {} {} {}" if byte else "zero {} {}"
        out.append((word.format(off, length, byte), off, length, byte))
    return out


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("block", [512, 4096, 32768])
def test_vhd_random_writes(t, put, seed, block):
    rng = random.Random(seed * 1000 + block)
    low = Image(SIZE, block=block, blocks={
        i: pattern(block, i) for i in range(0, SIZE // block, 3)})
    img = child(SIZE, block=max(block, 4096), blocks={
        1: (pattern(4096, 90), [0, 3, 4])})
    parent, path = put(low, "low.vhd"), put(img)
    for target, content, parents in ((path, img.content(low.content()),
                                      [parent]),
                                     (parent, low.content(), [])):
        want, script = bytearray(content), ["begin"]
        for line, off, n, byte in random_script(rng, SIZE, 40):
            want[off:off + n] = bytes([byte]) * n
            script.append(line)
            if rng.random() < 0.2:
                script.append("flush")
        script += [f"sha256 0 {SIZE}", "flush"]
        answer = t.script(target, script, parents=parents)
        assert answer[-2] == sha(bytes(want))
        assert set(answer) == {"ok", answer[-2]}
        assert t.read(target, parents=parents) == bytes(want)
        assert both_footers_good(target.read_bytes())
        assert t.script(target, ["begin"], parents=parents) == ["ok"]


# --- crashes and faults

def flushed_lengths(t, path, raw, script, record, parents):
    """How many operations are recorded at the end of each flush."""
    out = []
    for i, line in enumerate(script):
        if line == "flush":
            path.write_bytes(raw)
            t.script(path, script[:i + 1], "--record", record, parents=parents)
            out.append((i, len(crash.load(record))))
    return out


def versions_of(content, lines):
    """The disk after each line of the script."""
    now, out = bytearray(content), []
    for line in lines:
        word, *n = line.split()
        if word in ("write", "zero"):
            off, length = int(n[0]), int(n[1])
            byte = int(n[2]) if word == "write" else 0
            now[off:off + length] = bytes([byte]) * length
        out.append(bytes(now))
    return out


def sectors_ok(got, allowed):
    """Every sector is that of one of the allowed states."""
    for at in range(0, len(got), 512):
        part = got[at:at + 512]
        assert any(v[at:at + 512] == part for v in allowed), \
            f"{at:#x}: {part.hex()}"


DYNAMIC_SCRIPT = ["begin", "write 8192 5000 1", "write 0 512 2", "flush",
                  "write 20480 512 3", "write 40960 16384 4", "flush",
                  "write 61440 4096 5", "zero 8192 4096", "write 16384 512 6",
                  "flush", "write 24576 4096 7"]
CHILD_SCRIPT = ["begin", "write 8192 512 1", "write 9000 3000 2", "flush",
                "write 4096 1024 3", "write 8704 512 4", "zero 30000 3000",
                "flush", "write 12288 2048 5", "flush", "write 14336 2048 6",
                "write 40960 512 7"]


def crash_states(t, tmp_path, img, content, script, parents):
    path, record = tmp_path / "d.vhd", tmp_path / "rec"
    lines = [f for f in script]
    marks = flushed_lengths(t, path, img.raw, lines, record, parents)
    path.write_bytes(img.raw)
    t.script(path, lines, "--record", record, parents=parents)
    ops = crash.load(record)
    versions = versions_of(content, lines)
    for n, raw in crash.states(img.raw, ops, random.Random(3), samples=2):
        done = max([i for i, length in marks if length <= n], default=0)
        path.write_bytes(raw)
        yield path, versions[done:]
    assert len(marks) == lines.count("flush")


@pytest.mark.parametrize("kind", ["dynamic", "no-copy", "no-end", "tail",
                                  "small", "child", "child-tail"])
def test_vhd_crash_leaves_flushed_data(t, put, tmp_path, kind):
    """Every power cut: it opens, flushed data is there, nothing strange is,
    and it can be written again."""
    parents, content = [], None
    args = {"no-copy": {"front": bytes(512)}, "no-end": {"end": b""},
            "tail": {"tail": 3584}, "small": {"block": 2048, "blocks": {
                0: pattern(512), 9: pattern(512, 3)}}}.get(kind, {})
    if kind.startswith("child"):
        data = pattern(SIZE, 77)
        parents = [put(vhd.fixed(data), "base.vhd")]
        img = child(blocks={2: (pattern(4096, 5), [0, 2, 5])},
                    tail=2048 if kind == "child-tail" else 0)
        content, script = img.content(data), CHILD_SCRIPT
    else:
        img = Image(SIZE, **{"blocks": SOME, **args})
        content, script = img.content(), DYNAMIC_SCRIPT
    n = 0
    out = tmp_path / "out"
    for path, allowed in crash_states(t, tmp_path, img, content, script,
                                      parents):
        n += 1
        if kind == "no-copy" and not path.read_bytes()[:8].strip(b"\0") and \
                path.read_bytes()[-512:] != img.footer:
            raise AssertionError("neither footer is there")
        answer = t.script(path, [f"readf 0 {SIZE} {out}", "begin",
                                 "write 28672 512 9", "flush"],
                          parents=parents)
        assert answer == ["ok"] * 4
        sectors_ok(out.read_bytes(), allowed)
        if n % 8 == 0:
            again = t.script(path, ["read 28672 512"], parents=parents)
            assert again == ["09" * 512]
    assert n > 60


@pytest.mark.parametrize("kind", ["dynamic", "child"])
def test_vhd_failed_write_loses_nothing_flushed(t, put, tmp_path, kind):
    """The n-th change of the file fails, for every n."""
    data = pattern(SIZE, 77)
    parents = [put(vhd.fixed(data), "base.vhd")] if kind == "child" else []
    img = child(blocks={2: (pattern(4096, 5), [0, 2])}) if parents else \
        Image(SIZE, blocks=SOME)
    script = CHILD_SCRIPT if parents else DYNAMIC_SCRIPT
    versions = versions_of(img.content(data), script)
    failures, fail = 0, 0
    while True:
        fail += 1
        path = put(img)
        answer = t.script(path, script, "--fail", str(fail), parents=parents)
        flushes = [i for i, a in enumerate(answer)
                   if a == "ok" and script[i] == "flush"]
        bad = [i for i, a in enumerate(answer) if a != "ok"]
        if not bad:
            break
        failures += 1
        assert all(answer[i] == "error EIO" for i in bad)
        first = bad[0]
        later = [i for i in range(first, len(script))
                 if script[i] == "flush"]
        if script[first] == "flush":
            assert all(answer[i] != "ok" for i in later), \
                "a failed flush stays failed"
        got = t.read(path, parents=parents)
        sectors_ok(got, versions[flushes[-1] if flushes else 0:])
    assert failures > 10


def test_vhd_flush_is_two_barriers_for_any_number_of_blocks(t, tmp_path):
    path, record = tmp_path / "d.vhd", tmp_path / "rec"
    t.create(path, "dynamic", "256m", "512k")
    script = ["begin"] + [f"write {i * 1572864} 4096 1" for i in range(100)]
    t.script(path, script + ["flush", "write 0 4096 2", "flush", "flush"],
             "--record", record)
    ops = crash.load(record)
    kinds = [op[0] for op in ops]
    assert kinds.count("F") == 2 + 1 + 1
    # All data before the first barrier, only BAT sectors after it.
    first = kinds.index("F")
    second = kinds.index("F", first + 1)
    assert {len(op[2]) for op in ops[first + 1:second]} == {512}
    assert second - first - 1 == -(-300 // 128)


def test_vhd_killed_process_leaves_an_end_footer(t, put, tmp_path):
    """Without a power cut all writes arrive: after each one but the growth
    itself the file ends with a footer."""
    path, record = put(Image(SIZE, blocks=SOME)), tmp_path / "rec"
    img = bytearray(path.read_bytes())
    t.script(path, DYNAMIC_SCRIPT, "--record", record)
    for op in crash.load(record):
        if op[0] != "F":
            crash.apply(img, op)
        if op[0] != "S":
            assert img[-512:] == img[:512]


def test_vhd_killed_at_any_moment(t, tmp_path):
    """kill -9 under four writers: what is there is zeros or theirs, and the
    file is sound for them and for the next writer."""
    rng = random.Random(8)
    for i in range(8):
        path = t.create(tmp_path / f"{i}.vhd", "dynamic", "24m", "512k")
        p = subprocess.Popen([t.path, "open", "--threads", "4", "5000", path])
        time.sleep(rng.random() * 0.06)
        p.kill()
        p.wait()
        assert t.script(path, ["begin"]) == ["ok"]
        got = t.read(path)
        for k in range(len(got) // 5000):
            piece = set(got[k * 5000:k * 5000 + 5000])
            assert piece <= {0, k % 251 + 1}
        t.script(path, ["begin", "write 0 24m 7", "flush"])
        assert t.read(path) == b"\x07" * (24 << 20)
        assert both_footers_good(path.read_bytes())
        path.unlink()


@pytest.mark.parametrize("block", ["512k", "2m"])
def test_vhd_many_threads(t, tmp_path, block):
    """Eight writers with flushes between them: every byte is there."""
    path = t.create(tmp_path / "d.vhd", "dynamic", "64m", block)
    run(t.path, "open", "--threads", "8", "20000", path)
    got = t.read(path)
    for i in range((64 << 20) // 20000):
        piece = got[i * 20000:(i + 1) * 20000]
        assert piece == bytes([i % 251 + 1]) * 20000


def test_vhd_many_threads_in_a_child(t, put, tmp_path):
    size = 16 << 20
    parent = put(vhd.fixed(pattern(size)), "base.vhd")
    path = tmp_path / "c.vhd"
    t.create(path, "differencing", size, "512k", parent, "base.vhd")
    run(t.path, "open", "--threads", "8", "1000", "--parent", parent, path)
    got = t.read(path, parents=[parent])
    n = size // 1000
    for i in range(n):
        assert got[i * 1000:i * 1000 + 1000] == bytes([i % 251 + 1]) * 1000
    assert got[n * 1000:] == pattern(size)[n * 1000:]


# --- limits

def test_vhd_2040_gib_first_and_last_block(t, tmp_path):
    """64-bit offsets: the last block's number, and a file beyond 4 GiB."""
    path = t.create(tmp_path / "d.vhd", "dynamic", "2040g")
    last = (2040 << 30) - 512
    t.script(path, ["begin", "write 0 512 1", f"write {last} 512 2", "flush"])
    assert t.script(path, ["read 0 4", f"read {last} 4",
                           f"read {last - 512} 4"]) == \
        ["01010101", "02020202", "00000000"]


def test_vhd_block_beyond_4_gib_of_file(t, put):
    img = Image(SIZE, blocks=SOME)
    path = put(img.raw[:-512])
    far = 5 << 30
    with open(path, "r+b") as f:
        f.seek(img.bat_off + 4 * 3)
        f.write(struct.pack(">I", far // 512))
        f.seek(far)
        f.write(vhd.bitmap(4096) + SOME[3] + img.footer)
    t.script(path, ["begin", "write 8192 512 1", "write 12288 512 2", "flush"])
    want = bytearray(img.content())
    want[8192:8704], want[12288:12800] = b"\x01" * 512, b"\x02" * 512
    assert t.read(path) == bytes(want)


def test_vhd_last_sector_number_refused_cleanly(t, put):
    """A start sector must fit 32 bits and not be the mark of absence."""
    img = Image(SIZE, blocks=SOME)
    path = put(img.raw[:-512])
    far = 0xFFFFFFFE
    with open(path, "r+b") as f:
        f.seek(img.bat_off + 4 * 3)
        f.write(struct.pack(">I", far - 9))
        f.seek((far - 9) * 512)
        f.write(vhd.bitmap(4096) + SOME[3] + img.footer)
    answer = t.script(path, ["begin", "write 8192 512 1", "write 12288 512 1",
                             "flush", "read 12288 2", "read 8192 2"])
    assert answer == ["ok", "error ENOSPC", "ok", "ok", "0101", "0000"]
    assert t.info(path)["damaged"] == ["0"]


@pytest.mark.root
@pytest.mark.parametrize("kind", ["dynamic", "child"])
def test_vhd_no_space_loses_nothing(t, tmp_path, kind):
    """ENOSPC in the middle of an allocation, then room again."""
    if os.geteuid():
        pytest.skip("needs root to mount a small tmpfs")
    small = tmp_path / "small"
    small.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", small)
    try:
        base = t.create(tmp_path / "base.vhd", "dynamic", "64m", "512k")
        path, parents = small / "d.vhd", []
        if kind == "child":
            parents = [base]
            t.create(path, "differencing", "0", "0", base, "../base.vhd")
        else:
            t.create(path, "dynamic", "64m", "512k")
        (small / "ballast").write_bytes(bytes(1 << 20))
        answer = t.script(path, ["begin", "write 0 256k 1", "flush",
                                 "write 8m 4m 2", "write 0 512 3", "flush",
                                 "read 0 1"], parents=parents)
        assert answer == ["ok"] * 3 + ["error ENOSPC", "ok", "ok", "03"]
        (small / "ballast").unlink()
        t.script(path, ["begin", "write 16m 512k 4", "flush"],
                 parents=parents)
        got = t.read(path, parents=parents)
        assert got[:512] == b"\x03" * 512
        assert got[512:256 << 10] == b"\x01" * ((256 << 10) - 512)
        assert set(got[8 << 20:12 << 20]) <= {0, 2}
        assert got[16 << 20:][:512 << 10] == b"\x04" * (512 << 10)
        assert both_footers_good(path.read_bytes())
    finally:
        run("umount", small)


# --- creation

@pytest.mark.parametrize("args", [
    ("dynamic", "0"), ("dynamic", "513"), ("fixed", "2041g"),
    ("dynamic", str((2040 << 30) + 512)), ("dynamic", "1m", "4096"),
    ("differencing", "1m")])
def test_vhd_create_refused(t, tmp_path, args):
    p = run(t.path, "create", tmp_path / "d.vhd", *args, check=False)
    assert p.returncode == 1 and p.stderr.startswith("vhd: ")
    assert not (tmp_path / "d.vhd").exists()


@pytest.mark.parametrize("kind, block", [("fixed", "0"), ("dynamic", "0"),
                                         ("dynamic", "512k")])
def test_vhd_create_opens_everywhere(t, tmp_path, peer, kind, block):
    path = t.create(tmp_path / "d.vhd", kind, "10m", block)
    assert t.read(path) == bytes(10 << 20)
    out = run(peer("qemu-img"), "info", "-f", "vpc", path).stdout
    assert f"({10 << 20} bytes)" in out
    out = run(peer("vhdiinfo"), path).stdout
    assert f"({10 << 20} bytes)" in out
    assert t.info(path)["id"][0] in out
    assert kind in out.lower()
    assert "Type = VHD" in run(peer("7z"), "l", path).stdout


def test_vhd_created_ids_differ(t, tmp_path):
    ids = {t.info(t.create(tmp_path / f"{i}.vhd", "dynamic", "1m"))["id"][0]
           for i in range(4)}
    assert len(ids) == 4


def test_vhd_create_child(t, tmp_path, peer):
    base = t.create(tmp_path / "base.vhd", "dynamic", "10m", "512k")
    path = t.create(tmp_path / "c.vhd", "differencing", "0", "0", base,
                    "x/base.vhd", "C:\\x\\base.vhd")
    info = t.info(path)
    assert info["type"] == ["4"] and info["size"] == [str(10 << 20)]
    assert info["block"] == [str(512 << 10)]
    assert info["parent_id"] == t.info(base)["id"]
    assert info["relative"] == [".\\x\\base.vhd"]
    assert info["absolute"] == ["C:\\x\\base.vhd"]
    assert info["name"] == ["base.vhd"]
    raw = path.read_bytes()
    codes = [raw[512 + 576 + 24 * i:][:4] for i in range(3)]
    assert codes == [b"W2ku", b"W2ru", bytes(4)]
    out = run(peer("vhdiinfo"), path).stdout
    assert "Differential" in out and "base.vhd" in out


def test_vhd_create_child_without_windows_path(t, tmp_path):
    base = t.create(tmp_path / "base.vhd", "fixed", "1m")
    path = t.create(tmp_path / "c.vhd", "differencing", "2m", "0", base,
                    "../\u00fcb/base.vhd")
    info = t.info(path)
    assert info["relative"] == ["..\\\u00fcb\\base.vhd"]
    assert "absolute" not in info and info["name"] == ["base.vhd"]
    assert t.read(path, parents=[base]) == bytes(2 << 20)


# --- with other people's programs

def convert(peer, path, out):
    run(peer("qemu-img"), "convert", "-f", "vpc", "-O", "raw", path, out)
    data = out.read_bytes()
    out.unlink()
    return data


def test_vhd_qemu_reads_what_we_wrote(t, tmp_path, peer):
    path = t.create(tmp_path / "d.vhd", "dynamic", "32m", "0")
    t.script(path, ["begin", "write 1m 5m 1", "write 20000001 7777 2",
                    "zero 3m 1m", "write 33550000 4432 3", "flush"])
    assert convert(peer, path, tmp_path / "o") == t.read(path)


def test_vhd_7z_reads_what_we_wrote(t, tmp_path, peer):
    path = t.create(tmp_path / "d.vhd", "dynamic", "8m", "512k")
    t.script(path, ["begin", "write 1000 5m 1", "flush"])
    run(peer("7z"), "x", "-tvhd", f"-o{tmp_path / 'x'}", path)
    out, = (tmp_path / "x").iterdir()
    assert out.read_bytes() == t.read(path)


def test_vhd_7z_reads_our_chain(t, tmp_path, peer):
    base = t.create(tmp_path / "base.vhd", "dynamic", "4m")
    t.script(base, ["begin", "write 0 3m 1", "flush"])
    path = t.create(tmp_path / "c.vhd", "differencing", "0", "0", base,
                    "base.vhd")
    t.script(path, ["begin", "write 1024 1024 2", "write 2500001 70000 3",
                    "flush"], parents=[base])
    run(peer("7z"), "x", "-tvhd", f"-o{tmp_path / 'x'}", path)
    out, = (tmp_path / "x").iterdir()
    assert out.read_bytes() == t.read(path, parents=[base])


@pytest.mark.mount
@pytest.mark.root
def test_vhd_libvhdi_reads_our_child(t, tmp_path, peer):
    """Writes that are not aligned to 8 sectors, read by vhdimount."""
    base = t.create(tmp_path / "base.vhd", "dynamic", "4m")
    t.script(base, ["begin", "write 0 3m 1", "flush"])
    path = t.create(tmp_path / "c.vhd", "differencing", "0", "0", base,
                    "base.vhd")
    t.script(path, ["begin", "write 1024 1024 2", "write 2500001 70000 3",
                    "write 3144704 512 4", "flush"], parents=[base])
    want = t.read(path, parents=[base])
    mnt = tmp_path / "mnt"
    mnt.mkdir()
    if not os.path.exists("/dev/fuse") or os.geteuid():
        pytest.skip("needs /dev/fuse and root")
    run(peer("vhdimount"), path, mnt)
    try:
        names = sorted(mnt.iterdir())
        assert want in [n.read_bytes() for n in names]
    finally:
        run("umount", mnt)


def test_vhd_we_and_qemu_take_turns(t, tmp_path, peer):
    path = tmp_path / "d.vhd"
    run(peer("qemu-img"), "create", "-f", "vpc", "-o", "force_size", path,
        "32m")
    want = bytearray(32 << 20)
    for turn in range(6):
        off, n = turn * 4900000 // 512 * 512, 3 << 20
        n = min(n, len(want) - off) // 512 * 512
        want[off:off + n] = bytes([turn + 1]) * n
        if turn % 2:
            run(peer("qemu-io"), "-f", "vpc", "-c",
                f"write -P {turn + 1} {off} {n}", path)
        else:
            t.script(path, ["begin", f"write {off} {n} {turn + 1}", "flush"])
    assert t.read(path) == bytes(want)
    assert convert(peer, path, tmp_path / "o") == bytes(want)


def test_vhd_fixed_by_qemu(t, tmp_path, peer):
    path = tmp_path / "d.vhd"
    run(peer("qemu-img"), "create", "-f", "vpc", "-o",
        "subformat=fixed,force_size", path, "4m")
    t.script(path, ["begin", "write 1000 1000 1", "flush"])
    data = t.read(path)
    assert data == bytes(1000) + b"\x01" * 1000 + bytes((4 << 20) - 2000)
    assert convert(peer, path, tmp_path / "o") == data


def test_vhd_windows_child_is_written(t, tmp_path, corpus, peer):
    """A real one: paths, tail gap and data alignment by Windows 10."""
    path, parent = tmp_path / "c.vhd", corpus / "vhd" / "dfvfs--ntfs-parent.vhd"
    path.write_bytes(
        (corpus / "vhd" / "dfvfs--ntfs-differential.vhd").read_bytes())
    want = bytearray(t.read(path, parents=[parent]))
    want[2500000:2600000] = b"\x77" * 100000
    t.script(path, ["begin", "write 2500000 100000 0x77", "flush"],
             parents=[parent])
    assert t.read(path, parents=[parent]) == bytes(want)
    assert both_footers_good(path.read_bytes())
    assert t.info(path)["relative"] == [".\\ntfs-parent.vhd"]
    assert "ntfs-parent.vhd" in run(peer("vhdiinfo"), path).stdout
