# SPDX-License-Identifier: GPL-3.0-or-later
"""NTFS's own things, written by us and read by ntfs-3g: streams, attributes,
compression, sparse files, times, names, many files."""
import os
import random
import struct

import pytest

from conftest import run
from ntfsvol import mkntfs, mounted, script, sha, sound


@pytest.fixture
def img(tmp_path, peer):
    peer("mkntfs")
    peer("ntfs-3g")
    return str(mkntfs(tmp_path / "v.img"))


def ok(tool, img, text, *args):
    out = script(tool, img, text, *args)
    assert set(out) == {"ok"}, [x for x in out if x != "ok"][:5]


def their_acl(path):
    """As hex. ntfs-3g answers EIO to a buffer that is too small, so Python's
    os.getxattr, which tries 128 bytes first, does not do."""
    out = run("getfattr", "-h", "--absolute-names", "-e", "hex", "-n",
              "system.ntfs_acl", path).stdout
    return out.split("=0x")[1].strip()


def test_ntfs_write_xattrs_both_ways(tool, img):
    reparse = struct.pack("<IHH16s", 0x1234, 4, 0, bytes(range(16))) + b"data"
    objid = bytes(range(1, 17))
    ok(tool, img, f"""
        create /f 644
        mkdir /d 755
        setx /f user.stream {os.urandom(3000).hex()}
        setx /f user.empty
        setx /d user.ondir 313233
        setx /f system.ntfs_attrib 07000000
        setx /f system.ntfs_crtime {(10**17).to_bytes(8, "little").hex()}
        setx /f system.ntfs_object_id {objid.hex()}
        create /r 644
        setx /r system.ntfs_reparse_data {reparse.hex()}
        create /e 644
        setx /e user.gone 31
        delx /e user.gone
        """)
    sound(img)
    with mounted(img) as d:
        assert sorted(os.listxattr(f"{d}/f")) == ["user.empty", "user.stream"]
        assert len(os.getxattr(f"{d}/f", "user.stream")) == 3000
        assert os.getxattr(f"{d}/d", "user.ondir") == b"123"
        assert os.getxattr(f"{d}/f", "system.ntfs_attrib")[0] & 7 == 7
        assert os.getxattr(f"{d}/f", "system.ntfs_crtime") == (
            (10**17).to_bytes(8, "little"))
        assert os.getxattr(f"{d}/f", "system.ntfs_object_id")[:16] == objid
        assert os.getxattr(f"{d}/r", "system.ntfs_reparse_data",
                           follow_symlinks=False) == reparse
        assert os.listxattr(f"{d}/e") == []
        acl = their_acl(f"{d}/f")
        os.setxattr(f"{d}/e", "user.theirs", b"hello")
    out = script(tool, img, """
        create /trigger 644
        getx /f system.ntfs_acl
        getx /e user.theirs
        getx /f system.ntfs_attrib_be
        delx /f system.ntfs_object_id
        getx /f system.ntfs_object_id
        delx /f system.ntfs_acl
        delx /f user.nothing
        setx /f security.x 31
        """)
    assert out[1] == acl and out[2] == b"hello".hex()
    assert int(out[3], 16) & 7 == 7
    assert out[4:] == ["ok", "error ENODATA", "error EPERM", "error ENODATA",
                       "error EOPNOTSUPP"]


def test_ntfs_write_acl_is_inherited(tool, img):
    """What an administrator set on a directory holds for what is made in it."""
    with mounted(img) as d:
        os.mkdir(f"{d}/d")
        acl = bytes.fromhex(their_acl(f"{d}/d"))
    out = script(tool, img, f"""
        mkdir /d/sub 755
        create /d/sub/f 644
        getx /d/sub/f system.ntfs_acl
        """)
    assert out[:2] == ["ok", "ok"]
    # Full control for everyone, as in the parent.
    ace = bytes.fromhex("ff011f00010100000000000100000000")
    assert ace in acl and ace in bytes.fromhex(out[2])
    sound(img)
    with mounted(img, "ro") as d:
        assert their_acl(f"{d}/d/sub/f") == out[2]


def test_ntfs_write_dos_name(tool, img):
    out = script(tool, img, """
        create /Longish%20name.text 644
        setx /Longish%20name.text system.ntfs_dos_name 4c4f4e477e312e545854
        stat /LONG~1.TXT
        stat /Longish%20name.text
        ls /
        """)
    assert out[:2] == ["ok", "ok"]
    assert len(out) == 6 and out[-1] == "."
    # A short name is no second link.
    assert out[2].split()[3] == out[3].split()[3] == "1"
    sound(img)
    with mounted(img, "ro") as d:
        assert os.getxattr(f"{d}/Longish name.text",
                           "system.ntfs_dos_name") == b"LONG~1.TXT"
    out = script(tool, img, "rename /Longish%20name.text /other 0\n"
                 "stat /LONG~1.TXT\n")
    assert out == ["ok", "error ENOENT"]
    sound(img)


def test_ntfs_write_compressed(tool, img, tmp_path):
    """Read and written like ntfs-3g does in a compressed directory."""
    rng = random.Random(1)
    text = (b"compress me well " * 9000)[:140000]
    mixed = b"".join(rng.choice([bytes(4096), rng.randbytes(4096)])
                     for _ in range(60))
    with mounted(img) as d:
        os.mkdir(f"{d}/c")
        os.setxattr(f"{d}/c", "system.ntfs_attrib", struct.pack("<I", 0x810))
        with open(f"{d}/c/theirs", "wb") as f:
            f.write(text)
    for name, data in (("text", text), ("mixed", mixed)):
        (tmp_path / name).write_bytes(data)
    out = script(tool, img, f"""
        put {tmp_path}/text /c/ours
        put {tmp_path}/mixed /c/mixed
        sha256 /c/theirs
        sha256 /c/ours
        write /c/theirs 70000 100 65
        truncate /c/mixed 100000
        truncate /c/mixed 200000
        stat /c/ours
        map /c/ours 0 1000
        allocate /c/ours 0 0 1000000
        """)
    assert out[2] == out[3] == sha(tmp_path / "text")
    assert out[-1] == "error EOPNOTSUPP"
    sound(img)
    with mounted(img, "ro") as d:
        assert open(f"{d}/c/ours", "rb").read() == text
        assert os.stat(f"{d}/c/ours").st_blocks < 200
        assert open(f"{d}/c/theirs", "rb").read() == (
            text[:70000] + b"A" * 100 + text[70100:])
        assert open(f"{d}/c/mixed", "rb").read() == (
            mixed[:100000] + bytes(100000))


def test_ntfs_write_sparse_and_punched(tool, img):
    out = script(tool, img, """
        create /s 644
        truncate /s 50m
        write /s 40m 4096 65
        create /p 644
        write /p 0 1000000 66
        allocate /p 3 100000 500000
        stat /p
        seek /p 0 hole
        seek /p 200000 data
        seek /s 0 data
        seek /s 0 hole
        allocate /s 1 0 90000000
        allocate /s 0 0 5m
        statfs
        """)
    assert [x for x in out if x.startswith("error")] == ["error ENOSPC"]
    assert 98304 <= int(out[7]) <= 102400 and 598016 <= int(out[8]) <= 600000
    assert out[9:11] == [str(40 << 20), "0"]
    sound(img)
    with mounted(img, "ro") as d:
        p = open(f"{d}/p", "rb").read()
        assert p == b"B" * 100000 + bytes(500000) + b"B" * 400000
        assert os.stat(f"{d}/p").st_blocks * 512 < 520000
        with open(f"{d}/s", "rb") as f:
            f.seek(40 << 20)
            assert f.read(5000) == b"A" * 4096 + bytes(904)
        assert os.stat(f"{d}/s").st_size == 50 << 20


def test_ntfs_write_reserved_room_is_zeros(tool, img):
    """Clusters that held something else must not show through."""
    out = script(tool, img, """
        create /old 644
        write /old 0 20m 90
        unlink /old
        create /new 644
        allocate /new 0 0 30m
        cat /new 10000000 16
        create /kept 644
        write /kept 0 100 65
        allocate /kept 1 0 5m
        stat /kept
        write /kept 1m 10 66
        cat /kept 90 20
        """)
    assert out[5] == "00" * 16
    assert out[9].split()[6] == "100"
    assert out[-1] == "41" * 10 + "00" * 10
    sound(img)
    with mounted(img, "ro") as d:
        assert not any(open(f"{d}/new", "rb").read())


def test_ntfs_write_times(tool, img):
    ok(tool, img, "create /f 644\nmkdir /d 755\nutime /f 1000000000\n"
       "utime /d 999999999\n")
    with mounted(img, "ro") as d:
        assert os.stat(f"{d}/f").st_mtime == 1000000000
        assert os.stat(f"{d}/d").st_mtime == 999999999
    crtime = struct.pack("<QQQ", 10**17, 10**17 + 1, 10**17 + 2).hex()
    ok(tool, img, f"setx /f system.ntfs_times {crtime}\n"
       "utime /f 1000000001\n")
    with mounted(img, "ro") as d:
        assert os.stat(f"{d}/f").st_mtime == 1000000001
        assert os.getxattr(f"{d}/f", "system.ntfs_crtime") == (
            struct.pack("<Q", 10**17))


def test_ntfs_write_ten_thousand_files(tool, img):
    lines = ["mkdir /d 755"] + [f"create /d/file-{i:05} 644"
                                for i in range(10000)]
    ok(tool, img, "\n".join(lines) + "\n")
    sound(img)
    gone = random.Random(2).sample(range(10000), 6000)
    ok(tool, img, "".join(f"unlink /d/file-{i:05}\n" for i in gone))
    sound(img)
    with mounted(img, "ro") as d:
        assert sorted(os.listdir(f"{d}/d")) == sorted(
            f"file-{i:05}" for i in set(range(10000)) - set(gone))


def test_ntfs_write_names(tool, img):
    long = "x" * 255
    wide = "é" * 255
    out = script(tool, img, f"""
        create /{long} 644
        create /{wide} 644
        create /{long}y 644
        create /a:b 644
        create /Case 644
        create /case 644
        rename /{long} /{"z" * 255} 0
        """)
    assert out == ["ok", "ok", "error ENAMETOOLONG", "ok", "ok", "ok", "ok"]
    sound(img)
    out = script(tool, img, """
        create /a<b 644
        create /con 644
        create /dot. 644
        create /fine 644
        rename /fine /aux.txt 0
        """, "-o", "windows_names")
    assert out == ["error EINVAL"] * 3 + ["ok", "error EINVAL"]


def test_ntfs_write_ignore_case(tool, tmp_path, peer):
    img = mkntfs(tmp_path / "i.img")
    out = script(tool, img, """
        create /Name 644
        create /NAME 644
        rename /name /nAMe 0
        ls /
        mkdir /D 755
        rename /nAMe /d/X 0
        unlink /d/x
        ls /
        """, "-o", "ignore_case")
    assert out[:3] == ["ok", "error EEXIST", "ok"]
    assert out[3].endswith(" nAMe") and out[4] == "."
    assert out[5:8] == ["ok"] * 3 and out[8].endswith(" D")
    sound(img)


def test_ntfs_write_exchange_and_replace(tool, img):
    ok(tool, img, """
        create /a 644
        write /a 0 10 65
        mkdir /d 755
        create /d/b 644
        write /d/b 0 20 66
        rename /a /d/b 2
        mkdir /e 755
        rename /d /e 2
        create /f 644
        rename /f /e/b 0
        """)
    sound(img)
    with mounted(img, "ro") as d:
        assert open(f"{d}/a", "rb").read() == b"B" * 20
        assert os.listdir(f"{d}/d") == []
        assert open(f"{d}/e/b", "rb").read() == b""


def test_ntfs_write_replaced_while_open_stays_readable(tool, img):
    out = script(tool, img, """
        create /old 644
        write /old 0 9000 67
        create /new 644
        write /new 0 10 68
        open /old h r
        rename /new /old 0
        hread h 8990 20
        cat /old 0 20
        ls /
        close h
        statfs
        """)
    assert out[6:8] == ["43" * 10, "44" * 10]
    assert len([x for x in out[8:] if " f " in x]) == 1
    sound(img)


def test_ntfs_write_handle_survives_the_change_of_engines(tool, img, tmp_path):
    """Opened for reading before anything was modified."""
    data = tmp_path / "f"
    data.write_bytes(random.Random(4).randbytes(50000))
    script(tool, img, f"put {data} /f\ncreate /small 644\n"
           "write /small 0 9 65\n")
    out = script(tool, img, """
        open /f h r
        open /small s r
        hread h 0 4
        writing
        unlink /f
        unlink /small
        writing
        hread h 40000 8
        hread s 0 20
        close h
        close s
        ls /
        """)
    body = data.read_bytes()
    assert out[2:4] == [body[:4].hex(), "0"]
    assert out[4:9] == ["ok", "ok", "1", body[40000:40008].hex(), "41" * 9]
    assert out[-1] == "." and len(out) == 12
    sound(img)


def test_ntfs_write_special_files(tool, img):
    with mounted(img) as d:
        os.mkfifo(f"{d}/fifo")
        os.symlink("target/ü", f"{d}/theirs")
    out = script(tool, img, """
        symlink /ours some/where/ñ
        readlink /theirs
        readlink /ours
        stat /fifo
        ls /
        """)
    assert out[1:3] == ["target/ü", "some/where/ñ"]
    assert sorted(x.split()[1] for x in out[4:-1]) == ["l", "l", "p"]
    with mounted(img, "ro") as d:
        assert os.readlink(f"{d}/ours") == "some/where/ñ"


def test_ntfs_write_system_files_are_left_alone(tool, img):
    out = script(tool, img, """
        unlink /$MFT
        rename /$Bitmap /x 0
        create /$Extend/x 644
        truncate /$Volume 0
        write /$LogFile 0 10 1
        rename /$Boot /$Volume 2
        """, "-o", "show_sys_files")
    assert set(out) == {"error EPERM"}
    sound(img)


def same_by_both(tool, img, *options):
    """Everything about every node, by our reader and by libntfs-3g."""
    opts = [w for o in options for w in ("-o", o)]
    names = [x for x in script(tool, img, "find /\n", "-r", *opts)
             if x[0] in "dfl"]
    assert names
    ask = ["stat /", "xattrs /", "getx / system.ntfs_acl"]
    for line in names:
        kind, _, path = line.split(" ", 2)
        path = path.replace(" ", "%20")
        ask += [f"stat {path}", f"xattrs {path}"]
        ask += [f"getx {path} system.ntfs_{x}" for x in (
            "acl", "attrib", "attrib_be", "times", "times_be", "crtime",
            "crtime_be", "reparse_data", "object_id", "dos_name", "ea")]
        ask += [f"readlink {path}"] if kind == "l" else []
        ask += [f"sha256 {path}", f"mapsha256 {path}", f"seek {path} 0 hole",
                f"seek {path} 5000 data"] if kind == "f" else []
    ask = "\n".join(ask) + "\n"
    reader = script(tool, img, ask, "-r", *opts)
    engine = script(tool, img, ask, "-r", "-w", *opts)
    # Where the data of a file that cannot be read lies means nothing.
    wrong = [x for x in zip(ask.splitlines(), reader, engine)
             if x[1] != x[2] and not (x[0].startswith("seek")
                                      and x[2] == "error EOPNOTSUPP")
             ] if len(reader) == len(engine) else None
    if wrong is None:
        wrong = [x for x in zip(reader, engine) if x[0] != x[1]]
    assert not wrong, "\n".join(map(str, wrong[:20]))


def test_ntfs_engines_agree(tool, img, tmp_path):
    data = tmp_path / "data"
    data.write_bytes(os.urandom(200000))
    with mounted(img) as d:
        os.mkdir(f"{d}/c")
        os.setxattr(f"{d}/c", "system.ntfs_attrib", struct.pack("<I", 0x810))
        with open(f"{d}/c/packed", "wb") as f:
            f.write(b"text " * 30000)
        os.symlink("c/packed", f"{d}/link")
        os.mkfifo(f"{d}/fifo")
        for i in range(300):
            open(f"{d}/c/file{i}", "w").close()
    ok(tool, img, f"""
        mkdir /d 755
        put {data} /d/data
        create /d/small 644
        write /d/small 0 300 65
        setx /d/small user.s 616263
        create /d/sparse 644
        truncate /d/sparse 20m
        write /d/sparse 10m 4096 65
        link /d/small /d/other
        symlink /d/l ../c
        setx /d/sparse system.ntfs_dos_name 5350415253457e31
        create /d/reserved 644
        allocate /d/reserved 0 0 1m
        """)
    same_by_both(tool, img)


def symlink_data(target, relative):
    name = target.encode("utf-16-le")
    body = struct.pack("<HHHHI", 0, len(name), 0, len(name), relative) + name
    return (struct.pack("<IHH", 0xA000000C, len(body), 0) + body).hex()


def junction_data(target):
    name = target.encode("utf-16-le")
    body = (struct.pack("<HHHH", 0, len(name), len(name) + 2, 0) + name
            + b"\0\0\0\0")
    return (struct.pack("<IHH", 0xA0000003, len(body), 0) + body).hex()


def test_ntfs_engines_agree_on_links(tool, img):
    """Junctions and symlinks of Windows, and what only Windows can open."""
    wsl = b"\2\0\0\0../linux/path"
    lx = (struct.pack("<IHH", 0xA000001D, len(wsl), 0) + wsl).hex()
    wof = (struct.pack("<IHH", 0x80000017, 16, 0)
           + struct.pack("<IIII", 1, 2, 1, 0)).hex()
    dedup = (struct.pack("<IHH", 0x80000013, 4, 0) + b"abcd").hex()
    text = """
        mkdir /Users 755
        mkdir /Users/Joe%20B 755
        create /Users/Joe%20B/file 644
        mkdir /a 755
        mkdir /a/b 755
        """
    links = {
        "rel": symlink_data(r"..\\Users\\joe b".replace("\\\\", "\\"), 1),
        "up": symlink_data("..\\..\\users\\JOE B\\FILE", 1),
        "abs": symlink_data("\\??\\C:\\users\\joe b\\file", 0),
        "gone": symlink_data("\\??\\C:\\nowhere\\at all", 0),
        "lx": lx, "wof": wof, "dedup": dedup,
        "strange": struct.pack("<IHH", 0xA0000099, 4, 0).hex() + "00000000",
    }
    for name, data in links.items():
        text += f"create /a/b/{name} 644\n"
        if name in ("wof", "dedup"):
            text += f"truncate /a/b/{name} 3000\n"
        text += f"setx /a/b/{name} system.ntfs_reparse_data {data}\n"
    for name, target in (("j1", "\\??\\C:\\USERS"), ("j2", "\\??\\D:\\x"),
                         ("self", "\\??\\C:\\a\\b\\self")):
        text += f"mkdir /a/b/{name} 755\n"
        text += (f"setx /a/b/{name} system.ntfs_reparse_data "
                 f"{junction_data(target)}\n")
    ok(tool, img, text)
    sound(img)
    same_by_both(tool, img)
    out = script(tool, img, "create /x 644\n" + "".join(
        f"readlink /a/b/{x}\n" for x in ("up", "abs", "j1", "lx")) +
        "cat /a/b/wof 0 10\ncat /a/b/dedup 0 10\nwrite /a/b/wof 0 10 1\n")
    assert out[1:5] == ["../../Users/Joe B/file", "../../Users/Joe B/file",
                        "../../Users", "../linux/path"]
    assert out[5:] == ["error EOPNOTSUPP"] * 3


@pytest.mark.parametrize("name", ["vhd/dfvfs--ntfs-fixed.vhd",
                                  "vhd/dfvfs--ntfs-parent.vhd"])
def test_ntfs_engines_agree_on_what_windows_made(tool, corpus, tmp_path, name):
    img = tmp_path / "w.img"
    data = (corpus / name).read_bytes()
    img.write_bytes(data[128 * 512:(128 + 6016) * 512])
    same_by_both(tool, img)
    out = script(tool, img, "mkdir /new 755\nput /etc/passwd /new/f\n"
                 "getx /new/f system.ntfs_acl\n", "-o", "recover")
    assert out[:2] == ["ok", "ok"], out
    sound(img)
    same_by_both(tool, img)


def test_ntfs_write_streams_as_windows_names_them(tool, img, tmp_path):
    data = tmp_path / "s"
    data.write_bytes(os.urandom(100000))
    ok(tool, img, "create /f 644\nsetx /f user.old 616263\n")
    out = script(tool, img, f"""
        stat /f:old
        open /f:old h r
        put {data} /f:new
        stat /f:old
        cat /f:old 0 10
        sha256 /f:new
        write /f:old 1 1 65
        hread h 0 3
        close h
        create /f:old 644
        truncate /f:new 50000
        create /f:gone 644
        unlink /f:gone
        cat /f:gone 0 1
        mkdir /f:dir 755
        rename /f:new /x 0
        ls /
        """, "-o", "streams=windows")
    # The same id from both engines.
    assert out[0].split()[0] == out[3].split()[0]
    assert out[4] == "616263" and out[5] == sha(data)
    assert out[6:13] == ["ok", "614163", "ok", "error EEXIST", "ok", "ok",
                         "ok"]
    assert out[13:16] == ["error ENOENT", "error EINVAL", "error ENOENT"]
    sound(img)
    with mounted(img, "ro") as d:
        assert sorted(os.listxattr(f"{d}/f")) == ["user.new", "user.old"]
        assert os.getxattr(f"{d}/f", "user.new") == data.read_bytes()[:50000]
