# SPDX-License-Identifier: GPL-3.0-or-later
"""NTFS volumes that are damaged, cut short, dirty or hibernated; and the real
ones of the corpus."""
import contextlib
import os
import random
import struct
import subprocess

import pytest

from conftest import run
from ntfs_make import Tree, find, make, mounted, sha256

@pytest.fixture(scope="module")
def image(tmp_path_factory):
    import shutil

    def peer(name):
        path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
        return path or pytest.skip(f"{name} is not installed")
    img = make(peer, tmp_path_factory.mktemp("ntfs") / "v.img", 8 << 20,
               "-c", "1024", "-L", "Label")
    with mounted(peer, img) as d:
        (d / "dir").mkdir()
        for i in range(400):
            (d / "dir" / f"name {i}").write_text(str(i))
        (d / "file").write_bytes(random.Random(5).randbytes(200_000))
        (d / "comp").mkdir()
        os.setxattr(d / "comp", "system.ntfs_attrib_be",
                    (0x810).to_bytes(4, "big"))
        (d / "comp/c").write_text("compress me " * 20000)
        os.symlink("file", d / "link")
        os.setxattr(d / "file", "user.s", b"stream" * 400)
    return img


def state(tool, img):
    out = run(tool("ntfstool"), "-S", img).stdout
    return dict(x.split(" ", 1) for x in out.splitlines())


def refused(tool, img, *words):
    p = run(tool("ntfstool"), img, stdin="", check=False)
    assert p.returncode == 1, p.stdout
    lines = p.stderr.splitlines()
    assert len(lines) == 1
    for w in words:
        assert w in lines[0]
    return int(lines[0].split()[0])


SCRIPT = "\n".join([
    "find /", "sha256 /file", "mapsha256 /file", "sha256 /comp/c",
    "readlink /link", "xattrs /file", "getx /file user.s",
    "getx /file system.ntfs_acl", "ls /dir", "stat /dir/name%20399",
    "statfs", "seek /file 0 hole", "cat /dir/name%2077 0 10", ""])


def survives(tool, img):
    """Whatever it says: it ends by itself, soon, and without a signal."""
    p = subprocess.run([tool("ntfstool"), img], input=SCRIPT.encode(),
                       capture_output=True, timeout=60)
    assert p.returncode in (0, 1), p.returncode
    return p


def test_ntfs_cut_short_is_refused(tool, image, tmp_path):
    data = image.read_bytes()
    for size in (0, 1, 511, 512, 4096, 65536, len(data) // 2,
                 len(data) - 1024):
        cut = tmp_path / "cut.img"
        cut.write_bytes(data[:size])
        refused(tool, cut, "ntfs: ")


@pytest.mark.parametrize("off,value,word", [
    (3, b"EXFAT   ", "no boot sector"),
    (11, struct.pack("<H", 0), "bytes per sector"),
    (11, struct.pack("<H", 513), "bytes per sector"),
    (13, b"\0", "cluster size"),
    (13, b"\x03", "cluster size"),
    (13, b"\x90", "cluster size"),
    (64, b"\0", "file record size"),
    (64, b"\x81", "file record size"),
    (68, b"\x80", "index block size"),
    (40, struct.pack("<Q", 1 << 60), "volume of"),
    (48, struct.pack("<Q", 1 << 60), "$MFT"),
    (48, struct.pack("<Q", 1), "$MFT"),
])
def test_ntfs_boot_sector_is_checked(tool, image, tmp_path, off, value, word):
    data = bytearray(image.read_bytes())
    data[off:off + len(value)] = value
    bad = tmp_path / "bad.img"
    bad.write_bytes(data)
    refused(tool, bad, word)


def mft_place(data):
    spc, lcn = data[13], struct.unpack_from("<Q", data, 48)[0]
    return lcn * spc * 512


def test_ntfs_torn_record_takes_only_itself(tool, image, tmp_path):
    data = bytearray(image.read_bytes())
    mft = mft_place(data)
    with Tree(tool, image) as t:
        rec = int(t.ask("stat", "/file").split()[0])
        want = t.lines("ls", "/dir")
    data[mft + rec * 1024 + 510] ^= 0xff
    bad = tmp_path / "bad.img"
    bad.write_bytes(data)
    with Tree(tool, bad) as t:
        assert t.ask("stat", "/file") == "error EUCLEAN"
        assert t.ask("sha256", "/file") == "error EUCLEAN"
        assert t.lines("ls", "/dir") == want
        # Its name stays, so that its loss is seen.
        assert any(x.endswith(" file") for x in t.lines("ls", "/"))


def test_ntfs_stale_reference_is_no_file(tool, image, tmp_path):
    """The record went to another file: its sequence number says so."""
    data = bytearray(image.read_bytes())
    with Tree(tool, image) as t:
        rec = int(t.ask("stat", "/file").split()[0])
    data[mft_place(data) + rec * 1024 + 16] += 1
    bad = tmp_path / "bad.img"
    bad.write_bytes(data)
    with Tree(tool, bad) as t:
        assert t.ask("stat", "/file") == "error EUCLEAN"


def attribute(data, rec, kind):
    """Offset of a record's first attribute of that type."""
    base = mft_place(data) + rec * 1024
    pos = base + struct.unpack_from("<H", data, base + 20)[0]
    while (found := struct.unpack_from("<I", data, pos)[0]) != kind:
        assert found != 0xffffffff
        pos += struct.unpack_from("<I", data, pos + 4)[0]
    return pos


def patched(tool, image, tmp_path, off, value):
    """/file with bytes at off of its $DATA attribute changed."""
    data = bytearray(image.read_bytes())
    with Tree(tool, image) as t:
        rec = int(t.ask("stat", "/file").split()[0])
    at = attribute(data, rec, 0x80)
    data[at + off:at + off + len(value)] = value
    bad = tmp_path / "patched.img"
    bad.write_bytes(data)
    return bad


def test_ntfs_encrypted_is_eacces(tool, image, tmp_path):
    bad = patched(tool, image, tmp_path, 12, struct.pack("<H", 0x4000))
    with Tree(tool, bad) as t:
        assert t.ask("stat", "/file").split()[6] == "200000"
        assert t.ask("cat", "/file", 0, 10) == "error EACCES"
        assert t.ask("map", "/file", 0, 10) == "error EOPNOTSUPP"


def test_ntfs_unknown_compression_is_no_guess(tool, image, tmp_path):
    bad = patched(tool, image, tmp_path, 12, struct.pack("<H", 2))
    with Tree(tool, bad) as t:
        assert t.ask("cat", "/file", 0, 10).startswith("error ")


def test_ntfs_behind_the_initialized_size_is_zeros(tool, image, tmp_path):
    bad = patched(tool, image, tmp_path, 56, struct.pack("<Q", 5000))
    with Tree(tool, image) as t:
        want = t.ask("cat", "/file", 4000, 1000)
    with Tree(tool, bad) as t:
        assert t.ask("cat", "/file", 4000, 2000) == want + "00" * 1000
        assert "zero@0+" in t.ask("map", "/file", 4000, 100000)
        assert t.ask("seek", "/file", 0, "hole") == "5000"


@pytest.mark.parametrize("off,value", [
    (16, struct.pack("<Q", 5)),             # begins at VCN 5
    (24, struct.pack("<Q", 1 << 62)),       # ends nowhere
    (32, struct.pack("<H", 0xfff0)),        # mapping pairs outside
    (48, struct.pack("<Q", 1 << 40)),       # larger than its clusters
    (48, struct.pack("<Q", 1 << 63)),
    (56, struct.pack("<Q", 1 << 62)),       # more initialized than there is
    (64, b"\x18" + b"\xff" * 8),            # an endless run
    (64, b"\x41\x10\xff\xff\xff\x7f\0"),    # clusters behind the volume
    (64, b"\xf1\x10"),
])
def test_ntfs_lying_attribute_is_an_error(tool, image, tmp_path, off, value):
    bad = patched(tool, image, tmp_path, off, value)
    with Tree(tool, bad) as t:
        assert t.ask("sha256", "/file").startswith("error EUCLEAN")
        assert t.ask("mapsha256", "/file").startswith("error EUCLEAN")
        assert t.ask("readlink", "/link") == "file"


def test_ntfs_index_in_a_hole_is_no_endless_walk(tool, image, tmp_path):
    data = bytearray(image.read_bytes())
    with Tree(tool, image) as t:
        rec = int(t.ask("stat", "/dir").split()[0])
    at = attribute(data, rec, 0xa0)
    pairs = at + struct.unpack_from("<H", data, at + 32)[0]
    data[pairs:pairs + 8] = b"\5" + (1 << 38).to_bytes(5, "little") + b"\0\0"
    struct.pack_into("<Q", data, at + 24, (1 << 38) - 1)
    for off in (40, 48, 56):
        struct.pack_into("<Q", data, at + off, 1 << 48)
    bad = tmp_path / "bad.img"
    bad.write_bytes(data)
    with Tree(tool, bad) as t:
        assert t.lines("ls", "/dir") == ["error EUCLEAN"]
        assert t.ask("stat", "/dir/name 7") == "error EUCLEAN"


def test_ntfs_torn_index_block_is_an_error(tool, image, tmp_path):
    data = bytearray(image.read_bytes())
    hits = [i for i in range(0, len(data), 512) if data[i:i + 4] == b"INDX"
            and b"n\0a\0m\0e\0 \0" in data[i:i + 4096]]
    for at in hits:
        data[at + 1022] ^= 0xff
    bad = tmp_path / "bad.img"
    bad.write_bytes(data)
    assert hits
    with Tree(tool, bad) as t:
        assert "error EUCLEAN" in t.lines("ls", "/dir")


def test_ntfs_bit_flips_never_crash(tool, image, tmp_path):
    clean = image.read_bytes()
    mft = mft_place(clean)
    places = [i for i in range(0, len(clean), 512)
              if clean[i:i + 4] in (b"INDX", b"FILE")]
    rnd = random.Random(6)
    bad = tmp_path / "bad.img"
    for _ in range(150):
        data = bytearray(clean)
        for _ in range(rnd.randrange(1, 12)):
            at = rnd.choice(places) + rnd.randrange(0, 1024)
            if rnd.random() < 0.1:
                at = mft + rnd.randrange(0, 32 * 1024)
            data[at] = rnd.choice([0, 1, 0x7f, 0x80, 0xff,
                                   data[at] ^ 1 << rnd.randrange(8)])
        bad.write_bytes(data)
        survives(tool, bad)


def test_ntfs_each_allocation_may_fail(tool, image):
    out = run(tool("ntfstool"), "-m", image).stdout
    assert int(out.split()[0]) > 500


def test_ntfs_state_of_a_clean_volume(tool, image):
    s = state(tool, image)
    assert (s["version"], s["label"], s["dirty"], s["log_clean"],
            s["hibernated"]) == ("3.1", "Label", "0", "1", "0")


def test_ntfs_state_dirty_flag(tool, image, tmp_path, peer):
    data = bytearray(image.read_bytes())
    mft = mft_place(data)
    rec = data[mft + 3 * 1024:mft + 4 * 1024]
    pos = struct.unpack_from("<H", rec, 20)[0]
    while struct.unpack_from("<I", rec, pos)[0] != 0x70:
        pos += struct.unpack_from("<I", rec, pos + 4)[0]
    value = pos + struct.unpack_from("<H", rec, pos + 20)[0]
    data[mft + 3 * 1024 + value + 10] |= 1
    bad = tmp_path / "dirty.img"
    bad.write_bytes(data)
    assert state(tool, bad)["dirty"] == "1"


def log_place(tool, img):
    with Tree(tool, img, "-s") as t:
        return int(t.ask("map", "/$LogFile", 0, 4096).split("@")[1]
                   .split("+")[0])


def restart(lsn, in_use, flags, page=4096):
    """A restart page as Windows writes it."""
    p = bytearray(page)
    count = page // 512 + 1
    p[0:8] = b"RSTR" + struct.pack("<HH", 30, count)
    struct.pack_into("<IIHHH", p, 16, page, page, 0x30, 1, 1)
    struct.pack_into("<QHHHH", p, 0x30, lsn, 1, 0xffff, in_use, flags)
    p[30:32] = b"\7\0"
    for i in range(1, count):
        p[30 + 2 * i:32 + 2 * i] = p[i * 512 - 2:i * 512]
        p[i * 512 - 2:i * 512] = b"\7\0"
    return bytes(p)


@pytest.mark.parametrize("first,second,clean", [
    ((1, 0xffff, 0), (1, 0xffff, 0), "1"),
    ((1, 0, 0), (1, 0, 0), "0"),
    ((1, 0, 2), (1, 0, 2), "1"),
    ((1, 0xffff, 0), (2, 0, 0), "0"),
    ((2, 0xffff, 0), (1, 0, 0), "1"),
])
def test_ntfs_state_log_newer_page_counts(tool, image, tmp_path, first,
                                          second, clean):
    data = bytearray(image.read_bytes())
    at = log_place(tool, image)
    data[at:at + 8192] = restart(*first) + restart(*second)
    bad = tmp_path / "log.img"
    bad.write_bytes(data)
    assert state(tool, bad)["log_clean"] == clean


def test_ntfs_state_log_garbage_is_unclean(tool, image, tmp_path):
    data = bytearray(image.read_bytes())
    at = log_place(tool, image)
    data[at:at + 65536] = bytes(65536)
    bad = tmp_path / "log.img"
    bad.write_bytes(data)
    assert state(tool, bad)["log_clean"] == "0"


@pytest.mark.parametrize("head,hib,short", [
    (b"hibr" + bytes(5000), "1", "0"),
    (b"HIBR" + bytes(5000), "1", "0"),
    (b"wake" + bytes(5000), "0", "0"),
    (bytes(5000), "0", "0"),
    (b"hibr", "0", "1"),
])
def test_ntfs_state_hibernated(tool, peer, tmp_path, head, hib, short):
    img = make(peer, tmp_path / "v.img", 4 << 20)
    with mounted(peer, img) as d:
        (d / "hiberfil.sys").write_bytes(head)
    s = state(tool, img)
    assert (s["hibernated"], s["bad_hiberfile"]) == (hib, short)


@pytest.mark.parametrize("name", ["ntfs-fixed.vhd", "ntfs-parent.vhd"])
def test_ntfs_windows_volume_of_the_corpus(tool, peer, corpus, tmp_path, name):
    """A fixed VHD is raw with a footer; partition 1 begins at sector 128."""
    vhd = next(corpus.rglob("dfvfs--" + name))
    raw = vhd.read_bytes()[128 * 512:(128 + 6016) * 512]
    img = tmp_path / "p1.img"
    img.write_bytes(raw)
    with mounted(peer, img, "ro,streams_interface=xattr") as d:
        want = [x for x in find(d)]
        hashes = {x.split(" ", 2)[2]: sha256(str(d) + x.split(" ", 2)[2])
                  for x in want if x[0] == "f"}
        acls = {}
        for p in hashes:
            # EIO: ntfs-3g does not get at every descriptor of Windows.
            with contextlib.suppress(OSError):
                acls[p] = os.getxattr(str(d) + p, "system.ntfs_acl")
    with Tree(tool, vhd, place=(128 * 512, 6016 * 512)) as t:
        got = sorted(t.lines("find", "/"))
        links = [x for x in got if x[0] == "l"]
        # ntfs-3g makes absolute links out of Windows' ones, we do not.
        assert [x for x in got if x[0] != "l"] == \
            [x for x in want if x[0] != "l"]
        assert {p: t.ask("sha256", p) for p in hashes} == hashes
        for p in hashes:
            acl = t.ask("getx", p, "system.ntfs_acl")
            # Revision 1, self-relative.
            assert acl[:4] == "0100" and int(acl[6:8], 16) & 0x80
            assert p not in acls or acl == acls[p].hex()
        for x in links:
            assert not t.ask("readlink", x.split(" ", 2)[2]).startswith("/")
    assert state(tool, img)["dirty"] == "0"
