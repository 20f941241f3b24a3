# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk as files: raw, writable and with trees beside the files."""
import hashlib
import os

import pytest

from conftest import run
from make import part as make

MIB = 1 << 20
SIZE = 8 * MIB


@pytest.fixture
def disk(tmp_path):
    """p1 at 1 MiB of 1 MiB, p3 at 4 MiB of 2 MiB; data in the middle."""
    return make.write(tmp_path / "disk", SIZE, [
        (0, make.mbr([make.mbr_entry(7, 2048, 2048), None,
                      make.mbr_entry(7, 8192, 4096)])),
        (MIB + 65536, b"A" * 4096), (4 * MIB + 5, b"hello"),
        (6 * MIB - 3, b"end|next")])


def view(tool, how, disk, *script):
    p = run(tool("viewtool"), how, disk, stdin="\n".join(script) + "\n")
    return p.stdout.splitlines()


def sha(data):
    return hashlib.sha256(data).hexdigest()


def test_view_raw_names_and_sizes(tool, disk):
    out = view(tool, "raw", disk, "find /", "stat /disk.raw", "stat /p1.raw",
               "stat /", "statfs")
    assert out[:4] == [f"f {SIZE} /disk.raw", f"f {MIB} /p1.raw",
                       f"f {2 * MIB} /p3.raw", "."]
    words = out[4].split()
    assert words[2] == "100444" and words[4:6] == ["12", "34"]
    assert words[6:8] == [str(SIZE), "1000000000.000000000"]
    assert out[5].split()[2] == "100444"
    assert out[6].split()[2] == "40555"


def test_view_raw_bytes(tool, disk):
    data = disk.read_bytes()
    for read in ("sha256", "mapsha256"):
        assert view(tool, "raw", disk, f"{read} /disk.raw", f"{read} /p1.raw",
                    f"{read} /p3.raw") == [
            sha(data), sha(data[MIB:2 * MIB]), sha(data[4 * MIB:6 * MIB])]


def test_view_raw_window_ends_where_the_partition_does(tool, disk):
    end = 2 * MIB
    assert view(tool, "raw", disk, "cat /p3.raw 5 5",
                f"cat /p3.raw {end - 3} 100", f"cat /p3.raw {end} 4",
                f"cat /p3.raw {1 << 60} 4") == [
        b"hello".hex(), b"end".hex(), "", ""]
    assert view(tool, "raw", disk, f"map /p3.raw {end - 4096} 1m") == [
        f"fd@{6 * MIB - 4096}+4096 ok"]


def test_view_raw_holes(tool, disk):
    out = view(tool, "raw", disk, "seek /p1.raw 0 data",
               "seek /p1.raw 65536 hole", "seek /p1.raw 131072 data",
               f"seek /p1.raw {MIB} hole", f"seek /p1.raw {MIB - 1} hole",
               "seek /disk.raw 0 hole")
    assert out == ["65536", "69632", "error ENXIO", "error ENXIO",
                   str(MIB - 1), "4096"]


def test_view_raw_read_only_refuses(tool, disk):
    before = disk.read_bytes()
    out = view(tool, "raw", disk, "write /p1.raw 0 10 1", "truncate /p1.raw 0",
               "create /x 644", "unlink /p1.raw", "allocate /p1.raw 3 0 4096",
               "mkdir /d 755", "rename /p1.raw /x 0", "check", "writing")
    assert all(line.startswith("error EROFS") for line in out[:-1]), out
    assert out[-1] == "0" and disk.read_bytes() == before


def test_view_raw_absent(tool, disk):
    assert view(tool, "raw", disk, "stat /p2.raw", "stat /p1",
                "stat /p1.raw/x", "readlink /p1.raw") == [
        "error ENOENT", "error ENOENT", "error ENOTDIR", "error EINVAL"]


def test_view_rw_writes_reach_the_disk(tool, disk):
    want = bytearray(disk.read_bytes())
    out = view(tool, "rw", disk, "writing", "check",
               "write /p3.raw 1000 3000 66", "writing", "cat /disk.raw 4195304 2", "fsync /p3.raw", "sync",
               "write /disk.raw 3m 5 67", "stat /p1.raw")
    want[4 * MIB + 1000:4 * MIB + 4000] = b"B" * 3000
    want[3 * MIB:3 * MIB + 5] = b"C" * 5
    assert out[:8] == ["0", "ok", "ok", "1", "4242", "ok", "ok", "ok"]
    assert out[8].split()[2] == "100644"
    assert out[8].split()[7] != "1000000000.000000000"
    assert disk.read_bytes() == want


def test_view_rw_never_grows(tool, disk):
    before = disk.read_bytes()
    out = view(tool, "rw", disk, f"write /p1.raw {MIB} 10 65",
               f"write /disk.raw {SIZE} 1 65", f"write /p1.raw {1 << 60} 1 65",
               f"truncate /p1.raw {2 * MIB}", "truncate /disk.raw 4096",
               f"allocate /p1.raw 0 0 {2 * MIB}",
               f"allocate /p1.raw 16 0 {2 * MIB}")
    assert out == ["error ENOSPC"] * 3 + ["error EINVAL"] * 2 + [
        "error EOPNOTSUPP", "error ENOSPC"]
    assert disk.read_bytes() == before


def test_view_rw_does_not_spill_into_the_next_partition(tool, disk):
    view(tool, "rw", disk, f"write /p3.raw {2 * MIB - 2} 100 65")
    data = disk.read_bytes()
    assert data[6 * MIB - 3:6 * MIB + 5] == b"eAA|next"


def test_view_rw_o_trunc_destroys_nothing(tool, disk):
    before = disk.read_bytes()
    out = view(tool, "rw", disk, "truncate /p1.raw 0", "truncate /disk.raw 0",
               f"truncate /p1.raw {MIB}", "chmod /p1.raw 600",
               "utime /p1.raw 5", "unlink /p1.raw", "create /new 644")
    assert out[:5] == ["error EPERM", "error EPERM", "ok", "error EPERM", "ok"]
    assert all(line.startswith("error") for line in out[5:])
    assert disk.read_bytes() == before


def test_view_rw_punch_and_zero(tool, disk):
    want = bytearray(disk.read_bytes())
    out = view(tool, "rw", disk, "allocate /p1.raw 3 65536 2048",
               "allocate /p3.raw 16 4 3", f"allocate /p1.raw 3 {MIB - 512} 1m",
               f"allocate /p1.raw 3 {2 * MIB} 512",
               f"allocate /p3.raw 17 {2 * MIB - 3} 1m",
               "cat /disk.raw 4194308 4")
    want[MIB + 65536:MIB + 67584] = bytes(2048)
    want[4 * MIB + 4:4 * MIB + 7] = bytes(3)
    want[6 * MIB - 3:6 * MIB] = bytes(3)
    assert out == ["ok"] * 5 + ["0000006c"]
    assert disk.read_bytes() == want


def test_view_rw_that_nobody_writes_to_changes_nothing(tool, disk):
    before = os.stat(disk)
    view(tool, "rw", disk, "sha256 /disk.raw", "sync", "stat /p1.raw",
         "open /p1.raw a w", "close a")
    after = os.stat(disk)
    assert (before.st_mtime_ns, before.st_ctime_ns, before.st_size) == (
        after.st_mtime_ns, after.st_ctime_ns, after.st_size)


def test_view_all_shows_files_and_trees(tool, disk):
    data = disk.read_bytes()
    out = view(tool, "all", disk, "find /", "sha256 /p3/disk.raw",
               "mapsha256 /p3/disk.raw", "mapsha256 /p3.raw", "stat /p3",
               "stat /p1/disk.raw", "seek /p1/disk.raw 0 data", "xattrs /p1",
               "readlink /p1/disk.raw", "cat /p1/disk.raw 65536 2")
    end = out.index(".")
    assert sorted(line.split()[2] for line in out[:end]) == [
        "/disk.raw", "/p1", "/p1.raw", "/p1/disk.raw", "/p3", "/p3.raw",
        "/p3/disk.raw"]
    p3 = sha(data[4 * MIB:6 * MIB])
    out = out[end + 1:]
    assert out[:3] == [p3] * 3
    assert out[3].split()[0] == str(2 << 50 | 1)
    words = out[4].split()
    assert words[0] == str(1 << 50 | 2) and words[6] == str(MIB)
    assert words[4:6] == ["0", "0"]
    assert out[5:] == ["65536", ".", "error EINVAL", "4141"]


def test_view_all_is_read_only(tool, disk):
    before = disk.read_bytes()
    out = view(tool, "all", disk, "write /p1.raw 0 10 1",
               "write /p1/disk.raw 0 1 1", "truncate /p1/disk.raw 0",
               "unlink /p1/disk.raw", "mkdir /p1/d 755", "check")
    assert all(line.startswith("error EROFS") for line in out), out
    assert disk.read_bytes() == before


def test_view_all_of_a_bare_disk(tool, tmp_path):
    bare = make.write(tmp_path / "bare", MIB, [(4096, b"data")])
    out = view(tool, "all", bare, "find /", "cat /disk/disk.raw 4096 4")
    assert [line.split()[2] for line in out[:-2]] == [
        "/disk.raw", "/disk", "/disk/disk.raw"]
    assert out[-1] == b"data".hex()


def test_view_all_absent(tool, disk):
    assert view(tool, "all", disk, "stat /p2", "stat /p1/nope",
                "stat /disk", "stat /p1.raw/x") == [
        "error ENOENT", "error ENOENT", "error ENOENT", "error ENOTDIR"]


def test_view_of_4096_byte_sectors(tool, tmp_path):
    img = make.write(tmp_path / "img", 16 * MIB, make.gpt(
        4096, [make.gpt_entry(256, 511, "x")], sector=4096) + [
        (MIB + 1, b"four")])
    p = run(tool("viewtool"), "raw", img, 4096,
            stdin="cat /p1.raw 1 4\nstat /p1.raw\n")
    out = p.stdout.splitlines()
    assert out[0] == b"four".hex() and out[1].split()[6] == str(MIB)


@pytest.fixture
def volumes(peer, tmp_path):
    """1 vfat, 2 ntfs with a file of 3 MiB, 3 ext4 with the same and names."""
    data = os.urandom(1 << 20) * 3
    top = tmp_path / "top"
    (top / "dir").mkdir(parents=True)
    (top / "dir" / "big").write_bytes(data)
    os.symlink("dir/big", top / "link")
    for i in range(300):
        (top / "dir" / f"name{i}").touch()
    img = make.write(tmp_path / "vols", 72 * MIB, make.gpt(72 * 2048, [
        make.gpt_entry(2048 * a, 2048 * b - 1) for a, b in
        ((1, 9), (9, 41), (41, 71))]))
    one = tmp_path / "one"
    for at, size, maker in (
            (1, 8, ["mkfs.vfat"]), (9, 32, ["mkntfs", "-F", "-q", "-f"]),
            (41, 30, ["mke2fs", "-q", "-F", "-t", "ext4", "-d", top])):
        make.write(one, size * MIB, [])
        run(peer(maker[0]), *maker[1:], one)
        if at == 9:
            run(peer("ntfscp"), one, top / "dir" / "big", "big")
        with open(img, "r+b") as f:
            f.seek(at * MIB)
            f.write(one.read_bytes())
    return img, data


def test_view_all_volumes(tool, volumes):
    img, data = volumes
    out = view(tool, "volumes", img, "ls /", "stat /p1", "sha256 /p2/big",
               "mapsha256 /p2/big", "mapsha256 /p3/dir/big", "readlink /p3/link",
               "find /p3/dir", "statfs")
    end = out.index(".")
    assert {line.split()[2] for line in out[:end]} == {
        "disk.raw", "p1.raw", "p2.raw", "p3.raw", "p2", "p3"}
    out = out[end + 1:]
    assert out[0] == "error ENOENT" and out[1:4] == [sha(data)] * 3
    assert out[4] == "dir/big"
    end = out.index(".")
    assert len({line.split()[2] for line in out[5:end]}) == 301
    assert int(out[end + 1].split()[1]) > 50 * 2048
    out = view(tool, "volumes", img, "stat /p2/big", "stat /p2", "stat /p1.raw")
    assert [line.split()[4:6] for line in out] == [["12", "34"]] * 3
    # No two nodes share a number.
    out = view(tool, "volumes", img, "ls /", "ls /p2", "ls /p3", "ls /p3/dir")
    ids = [line.split()[0] for line in out if line != "."]
    assert len(ids) == len(set(ids))


def test_view_all_volumes_leave_the_disk_alone(tool, volumes):
    img, _ = volumes
    before = sha(img.read_bytes())
    view(tool, "volumes", img, "find /", "write /p3/dir/big 0 1 1", "sync")
    assert sha(img.read_bytes()) == before


# --- any disk, as vhdfs opens it ----------------------------------------------

def image(tool, how, path, *script, part="auto", sb=0):
    p = run(tool("viewtool"), f"image-{how}", path, part, sb,
            stdin="\n".join(script) + "\n", check=False)
    return p.stdout.splitlines()


@pytest.mark.parametrize("kind", ["raw", "vpc", "vhdx"])
def test_view_image(tool, peer, volumes, tmp_path, kind):
    img, data = volumes
    disk = tmp_path / "disk"
    opts = ["-o", "force_size=on"] if kind == "vpc" else []
    run(peer("qemu-img"), "convert", "-f", "raw", "-O", kind, *opts, img, disk)
    assert image(tool, "all", disk, "sha256 /p2/big", "mapsha256 /p3/dir/big",
                 "sha256 /disk.raw", "mapsha256 /p3.raw") == [
        sha(data), sha(data), sha(img.read_bytes()),
        sha(img.read_bytes()[41 * MIB:71 * MIB])]
    assert image(tool, "tree", disk, "sha256 /big") == [sha(data)]
    assert image(tool, "tree", disk, "sha256 /dir/big", part="3") == [sha(data)]
    out = image(tool, "tree", disk, "ls /", part="1")
    assert len(out) == 1 and "vfat" in out[0] and "view=raw" in out[0]


def test_view_image_with_both_tables_ruined_is_still_a_file(tool, tmp_path):
    img = make.write(tmp_path / "img", 8 * MIB, make.gpt(
        8 * 2048, [make.gpt_entry(2048, 4095)], first=dict(crc=1),
        backup=dict(crc=1)))
    out = image(tool, "raw", img, "sha256 /disk.raw", "stat /p1.raw")
    assert out[0].startswith("warning gpt: header at sector 1, checksum")
    assert out[1:] == [sha(img.read_bytes()), "error ENOENT"]
    out = image(tool, "tree", img, "ls /")
    assert len(out) == 1 and out[0].startswith("error gpt: header")


@pytest.mark.parametrize("table", ["mbr", "gpt"])
def test_view_image_finds_the_ext4_under_a_young_table(tool, peer, tmp_path,
                                                       table):
    """What "initialise disk" leaves of a whole-disk ext4."""
    top = tmp_path / "top"
    top.mkdir()
    (top / "file").write_bytes(b"still here")
    img = make.write(tmp_path / "img", 300 * MIB, [])
    run(peer("mke2fs"), "-q", "-F", "-t", "ext4", "-b", "4096", "-d", top, img)
    young = [(0, make.mbr([make.mbr_entry(7, 2048, 2048)]))]
    if table == "gpt":
        young = [p for p in make.gpt(300 * 2048, [make.gpt_entry(
            34, 2048, "MSR")]) if p[0] < 4096]
    with open(img, "r+b") as f:
        for off, data in young:
            f.seek(off)
            f.write(data)
    out = image(tool, "tree", img, "cat /file 0 10", part="whole",
                sb=0 if table == "mbr" else 131072)
    assert "part=whole" in out[0]
    assert out[-1] == b"still here".hex(), out
