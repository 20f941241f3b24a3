# SPDX-License-Identifier: GPL-3.0-or-later
"""VHDX: what opens, what is refused and how (FORMAT.md 2-8, 11, 14)."""
import hashlib
import struct
import uuid

import pytest

from conftest import run
from make import vhdx
from make.vhdx import KIB64, MIB, Vhdx, header, region_table

ODD = uuid.UUID("01234567-89ab-cdef-0123-456789abcdef")


@pytest.fixture
def disk(tool, tmp_path):
    """disk(v, *lines): answers of the script, or the refusal as text."""
    def drive(v, *lines, args=("--ro",), check=True):
        path = v.write(tmp_path / "t.vhdx") if isinstance(v, Vhdx) else v
        p = run(tool("vhdxtool"), "open", *args, path, check=False,
                stdin="\n".join(lines) + "\n")
        if check:
            assert p.returncode == 0, p.stderr
        return p.stdout.split("\n")[:-1] if p.returncode == 0 else p.stderr
    return drive


@pytest.fixture
def refused(disk):
    """refused(v, "words"): it does not open, in one line that has them."""
    def judge(v, words, name="UCLEAN"):
        text = disk(v, "size", check=False)
        assert isinstance(text, str), "it opened"
        assert words in text and name in text, text
        assert len(text.splitlines()) == 2
    return judge


def small(**kw):
    v = Vhdx(4 * MIB, **kw)
    v.put(1, vhdx.FULL, b"A" * MIB)
    return v


def test_vhdx_plain_reads(disk):
    assert disk(small(), "size", "sector", "read 1048575 3",
                "map 0 4m") == ["4194304", "512", "004141",
                                disk_map(small())]


def disk_map(v):
    return f"zero+1048576 3@{4 * MIB}+1048576 zero+2097152"


# Headers -------------------------------------------------------------------

@pytest.mark.parametrize("bad", [0, 1])
def test_vhdx_one_header_is_enough(disk, bad):
    v = small()
    v.headers[bad] = b"x" * 4096
    assert disk(v, "read 1m 1") == ["41"]


def test_vhdx_both_headers_bad(refused):
    v = small()
    v.headers = [b"x" * 4096] * 2
    refused(v, "both headers")


def test_vhdx_equal_sequence_same_bytes(disk):
    v = small()
    v.headers = [header(5), header(5)]
    assert disk(v, "read 1m 1") == ["41"]


def test_vhdx_equal_sequence_other_bytes(refused):
    v = small()
    v.headers = [header(5), header(5, data_write=ODD)]
    refused(v, "differ")


def test_vhdx_newer_version_is_no_reason_to_fall_back(refused):
    v = small()
    v.headers[1] = header(2, version=2)
    refused(v, "version: 2", "EOPNOTSUPP")


def test_vhdx_older_header_of_other_version_is_ignored(disk):
    v = small()
    v.headers[0] = header(1, version=2)
    assert disk(v, "read 1m 1") == ["41"]


def test_vhdx_reserved_header_bytes_are_ignored_but_checked(disk, refused):
    v = small()
    v.headers[1] = header(2, reserved=b"junk", data_write=ODD)
    assert disk(v, "read 1m 1") == ["41"]
    raw = bytearray(v.headers[1])
    raw[4000] ^= 1
    v.headers = [bytes(raw), bytes(raw)]
    refused(v, "both headers")


def test_vhdx_log_version_counts_only_with_a_log(disk, refused):
    v = small()
    v.headers = [header(1), header(2, log_version=1)]
    assert disk(v, "read 1m 1") == ["41"]
    v.headers[1] = header(2, log_version=1, log=vhdx.LOG_GUID)
    refused(v, "log version", "EOPNOTSUPP")


@pytest.mark.parametrize("kw", [
    {"log_len": 4096}, {"log_len": 0, "log": vhdx.LOG_GUID},
    {"log_len": 2048 * MIB}, {"log_off": 0}, {"log_off": MIB + 4096},
    {"log_off": 1 << 63}, {"log_off": 2 * MIB}, {"log_len": 3 * MIB}])
def test_vhdx_log_must_have_a_place(refused, kw):
    v = small()
    v.headers[1] = header(2, **kw)
    refused(v, "")


def test_vhdx_log_length_zero_is_readable_not_writable(disk, tool, tmp_path):
    v = small()
    v.headers[1] = header(2, log_len=0, log_off=0)
    assert disk(v, "read 1m 1") == ["41"]
    p = run(tool("vhdxtool"), "check", tmp_path / "t.vhdx", check=False)
    assert p.returncode and "no log" in p.stderr


# Region tables -------------------------------------------------------------

@pytest.mark.parametrize("bad", [0, 1])
def test_vhdx_one_region_table_is_enough(disk, bad):
    v = small()
    v.tables[bad] = b"x" * KIB64
    assert disk(v, "read 1m 1") == ["41"]


def test_vhdx_both_region_tables_bad(refused):
    v = small()
    v.tables = [b"x" * KIB64] * 2
    refused(v, "both region tables")


def test_vhdx_required_flag_is_not_demanded(disk):
    v = small()
    v.regions = [r[:3] + (0,) for r in v.regions]
    assert disk(v, "read 1m 1") == ["41"]


def test_vhdx_unknown_region(disk, refused):
    v = small()
    v.regions.append((ODD, v.take(MIB), MIB, 0))
    assert disk(v, "read 1m 1") == ["41"]
    v.regions[2] = v.regions[2][:3] + (1,)
    refused(v, str(ODD), "EOPNOTSUPP")


@pytest.mark.parametrize("entry, words", [
    ((ODD, 0, MIB, 0), "offset"), ((ODD, MIB + 4096, MIB, 0), "offset"),
    ((ODD, 3 * MIB, MIB, 0), "overlap"), ((ODD, MIB, MIB, 0), "overlap"),
    ((ODD, 4 * MIB, 0, 0), "length"), ((ODD, 4 * MIB, 5, 0), "length"),
    ((ODD, 1 << 40, MIB, 0), "behind"), ((ODD, 4 * MIB, MIB, 2), "flags"),
    ((ODD, (1 << 64) - MIB, MIB, 0), "behind"),
    ((vhdx.BAT, 4 * MIB, MIB, 1), "twice")])
def test_vhdx_impossible_region(refused, entry, words):
    v = small()
    v.regions.append(entry)
    refused(v, words)


def test_vhdx_region_count_and_missing_regions(refused):
    v = small()
    v.tables = [region_table(v.regions, count=2048)] * 2
    refused(v, "too many")
    v.tables = [region_table(v.regions[:1])] * 2
    refused(v, "no metadata")
    v.tables = [region_table(v.regions[1:])] * 2
    refused(v, "no BAT")


# Metadata ------------------------------------------------------------------

def test_vhdx_unknown_items(disk, refused):
    v = small()
    v.items += [(ODD, b"hello", 2), (ODD, b"user", 1), (uuid.UUID(int=9), b"",
                                                         0)]
    assert disk(v, "read 1m 1") == ["41"]
    v.items[-3] = (ODD, b"hello", 4)
    refused(v, str(ODD), "EOPNOTSUPP")


@pytest.mark.parametrize("item, words", [
    ((ODD, b"x", 5), "flags"), ((ODD, b"x", 8), "flags"),
    ((uuid.UUID(int=0), b"x", 0), "no id"),
    ((ODD, b"x", 0, 100), "offset"), ((ODD, b"x", 0, MIB - 1, 2), "offset"),
    ((ODD, b"", 0, 70000), "offset"), ((ODD, b"x", 0, 1 << 31), "offset"),
    ((ODD, b"x", 0, 65536, MIB + 1), "1 MiB"),
    ((ODD, b"x", 0, 65537), "overlap"), ((vhdx.SIZE, bytes(8), 6), "twice"),
    ((vhdx.INCOMPLETE, b"", 4), "never finished")])
def test_vhdx_impossible_item(refused, item, words):
    v = small()
    v.items.append(item)
    refused(v, words)


def test_vhdx_item_at_the_end_of_the_region(disk):
    v = small()
    v.items.append((ODD, b"x", 0, MIB - 1))
    assert disk(v, "read 1m 1") == ["41"]


def test_vhdx_item_count(disk, refused):
    v = small()
    v.items += [(uuid.UUID(int=100 + n), b"", 0) for n in range(2042)]
    assert disk(v, "read 1m 1") == ["41"]
    raw = bytearray(v.meta_raw())
    raw[10:12] = struct.pack("<H", 2048)
    v.meta = bytes(raw)
    refused(v, "too many")


@pytest.mark.parametrize("guid", [vhdx.PARAMS, vhdx.SIZE, vhdx.DISK_ID,
                                  vhdx.LSS, vhdx.PSS])
def test_vhdx_mandatory_items(refused, guid):
    v = small()
    v.without(guid)
    refused(v, "vhdx: no ")
    v = small()
    v.item(guid, b"12345")
    refused(v, "wrong length")


@pytest.mark.parametrize("guid, raw, words", [
    (vhdx.PARAMS, struct.pack("<II", 3 * MIB, 0), "block size"),
    (vhdx.PARAMS, struct.pack("<II", 512 * MIB, 0), "block size"),
    (vhdx.PARAMS, struct.pack("<II", MIB // 2, 0), "block size"),
    (vhdx.PARAMS, struct.pack("<II", 0, 0), "block size"),
    (vhdx.PARAMS, struct.pack("<II", MIB, 2), "no parent locator"),
    (vhdx.LSS, struct.pack("<I", 1024), "sector size"),
    (vhdx.PSS, struct.pack("<I", 0), "sector size"),
    (vhdx.SIZE, struct.pack("<Q", 0), "disk size"),
    (vhdx.SIZE, struct.pack("<Q", MIB + 1), "disk size"),
    (vhdx.SIZE, struct.pack("<Q", (64 << 40) + 512), "disk size"),
    (vhdx.SIZE, struct.pack("<Q", 1 << 40), "BAT is too small")])
def test_vhdx_impossible_values(refused, guid, raw, words):
    v = small()
    v.item(guid, raw)
    refused(v, words)


# Parent locator ------------------------------------------------------------

LINK = ("parent_linkage", "{%s}" % ODD)


def child(pairs, **kw):
    return Vhdx(4 * MIB, parent=vhdx.locator(pairs, **kw))


@pytest.mark.parametrize("text", ["{%s}" % ODD, str(ODD), str(ODD).upper()])
def test_vhdx_locator_spellings(tool, tmp_path, text):
    v = child([("volume_path", "\\\\?\\Volume{1}\\p"), ("other", "x"),
               ("absolute_win32_path", "\\\\?\\C:\\p.vhdx"),
               ("parent_linkage2", "{%s}" % uuid.UUID(int=5)),
               ("relative_path", "..\\b\\p\u00e4.vhdx"),
               ("parent_linkage", text)], odd=True)
    out = run(tool("vhdxtool"), "info", v.write(tmp_path / "c.vhdx")).stdout
    assert f"linkage {ODD}" in out and f"linkage2 {uuid.UUID(int=5)}" in out
    assert [line for line in out.splitlines() if "parent " in line][-3:] == [
        "parent 0 ..\\b\\p\u00e4.vhdx", "parent 2 \\\\?\\Volume{1}\\p",
        "parent 1 \\\\?\\C:\\p.vhdx"]


@pytest.mark.parametrize("pairs", [
    [], [("relative_path", "p")], [LINK, LINK], [("parent_linkage", "hello")],
    [LINK, ("relative_path", b"")], [LINK, (b"", "x")],
    [LINK, ("relative_path", b"abc")], [LINK, ("relative_path", b"a\0\0\0")],
    [LINK] + [("k%d" % n, "v") for n in range(256)]])
def test_vhdx_locator_damaged(refused, pairs):
    refused(child(pairs), "parent locator")


def test_vhdx_locator_type_and_reach(refused):
    refused(child([LINK], kind=ODD), "unknown type", "EOPNOTSUPP")
    refused(child([LINK], count=90), "number of entries")
    raw = bytearray(vhdx.locator([LINK]))
    raw[24:28] = struct.pack("<I", 0xFFFFFFF0)
    refused(Vhdx(4 * MIB, parent=bytes(raw)), "damaged")


def test_vhdx_child_without_parent_gives_no_zeros(disk):
    v = child([LINK])
    v.put(1, vhdx.ZERO)
    assert disk(v, "read 0 1", "read 1m 1", "map 0 1") == [
        "error ESTALE", "00", "error ESTALE"]


# Sizes ---------------------------------------------------------------------

@pytest.mark.parametrize("block", [MIB, 2 * MIB, 32 * MIB, 256 * MIB])
@pytest.mark.parametrize("lss", [512, 4096])
def test_vhdx_bat_index_around_the_first_bitmap_entry(disk, block, lss):
    v = Vhdx(((lss << 23) // block + 2) * block, block=block, lss=lss)
    for blk in (v.chunk - 1, v.chunk, v.chunk + 1):
        v.put(blk, vhdx.FULL, bytes([blk % 251 + 1]))
    v.bat[v.chunk] = 0x77		# junk of old qemu in a base file
    assert disk(v, *(f"read {b * block} 1" for b in (v.chunk - 1, v.chunk,
                                                     v.chunk + 1))) == [
        "%02x" % (b % 251 + 1) for b in (v.chunk - 1, v.chunk, v.chunk + 1)]


@pytest.mark.parametrize("size", [512, MIB, MIB + 512, 4096 * MIB])
def test_vhdx_small_sizes(disk, size):
    v = Vhdx(size)
    v.put(v.n_blocks - 1, vhdx.FULL, b"Z" * MIB)
    assert disk(v, "size", f"read {size - 1} 1", f"read {size} 1") == [
        str(size), "5a", "error EINVAL"]


@pytest.mark.parametrize("cut", [
    10, 600, KIB64, 100000, 2 * KIB64, 3 * KIB64 + 5, 5 * KIB64, MIB - 1, MIB,
    MIB + 5, 2 * MIB, 2 * MIB + 40, 2 * MIB + KIB64 + 3, 3 * MIB, 3 * MIB + 8])
def test_vhdx_cut_at_every_structure(disk, cut):
    v = small()
    v.file_size = cut
    assert isinstance(disk(v, "size", check=False), str)


def test_vhdx_cut_in_a_block_is_an_error_not_zeros(disk):
    v = small()
    v.put(2, vhdx.FULL, b"B" * MIB)
    v.file_size = v.next - 512
    assert disk(v, "read 1m 1", "read 2m 1") == ["41", "error EUCLEAN"]


def test_vhdx_last_block_needs_only_what_the_disk_uses(disk):
    v = Vhdx(MIB + 512)
    v.put(1, vhdx.FULL, b"B" * 512)
    v.file_size = v.next - MIB + 512
    assert disk(v, f"read {MIB} 512") == ["42" * 512]


def test_vhdx_read_only_leaves_the_file_alone(disk, tmp_path):
    path = small().write(tmp_path / "x.vhdx")
    before = hashlib.sha256(path.read_bytes()).digest(), path.stat().st_mtime_ns
    disk(path, "sha256 0 4m", "map 0 4m", "begin", args=())
    after = hashlib.sha256(path.read_bytes()).digest(), path.stat().st_mtime_ns
    assert before == after
