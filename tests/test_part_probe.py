# SPDX-License-Identifier: GPL-3.0-or-later
"""volume_probe against blkid, and on what blkid does not know."""
import os
import struct

import pytest

from conftest import run

SIZE = 320 << 20


def probe(tool, path, sector=512):
    out = run(tool("parttool"), "probe", path, sector).stdout
    return dict(line.split("=", 1) for line in out.splitlines())


def blkid(peer, path):
    out = run(peer("blkid"), "-p", "-o", "udev", path).stdout
    return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)


def blank(tmp_path, size=SIZE, name="img"):
    path = tmp_path / name
    with open(path, "wb") as f:
        f.truncate(size)
    return path


def put(path, *pieces):
    with open(path, "r+b") as f:
        for off, data in pieces:
            f.seek(off)
            f.write(data)


MAKERS = {
    "ntfs": ["mkntfs", "-F", "-q", "-f", "-L", "Label1"],
    "ntfs-4k": ["mkntfs", "-F", "-q", "-f", "-s", "4096", "-c", "4096",
                "-L", "four"],
    "ntfs-64k": ["mkntfs", "-F", "-q", "-f", "-c", "65536", "-L", "big"],
    "ext4": ["mke2fs", "-q", "-F", "-t", "ext4", "-L", "hello"],
    "ext4-64k": ["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-O",
                 "64bit", "-L", "sixteen-letters-"],
    "ext3": ["mke2fs", "-q", "-F", "-t", "ext3"],
    "ext2": ["mke2fs", "-q", "-F", "-t", "ext2", "-b", "1024"],
    "jbd": ["mke2fs", "-q", "-F", "-O", "journal_dev", "-b", "4096"],
    "fat16": ["mkfs.vfat", "-F", "16", "-n", "LAB16"],
    "fat32": ["mkfs.vfat", "-F", "32", "-n", "LAB32"],
    "fat32-4k": ["mkfs.vfat", "-F", "32", "-S", "4096", "-n", "LAB4K"],
    "fat-nameless": ["mkfs.vfat", "-F", "16"],
    "exfat": ["mkfs.exfat", "-L", "exlabel"],
    "xfs": ["mkfs.xfs", "-q", "-f", "-L", "xlabel"],
    "btrfs": ["mkfs.btrfs", "-q", "-f", "-L", "b label"],
    "swap": ["mkswap", "-q", "-L", "sl"],
}


@pytest.mark.parametrize("what", MAKERS)
def test_probe_agrees_with_blkid(tool, peer, tmp_path, what):
    path = blank(tmp_path)
    maker = MAKERS[what]
    run(peer(maker[0]), *maker[1:], path)
    theirs, ours = blkid(peer, path), probe(tool, path)
    assert ours["type"] == theirs["ID_FS_TYPE"]
    if what != "jbd":
        assert ours["uuid"] == theirs["ID_FS_UUID"]
    assert ours["label"].replace(" ", "_") == theirs.get("ID_FS_LABEL", "")
    assert ours["mountable"] == str(int(
        ours["type"] in ("ntfs", "ext2", "ext3", "ext4")))
    assert 0 <= SIZE - int(ours["size"]) < 1 << 20 or what == "jbd"


def test_probe_fat12(tool, peer, tmp_path):
    path = blank(tmp_path, 1440 << 10)
    run(peer("mkfs.vfat"), "-F", "12", "-n", "FLOPPY", path)
    assert probe(tool, path)["label"] == "FLOPPY"
    assert probe(tool, path)["type"] == "vfat"


def test_probe_unicode_labels(tool, peer, tmp_path):
    path = blank(tmp_path)
    run(peer("mkntfs"), "-F", "-q", "-f", "-L", "Größe ☃", path,
        env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert probe(tool, path)["label"] == "Größe ☃"


def test_probe_squashfs_and_erofs(tool, peer, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_bytes(b"x" * 5000)
    sq, er = tmp_path / "sq", tmp_path / "er"
    run(peer("mksquashfs"), tmp_path / "d", sq, "-quiet")
    run(peer("mkfs.erofs"), er, tmp_path / "d")
    assert probe(tool, sq)["type"] == "squashfs"
    ours = probe(tool, er)
    assert (ours["type"], ours["uuid"]) == (
        "erofs", blkid(peer, er)["ID_FS_UUID"])


# What no tool here makes: the signatures as their specifications give them.
PLANTED = {
    "BitLocker": [(0, b"\xeb\x58\x90-FVE-FS-")],
    "ReFS": [(0, b"\0\0\0ReFS\0\0\0\0\0FSRS\0\2"), (24, struct.pack(
        "<QII", SIZE // 512, 512, 8)), (40, b"\3\4")],
    "crypto_LUKS": [(0, b"LUKS\xba\xbe\0\2"), (24, b"secret"),
                    (168, b"7b4f6b1c-93ab-4d57-8f2c-0d6f4f0f9e10")],
    "apfs": [(32, b"NXSB" + struct.pack("<IQ", 4096, SIZE // 4096))],
    "hfsplus": [(1024, b"H+\0\4"), (1064, struct.pack(">II", 4096, 81920))],
    "StorageSpaces": [(4096, b"SPACEDB ")],
    "LDM": [(SIZE - 512, b"PRIVHEAD")],
    "iso9660": [(32768, b"\1CD001\1"), (32808, b"DISC".ljust(32)),
                (32848, struct.pack("<I", SIZE // 2048)), (32896, b"\0\x08")],
    "udf": [(32768, b"\0BEA01\1"), (34816, b"\0NSR02\1")],
    "zfs_member": [((128 + i) << 10, struct.pack("<Q", 0xbab10c))
                   for i in range(6)],
    "f2fs": [(1024, struct.pack("<IHHIIII", 0xf2f52010, 1, 0, 9, 3, 12, 9)),
             (1060, struct.pack("<Q", SIZE // 4096)),
             (1148, "flash".encode("utf-16-le"))],
    "LVM2_member": [(512, b"LABELONE" + struct.pack("<QII", 1, 0, 32) +
                     b"LVM2 001"), (544, b"abcdefghijklmnopqrstuvwxyz012345" +
                                    struct.pack("<Q", SIZE))],
    "linux_raid_member": [(4096, struct.pack("<II", 0xa92b4efc, 1)),
                          (4112, bytes(range(16))), (4128, b"host:0"),
                          (4240, struct.pack("<Q", 8))],
}
LABELS = {"crypto_LUKS": "secret", "iso9660": "DISC", "f2fs": "flash",
          "linux_raid_member": "host:0"}
UUIDS = {"crypto_LUKS": "7b4f6b1c-93ab-4d57-8f2c-0d6f4f0f9e10",
         "LVM2_member": "abcdef-ghij-klmn-opqr-stuv-wxyz-012345",
         "linux_raid_member": "00010203-0405-0607-0809-0a0b0c0d0e0f"}


@pytest.mark.parametrize("what", PLANTED)
def test_probe_names_what_cannot_be_shown(tool, tmp_path, what):
    path = blank(tmp_path)
    put(path, *PLANTED[what])
    ours = probe(tool, path)
    assert (ours["type"], ours["mountable"]) == (what, "0")
    assert ours["label"] == LABELS.get(what, "")
    assert ours["uuid"] == UUIDS.get(what, "")


@pytest.mark.parametrize("at", ["end", "0.90"])
def test_probe_mirror_half_is_no_ext4(tool, peer, tmp_path, at):
    path = blank(tmp_path)
    run(peer("mke2fs"), "-q", "-F", "-t", "ext4", path)
    if at == "end":
        off = (SIZE - 8192) & ~4095
        put(path, (off, struct.pack("<II", 0xa92b4efc, 1)),
            (off + 144, struct.pack("<Q", off // 512)))
    else:
        put(path, (SIZE - 65536, struct.pack("<III", 0xa92b4efc, 0, 90)))
    assert probe(tool, path)["type"] == "linux_raid_member"


def test_probe_old_signatures_further_in_do_not_win(tool, peer, tmp_path):
    path = blank(tmp_path)
    run(peer("mkfs.btrfs"), "-q", "-f", path)
    with open(path, "rb") as f:
        f.seek(65536)
        old = f.read(4096)
    run(peer("mkntfs"), "-F", "-q", "-f", path)
    put(path, (65536, old))
    assert probe(tool, path)["type"] == "ntfs"


@pytest.mark.parametrize("size", [0, 1, 511, 512, 1025, 4096, 66000])
def test_probe_tiny(tool, tmp_path, size):
    path = blank(tmp_path, size)
    assert probe(tool, path)["type"] == ""


@pytest.mark.parametrize("off,data", [
    (0x40, b"\x00"), (0x40, b"\x80"), (0x30, b"\xff" * 8), (0x0d, b"\xff"),
    (0x28, b"\xff" * 8)])
def test_probe_ntfs_boot_sector_lies(tool, peer, tmp_path, off, data):
    path = blank(tmp_path, 16 << 20)
    run(peer("mkntfs"), "-F", "-q", "-f", "-L", "x", path)
    put(path, (off, data))
    assert probe(tool, path)["type"] in ("ntfs", "")


def test_probe_ntfs_damaged_record_is_nameless(tool, peer, tmp_path):
    path = blank(tmp_path, 16 << 20)
    run(peer("mkntfs"), "-F", "-q", "-f", "-L", "findme", path)
    with open(path, "rb") as f:
        boot = f.read(512)
        mft = struct.unpack_from("<Q", boot, 0x30)[0] * 4096
        f.seek(mft + 3072)
        record = bytearray(f.read(1024))
    name = record.find("findme".encode("utf-16-le"))
    for where, what in ((name - 20, b"\xff" * 4), (0x14, b"\xff\xff"),
                        (510, b"zz"), (4, b"\xfe\xff"), (6, b"\xff\xff")):
        bad = bytearray(record)
        bad[where:where + len(what)] = what
        put(path, (mft + 3072, bad))
        ours = probe(tool, path)
        assert (ours["type"], ours["label"]) == ("ntfs", "")


def test_probe_fat32_chain_in_circles_ends(tool, peer, tmp_path):
    path = blank(tmp_path)
    run(peer("mkfs.vfat"), "-F", "32", "-s", "1", path)
    with open(path, "rb") as f:
        boot = f.read(512)
    reserved, fats = struct.unpack_from("<HB", boot, 0x0e)
    fat_len, = struct.unpack_from("<I", boot, 0x24)
    full = (b"A" * 11 + b"\x20" + bytes(20)) * 16
    put(path, (reserved * 512 + 8, struct.pack("<I", 2)),
        ((reserved + fats * fat_len) * 512, full))
    assert probe(tool, path)["type"] == "vfat"


def test_probe_corpus(tool, corpus, tmp_path, peer):
    want = {"vhdx/DiscUtils--swap.vhdx": ("swap", "discutils ä"),
            "vhdx/dfvfs--ext2.vhdx": ("ext2", None)}
    for name, (kind, label) in want.items():
        raw = tmp_path / "raw"
        run(peer("qemu-img"), "convert", "-O", "raw", corpus / name, raw)
        ours = probe(tool, raw)
        assert ours["type"] == kind
        assert label is None or ours["label"].startswith(label)
