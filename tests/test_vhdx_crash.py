# SPDX-License-Identifier: GPL-3.0-or-later
"""VHDX: the power goes at any moment (FORMAT.md 10). In every state the file
opens, what a flush promised is there, and nobody's bytes show up elsewhere."""
import random

import pytest

import crash
from conftest import run
from make import vhdx
from make.vhdx import MIB, Vhdx

SIZE = 6 * MIB


@pytest.fixture
def vt(tool):
    def drive(path, *lines, args=()):
        p = run(tool("vhdxtool"), "open", *args, path, check=False,
                stdin="\n".join(lines) + "\n")
        assert p.returncode == 0, p.stderr
        return p.stdout.split("\n")[:-1]
    return drive



@pytest.fixture
def survive(vt, tmp_path):
    """Runs the script, then opens every state that a crash could leave, for
    reading and again after a replay. expect: {offset: [byte at the start,
    after the first flush, ...]}; a crash may also show a later byte."""
    def judge(before, lines, expect, args=(), samples=2, stride=1):
        path, rec = tmp_path / "t.vhdx", tmp_path / "rec"
        path.write_bytes(before)
        got = vt(path, "begin", *lines, args=["--record", rec, *args])
        assert set(got) == {"ok"}, got
        ops = crash.load(rec)
        points = set(range(0, len(ops) + 1, stride)) | {len(ops)}
        points |= {i + 1 for i, op in enumerate(ops)	# large log entries
                   if op[0] == "W" and len(op[2]) > 65536}
        flushed = marks(ops, lines)
        n_states = 0
        for n, image in crash.states(before, ops, random.Random(2), samples,
                                     points):
            n_states += 1
            path.write_bytes(image)
            step = sum(at <= n for at in flushed) - 1
            reads = [f"read {off} 1" for off in expect]
            for ro in ([], ["begin"]):
                got = vt(path, *ro, *reads,
                         args=[*(["--ro"] * (not ro)), *args])
                for (off, history), text in zip(expect.items(), got[len(ro):]):
                    allowed = {f"{b:02x}" for b in history[step + 1:]}
                    assert text in allowed, (n, ro, off, text, allowed)
        return n_states
    return judge


def marks(ops, lines):
    """After how many operations each "flush" of the script had ended: it
    follows the payload of its marker write, a page of 0xF0+n at 5 MiB."""
    ends, seen = [], 0
    for line in lines:
        if line != "flush":
            continue
        fill = bytes([0xF0 + seen]) * 512
        at = next(i for i, op in enumerate(ops)
                  if op[0] == "W" and bytes(op[2][:512]) == fill and
                  len(op[2]) == 512)
        # The flush behind the marker: one barrier, or two with metadata.
        nxt = next((i for i, op in enumerate(ops) if i > at and op[0] == "W" and
                    len(op[2]) == 512 and
                    bytes(op[2][:512]) == bytes([0xF1 + seen]) * 512), len(ops))
        last = max(i for i in range(at, nxt) if ops[i][0] == "F" and
                   not any(op[0] == "W" and payload(op)
                           for op in ops[at + 1:i]))
        ends.append(last + 1)
        seen += 1
    return ends


def payload(op):
    return len(op[2]) % 4096 != 0


def flush(n):
    """The marker (its byte tells the flush), then the flush."""
    return [f"write {5 * MIB} 512 {0xF0 + n}", "flush"]


def plain(tmp_path, **kw):
    """A disk whose holes are full of junk that must never show."""
    v = Vhdx(SIZE, **kw)
    for n in range(3):
        v.parts.append((v.take(MIB), b"\xee" * MIB))
    v.put(5, vhdx.FULL, b"\0" * MIB)
    if kw.get("parent"):
        v.put(4, vhdx.PARTIAL, b"\xee" * MIB)
        v.bits(0, range(2048))		# stale: block 0 is not partial
    return v.write(tmp_path / "before.vhdx").read_bytes()


def test_vhdx_crash_allocation_in_a_base(survive, tmp_path):
    assert survive(plain(tmp_path), [
        "write 100 1000 1", *flush(0), "write 1m 1m 2", "write 2097152 600 3",
        *flush(1), "zero 1m 1m", "write 3m 512 4", *flush(2)], {
            0: [0, 0, 0, 0], 100: [0, 1, 1, 1], 1100: [0, 0, 0, 0],
            MIB: [0, 0, 2, 0], 2 * MIB - 1: [0, 0, 2, 0],
            2 * MIB: [0, 0, 3, 3], 2 * MIB + 600: [0, 0, 0, 0],
            3 * MIB: [0, 0, 0, 4], 4 * MIB - 1: [0, 0, 0, 0],
            4 * MIB: [0, 0, 0, 0]}) > 100


@pytest.mark.parametrize("new_bitmap", [False, True])
def test_vhdx_crash_partial_blocks_in_a_child(survive, tmp_path, new_bitmap):
    base = Vhdx(SIZE)
    for n in range(6):
        base.put(n, vhdx.FULL, b"P" * MIB)
    parent = base.write(tmp_path / "p.vhdx")
    before = plain(tmp_path, parent=vhdx.linkage())
    if new_bitmap:
        v = Vhdx(SIZE, parent=vhdx.linkage())
        v.parts.append((v.take(3 * MIB), b"\xee" * 3 * MIB))
        v.put(5, vhdx.FULL, bytes(MIB))
        before = v.write(tmp_path / "before.vhdx").read_bytes()
    p = 0x50
    assert survive(before, [
        "write 512 512 1", *flush(0), "write 1024 100 2", "write 1m 1m 3",
        *flush(1), "zero 0 1m", "write 4m 5 4", *flush(2), "write 0 3 5",
        "write 4195000 9 6", *flush(3)], {
            0: [p, p, p, 0, 5], 512: [p, 1, 1, 0, 0], 1024: [p, p, 2, 0, 0],
            1124: [p, p, p, 0, 0], 1536: [p, p, p, 0, 0],
            MIB: [p, p, 3, 3, 3], 2 * MIB: [p] * 5,
            4 * MIB: [p, p, p, 4, 4], 4 * MIB + 5: [p] * 5,
            4195000: [p, p, p, p, 6], 4195009: [p] * 5},
        args=["--parent", parent]) > 100


def test_vhdx_crash_in_the_replay(survive, vt, tmp_path):
    v = Vhdx(SIZE)
    off = v.take(MIB)
    v.parts.append((off, b"\x07" * MIB))
    v.put(5, vhdx.FULL, bytes(MIB))
    page = bytearray(v.bat_page())
    page[:8] = (off | 6).to_bytes(8, "little")
    v.dirty((0, vhdx.log_entry(5, [(v.bat_off, bytes(page))],
                               last=v.next + MIB)))
    before = v.write(tmp_path / "before.vhdx").read_bytes()
    assert survive(before, [*flush(0)], {0: [7, 7], MIB: [0, 0]}) > 20


def test_vhdx_crash_while_the_log_wraps(survive, tmp_path, vt, tool):
    """Batches of many pages: the one before must outlive the new one."""
    path = tmp_path / "w.vhdx"
    v = Vhdx(4096 * MIB)
    v.put(5, vhdx.FULL, bytes(MIB))
    before = v.write(path).read_bytes()
    lines, expect = [], {5 * MIB + 512: [0] * 11}
    for n in range(10):
        first = 600 + n * 7
        lines += [f"write {(first + k * 520) % 4096 * MIB} 1 {n + 1}"
                  for k in range(6)] + flush(n)
        for k in (0, 5):
            at = (first + k * 520) % 4096 * MIB
            expect[at] = [0] * (n + 1) + [n + 1] * (10 - n)
    assert survive(before, lines, expect, samples=1, stride=17) > 20


def test_vhdx_crash_of_a_flush_larger_than_the_log(survive, tmp_path):
    """Two times 200 BAT pages through a log of 256: zeros over a parent, which
    take no space."""
    size, spots = 104 << 30, [k * 520 * MIB for k in range(200)]
    base = Vhdx(size)
    for spot in spots:
        for blk in (spot // MIB, spot // MIB + 1):
            base.put(blk, vhdx.FULL, b"P" * 512)
    parent = base.write(tmp_path / "p.vhdx")
    v = Vhdx(size, parent=vhdx.linkage())
    v.put(5, vhdx.FULL, bytes(MIB))
    lines, expect = [], {}
    for n in range(2):
        lines += [f"zero {s + n * MIB} 1m" for s in spots] + flush(n)
        for s in spots[n::23] + spots[-1:]:
            expect[s + n * MIB] = [0x50] * (n + 1) + [0] * (2 - n)
    assert survive(v.write(tmp_path / "b.vhdx").read_bytes(), lines, expect,
                   ["--parent", parent], 3, 23) > 60


def test_vhdx_crash_states_are_sound_for_qemu(vt, tmp_path, peer):
    """qemu replays our log and finds nothing wrong."""
    qemu = peer("qemu-img")
    path, rec = tmp_path / "t.vhdx", tmp_path / "rec"
    before = plain(tmp_path)
    path.write_bytes(before)
    vt(path, "begin", "write 0 100 1", "flush", "write 1m 1m 2", "zero 0 1m",
       "flush", "write 2m 5 3", args=["--record", rec])
    ops = crash.load(rec)
    for n, image in crash.states(before, ops, samples=1,
                                 points=range(2, len(ops), 3)):
        path.write_bytes(image)
        run(qemu, "check", "-r", "all", "-f", "vhdx", path)
        run(qemu, "check", "-f", "vhdx", path)
