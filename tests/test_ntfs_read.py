# SPDX-License-Identifier: GPL-3.0-or-later
"""Our NTFS reader against an ntfs-3g mount of the same volume."""
import os
import random
import stat

import pytest

from conftest import run
from ntfs_make import Tree, find, make, mounted, need_mounts, sha256


def fill_files(d):
    rnd = random.Random(1)
    (d / "hello.txt").write_text("hello\n")
    (d / "empty").touch()
    (d / "a/b/c").mkdir(parents=True)
    (d / "a/big").write_bytes(rnd.randbytes(3_000_017))
    for n in (1, 511, 512, 513, 600, 700, 4095, 4096, 4097, 65536, 65537):
        (d / f"a/size{n}").write_bytes(rnd.randbytes(n))
    os.symlink("a/big", d / "link")
    os.symlink("../hello.txt", d / "a/up")
    os.symlink("/nowhere/at/all", d / "a/abs")
    os.link(d / "hello.txt", d / "a/hard")
    os.mkfifo(d / "fifo")
    os.mknod(d / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(d / "disk", 0o666 | stat.S_IFBLK, os.makedev(8, 1))
    (d / ("ü" * 200 + "日本語")).write_text("wide")
    (d / "emoji 😀 name").write_text("pair")
    (d / "CaSe").write_text("1")
    (d / "case").write_text("2")
    with open(d / "sparse", "wb") as f:
        f.seek(50 << 20)
        f.write(b"end")
    with open(d / "holes", "wb") as f:
        for i in range(0, 40, 3):
            f.seek(i << 16)
            f.write(rnd.randbytes(65536))
        f.truncate(5 << 20)
    with open(d / "grown", "wb") as f:
        f.write(b"begin")
        f.truncate(1 << 20)


def fill_compressed(d):
    rnd = random.Random(2)
    (d / "comp").mkdir()
    os.setxattr(d / "comp", "system.ntfs_attrib_be",
                (0x810).to_bytes(4, "big"))
    lines = "".join(f"line {i % 977}\n" for i in range(100000))
    (d / "comp/text").write_text(lines)
    (d / "comp/random").write_bytes(rnd.randbytes(300_001))
    (d / "comp/mixed").write_bytes(bytes(200_000) + rnd.randbytes(100_000)
                                   + b"abc" * 50_000 + bytes(70_000))
    (d / "comp/small").write_text("x" * 3000)
    (d / "comp/runs").write_bytes(b"".join(
        bytes([rnd.randrange(256)]) * rnd.randrange(1, 9000)
        for _ in range(200)))
    (d / "comp/phrases").write_bytes(b" ".join(
        rnd.choice([b"lorem", b"ipsum", b"dolor", b"sit amet", b"%d" % i])
        for i in range(60000)))


def fill_streams(d):
    os.setxattr(d / "hello.txt", "user.short", b"stream data")
    os.setxattr(d / "hello.txt", "user.long", b"B" * 30000)
    os.setxattr(d / "hello.txt", "user.none", b"")
    os.setxattr(d / "a", "user.ondir", b"of a directory")


@pytest.fixture(scope="module")
def volume(tmp_path_factory):
    """(image, oracle's facts): one volume for most tests."""
    import shutil

    def peer(name):
        path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
        return path or pytest.skip(f"{name} is not installed")
    need_mounts(peer)
    img = make(peer, tmp_path_factory.mktemp("ntfs") / "v.img", 64 << 20,
               "-L", "Tést Völume")
    with mounted(peer, img) as d:
        fill_files(d)
        fill_compressed(d)
        fill_streams(d)
    facts = {}
    with mounted(peer, img, "ro,streams_interface=xattr") as d:
        facts["find"] = find(d)
        facts["sha"] = {}
        facts["stat"] = {}
        facts["link"] = {}
        facts["xattr"] = {}
        for line in facts["find"]:
            kind, _, path = line.split(" ", 2)
            full = str(d) + path
            facts["stat"][path] = os.lstat(full)
            if kind == "f":
                facts["sha"][path] = sha256(full)
            if kind == "l":
                facts["link"][path] = os.readlink(full)
            if kind in "fd":
                facts["xattr"][path] = xattrs(full)
        facts["statfs"] = os.statvfs(d)
    return img, facts


SYSTEM = ["system.ntfs_" + n for n in (
    "acl", "attrib", "attrib_be", "reparse_data", "object_id", "dos_name",
    "times", "times_be", "crtime", "crtime_be", "ea", "efsinfo")]


def xattrs(path):
    out = {"list": sorted(os.listxattr(path))}
    for name in out["list"] + SYSTEM:
        try:
            out[name] = os.getxattr(path, name)
        except OSError as e:
            out[name] = e.errno
    return out


def test_ntfs_same_names_types_sizes(tool, volume):
    img, facts = volume
    with Tree(tool, img) as t:
        assert sorted(t.lines("find", "/")) == facts["find"]


@pytest.mark.parametrize("how", ["sha256", "mapsha256"])
def test_ntfs_same_bytes(tool, volume, how):
    img, facts = volume
    with Tree(tool, img) as t:
        got = {p: t.ask(how, p) for p in facts["sha"]}
    assert got == facts["sha"]


def test_ntfs_same_stat(tool, volume):
    img, facts = volume
    with Tree(tool, img) as t:
        for path, s in facts["stat"].items():
            ino, gen, mode, nlink, _, _, size, mtime, _ = t.ask(
                "stat", path).split()
            assert int(ino) == s.st_ino, path
            assert int(mode, 8) & ~0o777 == s.st_mode & ~0o777, path
            assert int(nlink) == s.st_nlink, path
            assert int(size) == s.st_size, path
            sec, ns = mtime.split(".")
            assert int(sec) * 10**9 + int(ns) == s.st_mtime_ns, path


def test_ntfs_same_links(tool, volume):
    img, facts = volume
    with Tree(tool, img) as t:
        got = {p: t.ask("readlink", p) for p in facts["link"]}
    assert got == facts["link"]


def test_ntfs_same_xattrs(tool, volume):
    img, facts = volume
    with Tree(tool, img) as t:
        for path, want in facts["xattr"].items():
            assert sorted(t.lines("xattrs", path)) == want["list"], path
            for name in want["list"] + SYSTEM:
                got = t.ask("getx", path, name)
                if isinstance(want[name], bytes):
                    assert got == want[name].hex(), (path, name)
                else:
                    assert got.startswith("error"), (path, name)


def test_ntfs_statfs_counts_the_bitmap(tool, volume):
    img, facts = volume
    s = facts["statfs"]
    with Tree(tool, img) as t:
        assert t.ask("statfs") == f"{s.f_frsize} {s.f_blocks} {s.f_bfree}"


def test_ntfs_map_of_holes_and_resident(tool, volume):
    img, _ = volume
    with Tree(tool, img) as t:
        m = t.ask("map", "/holes", 0, 5 << 20)
        assert m.startswith("fd@") and m.count("zero@") >= 13
        assert m.endswith("ok")
        assert t.ask("map", "/hello.txt", 0, 10) == "error EOPNOTSUPP"
        assert t.ask("map", "/comp/text", 0, 10) == "error EOPNOTSUPP"
        assert t.ask("map", "/grown", 65536, 65536) == "zero@0+65536 ok"


def test_ntfs_seek_data_and_hole(tool, volume):
    img, _ = volume
    with Tree(tool, img) as t:
        assert t.ask("seek", "/holes", 0, "hole") == str(65536)
        assert t.ask("seek", "/holes", 65536, "data") == str(3 * 65536)
        assert t.ask("seek", "/sparse", 0, "data") == str(50 << 20)
        assert t.ask("seek", "/comp/mixed", 0, "data") == str(3 << 16)
        # The holes behind packed clusters hold data all the same.
        size = t.ask("stat", "/comp/text").split()[6]
        assert t.ask("seek", "/comp/text", 0, "hole") == size


def test_ntfs_case_counts_unless_ignored(tool, volume):
    img, _ = volume
    with Tree(tool, img) as t:
        assert t.ask("cat", "/CaSe", 0, 9) == b"1".hex()
        assert t.ask("cat", "/case", 0, 9) == b"2".hex()
        assert t.ask("cat", "/CASE", 0, 9) == "error ENOENT"
        assert t.ask("stat", "/HELLO.TXT") == "error ENOENT"
    with Tree(tool, img, "-i") as t:
        assert t.ask("cat", "/CaSe", 0, 9) == b"1".hex()
        assert t.ask("cat", "/case", 0, 9) == b"2".hex()
        assert t.ask("cat", "/HELLO.TXT", 0, 9) == b"hello\n".hex()


def test_ntfs_streams_as_files(tool, volume):
    img, _ = volume
    with Tree(tool, img, "-w") as t:
        assert t.ask("cat", "/hello.txt:short", 0, 99) == b"stream data".hex()
        assert t.ask("cat", "/a:ondir", 0, 99) == b"of a directory".hex()
        assert t.ask("cat", "/hello.txt:gone", 0, 99) == "error ENOENT"
        assert t.lines("xattrs", "/hello.txt") == []
        names = bytes.fromhex(t.ask("getx", "/hello.txt",
                                    "ntfs.streams.list"))
        assert set(names.split(b"\0")) >= {b"short", b"long"}
    with Tree(tool, img, "-n") as t:
        assert t.ask("stat", "/hello.txt:short") == "error ENOENT"
        assert t.lines("xattrs", "/hello.txt") == []


def test_ntfs_system_files_only_when_asked(tool, volume):
    img, _ = volume
    with Tree(tool, img) as t:
        assert not any("$" in n for n in t.lines("ls", "/"))
    with Tree(tool, img, "-s") as t:
        names = {n.split(" ", 2)[2]: int(n.split()[0])
                 for n in t.lines("ls", "/")}
        assert {"$MFT", "$MFTMirr", "$LogFile", "$Extend"} <= set(names)
        # 0 is no id and 1 is the root's.
        assert names["$MFT"] > 1 << 40 and names["$MFTMirr"] == 5
        size = int(t.ask("stat", "/$MFT").split()[6])
        assert size > 16 * 1024


def test_ntfs_many_names_in_one_directory(tool, peer, tmp_path):
    img = make(peer, tmp_path / "v.img", 64 << 20)
    names = [f"{'longish' * (i % 20)}{i:05d}" for i in range(10000)]
    with mounted(peer, img) as d:
        (d / "many").mkdir()
        for n in random.Random(3).sample(names, len(names)):
            (d / "many" / n).touch()
    with Tree(tool, img) as t:
        got = [x.split(" ", 2)[2] for x in t.lines("ls", "/many")]
        assert sorted(got) == sorted(names)
        for n in names[::97]:
            assert t.ask("stat", "/many/" + n)[:5] != "error", n
        assert t.ask("stat", "/many/nothing") == "error ENOENT"


@pytest.mark.parametrize("cluster", [512, 1024, 2048, 8192, 65536,
                                     131072, 2 << 20])
def test_ntfs_cluster_sizes(tool, peer, tmp_path, cluster):
    img = make(peer, tmp_path / "v.img", max(24 << 20, cluster * 300),
               "-c", str(cluster))
    with mounted(peer, img) as d:
        fill_files(d)
        if cluster <= 4096:
            fill_compressed(d)
        for i in range(300):
            (d / "a/b" / f"entry number {i}").write_text(str(i))
    with mounted(peer, img, "ro") as d:
        want = find(d)
        hashes = {x.split(" ", 2)[2]: sha256(str(d) + x.split(" ", 2)[2])
                  for x in want if x[0] == "f" and "entry" not in x}
    with Tree(tool, img) as t:
        assert sorted(t.lines("find", "/")) == want
        assert {p: t.ask("mapsha256", p) for p in hashes} == hashes


def test_ntfs_sectors_of_4096(tool, peer, tmp_path):
    img = make(peer, tmp_path / "v.img", 32 << 20, "-s", "4096")
    with mounted(peer, img) as d:
        fill_files(d)
    with mounted(peer, img, "ro") as d:
        want = find(d)
    with Tree(tool, img) as t:
        assert sorted(t.lines("find", "/")) == want
        assert t.ask("sha256", "/a/big") == t.ask("mapsha256", "/a/big")


def test_ntfs_attribute_list_of_a_fragmented_file(tool, peer, tmp_path):
    """Every second cluster is a hole: thousands of runs, and many records to
    describe them."""
    img = make(peer, tmp_path / "v.img", 16 << 20, "-c", "512")
    rnd = random.Random(4)
    with mounted(peer, img) as d:
        with open(d / "frag", "wb") as f:
            for i in range(3000):
                f.seek(i * 1024)
                f.write(rnd.randbytes(512))
        for i in range(60):
            os.link(d / "frag", d / (f"another name {i:03d}" * 3))
        os.setxattr(d / "frag", "user.s", b"behind the list")
    with mounted(peer, img, "ro") as d:
        want = sha256(d / "frag")
        links = os.stat(d / "frag").st_nlink
    with Tree(tool, img) as t:
        assert t.ask("sha256", "/frag") == want
        assert t.ask("mapsha256", "/frag") == want
        assert t.ask("map", "/frag", 0, 3 << 20).count("fd@") == 3000
        assert t.ask("getx", "/frag", "user.s") == b"behind the list".hex()
        assert int(t.ask("stat", "/frag").split()[3]) == links == 61


def test_ntfs_threads_see_the_same(tool, volume):
    img, facts = volume
    out = run(tool("ntfstool"), "-t", 6, img).stdout.splitlines()
    assert len(set(out[:6])) == 1
    assert int(out[0].split()[1]) == len(facts["find"])
    # Caches are bounded: 8 MiB, the program itself and six buffers.
    assert all(int(x.split()[2]) < 24 << 10 for x in out[6:])


def test_ntfs_mft_in_many_pieces(tool, peer, tmp_path):
    """The volume is filled, every second file goes, and $MFT grows into what
    is free: it needs an attribute list, whose records are in $MFT."""
    img = make(peer, tmp_path / "v.img", 14 << 20, "-c", "512")

    def until_full(d, name, data):
        for n in range(20000):
            try:
                (d / f"{name}{n}").write_bytes(data)
            except OSError:
                return n
        return n

    with mounted(peer, img) as d:
        n = until_full(d, "big", bytes(2048))
        for i in range(0, n, 2):
            (d / f"big{i}").unlink()
        until_full(d, "tiny", b"tiny")
    with mounted(peer, img, "ro") as d:
        want = find(d)
    with Tree(tool, img, "-s") as t:
        assert t.ask("map", "/$MFT", 0, 14 << 20).count("fd@") > 200
    with Tree(tool, img) as t:
        assert sorted(t.lines("find", "/")) == want
        last = [x for x in want if "/tiny" in x and x.split()[1] == "4"][-1]
        assert t.ask("cat", last.split()[2], 0, 9) == b"tiny".hex()
