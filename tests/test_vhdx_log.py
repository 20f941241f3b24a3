# SPDX-License-Identifier: GPL-3.0-or-later
"""VHDX: finding and replaying the log (FORMAT.md 9), in memory and on disk."""
import hashlib
import uuid

import pytest

from conftest import run
from make import vhdx
from make.vhdx import LOG_GUID, MIB, PAGE, Vhdx, header, log_entry

OTHER = uuid.UUID("99999999-2222-3333-4444-555555555555")


class Base:
    """A disk of 8 blocks with data; logged BAT pages show or hide them."""

    def __init__(self, **kw):
        self.v = Vhdx(8 * MIB, **kw)
        self.offs = [self.v.take(MIB) for _ in range(8)]
        self.v.parts += [(off, bytes([0x61 + n]) * MIB)
                         for n, off in enumerate(self.offs)]

    def page(self, shown):
        """The BAT page that shows the blocks of the set."""
        raw = bytearray(PAGE)
        for n in shown:
            raw[n * 8:n * 8 + 8] = (self.offs[n] | 6).to_bytes(8, "little")
        return bytes(raw)

    def bat(self, shown):
        return self.v.bat_off, self.page(shown)

    def entry(self, seq, shown, tail=0, **kw):
        return log_entry(seq, [self.bat(shown)], tail, **kw)


@pytest.fixture
def drive(tool, tmp_path):
    def run_it(v, *lines, args=("--ro",)):
        path = v.write(tmp_path / "t.vhdx") if isinstance(v, Vhdx) else v
        p = run(tool("vhdxtool"), "open", *args, path, check=False,
                stdin="\n".join(lines) + "\n")
        return p.stdout.split("\n")[:-1] if p.returncode == 0 else p.stderr
    return run_it


@pytest.fixture
def shows(drive, tmp_path):
    """shows(base, "abc"): the blocks that are there after a replay in memory,
    and after one in the file."""
    def judge(b, want, args=()):
        lines = [f"read {n * MIB} 1" for n in range(8)]
        want = [f"{ord(c):02x}" if c != "." else "00"
                for c in want.ljust(8, ".")]
        path = b.v.write(tmp_path / "t.vhdx")
        before = hashlib.sha256(path.read_bytes()).digest()
        assert drive(path, *lines, args=["--ro", *args]) == want
        assert hashlib.sha256(path.read_bytes()).digest() == before
        assert drive(path, "begin", *lines, args=args) == ["ok"] + want
        assert drive(path, *lines, args=["--refuse-dirty", *args]) == want
    return judge


@pytest.fixture
def refused(drive):
    def judge(v, words, name="EUCLEAN"):
        text = drive(v, "size")
        assert isinstance(text, str) and words in text and name in text, text
        assert len(text.splitlines()) == 2
    return judge


def test_vhdx_log_one_entry(shows):
    b = Base()
    b.v.dirty((0, b.entry(1, {0, 2})))
    shows(b, "a.c")


def test_vhdx_log_refuse_dirty(drive):
    b = Base()
    b.v.dirty((0, b.entry(1, {0})))
    text = drive(b.v, "size", args=["--ro", "--refuse-dirty"])
    assert "dirty_log" in text.replace("-", "_") and "EROFS" in text


def test_vhdx_log_three_entries_the_last_wins(shows):
    b = Base()
    b.v.dirty((0, b.entry(7, {0})), (2 * PAGE, b.entry(8, {1})),
              (4 * PAGE, b.entry(9, {2})))
    shows(b, "..c")


def test_vhdx_log_begins_at_the_tail_of_the_last(shows):
    """Entry 7 clears what 8 does not touch: it must not be replayed."""
    b = Base()
    b.v.bat[0] = b.offs[0] | 6
    b.v.dirty((0, b.entry(7, {3})), (2 * PAGE, log_entry(8, tail=2 * PAGE)))
    shows(b, "a")


def test_vhdx_log_in_the_middle_and_empty_first(shows):
    b = Base()
    b.v.dirty((40 * PAGE, log_entry(5, tail=40 * PAGE)),
              (41 * PAGE, b.entry(6, {4}, tail=40 * PAGE)))
    shows(b, "....e")


@pytest.mark.parametrize("pos", [MIB - PAGE, MIB - 2 * PAGE, MIB - 3 * PAGE])
def test_vhdx_log_wraps(shows, pos):
    b = Base()
    b.v.dirty((pos, b.entry(3, {0, 1}, tail=pos)),
              ((pos + 2 * PAGE) % MIB, log_entry(
                  4, [(b.v.bat_off, b.page({0, 1, 5}))], tail=pos)))
    shows(b, "ab...f")


def test_vhdx_log_stale_entries_around(shows):
    b = Base()
    b.v.dirty((0, b.entry(90, {7}, log=OTHER)), (2 * PAGE, b.entry(
        2, {1}, tail=2 * PAGE)), (4 * PAGE, b.entry(3, {7}, log=OTHER)))
    shows(b, ".b")


def test_vhdx_log_larger_sequence_wins(shows):
    b = Base()
    b.v.dirty((0, b.entry(50, {0})),
              (10 * PAGE, b.entry(60, {1}, tail=10 * PAGE)),
              (20 * PAGE, b.entry(55, {2}, tail=20 * PAGE)))
    shows(b, ".b")


def torn(raw, at=-100):
    raw = bytearray(raw)
    raw[at] ^= 1
    return bytes(raw)


def test_vhdx_log_torn_tail(shows):
    b = Base()
    b.v.dirty((0, b.entry(1, {0})), (2 * PAGE, torn(b.entry(2, {0, 1}))))
    shows(b, "a")


def test_vhdx_log_torn_middle(shows):
    b = Base()
    b.v.dirty((0, b.entry(1000, {0})), (2 * PAGE, torn(b.entry(1001, {1}))),
              (4 * PAGE, b.entry(1002, {2})), (6 * PAGE, b.entry(1003, {3})))
    shows(b, "a")


@pytest.mark.parametrize("raw", [
    torn(log_entry(1)), log_entry(0), log_entry(1, log=OTHER),
    log_entry(1, sig=b"logx"), log_entry(1, length=8192),
    log_entry(1, length=4095), log_entry(1, count=1), log_entry(1, tail=4096),
    log_entry(1, tail=5), log_entry(1, tail=MIB), log_entry(1, length=2 * MIB),
    log_entry(1, count=0xFFFFFFFF), log_entry(1, length=0)])
def test_vhdx_log_nothing_valid_is_refused(refused, raw):
    b = Base()
    b.v.dirty((0, raw))
    refused(b.v, "no valid entry")


def test_vhdx_log_first_of_three_torn(refused):
    b = Base()
    b.v.dirty((0, torn(b.entry(1, {0}))), (2 * PAGE, b.entry(2, {1})),
              (4 * PAGE, b.entry(3, {2})))
    refused(b.v, "no valid entry")


def test_vhdx_log_page_of_another_sequence(refused):
    b = Base()
    raw = bytearray(b.entry(1, {0}))
    raw[-4:] = (2).to_bytes(4, "little")
    b.v.dirty((0, vhdx.sealed(raw)))
    refused(b.v, "no valid entry")


@pytest.mark.parametrize("n", [125, 126, 127, 253])
def test_vhdx_log_many_descriptors(shows, n):
    b = Base()
    pad = [(b.v.bat_off + PAGE * (1 + i % 200), bytes(PAGE))
           for i in range(min(n, 250) - 1)]
    # The BAT's page comes last: a slip in counting shifts it.
    b.v.dirty((0, log_entry(1, pad + [b.bat({0, 7})])))
    shows(b, "a......h")


def test_vhdx_log_zero_descriptors_second_page(shows):
    b = Base()
    b.v.bat[1] = b.offs[1] | 6
    zeros = [(b.v.bat_off + 8 * PAGE, PAGE)] * 254
    b.v.dirty((0, log_entry(1, zeros + [b.bat({2})])))
    shows(b, "..c")


def test_vhdx_log_zero_then_data_and_back(shows):
    b = Base()
    b.v.dirty((0, log_entry(1, [b.bat({0})])),
              (2 * PAGE, log_entry(2, [(b.v.bat_off, 2 * PAGE)])),
              (3 * PAGE, log_entry(3, [(b.v.bat_off + PAGE, PAGE)])))
    shows(b, "")


def test_vhdx_log_fills_the_ring(shows):
    b = Base()
    pages = [(b.v.bat_off + PAGE * (i % 256), bytes(PAGE)) for i in range(252)]
    b.v.dirty((8 * PAGE, log_entry(1, pages + [b.bat({3})], tail=8 * PAGE)))
    shows(b, "...d")


def test_vhdx_log_file_grows(shows):
    """A block that lies behind the file's end until the replay."""
    b = Base()
    off = b.v.take(MIB)
    b.offs[6] = off
    b.v.file_size = off
    last = off + MIB
    b.v.dirty((0, log_entry(1, [b.bat({6}), (off, b"q" * PAGE)], last=last)))
    shows(b, "......q")


def test_vhdx_log_zero_across_the_end(drive, tmp_path):
    b = Base()
    end = b.v.next
    b.v.dirty((0, log_entry(1, [(end - PAGE, 3 * PAGE)], last=end + MIB)))
    path = b.v.write(tmp_path / "t.vhdx")
    assert drive(path, "begin", args=()) == ["ok"]
    assert path.read_bytes()[end - 2 * PAGE:end] == b"h" * PAGE + bytes(PAGE)


@pytest.mark.parametrize("desc", [
    (0, bytes(PAGE)), (65536, bytes(PAGE)), (131072, bytes(PAGE)),
    (MIB, bytes(PAGE)), (2 * MIB - PAGE, 2 * PAGE), (1 << 63, bytes(PAGE)),
    (3 * MIB + 1, bytes(PAGE)), (3 * MIB, 5), (3 * MIB, 1 << 63),
    (MIB - PAGE, 2 * MIB), (100 * MIB, bytes(PAGE)), ((1 << 64) - PAGE, PAGE)])
def test_vhdx_log_impossible_target(refused, desc):
    b = Base()
    b.v.dirty((0, log_entry(1, [desc])))
    refused(b.v, "impossible target")


def test_vhdx_log_truncated_file(refused):
    b = Base()
    b.v.dirty((0, b.entry(1, {0}, flushed=b.v.next + MIB)))
    refused(b.v, "cut short")


def test_vhdx_log_absurd_last_size(refused):
    b = Base()
    b.v.dirty((0, b.entry(1, {0}, last=1 << 60)))
    refused(b.v, "file size")


def test_vhdx_log_zeroes_without_memory(drive, tool):
    b = Base()
    b.v.dirty((0, log_entry(1, [(4 * MIB, 900 * MIB), b.bat({1})],
                            last=1 << 40)))
    b.v.parts.clear()
    assert drive(b.v, "read 1m 1") == ["00"]
    b.v.dirty((0, log_entry(1, [(4 * MIB, 1 << 39)], last=1 << 40)))
    text = drive(b.v, "size")
    assert "zeroes too much" in text


def test_vhdx_log_tangle_ends(tmp_path, tool):
    """Entries everywhere, each a run of its own that leads nowhere."""
    b = Base()
    b.v.dirty(*[(i * PAGE, log_entry(1 + i, tail=PAGE * ((i + 9) % 256)))
                for i in range(256)])
    path = b.v.write(tmp_path / "t.vhdx")
    run(tool("vhdxtool"), "info", path, check=False, timeout=20)


def test_vhdx_log_regions_come_from_it(drive):
    b = Base()
    table = vhdx.region_table(b.v.regions)
    b.v.put(0, vhdx.FULL, b"Z")
    b.v.tables = [b"bad".ljust(65536, b"\0")] * 2
    b.v.dirty((0, log_entry(1, [(196608 + i * PAGE,
                                 table[i * PAGE:(i + 1) * PAGE])
                                for i in range(16)])))
    assert drive(b.v, "read 0 1") == ["5a"]


def test_vhdx_log_replay_keeps_the_childrens_link(drive, tool, tmp_path):
    b = Base()
    b.v.dirty((0, b.entry(1, {0})))
    path = b.v.write(tmp_path / "t.vhdx")
    info = run(tool("vhdxtool"), "info", path).stdout
    assert "log_dirty 1" in info and "log_entries 1" in info
    assert drive(path, "begin", args=()) == ["ok"]
    after = run(tool("vhdxtool"), "info", path).stdout
    word = [line.split()[1] for line in info.splitlines() if "data_w" in line]
    assert f"data_write {word[0]}" in after and "log_dirty 0" in after
    assert [x for x in info.splitlines() if "file_w" in x] != [
        x for x in after.splitlines() if "file_w" in x]


def test_vhdx_log_of_a_parent_is_replayed_in_memory(drive, tmp_path):
    b = Base()
    b.v.dirty((0, b.entry(1, {0})))
    path = b.v.write(tmp_path / "p.vhdx")
    before = path.read_bytes()
    child = Vhdx(8 * MIB, parent=vhdx.linkage())
    assert drive(child, "begin", "write 1m 1 0x30", "flush", "read 0 1",
                 "read 1m 1", args=["--parent", path]) == [
                     "ok", "ok", "ok", "61", "30"]
    assert path.read_bytes() == before


def test_vhdx_log_version_and_header_copy(shows):
    b = Base()
    b.v.dirty((0, b.entry(1, {0})))
    b.v.headers = [header(9, log=LOG_GUID), header(8)]
    shows(b, "a")
