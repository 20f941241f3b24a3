# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing to NTFS: what ntfs-3g and ntfsresize think of the result."""
import os

import pytest

from conftest import run
from ntfsvol import mkntfs, mounted, script, sha, sound


@pytest.fixture
def img(tmp_path, peer):
    peer("mkntfs")
    return str(mkntfs(tmp_path / "v.img"))


def test_ntfs_write_seen_by_peer(tool, img, tmp_path):
    big = tmp_path / "big"
    big.write_bytes(os.urandom(3_000_001))
    out = script(tool, img, f"""
        mkdir /d 755
        create /d/small 644
        write /d/small 0 100 65
        put {big} /d/big
        symlink /l d/small
        rename /d/small /moved 0
        truncate /d/big 2000001
        """)
    assert set(out) == {"ok"}
    sound(img)
    with mounted(img, "ro") as d:
        assert sorted(os.listdir(d)) == ["d", "l", "moved"]
        assert open(f"{d}/moved", "rb").read() == b"A" * 100
        assert open(f"{d}/d/big", "rb").read() == big.read_bytes()[:2000001]
        assert os.readlink(f"{d}/l") == "d/small"


def test_ntfs_write_untouched_without_modification(tool, img):
    before = sha(img), os.stat(img).st_mtime_ns
    out = script(tool, img, "ls /\ncheck\nwriting\nstatfs\nsync\n")
    assert out[1:3] == ["ok", "0"]
    assert (sha(img), os.stat(img).st_mtime_ns) == before


def test_ntfs_write_read_only_touches_nothing(tool, img):
    before = sha(img)
    assert script(tool, img, "create /a 644\nmkdir /b 755\n", "-r") == [
        "error EROFS"] * 2
    assert sha(img) == before


def test_ntfs_write_unlinked_while_open_stays_readable(tool, img):
    out = script(tool, img, """
        create /a 644
        write /a 0 5000 66
        open /a h r
        unlink /a
        ls /
        hread h 4990 20
        close h
        ls /
        """)
    assert out[4:] == [".", "42" * 10, "ok", "."]
    sound(img)
    with mounted(img, "ro,show_sys_files") as d:
        assert not [n for n in os.listdir(d) if n.startswith(".imgfs")]


def test_ntfs_symbols_do_not_interpose(tool, peer):
    """A function of ours with a name of libntfs-3g's would be called by the
    library itself instead of its own."""
    nm = peer("nm")
    ours = run(nm, "-D", "--defined-only", tool("ntfswtool")).stdout
    libs = run("ldd", tool("ntfswtool")).stdout
    lib = [w for w in libs.split() if w.startswith("/") and "ntfs-3g" in w][0]
    theirs = run(nm, "-D", "--defined-only", lib).stdout

    def names(text):
        return {l.split()[2] for l in text.splitlines() if " T " in l}
    assert len(names(theirs)) > 200
    assert not names(ours) & names(theirs)
