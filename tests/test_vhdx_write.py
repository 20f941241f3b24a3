# SPDX-License-Identifier: GPL-3.0-or-later
"""VHDX: writing, zeroing, sessions, barriers and errors (FORMAT.md 10)."""
import os
import hashlib
import random
import subprocess
import time
import uuid

import pytest

import crash
from conftest import run
from make import vhdx
from make.vhdx import MIB, Vhdx


@pytest.fixture
def vt(tool, tmp_path):
    """vt(path or Vhdx, *lines, args=...): the answers; stays in tmp_path."""
    def drive(v, *lines, args=(), check=True):
        path = v.write(tmp_path / "t.vhdx") if isinstance(v, Vhdx) else v
        p = run(tool("vhdxtool"), "open", *args, path, check=False,
                stdin="\n".join(lines) + "\n")
        assert not check or p.returncode == 0, p.stderr
        return p.stdout.split("\n")[:-1]
    return drive


@pytest.fixture
def info(tool):
    def read(path):
        out = run(tool("vhdxtool"), "info", path).stdout
        return dict(line.split(" ", 1) for line in out.splitlines())
    return read


@pytest.fixture
def create(tool, tmp_path):
    def make(name, kind="dynamic", size="64m", block="1m", lss="512",
             pss="4096", parent=None):
        path = tmp_path / name
        if parent:
            run(tool("vhdxtool"), "diff", parent, parent.name, "", block, path)
        else:
            run(tool("vhdxtool"), "create", kind, size, block, lss, pss, path)
        return path
    return make


def sha(data):
    return hashlib.sha256(data).hexdigest()


def test_vhdx_begin_alone_changes_nothing(vt, tmp_path):
    v = Vhdx(8 * MIB)
    v.put(0, vhdx.FULL, b"A" * MIB)
    path = v.write(tmp_path / "t.vhdx")
    before = path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ctime_ns
    assert vt(path, "begin", "flush", "zero 2m 1m", "unmap 3m 100",
              "flush") == ["ok"] * 5
    assert before == (path.read_bytes(), path.stat().st_mtime_ns,
                      path.stat().st_ctime_ns)


def test_vhdx_write_needs_begin(vt):
    assert vt(Vhdx(8 * MIB), "write 0 1 1", "begin", "write 0 1 1",
              "write 8388607 2 1") == [
        "error EROFS", "ok", "ok", "error ENOSPC"]


@pytest.mark.parametrize("kind", ["dynamic", "fixed"])
def test_vhdx_identifiers_change_once_a_session(vt, create, info, kind):
    path = create("a.vhdx", kind)
    a = info(path)
    vt(path, "begin", "write 0 1 1", "flush", "write 5m 1 1", "flush")
    b = info(path)
    assert a["file_write"] != b["file_write"]
    assert a["data_write"] != b["data_write"]
    raw = path.read_bytes()
    heads = [raw[o + 8:o + 64] for o in (65536, 131072)]
    assert heads[0][8:] == heads[1][8:] and heads[0] != heads[1]
    assert heads[0][40:] == bytes(16)		# LogGuid
    assert b["disk_id"] == a["disk_id"]


@pytest.mark.parametrize("state", [0, 1, 2, 3])
def test_vhdx_base_block_comes_with_zeros_around(vt, tmp_path, state):
    v = Vhdx(8 * MIB)
    v.put(1, state)
    v.parts.append((v.take(3 * MIB), b"\xee" * 3 * MIB))	# junk in a hole
    path = v.write(tmp_path / "t.vhdx")
    want = bytearray(8 * MIB)
    want[MIB + 100:MIB + 110] = b"\x41" * 10
    assert vt(path, "begin", "write 1048676 10 0x41", "sha256 0 8m",
              "flush")[2] == sha(want)
    assert vt(path, "sha256 0 8m") == [sha(want)]


@pytest.mark.parametrize("state", [1, 3])
def test_vhdx_soft_anchor_is_used_again(vt, tmp_path, state):
    v = Vhdx(8 * MIB)
    off = v.take(MIB)
    v.put(1, state, b"\xee" * MIB, off=off)
    path = v.write(tmp_path / "t.vhdx")
    assert vt(path, "begin", "write 2m 1 1", "write 1m 1 1", "flush",
              "read 1m 2", "map 1m 1m")[4:] == ["0100", f"3@{off}+1048576"]
    assert path.stat().st_size == off + 2 * MIB


def test_vhdx_holes_are_filled_first_and_the_end_is_trimmed(vt, tmp_path):
    v = Vhdx(64 * MIB, block=2 * MIB)
    v.take(3 * MIB)			# a hole of one block and a half
    last = v.put(9, vhdx.FULL, b"x")
    path = v.write(tmp_path / "t.vhdx")
    got = vt(path, "begin", "write 0 1 1", "write 2m 1 2", "write 4m 1 3",
             "map 0 2m", "map 2m 2m", "map 4m 2m")
    assert got[4:] == [f"3@{4 * MIB}+2097152", f"3@{last + 2 * MIB}+2097152",
                       f"3@{last + 4 * MIB}+2097152"]
    assert path.stat().st_size == last + 6 * MIB


def test_vhdx_space_given_up_is_not_used_in_this_session(vt, tmp_path):
    v = Vhdx(8 * MIB)
    off = v.put(0, vhdx.FULL, b"old" * 1000)
    path = v.write(tmp_path / "t.vhdx")
    vt(path, "begin", "zero 0 1m", "flush", "write 1m 1 1", "flush")
    assert path.read_bytes()[off:off + 3] == b"old"
    assert vt(path, "begin", "write 2m 1 1", "map 2m 1m")[2] == (
        f"3@{off}+1048576")


@pytest.mark.parametrize("state, whole", [
    (0, "zero"), (1, None), (2, None), (3, None), (6, "zero"), (7, "zero")])
def test_vhdx_zero_hides_the_parent(vt, tmp_path, state, whole):
    base = Vhdx(8 * MIB)
    for n in range(8):
        base.put(n, vhdx.FULL, b"P" * MIB)
    parent = base.write(tmp_path / "p.vhdx")
    v = Vhdx(8 * MIB, parent=vhdx.linkage())
    for blk in (1, 3):
        v.put(blk, state, b"C" * MIB if state > 5 else b"")
    v.bits(0, [2048 + n for n in range(0, 2048, 3)])
    path = v.write(tmp_path / "c.vhdx")
    args = ["--parent", parent]
    before = sha(path.read_bytes())
    lines = ["zero 1m 1m", "unmap 3146000 1000", "flush"]
    want = vt(path, "readf 0 8m " + str(tmp_path / "o"), args=args)
    want = bytearray((tmp_path / "o").read_bytes())
    want[MIB:2 * MIB] = bytes(MIB)
    want[3146000:3147000] = bytes(1000)
    assert vt(path, "begin", *lines, "sha256 0 8m", args=args) == [
        "ok"] * 4 + [sha(want)]
    assert vt(path, "sha256 0 8m", args=args) == [sha(want)]
    if not whole:
        assert sha(path.read_bytes()) == before


def test_vhdx_zero_on_fixed_keeps_the_blocks(vt, create, tmp_path):
    path = create("f.vhdx", "fixed", "8m")
    bat = path.read_bytes()[3 * MIB:4 * MIB]
    assert vt(path, "begin", "write 0 8m 0x41", "unmap 1m 2m", "zero 5m 10",
              "flush", "read 1m 1", "read 5m 11")[5:] == [
                  "00", "00" * 10 + "41"]
    assert path.read_bytes()[3 * MIB:4 * MIB] == bat


def test_vhdx_qemu_style_fixed_file(vt, tmp_path):
    """The flag, but every block in state 2."""
    v = Vhdx(8 * MIB, fixed=True)
    for n in range(8):
        v.put(n, vhdx.ZERO)
    assert vt(v, "begin", "write 1m 1 1", "flush", "read 1m 2")[3] == "0100"


def model(rng, size, ops, lss):
    """Lines of a script, and the content after each."""
    data, lines = bytearray(size), []
    for _ in range(ops):
        kind = rng.choice("wwwwzuf")
        unit = rng.choice([1, lss, 4096, MIB])
        off = rng.randrange(0, size) // unit * unit
        n = min(size - off, unit * rng.randrange(1, 5) + rng.choice([0, 0, 7]))
        if kind == "w":
            b = rng.randrange(1, 256)
            lines.append(f"write {off} {n} {b}")
            data[off:off + n] = bytes([b]) * n
        elif kind == "f":
            lines.append("flush")
        else:
            lines.append(f"{'zero' if kind == 'z' else 'unmap'} {off} {n}")
            data[off:off + n] = bytes(n)
    return data, lines


@pytest.mark.parametrize("kind, block, lss", [
    ("dynamic", "1m", 512), ("dynamic", "4m", 4096), ("fixed", "2m", 512),
    ("diff", "1m", 512), ("diff", "2m", 4096), ("diff", "32m", 512)])
def test_vhdx_random_writes(vt, create, tmp_path, kind, block, lss):
    rng = random.Random(f"{kind}{block}{lss}")
    size = 33 * MIB + 4096
    args = []
    path = create("a.vhdx", "dynamic" if kind == "diff" else kind, str(size),
                  block, str(lss))
    data, lines = model(rng, size, 60, lss)
    assert set(vt(path, "begin", *lines)) == {"ok"}
    for child in ("b.vhdx", "c.vhdx") if kind == "diff" else ("a.vhdx",):
        if kind == "diff":
            args = ["--parent", path, *args]
            path = create(child, block=block, parent=path)
        (tmp_path / "want").write_bytes(data)
        more, lines = model(rng, size, 40, lss)
        lines = ["begin"] + lines
        for line in lines[1:]:
            word = line.split()
            if word[0] == "flush":
                continue
            off, n = int(word[1]), int(word[2])
            fill = int(word[3]) if word[0] == "write" else 0
            data[off:off + n] = bytes([fill]) * n
        got = vt(path, *lines, f"sha256 0 {size}", args=args)
        assert got[-1] == sha(data) and set(got[:-1]) == {"ok"}
        assert vt(path, f"sha256 0 {size}", args=["--ro", *args]) == [sha(data)]


# Barriers ------------------------------------------------------------------

def flushes(record):
    """How many barriers there are in each answer to "flush": the script marks
    them by writes of one byte at 0."""
    ops = crash.load(record)
    return "".join(op[0] if op[0] != "W" else
                   {1: "!", 4096: "p"}.get(len(op[2]), "w") for op in ops)


def test_vhdx_a_flush_takes_two_barriers(vt, create, tmp_path):
    path = create("a.vhdx", size="4g")
    rec = tmp_path / "rec"
    many = [f"write {n * MIB * 7} 5 1" for n in range(1, 500)]
    vt(path, "begin", "write 0 2 1", "flush", "write 0 1 1", *many, "flush",
       "write 0 1 1", "write 3g 1m 2", "zero 7m 1m", "flush", "write 0 1 1",
       "write 0 2 9", "flush", "write 0 1 1", args=["--record", rec])
    parts = flushes(rec).split("!")
    assert [p.count("F") for p in parts[1:4]] == [2, 2, 1]


def test_vhdx_a_flush_of_a_child_takes_two_barriers(vt, create, tmp_path):
    """Bitmap blocks that nothing shows yet need no log."""
    parent = create("p.vhdx", size="64g", block="32m")
    path = create("c.vhdx", parent=parent, block="2m")
    rec, args = tmp_path / "rec", ["--parent", parent]
    many = [f"write {n * MIB * 160} 5 1" for n in range(1, 300)]
    vt(path, "begin", "write 0 2 1", "flush", "write 0 1 1", *many, "flush",
       "write 0 1 1", args=["--record", rec, *args])
    assert flushes(rec).split("!")[1].count("F") == 2
    assert vt(path, "read 0 3", *(f"read {n * MIB * 160} 6" for n in range(
        1, 300)), args=args) == ["010100"] + ["010101010100"] * 299


def test_vhdx_nothing_to_flush_is_no_barrier(vt, create, tmp_path):
    rec = tmp_path / "rec"
    vt(create("a.vhdx"), "begin", "write 0 2 1", "flush", "write 0 1 1",
       "flush", "flush", "flush", "write 0 1 1", args=["--record", rec])
    assert flushes(rec).split("!")[1] == "F"


def test_vhdx_log_wraps_many_times(vt, create, tmp_path):
    path = create("a.vhdx", size="2g")
    lines = []
    for n in range(400):
        lines += [f"write {n * 5 * MIB} 1 {n % 255 + 1}", "flush"]
    assert set(vt(path, "begin", *lines)) == {"ok"}
    assert vt(path, *(f"read {n * 5 * MIB} 1" for n in range(400))) == [
        f"{n % 255 + 1:02x}" for n in range(400)]


def test_vhdx_more_pages_than_the_log_holds(vt, create, tmp_path):
    """Bits of shown bitmap blocks: 700 pages in a log of 256."""
    parent = create("p.vhdx", size="16g", block="32m")
    path = create("c.vhdx", parent=parent, block="256m")
    args = ["--parent", parent]
    first = [f"write {n * 16 * MIB} 512 1" for n in range(700)]
    more = [f"write {n * 16 * MIB + 4096} 512 2" for n in range(700)]
    assert set(vt(path, "begin", *first, "flush", *more, "flush",
                  args=args)) == {"ok"}
    got = vt(path, *(f"read {n * 16 * MIB + 4095} 2" for n in range(700)),
             args=args)
    assert set(got) == {"0002"}


# Errors --------------------------------------------------------------------

SCRIPT = ["begin", "write 0 100 1", "write 1m 1m 2", "flush", "zero 0 1m",
          "write 3m 5 3", "flush", "write 5m 1 4", "flush"]


@pytest.mark.parametrize("child", [False, True])
def test_vhdx_every_change_can_fail(vt, create, tmp_path, child):
    """What a flush promised is there after any I/O error, and a session that
    lost something says so until its end."""
    parent = create("p.vhdx", size="8m")
    vt(parent, "begin", "write 0 8m 0x50")
    args = ["--parent", parent] if child else []
    for n in range(1, 60):
        path = tmp_path / f"{n}.vhdx"
        name = f"{n}.vhdx"
        create(name, size="8m", parent=parent if child else None)
        got = vt(path, *SCRIPT, args=["--fail", str(n), *args])
        bad = [i for i, a in enumerate(got) if a != "ok"]
        after = vt(path, "begin", "read 0 1", "read 1m 1", "read 3m 1",
                   args=args)
        assert after[0] == "ok"
        if set(got[:4]) == {"ok"} and got[4] != "ok":
            assert after[1:3] == ["01", "02"]
        if set(got[:7]) == {"ok"}:
            assert after[1:] == ["00", "02", "03"]
        if bad and got[1] == "ok":
            assert got[8] != "ok", got
        path.unlink()
        if not bad:
            return
    raise AssertionError("it never came to the end")


def test_vhdx_every_allocation_can_fail(tool, tmp_path, create):
    parent = create("p.vhdx", size="8m")
    for n in range(1, 80):
        path = create(f"c{n}.vhdx", parent=parent)
        p = run(tool("vhdxtool"), "open", "--nth-alloc", str(n), "--parent",
                parent, path, stdin="\n".join(SCRIPT + ["read 1m 1"]) + "\n",
                check=False)
        assert p.returncode in (0, 1), (n, p.stderr)
        path.unlink()


def test_vhdx_sequence_numbers_run_out(tool, tmp_path):
    v = Vhdx(8 * MIB)
    v.headers = [vhdx.header(2**64 - 2), vhdx.header(2**64 - 1)]
    path = v.write(tmp_path / "t.vhdx")
    p = run(tool("vhdxtool"), "check", path, check=False)
    assert "used up" in p.stderr and p.returncode


def test_vhdx_bad_region_table_is_mended(vt, tmp_path):
    for bad in (0, 1):
        v = Vhdx(8 * MIB)
        v.tables[bad] = b"x" * 65536
        path = v.write(tmp_path / "t.vhdx")
        vt(path, "begin", "write 0 1 1", "flush")
        raw = path.read_bytes()
        assert raw[196608:262144] == raw[262144:327680] == vhdx.region_table(
            v.regions)


def test_vhdx_unknown_region_is_kept(vt, tmp_path):
    v = Vhdx(8 * MIB)
    off = v.take(MIB)
    v.regions.append((uuid.UUID(int=77), off, MIB, 0))
    v.parts.append((off, b"K" * MIB))
    path = v.write(tmp_path / "t.vhdx")
    vt(path, "begin", "write 0 8m 1", "flush")
    assert path.read_bytes()[off:off + MIB] == b"K" * MIB


def test_vhdx_open_of_the_largest_disk_is_small(tool, tmp_path, create):
    """64 TiB in 1 MiB blocks: a BAT of 513 MiB, all of it a hole."""
    path = create("big.vhdx", size="64t")
    start = time.monotonic()
    p = subprocess.Popen([tool("vhdxtool"), "open", path], text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    p.stdin.write("begin\nread 0 1\nread 70368744177663 1\nwrite 63t 5 1\n"
                  "write 1t 1 2\nflush\nread 63t 1\n")
    p.stdin.flush()
    assert [p.stdout.readline().strip() for _ in range(7)] == [
        "ok", "00", "00", "ok", "ok", "ok", "01"]
    with open(f"/proc/{p.pid}/status") as f:
        peak = [int(x.split()[1]) for x in f if x.startswith("VmHWM")]
    p.communicate()
    assert p.returncode == 0
    # A sanitizer's own memory is not ours.
    assert peak[0] < (64 if "ASAN_OPTIONS" in os.environ else 8) << 10  # KiB
    assert time.monotonic() - start < 2
    assert path.stat().st_blocks * 512 < 8 * MIB
    assert path.stat().st_size < 1 << 30
