# SPDX-License-Identifier: GPL-3.0-or-later
"""Reparse points and Windows metadata, set through an ntfs-3g mount."""
import os
import stat
import struct

import pytest

from ntfs_make import Tree, make, mounted

SYMLINK, JUNCTION = 0xA000000C, 0xA0000003
WOF, DEDUP, CLOUD = 0x80000017, 0x80000013, 0x9000301A


def reparse(tag, data):
    return struct.pack("<IHH", tag, len(data), 0) + data


def names(target, fixed):
    sub = target.encode("utf-16-le")
    return struct.pack("<HHHH", 0, len(sub), len(sub), len(sub)) + fixed \
        + sub + sub


def symlink(target, relative=False):
    return reparse(SYMLINK, names(target, struct.pack("<I", int(relative))))


def junction(target):
    return reparse(JUNCTION, names(target, b""))


def put(path, data, folder=False):
    if folder:
        path.mkdir()
    else:
        path.touch()
    os.setxattr(path, "system.ntfs_reparse_data", data)


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    import shutil

    def peer(name):
        path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
        return path or pytest.skip(f"{name} is not installed")
    img = make(peer, tmp_path_factory.mktemp("ntfs") / "v.img", 32 << 20)
    with mounted(peer, img, "streams_interface=xattr") as d:
        (d / "Users/All Users/Deep").mkdir(parents=True)
        (d / "Users/file.txt").write_text("target")
        deep = d / "Users/All Users/Deep"
        put(deep / "abs", symlink("\\??\\C:\\users\\FILE.TXT"))
        put(deep / "junction", junction("\\??\\C:\\Users\\ALL users"), True)
        put(deep / "root", junction("\\??\\C:\\"), True)
        put(deep / "rel", symlink("..\\..\\FILE.txt", True))
        put(deep / "fromroot", symlink("\\users\\file.txt", True))
        put(deep / "gone", symlink("..\\No\\SUCH\\file", True))
        put(deep / "other", symlink("\\??\\D:\\x\\y"))
        put(deep / "volume", junction("\\??\\Volume{12}\\"), True)
        put(deep / "unc", symlink("\\??\\UNC\\server\\share"))
        put(d / "top", symlink("\\??\\C:\\USERS"))
        put(d / "rootfromroot", junction("\\??\\C:\\"), True)
        put(d / "strange", reparse(0xA0001234, b"what"))
        for name, tag in (("wof", WOF), ("dedup", DEDUP), ("cloud", CLOUD),
                          ("unknown", 0x80001234), ("fetched", CLOUD)):
            with open(d / name, "wb") as f:
                f.write(b"here" * 1000)
                f.truncate(100_000)
            if name == "cloud":
                os.setxattr(d / name, "system.ntfs_attrib_be",
                            (0x1020).to_bytes(4, "big"))
            os.setxattr(d / name, "system.ntfs_reparse_data",
                        reparse(tag, b"data of the filter"))
    with mounted(peer, img, "special_files=wsl") as d:
        os.symlink("/etc/passwd", d / "wsl")
        os.mkfifo(d / "wslfifo")
        os.mknod(d / "wslchr", 0o666 | stat.S_IFCHR, os.makedev(5, 1))
        os.mknod(d / "wslblk", 0o666 | stat.S_IFBLK, os.makedev(8, 17))
        os.mknod(d / "wslsock", 0o666 | stat.S_IFSOCK)
    return img


@pytest.mark.parametrize("path,target", [
    ("abs", "../../../Users/file.txt"),
    ("junction", "../../../Users/All Users"),
    ("root", "../../.."),
    ("rel", "../../file.txt"),
    ("fromroot", "../../../Users/file.txt"),
    ("gone", "../No/SUCH/file"),
    ("other", "../../../x/y"),
    ("volume", "\\??\\Volume{12}\\"),
    ("unc", "\\??\\UNC\\server\\share"),
])
def test_ntfs_link_targets_stay_inside(tool, image, path, target):
    path = "/Users/All Users/Deep/" + path
    with Tree(tool, image) as t:
        assert t.ask("readlink", path) == target
        assert int(t.ask("stat", path).split()[6]) == len(target)


def test_ntfs_links_in_the_root(tool, image):
    with Tree(tool, image) as t:
        assert t.ask("readlink", "/top") == "Users"
        assert t.ask("readlink", "/rootfromroot") == "."
        assert t.ask("readlink", "/Users/file.txt") == "error EINVAL"


def test_ntfs_drives_lead_outside(tool, image):
    deep = "/Users/All Users/Deep/"
    with Tree(tool, image, "-d", "d:=/mnt/other") as t:
        assert t.ask("readlink", deep + "other") == "/mnt/other/x/y"
        assert t.ask("readlink", deep + "root") == "../../.."


def test_ntfs_wsl_special_files(tool, image):
    with Tree(tool, image) as t:
        kinds = {x.split(" ", 2)[2]: x.split()[1] for x in t.lines("ls", "/")}
        assert t.ask("readlink", "/wsl") == "/etc/passwd"
        got = "".join(kinds["wsl" + n] for n in ("", "fifo", "sock", "chr",
                                                 "blk"))
        assert got == "lpscb"
        assert t.ask("rdev", "/wslchr") == "5 1"
        assert t.ask("rdev", "/wslblk") == "8 17"


def test_ntfs_unknown_surrogate_names_its_tag(tool, image):
    with Tree(tool, image) as t:
        assert t.ask("readlink", "/strange") == \
            "unsupported reparse tag 0xa0001234"


@pytest.mark.parametrize("name", ["wof", "dedup", "cloud", "unknown"])
def test_ntfs_data_that_is_elsewhere_is_never_zeros(tool, image, name):
    with Tree(tool, image) as t:
        assert int(t.ask("stat", "/" + name).split()[6]) == 100_000
        assert t.ask("cat", "/" + name, 0, 10) == "error EOPNOTSUPP"
        assert t.ask("map", "/" + name, 0, 4096) == "error EOPNOTSUPP"
        assert t.ask("getx", "/" + name, "system.ntfs_reparse_data")[:5] \
            != "error"


def test_ntfs_fetched_cloud_file_reads(tool, image):
    with Tree(tool, image) as t:
        assert t.ask("cat", "/fetched", 0, 8) == b"herehere".hex()


def test_ntfs_metadata_as_ntfs3g_shows_it(tool, peer, tmp_path):
    img = make(peer, tmp_path / "v.img", 16 << 20)
    guid = bytes(range(16))
    wanted = ["ntfs_attrib", "ntfs_dos_name", "ntfs_object_id", "ntfs_times",
              "ntfs_acl", "ntfs_ea", "ntfs_crtime_be"]
    with mounted(peer, img, "streams_interface=xattr") as d:
        f = d / "a file with a long name.text"
        f.write_text("x")
        os.setxattr(f, "system.ntfs_dos_name", b"AFILEW~1.TEX")
        os.setxattr(f, "system.ntfs_object_id", guid + bytes(range(48)))
        os.setxattr(f, "system.ntfs_attrib_be", (0x23).to_bytes(4, "big"))
        (d / "hidden").write_text("h")
        os.setxattr(d / "hidden", "system.ntfs_attrib_be",
                    (0x22).to_bytes(4, "big"))
        want = {n: os.getxattr(f, "system." + n) for n in wanted
                if n != "ntfs_ea"}
    with Tree(tool, img) as t:
        path = "/a file with a long name.text"
        for n, value in want.items():
            assert t.ask("getx", path, "system." + n) == value.hex(), n
        # The short name is no name of its own, and no link.
        assert [x.split(" ", 2)[2] for x in t.lines("ls", "/")
                if "~" in x] == []
        assert t.ask("stat", path).split()[3] == "1"
        assert t.ask("cat", "/AFILEW~1.TEX", 0, 1) == b"x".hex()
    with Tree(tool, img, "-H") as t:
        shown = [x.split(" ", 2)[2] for x in t.lines("ls", "/")]
        assert shown == []
        assert t.ask("cat", "/hidden", 0, 1) == b"h".hex()
