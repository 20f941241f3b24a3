# SPDX-License-Identifier: GPL-3.0-or-later
"""VHDX against other people's images and programs: the corpus, qemu, 7-Zip,
libvhdi (FORMAT.md 11.2 tells what they can't do)."""
import hashlib
import random
import uuid

import pytest

import crash
from conftest import run
from make import vhdx
from make.vhdx import MIB, Vhdx


@pytest.fixture
def vt(tool):
    def drive(path, *lines, args=()):
        p = run(tool("vhdxtool"), "open", *args, path,
                stdin="\n".join(lines) + "\n")
        return p.stdout.split("\n")[:-1]
    return drive


@pytest.fixture
def create(tool, tmp_path):
    def make(name, kind, size, block, lss="512", parent=None):
        path = tmp_path / name
        if parent:
            run(tool("vhdxtool"), "diff", parent, parent.name,
                "C:\\vm\\" + parent.name, block, path)
        else:
            run(tool("vhdxtool"), "create", kind, size, block, lss, "4096",
                path)
        return path
    return make


# The corpus ----------------------------------------------------------------

@pytest.mark.parametrize("name, size, sha", [
    ("dfvfs--ext2", 4 * MIB, "a6c2f0e39afe6c6ab432ca5465349fce"),
    ("dfvfs--ntfs-dynamic", 4 * MIB, "b92731f8e4bf3532418444d22a908682"),
    ("dfvfs--ntfs-fixed", 4 * MIB, "5237dd895f38052344e2ef35a207fe9d"),
    ("dfvfs--ntfs-parent", 4 * MIB, "c5523065bc6ef82267be56c5f8888e28"),
    ("qemu-iotests--iotest-dynamic-1G", 1 << 30,
     "d3d112d8dab7fd360609f7d5a7b76990")])
def test_vhdx_corpus_content(corpus, vt, name, size, sha):
    path = corpus / "vhdx" / f"{name}.vhdx"
    got = vt(path, "size", f"sha256 0 {size}", args=["--ro"])
    assert got[0] == str(size) and got[1].startswith(sha)


def test_vhdx_corpus_windows_chain(corpus, vt, tool, tmp_path):
    leaf = corpus / "chains" / "ntfs-differential.vhdx"
    parent = corpus / "chains" / "ntfs-parent.vhdx"
    out = tmp_path / "raw"
    vt(leaf, f"readf 0 4m {out}", args=["--ro", "--parent", parent])
    assert hashlib.md5(out.read_bytes()).hexdigest() == (
        "a25df0058eecd8aa1975a68eeaa0e178")
    text = run(tool("vhdxtool"), "info", leaf).stdout
    assert "linkage 7584f8fb-36d3-4091-afb5-b1afe587bfa8" in text
    assert "data_write 7584f8fb-36d3-4091-afb5-b1afe587bfa8" in run(
        tool("vhdxtool"), "info", parent).stdout
    assert "parent 0 .\\ntfs-parent.vhdx" in text


def test_vhdx_corpus_windows_chain_is_writable(corpus, vt, tmp_path):
    """A copy: Windows' own bitmap block and partial blocks."""
    leaf = tmp_path / "leaf.vhdx"
    leaf.write_bytes((corpus / "chains/ntfs-differential.vhdx").read_bytes())
    args = ["--parent", corpus / "chains" / "ntfs-parent.vhdx"]
    out = tmp_path / "raw"
    vt(leaf, f"readf 0 4m {out}", args=["--ro", *args])
    want = bytearray(out.read_bytes())
    want[1000:3000] = b"\x33" * 2000
    want[3 * MIB:4 * MIB] = bytes(MIB)
    assert vt(leaf, "begin", "write 1000 2000 0x33", "zero 3m 1m", "flush",
              args=args) == ["ok"] * 4
    assert vt(leaf, "sha256 0 4m", args=["--ro", *args]) == [
        hashlib.sha256(want).hexdigest()]


@pytest.mark.parametrize("name", ["DiscUtils--swap", "qemu-iotests--iotest-"
                                  "dirtylog-10G-4M"])
def test_vhdx_corpus_writing_begins(corpus, tool, vt, tmp_path, name):
    path = tmp_path / "copy.vhdx"
    path.write_bytes((corpus / "vhdx" / f"{name}.vhdx").read_bytes())
    run(tool("vhdxtool"), "check", path)
    assert vt(path, "begin", "write 9g 5 1", "flush", "read 9g 6") == [
        "ok", "ok", "ok", "010101010100"]


def test_vhdx_corpus_dirty_log(corpus, vt, tool):
    """qemu's test 070, without the write that it needs."""
    path = corpus / "vhdx" / "qemu-iotests--iotest-dirtylog-10G-4M.vhdx"
    before = hashlib.sha256(path.read_bytes()).digest()
    assert "log_dirty 1" in run(tool("vhdxtool"), "info", path).stdout
    want = hashlib.sha256(b"\xa5" * 18 * MIB).hexdigest()
    zero = hashlib.sha256(bytes(MIB)).hexdigest()
    assert vt(path, "sha256 0 18m", "sha256 18m 1m",
              args=["--ro"]) == [want, zero]
    assert hashlib.sha256(path.read_bytes()).digest() == before


# qemu ----------------------------------------------------------------------

@pytest.mark.parametrize("kind, block", [
    ("dynamic", "1m"), ("dynamic", "32m"), ("fixed", "2m"),
    ("dynamic", "256m")])
def test_vhdx_ours_read_by_qemu(create, vt, peer, tmp_path, kind, block):
    path, raw = create("a.vhdx", kind, "70m", block), tmp_path / "raw"
    rng, lines = random.Random(block), []
    for _ in range(40):
        off = rng.randrange(0, 69 * MIB)
        n = rng.randrange(1, MIB)
        lines.append(f"write {off} {n} {rng.randrange(256)}")
        lines.append(f"zero {rng.randrange(0, 60) * MIB} {MIB + 100}")
    sha = vt(path, "begin", *lines, "flush", "sha256 0 70m")[-1]
    run(peer("qemu-img"), "check", "-f", "vhdx", path)
    run(peer("qemu-img"), "convert", "-f", "vhdx", "-O", "raw", path, raw)
    assert hashlib.sha256(raw.read_bytes()).hexdigest() == sha


@pytest.mark.parametrize("subformat", ["dynamic", "fixed"])
def test_vhdx_qemus_written_by_us(vt, peer, tmp_path, subformat):
    path = tmp_path / "q.vhdx"
    run(peer("qemu-img"), "create", "-f", "vhdx", "-o",
        f"subformat={subformat},block_size=1M", path, "20M")
    qio = [peer("qemu-io"), "-f", "vhdx"]
    run(*qio, "-c", "write -P 0x11 1M 3M", "-c", "write -P 0x12 19M 1M", path)
    assert vt(path, "read 1m 1", "read 20971519 1", "read 0 1", "begin",
              "write 2m 1000 0x22", "write 8m 5m 0x23", "zero 19m 1m",
              "flush") == ["11", "12", "00"] + ["ok"] * 5
    run(peer("qemu-img"), "check", "-f", "vhdx", path)
    run(*qio, "-r", "-c", "read -P 0x11 1M 1M", "-c", "read -P 0x22 2M 1000",
        "-c", "read -P 0x11 2098152 1000", "-c", "read -P 0x23 8M 5M",
        "-c", "read -P 0 19M 1M", path)
    run(*qio, "-c", "write -P 0x33 9M 100k", path)
    assert vt(path, "read 9m 1", "read 8m 1") == ["33", "23"]


def test_vhdx_our_log_replayed_by_qemu(create, tool, peer, tmp_path):
    """Our session ends by an I/O error: qemu finds what was flushed."""
    path = create("a.vhdx", "dynamic", "64m", "1m")
    p = run(tool("vhdxtool"), "open", "--fail", "23", path, stdin="begin\n"
            "write 0 1m 1\nwrite 5m 5 2\nflush\nwrite 9m 1m 3\nflush\n"
            "write 10m 1m 3\nflush\nwrite 11m 1m 3\nflush\n")
    assert p.stdout.startswith("ok\nok\nok\nok\n") and "EIO" in p.stdout
    assert "log_dirty 1" in run(tool("vhdxtool"), "info", path).stdout
    run(peer("qemu-img"), "check", "-r", "all", "-f", "vhdx", path)
    run(peer("qemu-io"), "-f", "vhdx", "-r", "-c", "read -P 1 0 1M", "-c",
        "read -P 2 5M 5", path)
    assert "log_dirty 0" in run(tool("vhdxtool"), "info", path).stdout


# 7-Zip and libvhdi ---------------------------------------------------------

def chain_of_two(create, vt, lss):
    parent = create("p.vhdx", "dynamic", "24m", "2m", lss)
    vt(parent, "begin", *(f"write {n * 2 * MIB} 2m {n + 1}" for n in (0, 2, 5)))
    child = create("c.vhdx", "", "", "1m", parent=parent)
    args = ["--parent", parent]
    lines = ["begin"] + [
        f"write {n * 700000 // 4096 * 4096} {4096 * n} {n + 50}"
        for n in range(1, 30)]
    vt(child, *lines, args=args)
    return child, vt(child, "sha256 0 24m", args=["--ro", *args])[0]


@pytest.mark.parametrize("lss", ["512", "4096"])
def test_vhdx_children_read_by_7zip(create, vt, peer, tmp_path, lss):
    child, sha = chain_of_two(create, vt, lss)
    p = run(peer("7z"), "e", "-y", f"-o{tmp_path}/out", child, check=False)
    files = list((tmp_path / "out").glob("*"))
    assert p.returncode == 0 and len(files) == 1, p.stdout + p.stderr
    assert hashlib.sha256(files[0].read_bytes()).hexdigest() == sha


@pytest.mark.parametrize("lss", ["512", "4096"])
def test_vhdx_children_known_to_libvhdi(create, vt, peer, tool, lss):
    child, _ = chain_of_two(create, vt, lss)
    text = run(peer("vhdiinfo"), child).stdout
    info = run(tool("vhdxtool"), "info", child).stdout
    link = [x.split()[1] for x in info.splitlines() if x.startswith("linkage ")]
    assert f"Parent identifier\t: {link[0]}" in text
    assert "Differential" in text and f"Bytes per sector\t: {lss}" in text


@pytest.mark.root
@pytest.mark.mount
@pytest.mark.parametrize("lss", ["512", "4096"])
def test_vhdx_children_read_by_libvhdi(create, vt, peer, tmp_path, lss):
    child, sha = chain_of_two(create, vt, lss)
    mnt = tmp_path / "mnt"
    mnt.mkdir()
    p = run(peer("vhdimount"), child, mnt, check=False)
    if p.returncode:
        pytest.skip("vhdimount cannot mount here")
    try:
        files = sorted(mnt.iterdir())
        assert sha in {hashlib.sha256(f.read_bytes()).hexdigest()
                       for f in files}
    finally:
        run("umount", mnt)


def test_vhdx_items_of_the_parent_go_into_the_child(create, vt, tool, tmp_path):
    odd = uuid.UUID(int=0x77)
    v = Vhdx(8 * MIB, lss=4096, pss=4096)
    v.items += [(odd, b"virtual", 2), (odd, b"user", 3),
                (uuid.UUID(int=0x78), b"own", 0)]
    parent = v.write(tmp_path / "p.vhdx")
    child = create("c.vhdx", "", "", "0", parent=parent)
    a, b = (dict(line.split(" ", 1) for line in run(
        tool("vhdxtool"), "info", p).stdout.splitlines())
        for p in (parent, child))
    for key in ("size", "lss", "pss", "disk_id"):
        assert a[key] == b[key]
    assert b["linkage"] == a["data_write"] != b["data_write"]
    assert b["block"] == str(2 * MIB)
    raw = child.read_bytes()
    assert b"virtual" in raw and b"user" in raw and b"own" not in raw
    assert "\\\\?\\C:\\vm\\p.vhdx".encode("utf-16-le") in raw
    assert ".\\p.vhdx".encode("utf-16-le") in raw


@pytest.mark.parametrize("args, words", [
    (["dynamic", "0", "0", "0", "0"], "disk size"),
    (["dynamic", "1000", "0", "0", "0"], "disk size"),
    (["dynamic", "65t", "0", "0", "0"], "disk size"),
    (["dynamic", "1g", "3m", "0", "0"], "block size"),
    (["dynamic", "1g", "512m", "0", "0"], "block size"),
    (["dynamic", "1g", "0", "1024", "0"], "sector size")])
def test_vhdx_create_refuses(tool, tmp_path, args, words):
    p = run(tool("vhdxtool"), "create", *args, tmp_path / "x", check=False)
    assert p.returncode == 1 and words in p.stderr


def test_vhdx_interrupted_creation_is_no_vhdx(tool, tmp_path):
    path, rec = tmp_path / "a.vhdx", tmp_path / "rec"
    run(tool("vhdxtool"), "create", "--record", rec, "fixed", "4m", "1m",
        "512", "512", path)
    ops = crash.load(rec)
    for n, image in crash.states(b"", ops[:-1]):
        path.write_bytes(image)
        p = run(tool("vhdxtool"), "info", path, check=False)
        assert p.returncode == 0 or "no signature" in p.stderr, n
    assert vhdx.MIB * 8 == path.stat().st_size
