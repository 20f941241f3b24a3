# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing ext2, ext3 and ext4: e2fsck and Linux are the judges."""
import hashlib
import os
import subprocess

import pytest

import ext_images as ei
from ext_model import Model

needs_mount = pytest.mark.skipif(not ei.can_mount(),
                                 reason="needs root and loop devices")


@pytest.fixture
def ext(tool, peer):
    peer("e2fsck")
    return lambda image: ei.Tool(tool("exttool"), image)


@pytest.fixture
def vol(ext, tmp_path):
    """vol("ext4"): an empty volume and its tool."""
    def make(kind="ext4", size="64M", extra=()):
        img = ei.make(tmp_path / kind, kind, size=size, extra=extra)
        return ext(img)
    return make


@pytest.mark.parametrize("kind", ei.FEATURES)
@pytest.mark.parametrize("seed", [1, 2])
def test_ext_model(kind, seed, vol):
    t = vol(kind)
    m = Model(seed)
    t.write(*m.steps(250))
    ei.assert_clean(t.image)
    assert t.find() == m.tree()
    want = {p: hashlib.sha256(b).hexdigest() for p, b in m.data.items()}
    assert t.sums(want) == want
    assert t.sums(want, "mapsha256") == want


@needs_mount
@pytest.mark.parametrize("kind", ["ext4", "ext4-inline", "ext2-1k",
                                  "ext4-bigalloc"])
def test_ext_model_in_linux(kind, vol):
    t = vol(kind)
    m = Model(7)
    t.write(*m.steps(400))
    with ei.mounted(t.image) as top:
        assert ei.snapshot(top) == m.tree()
        for p, b in m.data.items():
            assert (top / p[1:]).read_bytes() == b
        for p, target in m.links.items():
            assert os.readlink(top / p[1:]) == target
        (top / "linux was here").write_text("x")
    ei.assert_clean(t.image)


@pytest.mark.parametrize("kind", ["ext4", "ext4-1k", "ext4-inline", "ext2-1k"])
def test_ext_directory_of_thousands(kind, vol):
    t = vol(kind, size="96M", extra=["-N", "12000"])
    names = [f"a-rather-long-file-name-{i:05}" for i in range(6000)]
    t.write("mkdir /d 755", *[f"create /d/{n} 644" for n in names])
    ei.assert_clean(t.image)
    t.write(*[f"unlink /d/{n}" for n in names[::2]],
            *[f"rename /d/{n} /d/new-{n} 0" for n in names[1::4]])
    ei.assert_clean(t.image)
    want = {f"/d/{n}" for n in names[3::4]} | \
        {f"/d/new-{n}" for n in names[1::4]}
    assert {p for p in t.find() if p != "/d"} == want
    out = subprocess.run(["debugfs", "-R", "stat /d", t.image], text=True,
                         capture_output=True).stdout
    assert "0x81000" in out or "0x1000" in out     # it has an index


def test_ext_open_for_writing_changes_no_byte(vol):
    t = vol()
    before, st = ei.sha256(t.image), os.stat(t.image)
    assert t.run("check\nwriting\nfind /\n", "rw")[:2] == ["ok", "0"]
    assert ei.sha256(t.image) == before
    now = os.stat(t.image)
    assert (now.st_mtime_ns, now.st_ctime_ns) == (st.st_mtime_ns,
                                                  st.st_ctime_ns)


def state(image):
    out = subprocess.run(["dumpe2fs", "-h", image], text=True,
                         capture_output=True).stdout
    return out.split("Filesystem state:")[1].split("\n")[0].strip()


def test_ext_kill_leaves_unclean_volume_with_synced_data(vol, tmp_path):
    t = vol()
    data = os.urandom(2_000_000)
    (tmp_path / "data").write_bytes(data)
    t.raw(f"mkdir /d 755\nput {tmp_path}/data /d/synced\nfsync /d/synced\n"
          f"put {tmp_path}/data /later\nkill\n", "rw", check=False)
    assert state(t.image) == "not clean"
    out = t.raw("stat /d/synced\n", "rw")
    assert "not cleanly unmounted: run e2fsck" in out and "open ro" in out
    code, text = ei.fsck(t.image, "-fy")
    assert code in (0, 1), text
    ei.assert_clean(t.image)
    assert t.sums(["/d/synced"]) == {
        "/d/synced": hashlib.sha256(data).hexdigest()}


def test_ext_clean_close_is_clean(vol):
    t = vol()
    t.write("create /a 644", "write /a 0 5000 7")
    assert state(t.image) == "clean"
    ei.assert_clean(t.image)


def test_ext_full_volume(vol):
    t = vol(size="8M")
    out = t.run("create /big 644\nwrite /big 0 20m 1\ncreate /small 644\n"
                "write /small 0 100 1\nunlink /big\nwrite /small 0 100 1\n",
                "rw")
    assert out[0] == "ok" and out[1] == "error ENOSPC"
    assert out[4:] == ["ok", "ok"]
    ei.assert_clean(t.image)
    assert t.find()["/small"] == ("f", 100)


def test_ext_full_of_inodes(vol):
    t = vol(size="8M", extra=["-N", "64"])
    out = t.run("".join(f"create /f{i} 644\n" for i in range(80)), "rw")
    assert out[-1] == "error ENOSPC" and out[0] == "ok"
    ei.assert_clean(t.image)


def test_ext_unlinked_but_open(vol):
    t = vol()
    out = t.run("create /f 644\nwrite /f 0 8 65\nopen /f h r\nunlink /f\n"
                "stat /f\nhread h 0 8\nclose h\ncreate /g 644\n", "rw")
    assert out == ["ok", "ok", "ok", "ok", "error ENOENT", "41" * 8, "ok",
                   "ok"]
    ei.assert_clean(t.image)


def test_ext_unlinked_open_and_killed(vol):
    t = vol()
    t.raw("create /f 644\nwrite /f 0 100000 65\nopen /f h r\n"
          "create /g 644\nopen /g i r\nunlink /f\nunlink /g\nsync\nkill\n",
          "rw", check=False)
    code, text = ei.fsck(t.image, "-fy")
    assert code in (0, 1) and "rphan" in text, text
    ei.assert_clean(t.image)


def test_ext_names_flags_and_errors(vol):
    t = vol()
    out = t.run("mkdir /a 755\nmkdir /a/b 755\ncreate /f 644\nmkdir /a 755\n"
                "rename /f /a/b 0\nrename /a/b /f 0\nrename /a /a/b/c 0\n"
                "rmdir /a\nunlink /a\nrmdir /f\nrename /f /a 1\n"
                "rename /a/b /f 2\nstat /a/b\nlink /a/b /hard\n"
                "symlink /l " + "x" * 5000 + "\n"
                f"create /{'n' * 256} 644\n", "rw")
    assert out[:3] == ["ok"] * 3
    assert out[3:12] == ["error EEXIST", "error EISDIR", "error ENOTDIR",
                         "error EINVAL", "error ENOTEMPTY", "error EISDIR",
                         "error ENOTDIR", "error EEXIST", "ok"]
    assert out[12].split()[2].startswith("100")
    assert out[13:] == ["ok", "error ENAMETOOLONG", "error ENAMETOOLONG"]
    ei.assert_clean(t.image)


@pytest.mark.parametrize("kind", ["ext4", "ext4-inline", "ext4-eainode"])
def test_ext_attributes(kind, vol):
    t = vol(kind)
    large = "cd" * 3000
    t.write("create /f 644", "setx /f user.a 6162", "setx /f user.b 00ff",
            "setx /f trusted.t 31", "setx /f security.s 32",
            "delx /f user.b")
    if kind == "ext4-eainode":
        t.write(f"setx /f user.large {large}")
        assert t.run("getx /f user.large\n") == [large]
    out = t.run("xattrs /f\ngetx /f user.a\ngetx /f user.b\n")
    assert set(out[:-2]) >= {"user.a", "trusted.t", "security.s", "."}
    assert out[-2:] == ["6162", "error ENODATA"]
    ei.assert_clean(t.image)
    acl = "02000000" "01000600ffffffff" "02000600d2040000" \
          "04000400ffffffff" "10000600ffffffff" "20000400ffffffff"
    t.write(f"setx /f system.posix_acl_access {acl}")
    assert t.run("getx /f system.posix_acl_access\n") == [acl]
    assert t.run("stat /f\n")[0].split()[2] == "100664"    # the mask's
    assert t.run("setx /f system.posix_acl_access 0102\n", "rw") == \
        ["error EINVAL"]
    ei.assert_clean(t.image)


def test_ext_reserved_space(vol):
    t = vol()
    t.write("create /f 644", "allocate /f 0 0 3m", "write /f 1m 5000 9",
            "create /k 644", "allocate /k 1 0 1m", "create /z 644",
            "write /z 0 100000 1", "allocate /z 16 5000 50000")
    found = t.find()
    assert found["/f"] == ("f", 3 << 20) and found["/k"] == ("f", 0)
    want = bytearray(3 << 20)
    want[1 << 20:(1 << 20) + 5000] = b"\t" * 5000
    z = bytearray(b"\1" * 100_000)
    z[5000:55000] = bytes(50_000)
    assert t.sums(["/f", "/z"]) == {
        "/f": hashlib.sha256(want).hexdigest(),
        "/z": hashlib.sha256(z).hexdigest()}
    ei.assert_clean(t.image)


@pytest.mark.parametrize("flags,words", [
    (["-O", "quota"], "quotas"), (["-O", "mmp"], "mmp"),
    (["-O", "casefold"], "casefold"),
])
def test_ext_refuses_to_write_what_it_cannot(flags, words, vol):
    t = vol("ext4", extra=flags)
    out = t.raw("create /f 644\n", "rw")
    assert words in out and "open ro" in out and "EROFS" in out


def test_ext_error_flag_means_read_only(vol):
    t = vol()
    subprocess.run(["debugfs", "-w", "-R", "ssv state 3", t.image],
                   check=True, capture_output=True)
    assert "recorded errors" in t.raw("", "rw")
