# SPDX-License-Identifier: GPL-3.0-or-later
"""Partition tables against sfdisk, sgdisk and parted, and damaged ones."""
import json
import shutil

import pytest

from conftest import run
from make import part as make

MIB = 1 << 20


def table(tool, path, sector=512):
    """(first line, [(number, off, len, mbr type, type, uuid, label)])"""
    p = run(tool("parttool"), "table", path, sector, check=False)
    lines = p.stdout.splitlines()
    assert p.returncode in (0, 1), (p.returncode, p.stderr)
    rows = [line.split(" ", 6) for line in lines[1:]]
    return lines[0], [(int(r[0]), int(r[1]), int(r[2]), *r[3:]) for r in rows]


def blank(path, size):
    with open(path, "wb") as f:
        f.truncate(size)
    return path


def sfdisk(peer, path, script):
    run(peer("sfdisk"), "-q", path, stdin=script)


def agrees(peer, tool, path, extended=()):
    """Ours is what sfdisk -J lists, without the extended partition."""
    theirs = json.loads(run(peer("sfdisk"), "-J", path).stdout)
    theirs = theirs["partitiontable"]
    head, rows = table(tool, path)
    want = []
    for i, p in enumerate(theirs.get("partitions", [])):
        number = int(p["node"].removeprefix(str(path)).removeprefix("p"))
        if number in extended:
            continue
        want.append((number, p["start"] * 512, p["size"] * 512,
                     p.get("uuid", "").lower()))
    got = [(r[0], r[1], r[2], r[5].lower()) for r in rows]
    if theirs["label"] == "dos":
        sig = int(theirs["id"], 16)
        want = [(n, o, s, f"{sig:08x}-{n:02x}") for n, o, s, _ in want]
    assert got == want
    return head, rows


# --- MBR ---------------------------------------------------------------------

def test_mbr_primary(tool, peer, tmp_path):
    img = blank(tmp_path / "img", 64 * MIB)
    sfdisk(peer, img, "label: dos\nlabel-id: 0xdeadbeef\n"
           "1 : start=2048, size=20480, type=7, bootable\n"
           "3 : start=40960, size=4096, type=83\n")
    head, rows = agrees(peer, tool, img)
    assert head == "mbr backup=0 note="
    assert [(r[0], r[3], r[5]) for r in rows] == [
        (1, "07", "deadbeef-01"), (3, "83", "deadbeef-03")]


@pytest.mark.parametrize("kind", ["5", "f", "85"])
def test_mbr_logical(tool, peer, tmp_path, kind):
    img = blank(tmp_path / "img", 64 * MIB)
    sfdisk(peer, img, "label: dos\n1 : start=2048, size=2048, type=83\n"
           f"2 : start=8192, size=90000, type={kind}\n"
           "5 : start=10240, size=4096, type=83\n"
           "6 : start=20480, size=4096, type=7\n"
           "7 : start=40960, size=4096, type=c\n")
    head, rows = agrees(peer, tool, img, extended=(2,))
    assert head == "mbr backup=0 note="
    assert [r[0] for r in rows] == [1, 5, 6, 7]


def test_mbr_as_parted_writes_it(tool, peer, tmp_path):
    img = blank(tmp_path / "img", 64 * MIB)
    run(peer("parted"), "-s", img, "mklabel", "msdos",
        "mkpart", "primary", "ntfs", "1MiB", "10MiB",
        "mkpart", "extended", "10MiB", "60MiB",
        "mkpart", "logical", "ext2", "11MiB", "20MiB",
        "mkpart", "logical", "ext2", "30MiB", "40MiB")
    agrees(peer, tool, img, extended=(2,))


def ebr(kind=0x83, first=63, count=1000, link=None, **kw):
    nxt = make.mbr_entry(5, link, 2000) if link is not None else None
    return make.mbr([make.mbr_entry(kind, first, count), nxt], sig=0, **kw)


def chained(path, pieces, size=64 * MIB, length=100000):
    return make.write(path, size, [
        (0, make.mbr([make.mbr_entry(0xf, 2048, length)])),
        *[((2048 + at) * 512, data) for at, data in pieces]])


def test_mbr_chain_in_a_circle_ends(tool, tmp_path):
    img = chained(tmp_path / "img", [(0, ebr(link=2000)),
                                     (2000, ebr(link=4000)),
                                     (4000, ebr(link=2000))])
    head, rows = table(tool, img)
    assert [r[0] for r in rows] == [5, 6, 7]
    assert "circle" in head


def test_mbr_chain_links_to_itself(tool, tmp_path):
    head, rows = table(tool, chained(tmp_path / "img", [(0, ebr(link=0))]))
    assert [r[0] for r in rows] == [5] and "circle" in head


def test_mbr_chain_is_bounded(tool, tmp_path):
    img = chained(tmp_path / "img", [
        (i * 100, ebr(first=10, count=50, link=(i + 1) * 100))
        for i in range(400)])
    head, rows = table(tool, img)
    assert len(rows) == 255 and "more than 255" in head


@pytest.mark.parametrize("link", [99999999, 0xffffffff, 100000])
def test_mbr_chain_leaves_the_extended_partition(tool, tmp_path, link):
    head, rows = table(tool, chained(tmp_path / "img", [(0, ebr(link=link))]))
    assert [r[0] for r in rows] == [5] and "outside" in head


def test_mbr_chain_torn(tool, tmp_path):
    img = chained(tmp_path / "img", [(0, ebr(link=2000))])
    head, rows = table(tool, img)
    assert [r[0] for r in rows] == [5] and "no table" in head


def test_mbr_bad_entries_leave_the_others(tool, tmp_path):
    img = make.write(tmp_path / "img", 64 * MIB, [(0, make.mbr([
        make.mbr_entry(7, 2048, 2048), make.mbr_entry(7, 3000, 2048),
        make.mbr_entry(7, 100000, 99999999),
        make.mbr_entry(7, 8192, 2048)]))])
    head, rows = table(tool, img)
    assert [r[0] for r in rows] == [1, 4]
    assert "2: overlaps 1" in head and "3: outside" in head


def test_mbr_4096_counts_in_its_sectors(tool, tmp_path):
    img = make.write(tmp_path / "img", 64 * MIB, [
        (0, make.mbr([make.mbr_entry(7, 256, 1024),
                      make.mbr_entry(5, 2048, 4096)])),
        (2048 * 4096, ebr(first=8, count=512))])
    _, rows = table(tool, img, 4096)
    assert [r[:3] for r in rows] == [
        (1, 256 * 4096, 1024 * 4096), (5, 2056 * 4096, 512 * 4096)]


def test_mbr_without_signature_has_no_ids(tool, tmp_path):
    img = make.write(tmp_path / "img", MIB, [
        (0, make.mbr([make.mbr_entry(7, 64, 64)], sig=0))])
    assert table(tool, img)[1][0][5] == "-"


def test_mbr_dynamic_disk_is_named(tool, tmp_path):
    img = make.write(tmp_path / "img", MIB, [
        (0, make.mbr([make.mbr_entry(0x42, 64, 64)]))])
    assert "dynamic disk" in table(tool, img)[0]


def test_mbr_no_table(tool, tmp_path):
    for size in (0, 100, 511, 512, 4096, MIB):
        assert table(tool, blank(tmp_path / "img", size))[0] == \
            "none backup=0 note="


# --- GPT ---------------------------------------------------------------------

def test_gpt_as_sgdisk_writes_it(tool, peer, tmp_path):
    img = blank(tmp_path / "img", 64 * MIB)
    run(peer("sgdisk"), "-n", "1:2048:+10M", "-t", "1:ef00", "-c",
        "1:EFI system", "-n", "4:40960:+5M", "-c", "4:Größe ☃", "-t",
        "4:0700", img)
    head, rows = agrees(peer, tool, img)
    assert head == "gpt backup=0 note="
    assert [(r[0], r[4], r[6]) for r in rows] == [
        (1, "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "EFI system"),
        (4, make.BASIC, "Größe ☃")]


def test_gpt_as_parted_writes_it(tool, peer, tmp_path):
    img = blank(tmp_path / "img", 64 * MIB)
    run(peer("parted"), "-s", img, "mklabel", "gpt", "mkpart", "one", "ntfs",
        "1MiB", "10MiB", "mkpart", "two", "ext4", "10MiB", "63MiB")
    agrees(peer, tool, img)


@pytest.mark.parametrize("n,size", [(4, 128), (128, 256), (4096, 128),
                                    (16, 4096)])
def test_gpt_table_shapes(tool, tmp_path, n, size):
    sectors = 64 * MIB // 512
    img = make.write(tmp_path / "img", 64 * MIB, make.gpt(
        sectors, [make.gpt_entry(20000, 29999, "x")], n=n, entry_size=size))
    head, rows = table(tool, img)
    assert head == "gpt backup=0 note="
    assert rows[0][:3] == (1, 20000 * 512, 10000 * 512)


@pytest.mark.parametrize("told", [512, 4096])
def test_gpt_4096(tool, tmp_path, told):
    img = make.write(tmp_path / "img", 64 * MIB, make.gpt(
        64 * MIB // 4096, [make.gpt_entry(256, 511, "x")], sector=4096))
    head, rows = table(tool, img, told)
    assert rows[0][:3] == (1, MIB, MIB)
    assert ("sectors of 4096" in head) == (told == 512)


def test_gpt_512_on_a_disk_that_says_4096(tool, tmp_path):
    img = make.write(tmp_path / "img", 64 * MIB, make.gpt(
        64 * MIB // 512, [make.gpt_entry(2048, 4095, "x")]))
    assert table(tool, img, 4096)[1][0][:3] == (1, MIB, MIB)


DAMAGE = {
    "crc": dict(crc=1), "array": dict(array_crc=1), "my": dict(my=5),
    "sig": dict(sig=b"EFI PARX"), "size": dict(header_size=91),
    "huge": dict(header_size=513), "entry": dict(entry_size=64),
    "odd": dict(entry_size=132), "wide": dict(entry_size=1 << 31),
    "many": dict(n=0xffffffff), "none": dict(n=0),
    "away": dict(entries_lba=1 << 62), "past": dict(entries_lba=131070),
    "gone": False,
}


@pytest.mark.parametrize("name", DAMAGE)
def test_gpt_backup_when_the_first_is_damaged(tool, tmp_path, name):
    img = make.write(tmp_path / "img", 64 * MIB, make.gpt(
        131072, [make.gpt_entry(2048, 4095, "x")], first=DAMAGE[name]))
    head, rows = table(tool, img)
    assert head.startswith("gpt backup=1 note=gpt:")
    assert rows[0][:3] == (1, MIB, MIB)


@pytest.mark.parametrize("name", DAMAGE)
def test_gpt_both_damaged_is_one_line(tool, tmp_path, name):
    img = make.write(tmp_path / "img", 64 * MIB, make.gpt(
        131072, [make.gpt_entry(2048, 4095, "x")],
        first=DAMAGE[name], backup=DAMAGE[name]))
    head, rows = table(tool, img)
    assert head.startswith("error EUCLEAN: gpt: ") and not rows


def test_gpt_array_damaged_after_growing(tool, tmp_path):
    """The disk was enlarged: its backup is where the first header says."""
    pieces = make.gpt(131072, [make.gpt_entry(2048, 4095, "x")],
                      first=dict(array_crc=1))
    head, rows = table(tool, make.write(tmp_path / "img", 80 * MIB, pieces))
    assert head.startswith("gpt backup=1") and len(rows) == 1


def test_gpt_cut_disk_keeps_what_is_inside(tool, tmp_path):
    pieces = make.gpt(131072, [make.gpt_entry(2048, 4095, "a"),
                               make.gpt_entry(90000, 99999, "b")])
    img = make.write(tmp_path / "img", 64 * MIB, pieces)
    with open(img, "r+b") as f:
        f.truncate(40 * MIB)
    head, rows = table(tool, img)
    assert [r[0] for r in rows] == [1]
    assert "larger disk" in head and "2: outside" in head


def test_gpt_bad_entries_leave_the_others(tool, tmp_path):
    img = make.write(tmp_path / "img", 64 * MIB, make.gpt(131072, [
        make.gpt_entry(2048, 4095), make.gpt_entry(4000, 5000),
        make.gpt_entry(9000, 8000), make.gpt_entry(9000, 1 << 63),
        make.gpt_entry(0, (1 << 64) - 1), make.gpt_entry(8192, 9215)]))
    head, rows = table(tool, img)
    assert [r[0] for r in rows] == [1, 6]
    assert "2: overlaps 1" in head and "3: ends before" in head


def test_gpt_hybrid(tool, tmp_path):
    img = make.write(tmp_path / "img", 64 * MIB, make.gpt(
        131072, [make.gpt_entry(2048, 4095, "gpt")],
        hybrid=[make.mbr_entry(7, 8192, 100)]))
    head, rows = table(tool, img)
    assert head.startswith("gpt") and "hybrid" in head
    assert rows[0][6] == "gpt"


def test_gpt_gone_but_hybrid_mbr_is_there(tool, tmp_path):
    img = make.write(tmp_path / "img", 64 * MIB, make.gpt(
        131072, [], first=False, backup=False,
        hybrid=[make.mbr_entry(7, 8192, 100)]))
    head, rows = table(tool, img)
    assert head.startswith("mbr") and "gpt: no header" in head
    assert rows[0][0] == 2


@pytest.mark.parametrize("which", ["first", "backup"])
def test_gpt_first_sector_wiped(tool, tmp_path, which):
    knobs = {"first": False} if which == "backup" else {}
    img = make.write(tmp_path / "img", 64 * MIB, make.gpt(
        131072, [make.gpt_entry(2048, 4095)], protective=False, **knobs))
    head, rows = table(tool, img)
    assert head.startswith("gpt") and "no protective MBR" in head
    assert len(rows) == 1


def test_gpt_stale_under_a_real_mbr(tool, tmp_path):
    pieces = make.gpt(131072, [make.gpt_entry(2048, 4095)])
    pieces.append((0, make.mbr([make.mbr_entry(7, 9000, 1000)])))
    head, rows = table(tool, make.write(tmp_path / "img", 64 * MIB, pieces))
    assert head.startswith("mbr") and rows[0][1] == 9000 * 512


@pytest.mark.parametrize("kind,words", [
    ("5808c8aa-7e8f-42e0-85d2-e1e90434cfb3", "dynamic disk"),
    ("af9b60a0-1431-4f62-bc68-3311714a69ad", "dynamic disk"),
    ("e75caf8f-f680-4cee-afa3-b001e56efc2d", "Storage Spaces")])
def test_gpt_parts_of_something_larger_are_named(tool, tmp_path, kind, words):
    img = make.write(tmp_path / "img", 64 * MIB, make.gpt(131072, [
        make.gpt_entry(2048, 4095, kind=kind)]))
    head, rows = table(tool, img)
    assert words in head and len(rows) == 1


# --- whole-disk file systems --------------------------------------------------

@pytest.mark.parametrize("maker", [
    ["mkntfs", "-F", "-q", "-f"], ["mkfs.vfat", "-F", "16"],
    ["mkfs.vfat", "-F", "32"], ["mkfs.exfat"],
    ["mke2fs", "-q", "-F", "-t", "ext4"], ["mkswap", "-q"]])
def test_bare_file_system_has_no_table(tool, peer, tmp_path, maker):
    img = blank(tmp_path / "img", 300 * MIB)
    run(peer(maker[0]), *maker[1:], img)
    assert table(tool, img)[0] == "none backup=0 note="


def test_bare_boot_sector_with_text_in_the_table(tool, peer, tmp_path):
    img = blank(tmp_path / "img", 64 * MIB)
    run(peer("mkfs.vfat"), "-F", "16", img)
    text = (b"Remove disks or other media.\xff\r\nDisk error\xff\r\nPress any "
            b"key to restart\r\n")[:64].ljust(64, b"\0")
    with open(img, "r+b") as f:
        f.seek(0x1be)
        f.write(text)
    assert table(tool, img)[0].startswith("none")
    # Flags that look right, partitions that do not.
    with open(img, "r+b") as f:
        f.seek(0x1be)
        f.write(make.mbr_entry(0x20, 0x6e6f6974, 0x20656d61))
    assert table(tool, img)[0].startswith("none")


def test_bare_ext4_under_a_young_mbr(tool, peer, tmp_path):
    img = blank(tmp_path / "img", 300 * MIB)
    run(peer("mke2fs"), "-q", "-F", "-t", "ext4", img)
    with open(img, "r+b") as f:
        f.write(make.mbr([make.mbr_entry(7, 2048, 100000)]))
    head, rows = table(tool, img)
    assert head.startswith("mbr") and len(rows) == 1
    assert "ext begins at the disk's start" in head and "part=whole" in head
    out = run(tool("parttool"), "select", img, 512, "whole").stdout
    assert out.split() == ["0", "ext4", str(300 * MIB)]


@pytest.mark.parametrize("block", [1024, 2048, 4096])
def test_bare_ext4_under_a_young_gpt(tool, peer, tmp_path, block):
    """Its superblock is overwritten by the entries; a copy tells."""
    img = blank(tmp_path / "img", 300 * MIB)
    run(peer("mke2fs"), "-q", "-F", "-t", "ext4", "-b", block, img)
    with open(img, "r+b") as f:
        for off, data in make.gpt(300 * MIB // 512, [
                make.gpt_entry(34, 34 + 16 * 2048 - 1, "MSR")] if block > 1024
                else [make.gpt_entry(34, 2000, "MSR")]):
            f.seek(off)
            f.write(data)
    head, rows = table(tool, img)
    assert head.startswith("gpt") and len(rows) == 1
    sb = {1024: 8193, 2048: 32768, 4096: 131072}[block]
    assert f"owned the whole disk before the table (part=whole,sb={sb})" in head


def test_bare_ext4_inside_a_partition_is_no_news(tool, peer, tmp_path):
    img = blank(tmp_path / "img", 300 * MIB)
    sfdisk(peer, img, "label: gpt\n1 : start=2048\n")
    run(peer("mke2fs"), "-q", "-F", "-t", "ext4", "-E", "offset=1048576",
        img, "290M")
    assert table(tool, img)[0] == "gpt backup=0 note="


def test_bare_ntfs_over_an_old_gpt(tool, peer, tmp_path):
    img = make.write(tmp_path / "img", 64 * MIB, make.gpt(
        131072, [make.gpt_entry(2048, 4095)]))
    run(peer("mkntfs"), "-F", "-q", "-f", img)
    head, rows = table(tool, img)
    assert head == "none backup=0 note=" and not rows


# --- selection ----------------------------------------------------------------

@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """1 vfat, 2 empty, 3 ntfs, 4 ext4, the largest."""
    tmp_path = tmp_path_factory.mktemp("select")
    img = make.write(tmp_path / "disk", 200 * MIB, make.gpt(409600, [
        make.gpt_entry(2048, 34815, "EFI"),
        make.gpt_entry(34816, 36863, "MSR"),
        make.gpt_entry(36864, 77823, "Basic data"),
        make.gpt_entry(77824, 400000, "Basic data")]))
    for maker, first, last in (
            (["mkfs.vfat", "-n", "ESP"], 2048, 34815),
            (["mkntfs", "-F", "-q", "-f", "-L", "Win Dows"], 36864, 77823),
            (["mke2fs", "-q", "-F", "-t", "ext4", "-L", "linux"], 77824,
             400000)):
        one = tmp_path / "one"
        blank(one, (last - first + 1) * 512)
        if not shutil.which(maker[0]):
            pytest.skip(f"{maker[0]} is not installed")
        run(*maker, one)
        with open(img, "r+b") as f:
            f.seek(first * 512)
            f.write(one.read_bytes())
    return img


def select(tool, img, want):
    p = run(tool("parttool"), "select", img, 512, want, check=False)
    return p.stdout.strip()


@pytest.mark.parametrize("want,number", [
    ("auto", 4), ("3", 3), ("1", 1), ("2", 2), ("label:linux", 4),
    ("label:Win Dows", 3), ("label:win dows", 3), ("label:EFI", 1),
    ("label:ESP", 1), ("type:ntfs", 3), ("type:EXT4", 4), ("whole", 0)])
def test_select(tool, disk, want, number):
    assert select(tool, disk, want).split()[0] == str(number)


def test_select_by_ids(tool, peer, disk):
    _, rows = table(tool, disk)
    assert select(tool, disk, "uuid:" + rows[2][5].upper()).startswith("3 ")
    out = run(peer("blkid"), "-p", "-O", 36864 * 512, "-o", "value", "-s",
              "UUID", disk).stdout.strip()
    assert select(tool, disk, "uuid:" + out.lower()).startswith("3 ntfs ")


def test_select_errors_list_what_there_is(tool, disk):
    have = ('1: vfat "ESP" 16 MiB, 2: unknown "MSR" 1 MiB, '
            '3: ntfs "Win Dows" 20 MiB, 4: ext4 "linux" 157.3 MiB')
    for want in ("9", "label:nope", "uuid:1234", "type:xfs", "0"):
        out = select(tool, disk, want)
        assert out.startswith("error ENOENT: no partition fits") and have in out
    out = select(tool, disk, "label:Basic data")
    assert out.startswith("error EINVAL: 2 partitions fit") and have in out
    for want in ("", "label:", "-1", "1x", "12345678901234567890", "p1"):
        assert select(tool, disk, want).startswith("error EINVAL: part=")
    assert run(tool("parttool"), "list", disk).stdout.strip() == have


def test_select_nothing_to_mount(tool, peer, tmp_path):
    img = blank(tmp_path / "img", 64 * MIB)
    run(peer("mkfs.vfat"), "-F", "16", "-n", "X", img)
    out = select(tool, img, "auto")
    assert out.startswith("error EOPNOTSUPP") and "view=raw" in out
    assert 'whole disk: vfat "X" 64 MiB' in out


def test_select_bare_disk(tool, peer, tmp_path):
    img = blank(tmp_path / "img", 64 * MIB)
    run(peer("mkntfs"), "-F", "-q", "-f", img)
    assert select(tool, img, "auto") == f"0 ntfs {64 * MIB}"


def test_select_corpus(tool, corpus, tmp_path, peer):
    for name in ("vhd/dfvfs--ntfs-fixed.vhd", "vhdx/dfvfs--ntfs-fixed.vhdx"):
        raw = tmp_path / "raw"
        kind = "vpc" if name.endswith(".vhd") else "vhdx"
        run(peer("qemu-img"), "convert", "-f", kind, "-O", "raw",
            corpus / name, raw)
        head, rows = table(tool, raw)
        assert head.startswith("mbr") and rows[0][:2] == (1, 128 * 512)
        assert select(tool, raw, "label:TestVolume").startswith("1 ntfs ")
