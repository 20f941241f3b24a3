# SPDX-License-Identifier: GPL-3.0-or-later
"""VHD, reading: formats/vhd/FORMAT.md 2 to 7 and the list in 13."""
import hashlib
import pathlib
import struct
import subprocess

import pytest

from conftest import run
from make import vhd
from make.vhd import DIFF, FIXED, Image, pattern
from vhd_common import Tool, runs_of


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


def test_vhd_checksum_vectors():
    """The writer of these tests agrees with FORMAT.md 2.1."""
    def sum_of(raw, at):
        return struct.unpack_from(">I", raw, at)[0]
    assert sum_of(vhd.footer(4 << 20, FIXED), 64) == 0xFFFFF04B
    assert sum_of(vhd.footer(4 << 20), 64) == 0xFFFFF840
    assert sum_of(vhd.header(1536, 2, 2 << 20), 36) == 0xFFFFF475
    assert sum_of(vhd.header(1536, 2, 2 << 20, parent_id=vhd.ID,
                             parent_name="p.vhd".encode("utf-16-be")),
                  36) == 0xFFFFF21D


# --- fixed

@pytest.mark.parametrize("off", [0, 0xFFFFFFFF, vhd.NO_OFFSET])
def test_vhd_fixed_any_data_offset(t, put, off):
    data = pattern(8192)
    assert t.read(put(vhd.fixed(data, data_off=off))) == data


def test_vhd_fixed_one_sector(t, put):
    assert t.read(put(vhd.fixed(pattern(512)))) == pattern(512)


def test_vhd_fixed_empty_refused(t, put):
    assert "without a sector" in t.fails(put(vhd.fixed(b"")))


def test_vhd_fixed_slack_is_no_data(t, put):
    data = pattern(4096)
    assert t.read(put(vhd.fixed(data, slack=1536))) == data


def test_vhd_fixed_larger_than_file(t, put):
    assert "larger than the file" in t.fails(
        put(vhd.fixed(pattern(4096), size=4608)))


def test_vhd_fixed_map_is_one_run(t, put):
    path = put(vhd.fixed(pattern(1 << 20)))
    (_, off, length), = runs_of(t.script(path, ["map 512 1048064"])[0])
    assert (off, length) == (512, 1048064)


def test_vhd_fixed_over_dynamic_of_one_id_refused(t, put):
    img = Image(SIZE, blocks=SOME).raw
    path = put(img[:-512] + vhd.footer(SIZE, FIXED))
    assert "one id" in t.fails(path)


def test_vhd_fixed_holding_another_vhd(t, put):
    inner = Image(SIZE, blocks=SOME, footer_args={"uid": b"x" * 16}).raw
    assert t.read(put(vhd.fixed(inner))) == inner


# --- the footer

def test_vhd_511_byte_footer_fixed(t, put):
    data = pattern(4096)
    assert t.read(put(vhd.fixed(data)[:-1])) == data


def test_vhd_511_byte_footer_dynamic(t, put):
    img = Image(SIZE, blocks=SOME)
    path = put(img.raw[:-1])
    assert t.read(path) == img.content()
    assert t.info(path)["damaged"] == ["0"]


@pytest.mark.parametrize("cut", [1, 511, 512, 513])
def test_vhd_truncated_in_footer(t, put, cut):
    img = Image(SIZE, blocks={0: SOME[0]})
    path = put(img.raw[:-cut])
    if cut == 513:
        answer = t.script(path, ["read 0 8", "read 4096 8"])
        assert answer == ["error EUCLEAN", "00" * 8]
    else:
        assert t.read(path) == img.content()
    assert t.info(path)["damaged"] == ["0" if cut == 1 else "1"]


@pytest.mark.parametrize("end", [bytes(512),
                                 vhd.footer(SIZE, bad_checksum=True)])
def test_vhd_end_footer_bad_copy_used(t, put, end):
    img = Image(SIZE, blocks=SOME, end=end)
    path = put(img)
    assert t.read(path) == img.content()
    assert t.info(path)["damaged"] == ["1"]


def test_vhd_end_footer_bad_fixed_refused(t, put):
    path = put(vhd.fixed(pattern(4096), bad_checksum=True))
    assert "checksum" in t.fails(path)
    assert t.read(path, "--force") == pattern(4096)


@pytest.mark.parametrize("front", [bytes(512),
                                   vhd.footer(SIZE, bad_checksum=True)])
def test_vhd_front_copy_bad(t, put, front):
    img = Image(SIZE, blocks=SOME, front=front)
    assert t.read(put(img)) == img.content()


def test_vhd_both_footers_bad_refused_unless_forced(t, put):
    bad = vhd.footer(SIZE, bad_checksum=True)
    img = Image(SIZE, blocks=SOME, front=bad, end=bad)
    assert "checksum" in t.fails(put(img))
    assert t.read(put(img), "--force") == img.content()


def test_vhd_both_valid_end_wins(t, put):
    img = Image(SIZE, blocks=SOME, front=vhd.footer(SIZE // 2))
    path = put(img)
    assert t.read(path) == img.content()
    assert t.info(path)["differs"] == ["1"]


def test_vhd_no_footer_is_another_format(t, put):
    for data in (b"", b"x", bytes(511), bytes(512), pattern(5000)):
        assert t.script(put(data), [], check=False).stdout == \
            "error EMEDIUMTYPE\n"


def test_vhd_poisoned_by_tapdisk_refused(t, put):
    bad = vhd.footer(SIZE, cookie=b"v_poison")
    assert "tapdisk" in t.fails(put(Image(SIZE, front=bad, end=bad)),
                                code="EOPNOTSUPP")


@pytest.mark.parametrize("args, code", [
    ({"format_version": 0x20000}, "EOPNOTSUPP"), ({"kind": 1}, "EOPNOTSUPP"),
    ({"kind": 5}, "EOPNOTSUPP"), ({"data_off": 513}, "EUCLEAN"),
    ({"data_off": 0}, "EUCLEAN"), ({"data_off": 1 << 40}, "EUCLEAN"),
    ({"data_off": vhd.NO_OFFSET}, "EUCLEAN")])
def test_vhd_footer_field_refused(t, put, args, code):
    raw = Image(SIZE, blocks=SOME).raw
    bad = vhd.footer(SIZE, **args)
    t.fails(put(bad + raw[512:-512] + bad), code=code)


def test_vhd_hidden_without_checksum_old_tapdisk(t, put):
    for creator, version, ok in ((b"tap\0", 0x10001, True),
                                 (b"tap\0", 1, True),
                                 (b"tap\0", 0x10003, False)):
        raw = bytearray(vhd.footer(SIZE, creator=creator, version=version))
        raw[85] = 1
        img = Image(SIZE, blocks=SOME, front=bytes(raw), end=bytes(raw))
        if ok:
            t.script(put(img), ["size"])
        else:
            t.fails(put(img))


def test_vhd_tail_gap_before_footer(t, put):
    img = Image(SIZE, blocks=SOME, tail=3584)
    assert t.read(put(img)) == img.content()


# --- sizes

@pytest.mark.parametrize("creator, qemu", [
    (b"vpc ", "chs"), (b"vs  ", "chs"), (b"win ", "current"),
    (b"d2v ", "current"), (b"qemu", "chs"), (b"qem2", "current"),
    (b"tap\0", "current"), (b"CTXS", "current"), (b"vbox", "chs"),
    (b"wa\0\0", "chs"), (b"dutl", "chs")])
def test_vhd_size_by_creator(t, put, peer, creator, qemu):
    size = 4 << 20
    path = put(Image(size, block=2 << 20, footer_args={"creator": creator}))
    chs = 120 * 4 * 17 * 512
    assert t.info(path)["size"] == [str(size)]
    assert t.info(path, "--size-rule", "chs")["size"] == [str(chs)]
    want = chs if qemu == "chs" else size
    assert t.info(path, "--size-rule", "qemu")["size"] == [str(want)]
    out = run(peer("qemu-img"), "info", "-f", "vpc", path).stdout
    assert f"({want} bytes)" in out


def test_vhd_size_rule_qemu_full_geometry(t, put):
    path = put(Image(SIZE, footer_args={"creator": b"vpc ",
                                        "chs": (65535, 16, 255)}))
    assert t.info(path, "--size-rule", "qemu")["size"] == [str(SIZE)]


def test_vhd_size_chs_zero_or_too_large_is_current(t, put):
    for chs in ((0, 4, 17), (120, 4, 17)):
        path = put(Image(SIZE, footer_args={"chs": chs}))
        assert t.info(path, "--size-rule", "chs")["size"] == [str(SIZE)]


def test_vhd_odd_size_rounds_down(t, put):
    img = Image(SIZE, blocks=SOME, footer_args={})
    raw = vhd.footer(SIZE - 100)
    path = put(raw + img.raw[512:-512] + raw)
    assert t.info(path)["size"] == [str(SIZE - 512)]


SECTOR_COUNTS = [67, 68, 8192, 69631, 69632, 278527, 278528, 507903, 507904,
                 2097152, 66059279, 66059280, 267382799, 267382800]


@pytest.mark.parametrize("sectors", sorted(
    {n + d for n in SECTOR_COUNTS for d in (-1, 0, 1)}))
def test_vhd_geometry_vectors(t, tmp_path, sectors):
    """A created disk has the geometry of FORMAT.md 2.3."""
    path = t.create(tmp_path / "g.vhd", "dynamic", sectors * 512)
    raw = path.read_bytes()[:512]
    c, h, s = struct.unpack_from(">HBB", raw, 56)
    assert (c, h, s) == vhd.geometry(sectors)
    assert struct.unpack_from(">I", raw, 64)[0] == vhd.checksum(raw, 64)


# --- dynamic

@pytest.mark.parametrize("block", [512, 4096, 512 << 10, 2 << 20, 4 << 20])
def test_vhd_block_sizes(t, put, block):
    size = 3 * block + 512 if block > 512 else 2048
    img = Image(size, block=block, blocks={1: pattern(block),
                                           3: pattern(block, 7)})
    assert t.read(put(img)) == img.content()


@pytest.mark.parametrize("block", [0, 256, 513, 3 << 10, 512 << 20])
def test_vhd_block_size_refused(t, put, block):
    raw = Image(SIZE, blocks=SOME).raw
    bad = vhd.header(1536, 16, block)
    assert "block size" in t.fails(put(raw[:512] + bad + raw[1536:]))


def test_vhd_last_block_partial(t, put):
    img = Image(SIZE + 1536, blocks={16: pattern(4096)})
    path = put(img)
    assert t.read(path) == img.content()
    answer = t.script(path, [f"read {SIZE + 1024} 512", f"read {SIZE + 1536} 1",
                             f"read {SIZE + 1024} 513"])
    assert answer == [pattern(4096)[1024:1536].hex(), "error EINVAL",
                      "error EINVAL"]


def test_vhd_clear_bit_of_dynamic_reads_zeros(t, put):
    """FORMAT.md 5.4: the bytes under it are not the guest's."""
    img = Image(SIZE, blocks={2: (pattern(4096), [0, 3, 7])})
    assert t.read(put(img)) == img.content()


def test_vhd_structures_in_odd_places(t, put):
    img = Image(SIZE, blocks=SOME, header_off=2048, bat_off=8192,
                extra=[(1024, b"junk" * 64)])
    assert t.read(put(img)) == img.content()


def test_vhd_bat_behind_the_data(t, put):
    img = Image(SIZE, blocks=SOME, bat_off=512 * 100)
    assert t.read(put(img)) == img.content()


def test_vhd_bat_padding_ignored(t, put):
    img = Image(SIZE, blocks=SOME, bat_pad=b"\x01")
    assert t.read(put(img)) == img.content()


def test_vhd_bat_longer_than_needed(t, put):
    img = Image(SIZE, blocks=SOME, n=100)
    assert t.read(put(img)) == img.content()


@pytest.mark.parametrize("n, what", [
    (15, "too short"), (0, "too short"), (0xFFFFFFFF, "larger than any"),
    (1 << 20, "cannot lie")])
def test_vhd_bat_entry_count_refused(t, put, n, what):
    assert what in t.fails(put(Image(SIZE, blocks=SOME, n=n)))


@pytest.mark.parametrize("block", [512, 2 << 20])
def test_vhd_bat_of_4_billion_entries_in_sparse_file(t, put, block):
    """16 GiB of nothing announce a table: no big allocation."""
    raw = Image(SIZE, block=block, n=0xFFFFFFFF).raw
    path = put(raw[:-512])
    with open(path, "r+b") as f:
        f.seek(17 << 30)
        f.write(raw[-512:])
    limit = "" if b"__asan_init" in pathlib.Path(t.path).read_bytes() \
        else "ulimit -v 300000;"
    p = run("sh", "-c", f"{limit} exec \"$@\"", "sh", t.path, "open", path,
            stdin="read 0 512\nread 65024 512\n", check=False)
    assert p.stdout.splitlines()[0] == \
        ("error EUCLEAN" if block > 512 else "00" * 512)


BAD_ENTRIES = [0, 1, 2, 3, 1000, 0xFFFFFFFE]


@pytest.mark.parametrize("entry", BAD_ENTRIES)
def test_vhd_bat_entry_refused(t, put, entry):
    img = Image(SIZE, blocks=SOME, entries={5: entry})
    answer = t.script(put(img), ["read 20480 512", "map 20480 512",
                                 "read 16384 512", "read 12288 8", "begin"])
    assert answer[:3] == ["error EUCLEAN"] * 2 + ["00" * 512]
    assert answer[3] == SOME[3][:8].hex()
    assert answer[4] == "error EUCLEAN"


def test_vhd_bat_entry_at_the_last_sectors(t, put):
    """A block may end at the footer, not in it."""
    img = Image(SIZE, blocks=SOME)
    last = img.entries[15]
    assert t.script(put(img), ["read 61440 8"]) == [SOME[15][:8].hex()]
    img = Image(SIZE, blocks=SOME, entries={15: last + 1})
    assert t.script(put(img), ["read 61440 8"]) == ["error EUCLEAN"]


@pytest.mark.parametrize("shift", [0, 1, 8])
def test_vhd_bat_overlap_reads_but_is_not_written(t, put, shift):
    img = Image(SIZE, blocks=SOME)
    img = Image(SIZE, blocks=SOME, entries={4: img.entries[3] + shift})
    path = put(img)
    answer = t.script(path, ["read 12288 8", "begin"])
    assert answer == [SOME[3][:8].hex(), "error EUCLEAN"]
    assert path.read_bytes() == img.raw


@pytest.mark.parametrize("args, code", [
    ({"version": 0x20000}, "EOPNOTSUPP"), ({"cookie": b"cxsparsf"}, "EUCLEAN"),
    ({"bad_checksum": True}, "EUCLEAN")])
def test_vhd_header_refused(t, put, args, code):
    t.fails(put(Image(SIZE, blocks=SOME, header_args=args)), code=code)


@pytest.mark.parametrize("bat", [0, 256, 512, 1024, 1537, 1 << 60,
                                 vhd.NO_OFFSET])
def test_vhd_bat_place_refused(t, put, bat):
    raw = Image(SIZE, blocks=SOME).raw
    bad = vhd.header(bat, 16, 4096)
    assert "BAT" in t.fails(put(raw[:512] + bad + raw[1536:]))


def test_vhd_truncated_everywhere(t, put):
    """Cut short at every sector: an error or exact data, never a crash."""
    img = Image(SIZE, blocks=SOME)
    want = img.content()
    for cut in range(0, len(img.raw), 512):
        path = put(img.raw[:cut])
        p = t.script(path, ["read 0 4096", "read 12288 4096",
                            "read 61440 4096"], check=False)
        for line, at in zip(p.stdout.splitlines(), (0, 12288, 61440)):
            assert line.startswith("error") or \
                line == want[at:at + 4096].hex()


def test_vhd_more_entries_than_are_kept(t, put):
    """Pages beyond the limit are read from the file each time; a writer
    keeps its own."""
    size = 640 << 20
    n = size // 512
    img = Image(size, block=512, blocks={5: pattern(512, 1),
                                         n - 3: pattern(512, 2)})
    path = put(img)
    at = (n - 3) * 512
    answer = t.script(path, [
        f"map 0 {size}", f"read {at} 8", f"read {at + 512} 4",
        f"map {at} 1024", "begin", f"write {at + 512} 4 1", f"read {at} 8",
        f"read {at + 512} 4", "flush"])
    first = pattern(512, 2)[:8].hex()
    assert answer[1:3] == [first, "00" * 4]
    assert [r[2] for r in runs_of(answer[3])] == [512, 512]
    assert answer[4:] == ["ok", "ok", first, "01" * 4, "ok"]
    assert t.script(path, [f"read {at + 512} 4"]) == ["01" * 4]


# --- differencing

def child(size=SIZE, **args):
    return Image(size, DIFF, parent_id=vhd.ID,
                 footer_args={"uid": b"child-id-childid"}, **args)


@pytest.fixture
def base(put):
    data = pattern(SIZE, 77)
    return put(vhd.fixed(data), "base.vhd"), data


@pytest.mark.parametrize("sectors", [
    [0], [7], [0, 7], [0, 2, 4, 6], [1, 3, 5, 7], [], [1, 2, 3], [4, 5, 6, 7]])
def test_vhd_child_bits(t, put, base, sectors):
    img = child(blocks={2: (pattern(4096, 5), sectors)})
    path, data = base
    assert t.read(put(img), parents=[path]) == img.content(data)


@pytest.mark.parametrize("sector", [0, 7, 8, 4095])
def test_vhd_child_bit_order_2mib(t, put, sector):
    data = pattern(4 << 20, 9)
    base = put(vhd.fixed(data), "base.vhd")
    img = child(4 << 20, block=2 << 20,
                blocks={1: (pattern(2 << 20, 5), [sector])})
    assert t.read(put(img), parents=[base]) == img.content(data)


def test_vhd_child_without_parent_is_an_error_not_zeros(t, put):
    img = child(blocks={2: (pattern(4096, 5), [0, 1])})
    answer = t.script(put(img), ["read 0 512", "map 0 512", "read 8192 1024",
                                 "read 8192 1025", "begin"])
    assert answer == ["error ESTALE", "error ESTALE",
                      pattern(4096, 5)[:1024].hex(), "error ESTALE",
                      "error ESTALE"]


def test_vhd_child_larger_than_parent(t, put):
    data = pattern(SIZE - 512, 3)
    base = put(vhd.fixed(data), "base.vhd")
    img = child(SIZE + 8192, blocks={15: (pattern(4096), [0, 1])})
    path = put(img)
    assert t.read(path, parents=[base]) == img.content(data)
    runs = runs_of(t.script(path, [f"map {SIZE - 2048} 10240"],
                            parents=[base])[0])
    assert [r[2] for r in runs] == [1536, 512 + 8192]
    assert runs[1][0] == "zero"


def test_vhd_child_smaller_than_parent(t, put, base):
    path, data = base
    img = child(SIZE // 2, blocks={1: (pattern(4096), [3])})
    assert t.read(put(img), parents=[path]) == img.content(data)


@pytest.mark.parametrize("parent_block, child_block", [
    (512 << 10, 2 << 20), (2 << 20, 512 << 10), (4096, 2 << 20)])
def test_vhd_child_other_block_size(t, put, parent_block, child_block):
    size = 4 << 20
    low = Image(size, block=parent_block,
                blocks={i: pattern(parent_block, i + 1) for i in (0, 1)})
    img = child(size, block=child_block, blocks={
        0: (pattern(child_block, 50), range(3, 900, 5))})
    base = put(low, "base.vhd")
    assert t.read(put(img), parents=[base]) == img.content(low.content())


def test_vhd_child_map_agrees_with_read(t, put, tmp_path):
    """The ranges of a three-deep chain hold what reading gives."""
    low = Image(SIZE, blocks=SOME)
    mid = child(blocks={0: (pattern(4096, 8), [1, 2]), 4: pattern(4096, 9)})
    top = child(blocks={0: (pattern(4096, 10), [2, 5]),
                        3: (pattern(4096, 11), [0, 7])})
    paths = [put(top, "top.vhd"), put(mid, "mid.vhd"), put(low, "low.vhd")]
    want = top.content(mid.content(low.content()))
    assert t.read(paths[0], parents=paths[1:]) == want
    runs = runs_of(t.script(paths[0], [f"map 0 {SIZE}"], parents=paths[1:])[0])
    fds = sorted({int(r[0]) for r in runs if r[0] != "zero"})
    files = dict(zip(map(str, fds), [p.read_bytes() for p in paths]))
    got = b"".join(bytes(n) if k == "zero" else files[k][off:off + n]
                   for k, off, n in runs)
    assert got == want


def test_vhd_more_bitmaps_than_are_kept(t, put, base):
    """140 bitmaps of 64 KiB: the last are read piece by piece."""
    block, n = 256 << 20, 140
    img = child(n * block, block=block)
    path = put(img.raw[:-512])
    bits = bytearray(65536)
    bits[0], bits[-1], bits[4000] = 0x40, 0x01, 0xFF
    with open(path, "r+b") as f:
        entries = []
        for i in range(n):
            at = 8192 + i * (block + 65536)
            f.seek(at)
            f.write(bits)
            f.seek(at + 65536 + 512)
            f.write(bytes([i]) * 512)
            entries.append(at // 512)
        f.seek(img.bat_off)
        f.write(struct.pack(f">{n}I", *entries))
        f.seek(8192 + n * (block + 65536))
        f.write(img.footer)
    lines = []
    for i in (*range(n), n - 1):
        lines += [f"read {i * block + 511} 2", f"map {i * block} {block}"]
    answer = t.script(path, lines, parents=[base[0]])
    for i, (got, runs) in enumerate(zip(answer[::2], answer[1::2])):
        i = min(i, n - 1)
        assert got == (base[1][511:512].hex() if not i else "00") + f"{i:02x}"
        if i:
            assert [r[2] for r in runs_of(runs)] == [
                512, 512, 4000 * 4096 - 1024, 4096,
                block - 4001 * 4096 - 512, 512]


def test_vhd_raw_parent_only_on_request(t, put):
    data = pattern(SIZE, 4)
    raw = put(data, "base.raw")
    img = Image(SIZE, DIFF, blocks={1: (pattern(4096), [1])},
                footer_args={"creator": b"tap\0", "version": 0x10003})
    assert "raw" in t.fails(put(img), code="ESTALE", parents=[raw])
    assert t.read(put(img), "--force", parents=[raw]) == img.content(data)


def test_vhd_tapdisk_0_1_bits_little_endian(t, put, base):
    path, data = base
    img = child(blocks={2: (pattern(4096, 5), [0, 1, 5])}, bit_order="lsb")
    raw = vhd.footer(SIZE, DIFF, creator=b"tap\0", version=1,
                     uid=b"child-id-childid")
    child_path = put(raw + img.raw[512:-512] + raw)
    assert t.read(child_path, parents=[path]) == img.content(data)
    assert t.script(child_path, ["begin"], parents=[path]) == \
        ["error EOPNOTSUPP"]


# --- where the parent is

def le(text):
    return text.encode("utf-16-le", "surrogatepass")


def test_vhd_parents_in_order(t, put):
    img = child(parent_name="C:\\x\\base.vhd", locators=[
        (b"W2ku", le("C:\\x\\base.vhd")), (b"MacX", b"file:///x/base.vhd"),
        (b"W2ru", le("..\\x\\base.vhd"))])
    info = t.info(put(img))
    assert info["relative"] == ["..\\x\\base.vhd"]
    assert info["url"] == ["file:///x/base.vhd"]
    assert info["absolute"] == ["C:\\x\\base.vhd"]
    assert info["name"] == ["base.vhd"]
    keys = [k for k in info if k in ("relative", "url", "absolute", "name")]
    assert keys == ["relative", "url", "absolute", "name"]


@pytest.mark.parametrize("data, want", [
    (".\\p.vhd".encode("utf-16-be"), ".\\p.vhd"),
    (b"\xff\xfe" + le(".\\p.vhd"), ".\\p.vhd"),
    (b"\xfe\xff" + ".\\p.vhd".encode("utf-16-be"), ".\\p.vhd"),
    (le(".\\p.vhd\0rest"), ".\\p.vhd"), (le(".\\p.vhd") + b"x", None),
    (le("\0"), None), (le(".\\\u00fc\u4e00\U0001F600.vhd"),
                       ".\\\u00fc\u4e00\U0001F600.vhd")])
def test_vhd_locator_text(t, put, data, want):
    info = t.info(put(child(locators=[(b"W2ru", data)])))
    assert info.get("relative") == (want and [want])


@pytest.mark.parametrize("space, length", [
    (1, None), (8, None), (512, None), (4096, None), (65536, None),
    (700, None), (0, None)])
def test_vhd_locator_data_space(t, put, space, length):
    img = child(locators=[(b"W2ru", le(".\\p.vhd"), space, length)])
    assert t.info(put(img))["relative"] == [".\\p.vhd"]


@pytest.mark.parametrize("length", [0, 65538, 0xFFFFFFFF])
def test_vhd_locator_length_refused_not_the_disk(t, put, length):
    img = child(locators=[(b"W2ru", le(".\\p.vhd"), 512, length)])
    assert "relative" not in t.info(put(img))


def test_vhd_locator_past_the_end(t, put):
    raw = child().raw
    bad = vhd.header(1536, 16, 4096, parent_id=vhd.ID, locators=[
        vhd.locator(b"W2ru", 1 << 50, le("x")),
        vhd.locator(b"W2ku", vhd.NO_OFFSET, le("x"))])
    info = t.info(put(raw[:512] + bad + raw[1536:]))
    assert "relative" not in info and "absolute" not in info


@pytest.mark.parametrize("name, want", [
    ("p.vhd", "p.vhd"), ("C:\\a\\p.vhd", "p.vhd"), ("x/p.vhd", "p.vhd"),
    ("n" * 256, "n" * 256), ("", None), ("C:\\", None)])
def test_vhd_parent_name(t, put, name, want):
    assert t.info(put(child(parent_name=name))).get("name") == \
        (want and [want])


def test_vhd_parent_name_lone_surrogate(t, put):
    path = put(child(parent_name="a\ud800b"))
    out = subprocess.run([t.path, "info", path], capture_output=True,
                         check=True).stdout
    assert b"name a\xed\xa0\x80b" in out


# --- read-only, real images

def test_vhd_ids_as_bytes(t, put):
    path = put(Image(SIZE, footer_args={"uid": bytes(range(16, 32))}))
    assert t.info(path)["id"] == ["10111213-1415-1617-1819-1a1b1c1d1e1f"]


CORPUS = {
    "SecurityRonin-vhd-forensic--minimal": "97f2db69487276922df810a6454822fe",
    "SecurityRonin-vhd-forensic--original-size-mismatch":
        "88afa8b9e850fff8c15ce194d60dc2ef",
    "dfvfs--ext2": "3f0e360a1211f80b3f5633a68dbe98ba",
    "dfvfs--ntfs-dynamic": "4ce30a0c21dd037023a5692d85ade033",
    "dfvfs--ntfs-fixed": "25e749c0ce2285d5d784ea991a5e5e2f",
    "dfvfs--ntfs-parent": "acb42a740c63c1f72e299463375751c8",
}


@pytest.mark.parametrize("name", CORPUS)
def test_vhd_corpus_content(t, corpus, name):
    data = t.read(corpus / "vhd" / f"{name}.vhd", "--ro")
    assert hashlib.md5(data).hexdigest() == CORPUS[name]


def test_vhd_corpus_bad_checksums_need_force(t, corpus):
    path = corpus / "vhd" / "dfvfs--image.vhd"
    assert "checksum" in t.fails(path, "--ro")
    data = t.read(path, "--force", "--ro")
    assert hashlib.md5(data).hexdigest() == "221a58695f266d7ce045f2e54926e6e2"


def test_vhd_corpus_chain_by_windows(t, corpus):
    base = corpus / "vhd" / "dfvfs--ntfs-parent.vhd"
    path = corpus / "vhd" / "dfvfs--ntfs-differential.vhd"
    info = t.info(path, "--ro")
    assert info["relative"] == [".\\ntfs-parent.vhd"]
    assert info["absolute"] == \
        ["C:\\Projects\\dfvfs\\test_data\\ntfs-parent.vhd"]
    assert info["parent_id"] == t.info(base, "--ro")["id"]
    data = t.read(path, "--ro", parents=[base])
    assert hashlib.md5(data).hexdigest() == "4241cbc76e0e17517fb564238edbe415"


def test_vhd_corpus_chain_by_libvhdi(t, corpus):
    base = corpus / "vhd" / "dfvfs--image.vhd"
    path = corpus / "vhd" / "dfvfs--image-differential.vhd"
    assert t.info(path, "--ro", "--force")["name"] == ["image.vhd"]
    data = t.read(path, "--ro", "--force", parents=[base])
    assert hashlib.md5(data).hexdigest() == "221a58695f266d7ce045f2e54926e6e2"


def test_vhd_corpus_virtual_pc_size(t, corpus):
    path = corpus / "vhd" / "qemu-iotests--virtualpc-dynamic.vhd"
    assert t.info(path, "--ro")["size"] == ["136365211648"]
    for rule in ("qemu", "chs"):
        info = t.info(path, "--ro", "--size-rule", rule)
        assert info["size"] == ["136363130880"]
    assert t.script(path, ["map 0 127g"], "--ro") == ["zero+136365211648"]
