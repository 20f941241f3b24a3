# SPDX-License-Identifier: GPL-3.0-or-later
"""cimfs as people use it: mounts, options, errors, unmounting."""
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import stat

import pytest

from conftest import BUILD, open_up, run
from mounts import as_user, mounted, options_of, unprivileged
from test_cim import build, tree

pytestmark = pytest.mark.mount

CIMFS = BUILD / "fs/cimfs"
GUID = "6f2c0000-1111-2222-3333-{:012x}"


def cimfs(*args, **kw):
    return run(CIMFS, *args, **kw)


@contextlib.contextmanager
def mount(image, directory, *options):
    directory = pathlib.Path(directory)
    directory.mkdir(exist_ok=True)
    opts = ["-o", ",".join(options)] if options else []
    p = cimfs(*opts, image, directory)
    assert not p.stderr
    try:
        yield directory
    finally:
        if mounted(directory):
            cimfs("-u", directory)


@pytest.fixture
def image(tmp_path):
    maps = [[512, 512], [1024, 1100], [1536, 1900]]
    return build(tmp_path / "c", {"name": "a.cim", "root": tree(
        big={"data": {"fill": 3000000, "seed": "big"}},
        pe={"data": {"fill": 70000, "seed": "pe"}, "pe": {"mappings": maps}},
        hole={"sparse": 1 << 20},
        stream={"data": "main", "ads": {"one": "first", "empty": ""}},
        empty={"data": ""},
        **{"dir": tree(**{"größe.txt": {"data": "ä"},
                          "twice": {"link": "/big"}})})})[0]


def fill(n, seed):
    return hashlib.shake_256(seed.encode()).digest(n)


def test_cimfs_shows_names_data_and_links(image, tmp_path):
    with mount(image, tmp_path / "m") as d:
        assert sorted(os.listdir(d)) == ["big", "dir", "empty", "hole", "pe",
                                         "stream"]
        assert (d / "big").read_bytes() == fill(3000000, "big")
        assert (d / "pe").read_bytes() == fill(70000, "pe")
        assert (d / "hole").read_bytes() == bytes(1 << 20)
        assert (d / "empty").read_bytes() == b""
        assert (d / "dir/größe.txt").read_text() == "ä"
        a, b = (d / "big").stat(), (d / "dir/twice").stat()
        assert a.st_ino == b.st_ino and a.st_nlink == 2
        assert mounted(d)[-1][2] == "fuse.cimfs"
        assert "ro" in options_of(d)
        with pytest.raises(OSError):
            (d / "new").write_text("no")


def test_cimfs_streams_and_metadata_are_xattrs(image, tmp_path):
    with mount(image, tmp_path / "m") as d:
        assert sorted(os.listxattr(d / "stream")) == ["user.empty",
                                                      "user.one"]
        assert os.getxattr(d / "stream", "user.one") == b"first"
        assert os.getxattr(d / "stream", "user.empty") == b""
        assert os.getxattr(d / "dir", "system.ntfs_attrib") == \
            (0x10).to_bytes(4, "little")
    with mount(image, tmp_path / "m", "streams_interface=none") as d:
        assert not os.listxattr(d / "stream")


def test_cimfs_streams_as_files_may_be_large(tmp_path):
    image, = build(tmp_path / "c", {"name": "s.cim", "root": tree(
        f={"data": "main", "ads": {"big": {"fill": 300000, "seed": "ads"},
                                   "hole": {"sparse": 70000}}},
        **{"a:b": {"data": "a name with a colon"}})})
    with mount(image, tmp_path / "m", "streams_interface=windows") as d:
        assert (d / "f:big").read_bytes() == fill(300000, "ads")
        assert (d / "f:hole").read_bytes() == bytes(70000)
        assert (d / "f:big").stat().st_size == 300000
        assert not (d / "f:gone").exists() and not (d / "f:").exists()
        assert (d / "a:b").read_text() == "a name with a colon"
        assert sorted(os.listdir(d)) == ["a:b", "f"]
        assert not os.listxattr(d / "f")


def test_cimfs_links_stay_inside_the_mount(tmp_path):
    sub = "\\??\\C:\\Dir\\F.txt".encode("utf-16-le")
    payload = len(sub).to_bytes(2, "little")
    payload = b"\0\0" + payload + payload + b"\0\0" + bytes(4) + sub
    image, = build(tmp_path / "c", {"name": "l.cim", "root": tree(
        sub=tree(l={"reparse": {"tag": 0xA000000C,
                                "data": {"hex": payload.hex()}}}),
        dir=tree(**{"f.txt": {"data": "found"}}))})
    with mount(image, tmp_path / "m") as d:
        assert stat.S_ISLNK(os.lstat(d / "sub/l").st_mode)
        assert os.readlink(d / "sub/l") == "../dir/f.txt"
        assert (d / "sub/l").read_text() == "found"
    with mount(image, tmp_path / "m", "drive=C:=/mnt/c") as d:
        assert os.readlink(d / "sub/l") == "/mnt/c/Dir/F.txt"


def test_cimfs_volume_guid_is_taken_once(image, tmp_path):
    guid = GUID.format(os.getpid())
    (tmp_path / "n").mkdir()
    with mount(image, tmp_path / "m", f"volume={guid}"):
        p = cimfs("--json", "-o", "volume={" + guid.upper() + "}", image,
                  tmp_path / "n", check=False)
        said = json.loads(p.stderr)
        assert p.returncode == 32 and said["name"] == "exists"
        assert said["hresult"] == 0x800700B7
        with mount(image, tmp_path / "n"):
            pass
    with mount(image, tmp_path / "n", f"volume={guid}"):
        pass


@pytest.mark.parametrize("options,name,code", [
    ("volume=nonsense", "a.cim", 1), ("streams_interface=x", "a.cim", 1),
    ("", "gone.cim", 32), ("bogus", "a.cim", 1)])
def test_cimfs_errors_are_told_once(image, tmp_path, options, name, code):
    (tmp_path / "m").mkdir()
    opts = ["-o", options] if options else []
    p = cimfs(*opts, image.parent / name, tmp_path / "m", check=False)
    assert p.returncode == code
    assert len(p.stderr.splitlines()) == 1
    assert not mounted(tmp_path / "m")


def test_cimfs_words_of_the_api_are_known(image, tmp_path):
    with mount(image, tmp_path / "m", "child_only", "cache_regions",
               "ignore_case", "nofail") as d:
        assert (d / "DIR/GRÖSSE.TXT").exists() is False
        assert (d / "DIR/GRÖßE.TXT").read_text() == "ä"


def test_cimfs_must_write_fails(image, tmp_path):
    (tmp_path / "m").mkdir()
    p = cimfs("-w", image, tmp_path / "m", check=False)
    assert p.returncode == 32 and "read-only" in p.stderr
    assert not mounted(tmp_path / "m")


def test_cimfs_region_cut_under_the_mount_is_eio(image, tmp_path):
    with mount(image, tmp_path / "m") as d:
        with open(d / "big", "rb") as f:
            f.read(10)
            for region in image.parent.glob("region_*"):
                os.truncate(region, 5000)
            f.seek(2900000)
            with pytest.raises(OSError) as e:
                f.read(4096)
        assert e.value.errno == 5


def test_cimfs_by_an_ordinary_user(image, tmp_path):
    open_up(image.parent)
    for f in image.parent.iterdir():
        f.chmod(0o644)
    exe = tmp_path / "cimfs"
    shutil.copy(CIMFS, exe)
    with unprivileged() as ids:
        m = tmp_path / "m"
        m.mkdir()
        os.chown(m, *ids)
        open_up(m)
        try:
            as_user(ids, exe, image, m)
            assert as_user(ids, "cat", m / "stream").stdout == "main"
        finally:
            as_user(ids, exe, "-u", m)
