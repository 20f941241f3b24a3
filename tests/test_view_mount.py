# SPDX-License-Identifier: GPL-3.0-or-later
"""view=raw and view=all through the kernel, with tools that know no mercy."""
import ctypes
import os
import stat

import pytest

from conftest import run
from make import part as make
from mounts import mount

MIB = 1 << 20

pytestmark = pytest.mark.skipif(not os.path.exists("/dev/fuse"),
                                reason="no /dev/fuse")


@pytest.fixture(params=["vpc", "vhdx"])
def image(request, peer, tmp_path):
    """Two empty partitions of 16 and 40 MiB in a dynamic disk."""
    raw = make.write(tmp_path / "raw", 64 * MIB, make.gpt(64 * 2048, [
        make.gpt_entry(2048, 17 * 2048 - 1),
        make.gpt_entry(20 * 2048, 60 * 2048 - 1)]))
    out = tmp_path / f"disk.{request.param}"
    opts = ["-o", "force_size=on"] if request.param == "vpc" else []
    run(peer("qemu-img"), "convert", "-O", request.param, *opts, raw, out)
    return request.param, out


def test_view_mount_mkfs_and_fsck_inside(peer, tmp_path, image):
    kind, disk = image
    with mount(disk, tmp_path / "m", "view=raw") as d:
        assert stat.S_IMODE((d / "p1.raw").stat().st_mode) == 0o644
        run(peer("mke2fs"), "-q", "-F", "-t", "ext4", "-L", "made",
            d / "p2.raw")
        run(peer("mkntfs"), "-F", "-q", "-f", "-L", "too", d / "p1.raw")
        run(peer("e2fsck"), "-fn", d / "p2.raw")
        run(peer("ntfsresize"), "-i", "-f", d / "p1.raw")
        bytes_seen = (d / "disk.raw").read_bytes()
        assert bytes_seen[20 * MIB:60 * MIB] == (d / "p2.raw").read_bytes()
    run(peer("qemu-img"), "check", disk) if kind == "vhdx" else None
    raw = tmp_path / "raw2"
    run(peer("qemu-img"), "convert", "-O", "raw", "-f", kind, disk, raw)
    assert raw.read_bytes()[:64 * MIB] == bytes_seen
    with mount(disk, tmp_path / "m", "view=all") as d:
        assert sorted(os.listdir(d)) == ["disk.raw", "p1", "p1.raw", "p2",
                                         "p2.raw"]
        assert os.listdir(d / "p2") == ["lost+found"]
        assert stat.S_IMODE((d / "p1.raw").stat().st_mode) == 0o444
        with pytest.raises(OSError):
            open(d / "p1.raw", "r+b")
    with mount(disk, tmp_path / "m", "part=label:too") as d:
        assert "lost+found" not in os.listdir(d)


def test_view_mount_careless_programs_destroy_nothing(tmp_path, image):
    _, disk = image
    with mount(disk, tmp_path / "m", "view=raw") as d:
        before = (d / "disk.raw").read_bytes()
        for mode in ("wb", "w+b"):
            with pytest.raises(PermissionError):
                open(d / "p1.raw", mode)
        with pytest.raises(OSError):
            os.truncate(d / "disk.raw", 1)
        with open(d / "p1.raw", "ab", buffering=0) as f:
            with pytest.raises(OSError):
                f.write(b"x")
        for name in ("p1.raw", "new"):
            with pytest.raises(OSError):
                os.rename(d / "p2.raw", d / name)
        with pytest.raises(OSError):
            os.unlink(d / "p1.raw")
        assert (d / "disk.raw").read_bytes() == before


def test_view_mount_punch_is_seen_through_the_other_file(tmp_path, image):
    """One byte, two files: the kernel's pages of disk.raw are its own
    business, those read afresh are not."""
    _, disk = image
    libc = ctypes.CDLL(None, use_errno=True)
    with mount(disk, tmp_path / "m", "view=raw") as d:
        fd = os.open(d / "p2.raw", os.O_RDWR)
        os.pwrite(fd, b"Z" * 8192, 3 * MIB)
        os.fsync(fd)
        whole = os.open(d / "disk.raw", os.O_RDONLY)
        os.posix_fadvise(whole, 0, 0, os.POSIX_FADV_DONTNEED)
        assert os.pread(whole, 4, 23 * MIB) == b"ZZZZ"
        assert not libc.fallocate(fd, 3, ctypes.c_long(3 * MIB),
                                  ctypes.c_long(8192))
        assert os.pread(fd, 8192, 3 * MIB) == bytes(8192)
        os.close(whole)
        whole = os.open(d / "disk.raw", os.O_RDONLY)
        os.posix_fadvise(whole, 0, 0, os.POSIX_FADV_DONTNEED)
        assert os.pread(whole, 8192, 23 * MIB) == bytes(8192)
        os.close(whole)
        os.close(fd)
