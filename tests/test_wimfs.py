# SPDX-License-Identifier: GPL-3.0-or-later
"""wimfs as people use it: mounts, options, errors, unmounting."""
import contextlib
import os
import subprocess

import pytest

from conftest import BUILD, run
from make.wim import Node, build
from mounts import fingerprint, mounted, options_of
from wimlib import fill, imagex, look_dir

pytestmark = pytest.mark.mount
WIMFS = BUILD / "fs/wimfs"


def wimfs(*args, **kw):
    return run(WIMFS, *args, **kw)


@contextlib.contextmanager
def mount(image, directory, *options):
    directory.mkdir(exist_ok=True)
    p = wimfs(*(["-o", ",".join(options)] if options else []), image,
              directory)
    assert not p.stderr, p.stderr
    try:
        yield directory
    finally:
        run(WIMFS, "-u", directory, check=False)
        if mounted(directory):
            subprocess.run(["umount", "-i", "-l", directory], check=False)
    assert not mounted(directory)


@pytest.fixture(scope="module")
def src(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("wimfs") / "src")


@pytest.mark.parametrize("options", [["--compress=none"], ["--compress=lzx"],
                                     ["--compress=xpress", "--pipable"],
                                     ["--solid"]], ids=" ".join)
def test_mount_is_what_was_captured(peer, src, tmp_path, options):
    peer("wimlib-imagex")
    image = tmp_path / "a.wim"
    imagex("capture", src, image, *options)
    before = fingerprint(image)
    with mount(image, tmp_path / "m", "cachesize=8M") as d:
        assert look_dir(d) == look_dir(src)
        assert run("diff", "-r", "--no-dereference", src, d).stdout == ""
        assert mounted(d)[-1][2] == "fuse.wimfs"
        assert "ro" in options_of(d)
    assert fingerprint(image) == before


def test_images_by_number_name_and_option(peer, src, tmp_path):
    peer("wimlib-imagex")
    image = tmp_path / "m.wim"
    imagex("capture", src, image, "Windows 11 Pro")
    imagex("append", src / "Directory", image, "second")
    with mount(image, tmp_path / "m") as d:
        assert sorted(os.listdir(d)) == ["1", "2", "Windows 11 Pro", "second"]
        assert look_dir(d / "Windows 11 Pro") == look_dir(src)
        assert look_dir(d / "2") == look_dir(src / "Directory")
    with mount(image, tmp_path / "m", "image=Windows 11 Pro") as d:
        assert look_dir(d) == look_dir(src)
    p = wimfs("-o", "image=3", image, tmp_path / "m", check=False)
    assert p.returncode and "no image 3" in p.stderr


def test_split_set_with_ref_pattern(peer, src, tmp_path):
    peer("wimlib-imagex")
    imagex("capture", src, tmp_path / "a.wim", "--compress=none")
    imagex("split", tmp_path / "a.wim", tmp_path / "s.swm", "0.1")
    (tmp_path / "far").mkdir()
    for part in tmp_path.glob("s?.swm"):
        part.rename(tmp_path / "far" / ("x" + part.name))
    with mount(tmp_path / "s.swm", tmp_path / "m",
               f"ref={tmp_path}/far/*.swm") as d:
        assert look_dir(d) == look_dir(src)
    p = wimfs("-o", "ref=/nowhere*", tmp_path / "s.swm", tmp_path / "m",
              check=False)
    assert p.returncode and "/nowhere*" in p.stderr


def test_unix_data_and_its_words(peer, tmp_path):
    peer("wimlib-imagex")
    top = tmp_path / "src"
    top.mkdir()
    (top / "f").write_text("x")
    os.chown(top / "f", 1234, 5678)
    (top / "f").chmod(0o640)
    image = tmp_path / "a.wim"
    imagex("capture", top, image, "--unix-data")
    with mount(image, tmp_path / "m", "unix-data", "workers=2",
               "streams-interface=none", "verify=data") as d:
        st = os.stat(d / "f")
        assert (st.st_mode, st.st_uid, st.st_gid) == (0o100640, 1234, 5678)


def test_streams_as_attributes_and_files(tmp_path):
    image = tmp_path / "a.wim"
    image.write_bytes(build(Node(children=[
        Node("f", b"main", streams=[("ads", b"named")])])))
    with mount(image, tmp_path / "m") as d:
        assert os.listxattr(d / "f") == ["user.ads"]
        assert os.getxattr(d / "f", "user.ads") == b"named"
    with mount(image, tmp_path / "m", "streams_interface=windows") as d:
        assert (d / "f:ads").read_bytes() == b"named"


def test_damage_is_told_once_with_its_path(tmp_path):
    image = tmp_path / "a.wim"
    raw = build(Node(children=[Node("f", b"contents"), Node("g", b"rest")]))
    image.write_bytes(raw.replace(b"contents", b"cOntents"))
    with mount(image, tmp_path / "m", "verify=data") as d:
        for _ in range(2):
            with pytest.raises(OSError):
                (d / "f").read_bytes()
        assert (d / "g").read_bytes() == b"rest"


def test_missing_blob_never_reads_as_empty(tmp_path):
    image = tmp_path / "a.wim"
    image.write_bytes(build(Node(children=[Node("f", b"data")]), blobs=[]))
    with mount(image, tmp_path / "m") as d, pytest.raises(OSError):
        (d / "f").read_bytes()


@pytest.mark.parametrize("raw,words", [
    (b"not a WIM" * 100, "magic"), (b"", "shorter"),
    (build(Node(children=[]), version=0xD00), "version")])
def test_errors_are_one_line(tmp_path, raw, words):
    image = tmp_path / "a.wim"
    image.write_bytes(raw)
    (tmp_path / "m").mkdir()
    p = wimfs(image, tmp_path / "m", check=False)
    assert p.returncode and words in p.stderr
    assert p.stderr.count("\n") == 1
