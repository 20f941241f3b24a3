# SPDX-License-Identifier: GPL-3.0-or-later
"""imgctl compact: what is left out was free, and the checkers of others agree
that nothing else changed."""
import os
import random

import pytest

from conftest import run
from test_imgctl import EXISTS, MB, ctl, ctl_json, put  # noqa: F401


def garbage(path, size):
    """A disk whose free space will be full of old bytes."""
    with open(path, "wb") as f:
        f.write(random.Random(size).randbytes(size))


def mkfs_ext(peer, path, *args):
    run(peer("mkfs.ext4"), "-q", "-F", "-E", "nodiscard,lazy_itable_init=0",
        *args, path)


@pytest.fixture
def ext4(peer, tmp_path):
    path = tmp_path / "in.raw"
    garbage(path, 64 * MB)
    mkfs_ext(peer, path)
    (tmp_path / "f").write_bytes(random.Random(5).randbytes(5 * MB))
    run(peer("debugfs"), "-w", "-R", f"write {tmp_path}/f f", path)
    return path


def check_ext(peer, tmp_path, path, want):
    run(peer("e2fsck"), "-fn", path)
    run(peer("debugfs"), "-R", f"dump f {tmp_path}/back", path)
    assert (tmp_path / "back").read_bytes() == want


def test_ext4_keeps_its_files_and_loses_its_free_space(ctl, peer, tmp_path,
                                                       ext4):
    ctl("compact", "in.raw", "out.raw")
    out = tmp_path / "out.raw"
    assert out.stat().st_blocks * 512 < 16 * MB
    check_ext(peer, tmp_path, out, (tmp_path / "f").read_bytes())


@pytest.mark.parametrize("args", [
    ["-b", "1024"], ["-O", "^flex_bg,^has_journal"], ["-O", "bigalloc"],
    ["-b", "1024", "-g", "1024"], ["-O", "^64bit,^metadata_csum,uninit_bg"],
    ["-O", "meta_bg,^resize_inode"],
])
def test_ext4_of_every_make(ctl, peer, tmp_path, args):
    path = tmp_path / "in.raw"
    garbage(path, 32 * MB)
    mkfs_ext(peer, path, *args)
    (tmp_path / "f").write_bytes(random.Random(6).randbytes(3 * MB))
    run(peer("debugfs"), "-w", "-R", f"write {tmp_path}/f f", path)
    ctl("compact", "in.raw", "out.vhdx")
    ctl("convert", "out.vhdx", "out.raw")
    assert (tmp_path / "out.raw").stat().st_blocks * 512 < 20 * MB
    check_ext(peer, tmp_path, tmp_path / "out.raw",
              (tmp_path / "f").read_bytes())


def test_ext4_that_is_not_clean_is_copied_whole(ctl, peer, tmp_path, ext4):
    run(peer("debugfs"), "-w", "-R", "ssv state 0", ext4)
    p = ctl("compact", "in.raw", "out.raw")
    assert "not clean" in p.stderr
    assert (tmp_path / "out.raw").read_bytes() == ext4.read_bytes()


@pytest.fixture
def ntfs(peer, tmp_path):
    """GPT with an NTFS of 60 MiB in dirty space, and a file in it."""
    volume = tmp_path / "v.raw"
    garbage(volume, 60 * MB)
    run(peer("mkntfs"), "-q", "-Q", "-F", "-s", "512", "-p", "2048", volume)
    (tmp_path / "f").write_bytes(random.Random(7).randbytes(5 * MB))
    run(peer("ntfscp"), "-q", volume, tmp_path / "f", "f")
    disk = tmp_path / "in.raw"
    with open(disk, "wb") as f:
        f.truncate(64 * MB)
    run(peer("sgdisk"), "-n", "1:2048:+60M", "-t", "1:0700", disk)
    put(disk, MB, volume.read_bytes())
    return disk


def ntfs_of(disk, tmp_path):
    out = tmp_path / "volume.back"
    out.write_bytes(disk.read_bytes()[MB:61 * MB])
    return out


def test_ntfs_keeps_its_files_and_loses_its_free_space(ctl, ctl_json, peer,
                                                       tmp_path, ntfs):
    assert ctl_json("compact", "in.raw", "out.vhdx",
                    "--block", "1m")["free"] > 40 * MB
    ctl("convert", "out.vhdx", "out.raw")
    assert (tmp_path / "out.raw").stat().st_blocks * 512 < 16 * MB
    assert (tmp_path / "out.vhdx").stat().st_blocks * 512 < 24 * MB
    volume = ntfs_of(tmp_path / "out.raw", tmp_path)
    run(peer("ntfsresize"), "-i", "-f", "-P", volume)
    back = run(peer("sh"), "-c",
               f"ntfscat -q {volume} f | cmp - {tmp_path}/f")
    assert not back.stdout


def test_ntfs_used_bytes_do_not_change(ctl, ctl_json, tmp_path, ntfs):
    """What differs afterwards is free, to the cluster."""
    ctl("compact", "in.raw", "out.raw")
    a, b = ntfs.read_bytes(), (tmp_path / "out.raw").read_bytes()
    assert len(a) == len(b)
    for off in range(0, len(a), 4096):
        x, y = a[off:off + 4096], b[off:off + 4096]
        assert x == y or not any(y)


def test_dirty_ntfs_is_copied_whole(ctl, tmp_path, peer, ntfs):
    volume = tmp_path / "v.raw"
    data = bytearray(ntfs.read_bytes())
    # The dirty flag is in $Volume's $VOLUME_INFORMATION (record 3): 0x70.
    mft = MB + int.from_bytes(data[MB + 0x30:MB + 0x38], "little") * 4096
    rec = mft + 3 * 1024
    at = rec + int.from_bytes(data[rec + 20:rec + 22], "little")
    while int.from_bytes(data[at:at + 4], "little") != 0x70:
        at += int.from_bytes(data[at + 4:at + 8], "little")
    data[at + 24 + 10] |= 1
    ntfs.write_bytes(data)
    assert "dirty" in ctl("compact", "in.raw", "out.raw").stderr
    assert (tmp_path / "out.raw").read_bytes() == bytes(data)
    assert volume.exists()


def test_ntfs_with_shadow_copies_is_copied_whole(ctl, tmp_path, ntfs):
    vss = bytes.fromhex("6b870838 76c1484e b7ae0404 6e6cc752 01000000"
                        "01000000") + bytes(24) + (4096).to_bytes(8, "little")
    put(ntfs, MB + 0x1e00, vss)
    assert "shadow" in ctl("compact", "in.raw", "out.raw").stderr
    assert (tmp_path / "out.raw").read_bytes() == ntfs.read_bytes()


def test_no_free_leaves_only_zeros_out(ctl, tmp_path, ntfs):
    ctl("compact", "--no-free", "in.raw", "out.raw")
    assert (tmp_path / "out.raw").read_bytes() == ntfs.read_bytes()


def test_compact_of_a_child_has_its_parents_bytes(ctl, peer, tmp_path, ext4):
    ctl("convert", "in.raw", "a.vhd")
    ctl("create", "child", "--parent", "a.vhd", "c.vhd")
    ctl("compact", "c.vhd", "out.raw")
    check_ext(peer, tmp_path, tmp_path / "out.raw",
              (tmp_path / "f").read_bytes())


def test_compact_of_an_unknown_volume_says_so(ctl, peer, tmp_path):
    path = tmp_path / "in.raw"
    garbage(path, 8 * MB)
    run(peer("mkfs.vfat"), path)
    assert "vfat" in ctl("compact", "in.raw", "out.raw").stderr
    assert (tmp_path / "out.raw").read_bytes() == path.read_bytes()


def test_compact_never_overwrites(ctl, ext4, tmp_path):
    ctl("compact", "in.raw", "in.raw", status=EXISTS)
    assert os.path.getsize(ext4) == 64 * MB
