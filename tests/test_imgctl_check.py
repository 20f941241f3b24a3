# SPDX-License-Identifier: GPL-3.0-or-later
"""imgctl check and relink: what is wrong is found, what is repaired is read by
others, and a parent is what the child was made from."""
import os
import pathlib
import random
import shutil
import subprocess

import pytest

from conftest import run
from test_imgctl import (CHAIN, CORRUPT, LOCKED, MB, NOT_FOUND,  # noqa: F401
                         UNSUPP, USAGE, ctl, ctl_json, put)

BUSY, VOLUME_DIRTY = 2, 12


def texts(j, weight=None):
    return [f["text"] for f in j["findings"]
            if weight in (None, f["weight"])]


@pytest.fixture
def make(ctl, tmp_path):
    def make(name, kind="dynamic", *args):
        ctl("create", kind, *(["--size", "64m"] if kind != "child" else []),
            *args, name)
        return tmp_path / name
    return make


# ---- structure ----

@pytest.mark.parametrize("kind", ["fixed", "dynamic"])
@pytest.mark.parametrize("name", ["a.vhd", "a.vhdx"])
def test_what_we_make_is_sound(make, ctl_json, name, kind):
    make(name, kind)
    j = ctl_json("check", name)
    assert j["sound"] and not texts(j)


@pytest.mark.parametrize("name,fmt", [("a.vhd", "vpc"), ("a.vhdx", "vhdx")])
def test_what_qemu_makes_is_sound(ctl_json, peer, tmp_path, name, fmt):
    run(peer("qemu-img"), "create", "-q", "-f", fmt, tmp_path / name, "64m")
    run(peer("qemu-io"), "-f", fmt, "-c", "write -P 3 10m 3m",
        tmp_path / name)
    assert ctl_json("check", name)["sound"]


def test_real_images_are_sound(ctl_json, corpus):
    paths = sorted(p for p in (corpus / "vhdx").iterdir()
                   if p.suffix == ".vhdx" and "differential" not in p.name)
    assert paths
    for path in paths:
        assert ctl_json("check", path)["sound"]


def test_a_damaged_table_is_an_error(make, ctl_json, tmp_path):
    path = make("a.vhd")
    put(path, 1536, b"\x00\xff\xff\xf0")        # far behind the end
    j = ctl_json("check", "a.vhd", status=CORRUPT)
    assert not j["sound"] and texts(j, "error")


def test_check_changes_nothing(make, ctl, tmp_path):
    path = make("a.vhd")
    put(path, os.path.getsize(path) - 512, bytes(512))
    before = path.read_bytes(), path.stat().st_mtime_ns
    ctl("check", "a.vhd")
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_check_of_nothing_and_of_junk(ctl, tmp_path):
    ctl("check", "gone.vhd", status=NOT_FOUND)
    (tmp_path / "junk.vhdx").write_bytes(b"vhdxfile" + bytes(MB))
    ctl("check", "junk.vhdx", status=CORRUPT)
    ctl("check", status=USAGE)


# ---- repair ----

def test_repair_writes_the_lost_footer(make, ctl, ctl_json, peer, tmp_path):
    path = make("a.vhd")
    run(peer("qemu-io"), "-f", "vpc", "-c", "write -P 9 4m 1m", path)
    copy = path.read_bytes()[:512]
    put(path, path.stat().st_size - 512, bytes(512))
    assert any("damaged" in t for t in texts(ctl_json("check", "a.vhd"),
                                             "warning"))
    assert any("repaired" in t for t in
               texts(ctl_json("check", "--repair", "a.vhd")))
    assert path.read_bytes()[-512:] == copy
    assert not texts(ctl_json("check", "a.vhd"))
    run(peer("qemu-io"), "-f", "vpc", "-c", "read -P 9 4m 1m", path)


def test_repair_of_a_truncated_vhd_overwrites_no_data(make, ctl, ctl_json,
                                                      peer, tmp_path):
    path = make("a.vhd")
    run(peer("qemu-io"), "-f", "vpc", "-c", "write -P 9 0 2m", path)
    os.truncate(path, path.stat().st_size - 512)
    ctl("check", "--repair", "a.vhd")
    run(peer("qemu-io"), "-f", "vpc", "-c", "read -P 9 0 2m", path)
    assert not texts(ctl_json("check", "a.vhd"))


def test_repair_writes_the_lost_copy(make, ctl, peer):
    path = make("a.vhd")
    put(path, 8, b"\xff\xff")                   # the copy's checksum
    ctl("check", "--repair", "a.vhd")
    data = path.read_bytes()
    assert data[:512] == data[-512:]


@pytest.mark.parametrize("off", [64 << 10, 128 << 10])
def test_repair_writes_the_lost_header(make, ctl, ctl_json, off):
    path = make("a.vhdx")
    put(path, off, bytes(4096))
    ctl("check", "--repair", "a.vhdx")
    data = path.read_bytes()
    assert data[64 << 10:][:4] == data[128 << 10:][:4] == b"head"


def test_repair_replays_the_log(ctl, ctl_json, corpus, peer, tmp_path):
    found = [p for p in (corpus / "vhdx").iterdir()
             if "dirty" in p.name or "log" in p.name]
    if not found:
        pytest.skip("no corpus image with a dirty log")
    shutil.copy(found[0], tmp_path / "a.vhdx")
    ctl("convert", "a.vhdx", "before.raw")
    assert ctl_json("info", "a.vhdx")["log"]["dirty"]
    ctl("check", "--repair", "a.vhdx")
    assert not ctl_json("info", "a.vhdx")["log"]["dirty"]
    ctl("compare", "a.vhdx", "before.raw")
    run(peer("qemu-img"), "check", "-f", "vhdx", tmp_path / "a.vhdx")


@pytest.mark.parametrize("suffix", ["vhd", "vhdx"])
def test_repaired_parents_keep_their_children(make, ctl, ctl_json, suffix):
    make(f"a.{suffix}")
    make(f"b.{suffix}", "child", "--parent", f"a.{suffix}")
    make(f"c.{suffix}", "child", "--parent", f"b.{suffix}")
    ctl("check", "--repair", f"a.{suffix}")
    ctl("check", "--repair", f"b.{suffix}")
    assert ctl_json("check", f"c.{suffix}")["sound"]
    assert len(ctl_json("info", f"c.{suffix}")["chain"]) == 3


def test_repair_of_a_file_in_use_is_refused(make, ctl, peer, tmp_path):
    make("a.vhdx")
    with subprocess.Popen([peer("qemu-io"), "-r", "-f", "vhdx", "a.vhdx"],
                          cwd=tmp_path, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as p:
        p.stdin.write(b"read 0 512\n")
        p.stdin.flush()
        p.stdout.readline()
        assert "qemu-io" in ctl("check", "--repair", "a.vhdx",
                                status=LOCKED).stderr
        p.stdin.close()


def test_a_merge_under_way_is_left_alone(make, ctl, tmp_path):
    path = make("a.vhdx")
    make("c.vhdx", "child", "--parent", "a.vhdx")
    (tmp_path / ".a.vhdx.merge").write_text("a merge")
    before = path.read_bytes()
    assert "vhdmerge --resume" in ctl("check", "--repair", "a.vhdx",
                                      status=BUSY).stderr
    ctl("relink", "c.vhdx", "--parent", "a.vhdx", status=BUSY)
    assert path.read_bytes() == before


# ---- the chain, and what lies inside ----

def test_a_wrong_parent_is_an_error(make, ctl_json, tmp_path):
    make("a.vhdx")
    make("c.vhdx", "child", "--parent", "a.vhdx")
    (tmp_path / "a.vhdx").unlink()
    make("a.vhdx")
    j = ctl_json("check", "c.vhdx", status=CHAIN)
    assert "a.vhdx" in texts(j, "error")[0]


def test_a_damaged_parent_is_an_error_of_its_child(make, ctl_json):
    path = make("a.vhd")
    make("c.vhd", "child", "--parent", "a.vhd")
    put(path, 1536, b"\x00\xff\xff\xf0")
    j = ctl_json("check", "c.vhd", status=CORRUPT)
    assert "a.vhd" in texts(j, "error")[0]


@pytest.mark.parametrize("how", ["ssv state 0", "ssv state 3",
                                 "ssv feature_incompat 0x2c6"])
def test_a_dirty_ext4_is_told(ctl_json, peer, tmp_path, how):
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(16 * MB))
    run(peer("mkfs.ext4"), "-q", path)
    assert ctl_json("check", "a.raw")["sound"]
    run(peer("debugfs"), "-w", "-R", how, path)
    j = ctl_json("check", "a.raw", status=VOLUME_DIRTY)
    assert j["sound"] and texts(j, "warning")


# ---- Windows ----

def test_windows_takes_what_we_make(make, ctl_json):
    for name, kind in (("a.vhd", "fixed"), ("a.vhdx", "dynamic")):
        make(name, kind)
        j = ctl_json("check", "--windows", name)
        assert not texts(j, "error"), j


def test_windows_takes_no_other_names(make, ctl_json, tmp_path):
    make("a.vhdx").rename(tmp_path / "a.vhd")
    j = ctl_json("check", "--windows", "a.vhd", status=UNSUPP)
    assert any(".vhdx" in t for t in texts(j, "error"))


def test_windows_takes_no_raw_disk(ctl_json, tmp_path):
    (tmp_path / "a.raw").write_bytes(bytes(MB))
    ctl_json("check", "--windows", "a.raw", status=UNSUPP)


def test_azure_wants_whole_mib(ctl, ctl_json, tmp_path):
    (tmp_path / "a.raw").write_bytes(bytes(MB + 512))
    ctl("convert", "--type", "fixed", "a.raw", "a.vhd")
    j = ctl_json("check", "--windows", "a.vhd")
    assert any("azure" in t for t in texts(j, "note"))
    ctl("create", "fixed", "--size", "2m", "b.vhd")
    j = ctl_json("check", "--windows", "b.vhd")
    assert not any("azure" in t for t in texts(j))


def test_holes_are_told(make, ctl_json, tmp_path):
    path = make("a.vhdx")
    os.truncate(path, 64 * MB)
    j = ctl_json("check", "--windows", "a.vhdx")
    assert any("holes" in t for t in texts(j, "warning"))


# ---- relink ----

@pytest.fixture
def moved(make, ctl, tool, tmp_path):
    """moved("vhd"): a child whose parent has gone to base/."""
    def go(suffix):
        parent = make(f"a.{suffix}")
        run(tool("disktool"), "-wq", parent,
            stdin="begin\nwrite 1m 1m 5\nflush\n")
        make(f"c.{suffix}", "child", "--parent", f"a.{suffix}")
        run(tool("disktool"), "-wq", tmp_path / f"c.{suffix}",
            stdin="begin\nwrite 8m 64k 6\nflush\n")
        (tmp_path / "base").mkdir()
        parent.rename(tmp_path / "base" / f"b.{suffix}")
        return f"c.{suffix}", f"base/b.{suffix}"
    return go


@pytest.mark.parametrize("suffix", ["vhd", "vhdx"])
def test_relink_finds_the_parent_again(moved, ctl, ctl_json, tool, tmp_path,
                                       suffix):
    child, parent = moved(suffix)
    ctl("info", child, status=CHAIN)
    before = pathlib.Path(tmp_path / parent).read_bytes()
    ctl("relink", child, "--parent", parent)
    j = ctl_json("info", child)
    assert len(j["chain"]) == 2
    out = run(tool("disktool"), "-q", tmp_path / child,
              stdin="read 1m 1\nread 8m 1\n").stdout.split()
    assert out == ["05", "06"]
    assert (tmp_path / parent).read_bytes() == before
    assert ctl_json("check", child)["sound"]


@pytest.mark.parametrize("suffix", ["vhd", "vhdx"])
def test_relink_writes_a_windows_path(moved, ctl, ctl_json, suffix):
    child, parent = moved(suffix)
    ctl("relink", child, "--parent", parent, "--windows",
        rf"D:\base\b.{suffix}")
    paths = [x["path"] for x in ctl_json("info", child)["locators"]]
    assert any(p.endswith(rf"D:\base\b.{suffix}") for p in paths)


@pytest.mark.parametrize("suffix", ["vhd", "vhdx"])
def test_relink_refuses_another_identity(moved, make, ctl, ctl_json, tmp_path,
                                         suffix):
    child, _ = moved(suffix)
    make(f"other.{suffix}")
    before = (tmp_path / child).read_bytes()
    p = ctl("relink", child, "--parent", f"other.{suffix}", status=CHAIN)
    assert "was made from" in p.stderr
    assert (tmp_path / child).read_bytes() == before
    ctl("relink", "--force", child, "--parent", f"other.{suffix}")
    assert len(ctl_json("info", child)["chain"]) == 2


def test_relink_keeps_the_identity_of_the_child(moved, ctl, ctl_json):
    child, parent = moved("vhdx")
    ctl("create", "child", "--parent", child, "--parent", parent,
        "grand.vhdx")
    ctl("relink", child, "--parent", parent)
    assert len(ctl_json("info", "grand.vhdx")["chain"]) == 3


@pytest.mark.parametrize("args,status", [
    (["c.vhdx"], USAGE), (["--parent", "base/b.vhdx"], USAGE),
    (["c.vhdx", "--parent", "gone.vhdx"], NOT_FOUND),
    (["base/b.vhdx", "--parent", "c.vhdx"], USAGE),
    (["x.raw", "--parent", "base/b.vhdx"], USAGE),
    (["c.vhdx", "--parent", "x.raw"], USAGE),
    (["c.vhdx", "--parent", "c.vhdx"], LOCKED),
])
def test_relink_of_what_makes_no_sense(moved, ctl, tmp_path, args, status):
    moved("vhdx")
    (tmp_path / "x.raw").write_bytes(random.Random(1).randbytes(MB))
    p = ctl("relink", *args, status=status)
    assert p.stderr.count("\n") == 1
