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
