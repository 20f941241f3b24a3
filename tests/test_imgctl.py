# SPDX-License-Identifier: GPL-3.0-or-later
"""imgctl: what all verbs share, create, info, convert, compare; judged by
qemu-img, libvhdi and the corpus of real images."""
import json
import os
import subprocess

import pytest

from conftest import run

USAGE, FAILED, CHAIN, UNSUPP, CORRUPT, LOCKED, NO_SPACE, VERIFY = (
    1, 4, 11, 13, 14, 15, 16, 19)
NOT_FOUND, EXISTS = 21, 22
MB = 1 << 20


@pytest.fixture
def ctl(tool, tmp_path):
    """ctl("info", "x") runs imgctl in tmp_path and wants status 0."""
    def call(*args, status=0):
        p = run(tool("imgctl"), *args, check=False, cwd=tmp_path)
        assert p.returncode == status, (p.stdout, p.stderr)
        return p
    return call


@pytest.fixture
def ctl_json(ctl):
    def call(*args, status=0):
        return json.loads(ctl(*args, "--json", status=status).stdout)
    return call


def put(path, off, data, fmt="raw"):
    """Writes through qemu-io where the file is an image."""
    if fmt == "raw":
        with open(path, "r+b") as f:
            f.seek(off)
            f.write(data)
        return
    with open(f"{path}.bytes", "wb") as f:
        f.write(data)
    run("qemu-io", "-f", fmt, "-c",
        f"write -s {path}.bytes {off} {len(data)}", path)


# ---- words ----

def test_help_names_every_verb(ctl):
    out = ctl("--help").stdout
    for verb in ("info", "create", "compare", "convert"):
        assert f"\n  {verb} " in out
        assert ctl(verb, "--help").stdout.startswith(f"imgctl {verb} ")


def test_version(ctl):
    assert ctl("--version").stdout.startswith("imgctl ")


@pytest.mark.parametrize("args", [
    [], ["frobnicate"], ["info"], ["info", "a", "b"], ["info", "--frob", "a"],
    ["create", "dynamic", "--size"], ["convert", "a"], ["compare", "a"],
    ["create", "dynamic", "--size", "12parsecs", "a.vhdx"],
    ["create", "dynamic", "a.vhdx"], ["create", "big", "--size", "1m", "a.vhd"],
    ["create", "child", "a.vhdx"], ["create", "dynamic", "--size", "1m", "a"],
    ["create", "dynamic", "--size", "1m", "--parent", "x", "a.vhdx"],
    ["create", "dynamic", "--size", "1m", "--format", "qcow2", "a"],
    ["create", "dynamic", "--size", "1m", "a.raw"],
    ["create", "dynamic", "--size", "1m", "--sector", "4096", "a.vhd"],
    ["create", "dynamic", "--size", "18446744073709551615k", "a.vhdx"],
])
def test_wrong_words_are_one_line_and_status_1(ctl, tmp_path, args):
    p = ctl(*args, status=USAGE)
    assert p.stderr.startswith("imgctl") and p.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_errors_are_json_when_asked(ctl):
    j = json.loads(ctl("info", "--json", "gone.vhdx",
                       status=NOT_FOUND).stderr)
    assert j["name"] == "not-found" and j["msvm"] == 32779
    assert "gone.vhdx" in j["message"]


def test_an_error_that_stands_before_json_is_json(ctl):
    assert json.loads(ctl("info", "--frob", "--json",
                          status=USAGE).stderr)["exit"] == USAGE


# ---- create ----

@pytest.mark.parametrize("name,fmt", [("a.vhdx", "vhdx"), ("a.vhd", "vpc")])
@pytest.mark.parametrize("kind", ["fixed", "dynamic"])
def test_create_is_what_qemu_reads(ctl, peer, tmp_path, name, fmt, kind):
    ctl("create", kind, "--size", "48m", name)
    info = json.loads(run(peer("qemu-img"), "info", "-f", fmt, "--output=json",
                          tmp_path / name).stdout)
    assert info["virtual-size"] == 48 * MB
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_create_fixed_is_no_sparse_file(ctl, tmp_path):
    ctl("create", "fixed", "--size", "8m", "a.vhd")
    assert (tmp_path / "a.vhd").stat().st_blocks * 512 >= 8 * MB


def test_create_vhdx_with_blocks_and_sectors(ctl, ctl_json):
    ctl("create", "dynamic", "--size", "1g", "--block", "1m", "--sector",
        "4096", "a.vhdx")
    j = ctl_json("info", "a.vhdx")
    assert (j["block_size"], j["sector_size"]) == (MB, 4096)
    assert j["virtual_size"] == 1 << 30


def test_create_never_overwrites(ctl, tmp_path):
    (tmp_path / "a.vhdx").write_text("mine")
    ctl("create", "dynamic", "--size", "1g", "a.vhdx", status=EXISTS)
    assert (tmp_path / "a.vhdx").read_text() == "mine"


def test_create_over_a_dangling_symlink_is_refused(ctl, tmp_path):
    (tmp_path / "a.vhdx").symlink_to("elsewhere")
    ctl("create", "dynamic", "--size", "1g", "a.vhdx", status=EXISTS)
    assert [p.name for p in tmp_path.iterdir()] == ["a.vhdx"]


def test_create_that_fails_leaves_nothing(ctl, tmp_path):
    ctl("create", "dynamic", "--size", "3t", "a.vhd", status=UNSUPP)
    ctl("create", "dynamic", "--size", "1g", "--block", "3m", "a.vhdx",
        status=USAGE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", ["vhd", "vhdx"])
def test_child_of_a_child_finds_its_chain(ctl, ctl_json, suffix):
    ctl("create", "dynamic", "--size", "20m", f"a.{suffix}")
    ctl("create", "child", "--parent", f"a.{suffix}", f"b.a{suffix}")
    ctl("create", "child", "--parent", f"b.a{suffix}", f"c.a{suffix}")
    j = ctl_json("info", f"c.a{suffix}")
    assert [os.path.basename(k["path"]) for k in j["chain"]] == [
        f"c.a{suffix}", f"b.a{suffix}", f"a.{suffix}"]
    assert j["parent_id"] == j["chain"][1]["id"]
    assert j["type"] == "differencing" and j["virtual_size"] == 20 * MB


def test_child_elsewhere_names_the_way_to_its_parent(ctl, ctl_json, tmp_path):
    (tmp_path / "kids").mkdir()
    ctl("create", "dynamic", "--size", "20m", "a.vhdx")
    ctl("create", "child", "--parent", "a.vhdx", "--windows", r"D:\a.vhdx",
        "kids/c.avhdx")
    j = ctl_json("info", "--search", ".", "kids/c.avhdx")
    assert r"..\a.vhdx" in [x["path"] for x in j["locators"]]
    assert any(x["path"].endswith(r"D:\a.vhdx") for x in j["locators"])
    assert len(j["chain"]) == 2


def test_child_of_another_format_is_refused(ctl, tmp_path):
    ctl("create", "dynamic", "--size", "20m", "a.vhd")
    ctl("create", "child", "--parent", "a.vhd", "c.vhdx", status=USAGE)
    assert not (tmp_path / "c.vhdx").exists()


def test_child_of_nothing(ctl):
    ctl("create", "child", "--parent", "gone.vhdx", "c.vhdx", status=NOT_FOUND)


def test_libvhdi_sees_the_child_of_ours(ctl, peer, tmp_path):
    ctl("create", "dynamic", "--size", "20m", "a.vhd")
    ctl("create", "child", "--parent", "a.vhd", "c.vhd")
    out = run(peer("vhdiinfo"), tmp_path / "c.vhd").stdout
    assert "Differential" in out


# ---- info ----

def test_info_of_a_broken_chain_tells_what_the_file_says(ctl, ctl_json,
                                                         tmp_path):
    ctl("create", "dynamic", "--size", "20m", "a.vhdx")
    ctl("create", "child", "--parent", "a.vhdx", "c.vhdx")
    (tmp_path / "a.vhdx").unlink()
    j = ctl_json("info", "c.vhdx", status=CHAIN)
    assert j["parent_id"] and j["error"]["name"] == "chain-broken"
    p = ctl("info", "c.vhdx", status=CHAIN)
    assert "differencing" in p.stdout and p.stderr.count("\n") == 1


def test_info_names_who_writes(ctl, ctl_json, peer, tmp_path):
    ctl("create", "dynamic", "--size", "20m", "a.vhdx")
    with subprocess.Popen([peer("qemu-io"), "-f", "vhdx", "a.vhdx"],
                          cwd=tmp_path, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as p:
        p.stdin.write(b"read 0 512\n")
        p.stdin.flush()
        p.stdout.readline()
        j = ctl_json("info", "a.vhdx", status=LOCKED)
        p.stdin.close()
    assert not j["lock"]["may_read"] and "qemu-io" in j["lock"]["why"]
    assert ctl_json("info", "a.vhdx")["lock"] == {
        "may_read": True, "may_write": True}


@pytest.mark.parametrize("name,fmt,want", [
    ("a.vhd", "vpc", {"full": 2, "partial": 0, "absent": 30}),
    ("a.vhdx", "vhdx", {"full": 2, "partial": 0, "absent": 30, "zero": 0,
                        "unmapped": 0, "undefined": 0}),
])
def test_info_counts_blocks(ctl, ctl_json, peer, tmp_path, name, fmt, want):
    ctl("create", "dynamic", "--size", "64m", "--block", "2m", name)
    run(peer("qemu-io"), "-f", fmt, "-c", "write -P 1 2m 4m", tmp_path / name)
    assert ctl_json("info", name)["blocks"] == want
    assert "2 full" in ctl("info", name).stdout


def test_info_of_the_corpus(ctl_json, corpus):
    path = corpus / "chains" / "ntfs-differential.vhdx"
    if not path.exists():
        path = next((corpus / "chains").glob("*differential.vhdx"))
    j = ctl_json("info", path)
    assert len(j["chain"]) == 2
    assert j["partitions"]["list"][0]["volume"]["type"] == "ntfs"


def test_info_says_what_a_foreign_container_is(ctl, peer, tmp_path):
    run(peer("qemu-img"), "create", "-q", "-f", "qcow2", tmp_path / "a.q",
        "1m")
    assert "QCOW" in ctl("info", "a.q", status=UNSUPP).stderr


def test_info_of_a_damaged_image(ctl, tmp_path):
    ctl("create", "dynamic", "--size", "20m", "a.vhdx")
    put(tmp_path / "a.vhdx", 192 << 10, bytes(128 << 10))
    ctl("info", "a.vhdx", status=CORRUPT)


def test_info_of_a_directory_and_a_fifo(ctl, tmp_path):
    ctl("info", ".", status=FAILED)
    os.mkfifo(tmp_path / "fifo")
    ctl("info", "fifo", status=USAGE)


# ---- convert and compare ----

@pytest.fixture
def raw(tmp_path):
    """A raw disk with data at odd places; sparse elsewhere."""
    path = tmp_path / "in.raw"
    with open(path, "wb") as f:
        f.truncate(40 * MB)
    for off, n in ((0, 512), (3 * MB + 512, 70000 // 512 * 512),
                   (39 * MB, MB)):
        put(path, off, os.urandom(n))
    return path


@pytest.mark.parametrize("name,fmt,args", [
    ("out.vhdx", "vhdx", []), ("out.vhd", "vpc", []),
    ("out.vhdx", "vhdx", ["--type", "fixed"]),
    ("out.vhd", "vpc", ["--type", "fixed"]),
    ("out.vhdx", "vhdx", ["--block", "1m"]),
    ("out.raw", "raw", []),
])
def test_convert_as_qemu_reads_it(ctl, peer, raw, tmp_path, name, fmt, args):
    ctl("convert", *args, "in.raw", name)
    run(peer("qemu-img"), "compare", "-f", "raw", "-F", fmt, raw,
        tmp_path / name)
    ctl("compare", name, "in.raw")
    assert {p.name for p in tmp_path.iterdir()} == {"in.raw", name}


def test_convert_flattens_a_chain(ctl, peer, raw, tmp_path):
    ctl("convert", "in.raw", "a.vhdx")
    ctl("create", "child", "--parent", "a.vhdx", "c.vhdx")
    ctl("convert", "c.vhdx", "flat.vhd")
    run(peer("qemu-img"), "compare", "-f", "raw", "-F", "vpc", raw,
        tmp_path / "flat.vhd")


@pytest.mark.parametrize("suffix", ["vhd", "vhdx"])
def test_convert_as_7zip_reads_it(ctl, peer, raw, tmp_path, suffix):
    ctl("convert", "in.raw", f"out.{suffix}")
    run("sh", "-c", f"{peer('7z')} e -so -t{suffix} out.{suffix} | "
        "cmp - in.raw", cwd=tmp_path)


def test_convert_keeps_holes(ctl, raw, tmp_path):
    ctl("convert", "in.raw", "out.vhdx")
    ctl("convert", "out.vhdx", "back.raw")
    assert (tmp_path / "back.raw").stat().st_blocks * 512 < 2 * MB
    assert (tmp_path / "out.vhdx").stat().st_blocks * 512 < 3 * MB
    assert (tmp_path / "back.raw").read_bytes() == raw.read_bytes()


def test_convert_never_overwrites(ctl, raw):
    before = raw.read_bytes()
    ctl("convert", "in.raw", "in.raw", status=EXISTS)
    assert raw.read_bytes() == before


def test_convert_4k_sectors_is_no_vhd(ctl, tmp_path):
    ctl("create", "dynamic", "--size", "20m", "--sector", "4096", "a.vhdx")
    ctl("convert", "a.vhdx", "b.vhd", status=UNSUPP)
    assert not (tmp_path / "b.vhd").exists()


def test_convert_without_its_parent_leaves_nothing(ctl, tmp_path):
    ctl("create", "dynamic", "--size", "20m", "a.vhdx")
    ctl("create", "child", "--parent", "a.vhdx", "c.vhdx")
    (tmp_path / "a.vhdx").unlink()
    ctl("convert", "c.vhdx", "b.raw", status=CHAIN)
    assert [p.name for p in tmp_path.iterdir()] == ["c.vhdx"]


def test_convert_without_space_leaves_nothing(tool, raw, tmp_path):
    p = run("sh", "-c", "trap '' XFSZ; ulimit -f 4096; exec \"$@\"", "sh",
            tool("imgctl"), "convert", "in.raw", "out.vhdx", check=False,
            cwd=tmp_path)
    assert p.returncode == NO_SPACE and p.stderr.count("\n") == 1
    assert [q.name for q in tmp_path.iterdir()] == ["in.raw"]


def test_convert_of_a_huge_hole_is_quick(tool, tmp_path):
    with open(tmp_path / "in.raw", "wb") as f:
        f.truncate(8 << 40)
        f.seek(5 << 40)
        f.write(b"x" * 4096)
    run(tool("imgctl"), "convert", "in.raw", "out.vhdx", cwd=tmp_path,
        timeout=60)
    run(tool("imgctl"), "compare", "in.raw", "out.vhdx", cwd=tmp_path,
        timeout=60)


def test_convert_that_is_killed_leaves_no_half_image(tool, tmp_path):
    with open(tmp_path / "in.raw", "wb") as f:
        f.write(os.urandom(MB) * 300)
    with subprocess.Popen([tool("imgctl"), "convert", "in.raw", "out.vhdx"],
                          cwd=tmp_path, stderr=subprocess.PIPE) as p:
        while not list(tmp_path.glob(".out.vhdx*")) and p.poll() is None:
            pass
        p.terminate()
    assert not (tmp_path / "out.vhdx").exists() or p.returncode == 0
    assert not list(tmp_path.glob(".out*"))


def test_compare_tells_the_first_byte_and_the_ranges(ctl, ctl_json, raw,
                                                     tmp_path):
    ctl("convert", "in.raw", "a.vhdx")
    put(raw, 10 * MB + 7, b"\x01")
    put(raw, 20 * MB + 511, b"\x01\x01")
    j = ctl_json("compare", "in.raw", "a.vhdx", status=VERIFY)
    assert j["first"] == 10 * MB + 7 and not j["equal"]
    assert j["ranges"] == [{"offset": 10 * MB, "length": 512},
                           {"offset": 20 * MB, "length": 1024}]
    assert "byte 10485767" in ctl("compare", "a.vhdx", "in.raw",
                                  status=VERIFY).stdout


def test_compare_of_sizes_counts_the_rest_as_zeros(ctl, ctl_json, raw,
                                                   tmp_path):
    ctl("convert", "in.raw", "a.vhdx")
    os.truncate(raw, 41 * MB)
    assert ctl_json("compare", "in.raw", "a.vhdx")["equal"]
    put(raw, 41 * MB - 1, b"x")
    j = ctl_json("compare", "a.vhdx", "in.raw", status=VERIFY)
    assert j["first"] == 41 * MB - 1


def test_compare_skips_what_children_share(ctl, tool, tmp_path):
    """Two children of a parent of 64 TiB: only their own blocks are read."""
    ctl("create", "dynamic", "--size", "64t", "a.vhdx")
    ctl("create", "child", "--parent", "a.vhdx", "b.vhdx")
    ctl("create", "child", "--parent", "a.vhdx", "c.vhdx")
    run(tool("imgctl"), "compare", "b.vhdx", "c.vhdx", cwd=tmp_path,
        timeout=30)


def test_compare_with_what_is_not_there(ctl, raw):
    ctl("compare", "in.raw", "gone.vhd", status=NOT_FOUND)
