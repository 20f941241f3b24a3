# SPDX-License-Identifier: GPL-3.0-or-later
"""VHD: layers, identity, relinking, growing (formats/vhd/FORMAT.md 9.5, 10,
12), each with the power going at any moment."""
import random

import pytest

from conftest import run
from maint import Maint, runs
from make import vhd
from make.vhd import DIFF, DYNAMIC, SECTOR, Image, pattern
from vhd_common import Tool

NEW = "00112233-4455-6677-8899-aabbccddeeff"
NEW_RAW = bytes.fromhex("3322110055447766" "8899aabbccddeeff")
OLD_RAW = bytes(range(16))


@pytest.fixture
def mt(tool):
    return Maint(tool("mainttool"), "vhd")


@pytest.fixture
def vt(tool):
    return Tool(tool("vhdtool"))


def child(blocks=None, size=40960, **args):
    blocks = {1: (pattern(4096, 2), [0, 3, 4]), 3: pattern(4096, 3),
              9: (pattern(4096, 4), [7])} if blocks is None else blocks
    return Image(size, DIFF, 4096, blocks, parent_id=b"P" * 16,
                 locators=[(b"W2ru", ".\\p.vhd".encode("utf-16-le"), 4096)],
                 parent_name="p.vhd", **args)


def base(tmp_path, size=40960):
    n = -(-size // 4096)
    img = Image(size, DYNAMIC, 4096, {i: pattern(4096, 50 + i)
                                      for i in range(n)},
                footer_args={"uid": b"P" * 16})
    return img, img.write(tmp_path / "p.vhd")


def expected_layer(img):
    out = []
    for i in range(-(-img.size // img.block)):
        n = min(img.block, img.size - i * img.block) // SECTOR
        if i not in img.blocks:
            out.append(("parent", n * SECTOR))
            continue
        sectors = img.blocks[i][1]
        out += [("data" if sectors is None or s in sectors else "parent",
                 SECTOR) for s in range(n)]
    return runs(out)


# ---- layers ----

@pytest.mark.parametrize("kind", [DYNAMIC, DIFF])
def test_vhd_layer_random_bitmaps(mt, tmp_path, kind):
    rng = random.Random(kind)
    for block in (512, 4096, 65536):
        blocks = {i: (b"", [s for s in range(block // 512)
                            if rng.random() < 0.5])
                  for i in range(12) if rng.random() < 0.6}
        img = Image(11 * block + 512, kind, block, blocks,
                    parent_id=b"P" * 16)
        path = img.write(tmp_path / "a.vhd")
        got = mt(path, f"layer 0 {img.size}", options=["--ro"])[0]
        assert runs([(w.split("+")[0], int(w.split("+")[1]))
                     for w in got.split()]) == expected_layer(img)


def test_vhd_layer_inside_a_sector(mt, tmp_path):
    path = child().write(tmp_path / "c.vhd")
    assert mt(path, "layer 5620 5", "layer 4000 700", "layer 40959 1",
              options=["--ro"]) == [
        "parent+5", "parent+96 data+512 parent+92",
        "data+1"]


def test_vhd_layer_of_a_fixed_disk_is_all_data(mt, tmp_path):
    path = tmp_path / "f.vhd"
    path.write_bytes(vhd.fixed(bytes(4096)))
    assert mt(path, "layer 0 4096", options=["--ro"]) == ["data+4096"]


def test_vhd_layer_past_the_end_is_refused(mt, tmp_path):
    path = child().write(tmp_path / "c.vhd")
    mt.fails(path, "layer 40960 1", code="EINVAL", options=["--ro"])


def test_vhd_layer_sees_what_was_just_written(mt, tmp_path):
    _, parent = base(tmp_path)
    path = child({}).write(tmp_path / "c.vhd")
    assert mt(path, "write 8192 512 1", "layer 0 40960", "flush",
              "layer 0 40960", parents=[parent])[1::2] == [
        "parent+8192 data+4096 parent+28672"] * 2


def test_vhd_layer_of_2_tib_is_fast(mt, vt, tmp_path):
    path = vt.create(tmp_path / "big.vhd", "dynamic", 2040 << 30)
    mt(path, f"write {2000 << 30} 1 1", "flush")
    got = mt(path, f"layer 0 {2040 << 30}", options=["--ro"])[0]
    assert got == (f"parent+{2000 << 30} data+{2 << 20} "
                   f"parent+{(40 << 30) - (2 << 20)}")


# ---- identity ----

def id_of(path, at_end=True):
    raw = path.read_bytes()
    return raw[-512:][68:84] if at_end else raw[68:84]


@pytest.mark.parametrize("kind", ["fixed", "dynamic", "child", "short"])
def test_vhd_set_id_is_old_or_new_at_any_crash(mt, vt, tmp_path, kind):
    parents = ()
    if kind == "fixed":
        path = tmp_path / "f.vhd"
        path.write_bytes(vhd.fixed(pattern(8192), uid=OLD_RAW))
    elif kind == "child":
        parents = (base(tmp_path)[1],)
        path = child(footer_args={"uid": OLD_RAW}).write(tmp_path / "c.vhd")
    else:
        img = Image(16384, DYNAMIC, 4096, {1: pattern(4096)},
                    footer_args={"uid": OLD_RAW})
        path = img.write(tmp_path / "d.vhd")
        if kind == "short":
            path.write_bytes(img.raw[:-1])
    content = vt.read(path, parents=parents)
    seen, reached = set(), False
    for n, last in mt.crash(path, f"id {NEW}", parents=parents):
        got = vt.info(path)["id"][0].replace("-", "")
        got = bytes.fromhex(got)
        assert got in (OLD_RAW, NEW_RAW), n
        assert not (reached and last) or got == NEW_RAW
        seen.add(got)
        reached |= last
        assert vt.read(path, parents=parents) == content, n
        # And writing may begin in each of them, without force.
        assert vt.script(path, ["begin"], parents=parents) == ["ok"], n
    assert seen == {OLD_RAW, NEW_RAW}
    assert id_of(path) == NEW_RAW
    if kind != "fixed":
        assert id_of(path, False) == NEW_RAW
    run("qemu-img", "info", "-f", "vpc", path)


def test_vhd_set_id_leaves_the_size_of_the_file(mt, tmp_path):
    img = Image(16384, DYNAMIC, 4096, {1: pattern(4096)})
    path = img.write(tmp_path / "d.vhd")
    mt(path, f"id {NEW}", f"id {NEW}")
    raw = path.read_bytes()
    assert len(raw) == len(img.raw) and raw[512:-512] == img.raw[512:-512]
    assert raw[:512] == raw[-512:]


def test_vhd_set_id_needs_a_disk_open_for_writing(mt, tmp_path):
    path = Image(16384).write(tmp_path / "d.vhd")
    mt.fails(path, f"id {NEW}", code="EROFS", options=["--ro"])


def test_vhd_set_id_failing_anywhere_leaves_a_disk(mt, vt, tmp_path):
    img = Image(16384, DYNAMIC, 4096, {1: pattern(4096)},
                footer_args={"uid": OLD_RAW})
    path = tmp_path / "d.vhd"
    for n in range(1, 12):
        img.write(path)
        p = mt.run(path, f"id {NEW}", options=["--fail", n])
        got = bytes.fromhex(vt.info(path)["id"][0].replace("-", ""))
        assert got in (OLD_RAW, NEW_RAW)
        assert p.returncode == 0 and got == NEW_RAW or "EIO" in p.stdout
        assert vt.read(path) == img.content()


# ---- another parent ----

def relinked(vt, path):
    i = vt.info(path)
    return (i["parent_id"][0].replace("-", ""), i.get("relative"),
            i.get("absolute"), i["name"][0])


def shapes(tmp_path):
    """Children whose old paths leave different room."""
    def loc(code, text, *room):
        return (code, text.encode("utf-16-le"), *room)
    common = {"parent_id": b"P" * 16, "parent_name": "p.vhd",
              "blocks": {1: (pattern(4096, 2), [0, 3, 4])}}
    out = {
        "room": Image(16384, DIFF, 4096, locators=[
            (b"W2ku", "C:\\p.vhd".encode("utf-16-le").ljust(4096, b"\0"),
             4096, 16),
            (b"W2ru", ".\\p.vhd".encode("utf-16-le").ljust(4096, b"\0"),
             4096, 14)], **common),
        "none": Image(16384, DIFF, 4096, **common),
        "tight": Image(16384, DIFF, 4096, locators=[
            loc(b"W2ru", ".\\p.vhd"), loc(b"MacX", "file:///p.vhd"),
            (b"Abcd", b"keep me")], **common),
        "lies": Image(16384, DIFF, 4096, locators=[
            loc(b"W2ru", ".\\p.vhd", 1 << 16)], **common),
        "moved": Image(16384, DIFF, 4096, header_off=4096, locators=[
            loc(b"W2ru", ".\\p.vhd", 1 << 16)], **common),
        "511": Image(16384, DIFF, 4096, **common)}
    for name, img in out.items():
        path = img.write(tmp_path / f"{name}.vhd")
        if name == "511":
            path.write_bytes(img.raw[:-1])
    return out


@pytest.mark.parametrize("shape", ["room", "none", "tight", "lies", "moved",
                                   "511"])
@pytest.mark.parametrize("windows", ["-", "D:\\new\\dir\\q.vhd"])
def test_vhd_relink_is_old_or_new_at_any_crash(mt, vt, tmp_path, shape,
                                               windows):
    img = shapes(tmp_path)[shape]
    _, parent = base(tmp_path, 16384)
    path = tmp_path / f"{shape}.vhd"
    content = vt.read(path, parents=[parent])
    old = relinked(vt, path)
    new = (NEW_RAW.hex(), ["..\\n\\q.vhd"],
           None if windows == "-" else [windows], "q.vhd")
    seen = set()
    for n, last in mt.crash(path, f"relink {NEW} - ../n/q.vhd {windows}",
                            parents=[parent], samples=1,
                            stride=1 if shape == "tight" else 2):
        got = relinked(vt, path)
        assert got in (old, new), n
        seen.add(got == new)
        assert vt.read(path, parents=[parent]) == content, n
        if n % 4:
            continue
        assert mt(path, "write 12288 512 7", "flush",
                  f"relink {NEW} - ../n/q.vhd {windows}",
                  parents=[parent]) == ["ok"] * 3, n
        assert relinked(vt, path) == new, n
        assert vt.read(path, parents=[parent]) == (
            content[:12288] + b"\7" * 512 + content[12800:]), n
    assert seen == {False, True}
    assert relinked(vt, path) == new
    raw = path.read_bytes()
    assert raw[:512] == raw[-512:] and raw[16:24] == (512).to_bytes(8, "big")
    assert (b"keep me" in raw) == (shape == "tight")
    assert raw.count(b"conectix") == 2
    run("vhdiinfo", path)


def test_vhd_relink_uses_its_room_again(mt, vt, tmp_path):
    shapes(tmp_path)
    _, parent = base(tmp_path, 16384)
    path = tmp_path / "room.vhd"
    size = path.stat().st_size
    for name in ("a.vhd", "a/much/longer/path/to/it.vhd", "b.vhd"):
        mt(path, f"relink - - {name} E:\\{name}", parents=[parent])
        assert path.stat().st_size == size
        assert vt.info(path)["relative"][0].endswith(name.replace("/", "\\"))
        assert vt.info(path)["absolute"] == [f"E:\\{name}"]
    path = tmp_path / "none.vhd"
    mt(path, "relink - - a.vhd -", parents=[parent])
    size = path.stat().st_size
    mt(path, "relink - - bbb.vhd -", parents=[parent])
    assert path.stat().st_size == size


def test_vhd_relink_of_the_id_is_one_write(mt, vt, tmp_path):
    shapes(tmp_path)
    _, parent = base(tmp_path, 16384)
    path = tmp_path / "room.vhd"
    before, old = path.read_bytes(), relinked(vt, path)
    mt(path, f"relink {NEW} - - -", parents=[parent])
    assert relinked(vt, path) == (NEW_RAW.hex(), *old[1:])
    after = path.read_bytes()
    assert before[:512] + before[1024:] == after[:512] + after[1024:]


def test_vhd_relink_refusals(mt, vt, tmp_path):
    _, parent = base(tmp_path)
    mt.fails(parent, "relink - - a.vhd -", code="EINVAL")
    path = child().write(tmp_path / "c.vhd")
    mt.fails(path, f"relink - - {'x' * 3000} -", code="ENAMETOOLONG",
             parents=[parent])


def test_vhd_relink_of_a_child_of_windows(mt, vt, tmp_path, corpus):
    """One made by Windows keeps its content and its other fields."""
    found = sorted(p for p in corpus.rglob("*.vhd")
                   if p.stat().st_size < 64 << 20
                   and p.read_bytes()[60:64] == b"\0\0\0\4")
    if not found:
        pytest.skip("no differencing VHD in the corpus")
    for n, source in enumerate(found):
        path = tmp_path / f"w{n}.vhd"
        path.write_bytes(source.read_bytes())
        info = vt.info(path, check=False)
        if not isinstance(info, dict):
            continue        # a wrong checksum, on purpose
        parent = vt.create(tmp_path / f"p{n}.vhd", "dynamic",
                           info["size"][0])
        content = vt.read(path, parents=[parent])
        mt(path, f"relink {NEW} - x/q.vhd C:\\q.vhd", parents=[parent])
        assert vt.read(path, parents=[parent]) == content
        now = vt.info(path)
        assert relinked(vt, path) == (NEW_RAW.hex(), [".\\x\\q.vhd"],
                                      ["C:\\q.vhd"], "q.vhd")
        assert now["id"] == info["id"]
        assert path.stat().st_size == source.stat().st_size
        run("vhdiinfo", path)


# ---- growing ----

def zeros_behind(content, size):
    return content + bytes(size - len(content))


@pytest.mark.parametrize("shape", ["in place", "elsewhere", "no blocks",
                                   "shrunk", "slack", "tapdisk"])
def test_vhd_grow_dynamic_at_any_crash(mt, vt, tmp_path, shape, peer):
    size, new = 16384 - 512, 40960
    blocks = {1: pattern(4096, 2), 3: (pattern(1024, 3), [0, 1])}
    args = {}
    if shape == "elsewhere":
        new = 4096 * 300
    if shape == "no blocks":
        blocks, new = {}, 4096 * 200
    if shape == "shrunk":       # entries and data behind the end
        blocks = {1: pattern(4096, 2), 3: pattern(4096, 3)}
        args = {"n": 20}
    if shape == "slack":
        args = {"tail": 3584}
    if shape == "tapdisk":
        args = {"footer_args": {"creator": b"tap\0", "version": 0x10003}}
    img = Image(size, DYNAMIC, 4096, blocks, **args)
    path = img.write(tmp_path / "d.vhd")
    if shape == "shrunk":
        raw = bytearray(img.raw)
        raw[1536 + 16:1536 + 20] = raw[1536 + 4:1536 + 8]
        raw[1536 + 4:1536 + 8] = b"\xff" * 4
        path.write_bytes(raw)
    content = vt.read(path)
    seen = set()
    for n, last in mt.crash(path, f"resize {new}"):
        got = vt.read(path)
        assert got in (content, zeros_behind(content, new)), n
        seen.add(len(got))
        if n % 2:
            continue
        assert mt(path, f"resize {new}", f"write {new - 512} 512 5",
                  "flush") == ["ok"] * 3
        assert vt.read(path) == (zeros_behind(content, new - 512) +
                                 b"\5" * 512), n
    assert seen == {size, new}
    raw = path.read_bytes()
    assert raw[:512] == raw[-512:] and raw.count(b"conectix") == 2
    if shape != "tapdisk":
        out = tmp_path / "out.raw"
        run(peer("qemu-img"), "convert", "-f", "vpc", "-O", "raw", path, out)
        assert out.read_bytes() == zeros_behind(content, new)
        run(peer("vhdiinfo"), path)


@pytest.mark.parametrize("size", [8192, 8192 + 512])
@pytest.mark.parametrize("last", ["absent", "partial", "full"])
def test_vhd_grow_child_hides_a_larger_parent(mt, vt, tmp_path, size, last):
    pimg, parent = base(tmp_path, 20480)
    blk = (size - 1) // 4096
    blocks = {"absent": {}, "partial": {blk: (pattern(4096, 9), [0])},
              "full": {blk: pattern(4096, 9)}}[last]
    path = child(blocks, size=size).write(tmp_path / "c.vhd")
    content = vt.read(path, parents=[parent])
    for new in (size + 512, 40960)[size == 8192:]:
        child(blocks, size=size).write(path)
        seen = set()
        for n, last in mt.crash(path, f"resize {new}", parents=[parent],
                                samples=1, stride=2):
            got = vt.read(path, parents=[parent])
            assert got in (content, zeros_behind(content, new)), n
            seen.add(len(got))
        assert seen == {size, new}


@pytest.mark.parametrize("slack", [0, 512, 8192])
def test_vhd_grow_fixed_at_any_crash(mt, vt, tmp_path, slack, peer):
    content, new = pattern(8192), 12288
    path = tmp_path / "f.vhd"
    img = content + b"\xee" * slack + vhd.footer(8192, vhd.FIXED)
    path.write_bytes(img)
    for n, last in mt.crash(path, f"resize {new}"):
        if vt.script(path, [], check=False).returncode:
            # Longer, but no footer yet: cutting it mends it.
            assert path.stat().st_size == new + 512
            with open(path, "r+b") as f:
                f.truncate(len(img))
        got = vt.read(path)
        assert got[:8192] == content and len(got) in (8192, new), n
        assert not got[8192:].replace(b"\0", b"") or (
            got[8192:].count(b"conectix") == 1)
    assert vt.read(path) == zeros_behind(content, new)
    assert path.read_bytes().count(b"conectix") == 1
    out = tmp_path / "out.raw"
    run(peer("qemu-img"), "convert", "-f", "vpc", "-O", "raw", path, out)
    assert out.read_bytes()[:8192] == content


def test_vhd_grow_then_write_and_reopen(mt, vt, tmp_path, peer):
    path = vt.create(tmp_path / "a.vhd", "dynamic", 10 << 20)
    lines = ["write 0 5m 1", f"resize {700 << 20}", f"write {650 << 20} 5m 2",
             "flush", f"resize {900 << 30}", f"write {800 << 30} 512 3",
             "flush"]
    assert mt(path, *lines) == ["ok"] * 7
    assert vt.script(path, [f"read {5 << 20} 1", f"read {4 << 20} 1",
                            f"read {650 << 20} 1", f"read {800 << 30} 1",
                            "size"]) == ["00", "01", "02", "03",
                                         str(900 << 30)]
    got = run(peer("qemu-img"), "info", "-f", "vpc", path).stdout
    assert f"({900 << 30} bytes)" in got
    run(peer("qemu-io"), "-f", "vpc", "-c", "read -P 1 0 5m", "-c",
        "read -P 2 650m 5m", "-c", "read -P 3 800g 512", path)
    assert run(peer("7z"), "l", path)


def test_vhd_grow_geometry_is_computed_again(mt, vt, tmp_path):
    path = vt.create(tmp_path / "a.vhd", "dynamic", 10 << 20)
    mt(path, f"resize {1 << 30}")
    raw = path.read_bytes()
    assert raw[56:60] == (2080).to_bytes(2, "big") + bytes([16, 63])
    assert raw[40:48] == (10 << 20).to_bytes(8, "big")


def test_vhd_resize_refusals(mt, tmp_path):
    path = Image(16384).write(tmp_path / "d.vhd")
    before = path.read_bytes()
    assert "smaller" in mt.fails(path, "resize 8192", code="EOPNOTSUPP")
    mt.fails(path, "resize 16385", code="EINVAL")
    mt.fails(path, f"resize {2041 << 30}", code="EOPNOTSUPP")
    assert mt(path, "resize 16384") == ["ok"]
    assert path.read_bytes() == before


def test_vhd_grow_failing_anywhere_leaves_a_disk(mt, vt, tmp_path):
    img = Image(16384 - 512, DYNAMIC, 4096, {1: pattern(4096)})
    path, new = tmp_path / "d.vhd", 4096 * 300
    for n in range(1, 40):
        img.write(path)
        p = mt.run(path, f"resize {new}", options=["--fail", n])
        assert vt.read(path) in (img.content(),
                                 zeros_behind(img.content(), new))
        if not p.returncode:
            break
    assert 5 < n < 39


# ---- checking ----

def findings(mt, path, *options):
    *lines, numbers = mt(path, "check", options=["--ro", *options])
    words = numbers.split()
    return ([" ".join(x.split(" ")[:2]) for x in lines],
            dict(zip(words[::2], map(int, words[1::2]))))


def test_vhd_check_of_sound_disks_is_silent(mt, vt, tmp_path):
    made = [Image(40960, DYNAMIC, 4096, {1: pattern(4096)}),
            child(align=4096)]
    for n, img in enumerate(made):
        found, numbers = findings(mt, img.write(tmp_path / f"{n}.vhd"))
        assert found == []
        assert numbers["allocated"] == len(img.blocks)
    assert numbers["full"] == 1 and numbers["partial"] == 2
    assert numbers["data"] == (3 + 8 + 1) * 512
    for kind in ("fixed", "dynamic"):
        path = vt.create(tmp_path / f"{kind}.vhd", kind, 10 << 20)
        mt(path, "write 3m 5 1", "flush")
        assert findings(mt, path)[0] == []


def with_entry(n, value, **args):
    return Image(40960, DYNAMIC, 4096, {1: pattern(4096), 2: pattern(4096)},
                 entries={n: value}, **args)


@pytest.mark.parametrize("name, word", [
    ("overlap", "error overlap"), ("outside", "error outside"),
    ("header", "error overlap"), ("bat", "error overlap"),
    ("hidden", "warning hidden"), ("behind", "warning behind"),
    ("copy", "warning footer"), ("end", "warning footer"),
    ("differ", "warning footer"), ("conflict", "error footer"),
    ("saved", "warning state"), ("temporary", "note state"),
    ("creator", "note size"), ("next", "warning header"),
    ("gap", "note unused"), ("511", "note footer"),
    ("moved", "note header"), ("locator", "warning locator"),
    ("no parent", "warning parent")])
def test_vhd_check_finds(mt, tmp_path, name, word):
    size, blocks = 40960, {1: pattern(4096)}
    entry = with_entry(0, 0).entries
    img = {
        "overlap": lambda: with_entry(0, entry[1] + 3),
        "outside": lambda: with_entry(0, 100000),
        "header": lambda: with_entry(0, 1),
        "bat": lambda: with_entry(0, 3),
        "hidden": lambda: Image(size, DYNAMIC, 4096,
                                {1: (pattern(4096), [0, 1])}),
        "behind": lambda: Image(size, DYNAMIC, 4096, blocks, n=20),
        "copy": lambda: Image(size, DYNAMIC, 4096, blocks, front=b"x" * 512),
        "end": lambda: Image(size, DYNAMIC, 4096, blocks, end=bytes(512)),
        "differ": lambda: Image(size, DYNAMIC, 4096, blocks,
                                front=vhd.footer(size, time=5)),
        "conflict": lambda: Image(size, DYNAMIC, 4096, blocks,
                                  front=vhd.footer(size, uid=b"Q" * 16)),
        "saved": lambda: Image(size, DYNAMIC, 4096, blocks,
                               footer_args={"saved": 1}),
        "temporary": lambda: Image(size, DYNAMIC, 4096, blocks,
                                   footer_args={"features": 3}),
        "creator": lambda: Image(size, DYNAMIC, 4096, blocks,
                                 footer_args={"creator": b"vbox"}),
        "next": lambda: Image(size, DYNAMIC, 4096, blocks,
                              header_args={"next_off": 1 << 20}),
        "gap": lambda: Image(size, DYNAMIC, 4096, blocks, tail=1 << 17),
        "511": lambda: Image(size, DYNAMIC, 4096, blocks),
        "moved": lambda: Image(size, DYNAMIC, 4096, blocks, header_off=4096),
        "locator": lambda: Image(size, DIFF, 4096, blocks, locators=[
            (b"W2ru", b"x\0", 512, 60000)], parent_name="p.vhd"),
        "no parent": lambda: Image(size, DIFF, 4096, blocks,
                                   parent_id=b"P" * 16),
    }[name]()
    path = img.write(tmp_path / "a.vhd")
    raw = bytearray(img.raw)
    if name == "511":
        path.write_bytes(raw[:-1])
    if name == "behind":
        raw[1536 + 60:1536 + 64] = raw[1536 + 4:1536 + 8]
        raw[1536 + 4:1536 + 8] = b"\xff" * 4
        path.write_bytes(raw)
    before = path.read_bytes()
    found, _ = findings(mt, path)
    assert found[0] == word and set(found) <= {word, "warning hidden"}, found
    assert path.read_bytes() == before


def test_vhd_check_of_a_hostile_table_is_short(mt, tmp_path):
    img = Image(4096 * 5000, DYNAMIC, 4096,
                entries={i: 0x7FFFFFFF - i % 7 for i in range(5000)})
    found, numbers = findings(mt, img.write(tmp_path / "a.vhd"))
    assert set(found) == {"error outside"} and len(found) < 40
    assert numbers["allocated"] == 5000


def test_vhd_check_of_real_disks_has_no_errors(mt, vt, corpus):
    n = 0
    for path in sorted(corpus.rglob("*.vhd")):
        if not isinstance(vt.info(path, check=False), dict):
            continue
        found, _ = findings(mt, path)
        assert not [f for f in found if f.startswith("error")], (path, found)
        n += 1
    assert n > 3


def test_vhd_check_after_growing_and_relinking(mt, vt, tmp_path):
    _, parent = base(tmp_path)
    path = child().write(tmp_path / "c.vhd")
    mt(path, f"resize {4096 * 400}", f"relink {NEW} - a/b.vhd C:\\b.vhd",
       f"id {NEW}", f"resize {4096 * 800}", "write 1m 1m 3",
       "flush", parents=[parent])
    found, _ = findings(mt, path)
    assert found == []
