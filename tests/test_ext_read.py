# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading ext2, ext3 and ext4 against mke2fs -d and the kernel."""
import os
import subprocess

import pytest

import ext_images as ei


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return ei.populate(tmp_path_factory.mktemp("src") / "top")


@pytest.fixture(scope="module")
def volumes(tree, tmp_path_factory):
    """kind -> image, made when first asked for."""
    made, where = {}, tmp_path_factory.mktemp("vol")

    def get(kind):
        if kind not in made:
            made[kind] = ei.make(where / kind, kind, tree)
        return made[kind]
    return get


@pytest.fixture
def ext(tool, peer):
    peer("mke2fs")
    return lambda image: ei.Tool(tool("exttool"), image)


@pytest.mark.parametrize("kind", ei.FEATURES)
def test_ext_same_tree_as_source(kind, ext, volumes, tree):
    t = ext(volumes(kind))
    want = ei.snapshot(tree)
    got = t.find()
    if "inline" in kind:    # mke2fs 1.47 loses a hole at the end there
        del got["/sparse"], want["/sparse"]
    assert got == want
    files = ei.some_files(want)
    sums = {p: ei.sha256(str(tree) + p) for p in files}
    assert t.sums(files) == sums
    assert t.sums(files, "mapsha256") == sums


@pytest.mark.parametrize("kind", ["ext2-1k", "ext4", "ext4-inline",
                                  "ext3-oldinode"])
def test_ext_links_devices_attributes(kind, ext, volumes, tree):
    t = ext(volumes(kind))
    out = t.run("readlink /short-link\nreadlink /long-link\nstat /tiny\n"
                "stat /hard\ngetx /tiny user.small\n"
                "getx /odd user.larger\nxattrs /tiny\n")
    assert out[0] == "dir/sub"
    assert out[1] == os.readlink(tree / "long-link")
    tiny = out[2].split()
    assert tiny[2:6] == ["104751", "1", "70000", "123456"]
    assert out[3].split()[3] == "2"
    assert out[4] == b"value".hex()
    assert out[5] == (bytes(range(256)) * 3).hex()
    assert {"user.small", "security.thing"} <= set(out[6:-1])


def test_ext_times_have_nanoseconds_and_2038(ext, peer, tmp_path):
    img = ei.make(tmp_path / "v", "ext4", size="16M")
    for cmd in ("write /etc/hostname f",
                "set_inode_field f mtime @0x8bcc8135",
                "set_inode_field f mtime_extra 0xeb79a2c5"):
        subprocess.run([peer("debugfs"), "-w", "-R", cmd, str(img)],
                       capture_output=True, check=True)
    out = ext(img).run("stat /f\n")[0].split()
    assert out[7] == "%d.%09d" % (0x8bcc8135, 0xeb79a2c5 >> 2)


@pytest.mark.parametrize("kind", ["ext4", "ext2"])
def test_ext_holes(kind, ext, volumes):
    out = ext(volumes(kind)).run(
        "seek /sparse 0 hole\nseek /sparse 20000 data\n"
        "seek /sparse 9999999 data\nmap /sparse 20000 70000\n")
    assert int(out[0]) <= 8192
    assert 90_000 <= int(out[1]) <= 100_000
    assert out[2] == "error ENXIO"
    assert out[3].startswith("zero@0+70000")


def test_ext_missing_names(ext, volumes):
    out = ext(volumes("ext4")).run(
        "stat /nothing\nstat /many/file-number-99999\nstat /tiny/x\n"
        "ls /tiny\n" + f"stat /{'n' * 300}\n")
    assert out == ["error ENOENT", "error ENOENT", "error ENOTDIR",
                   "error ENOTDIR", "error ENAMETOOLONG"]


def test_ext_read_changes_no_byte(ext, volumes):
    img = volumes("ext4")
    before, stat = ei.sha256(img), os.stat(img)
    ext(img).find()
    ext(img).find(mode="rw")
    after = os.stat(img)
    assert ei.sha256(img) == before
    assert (after.st_mtime_ns, after.st_ctime_ns, after.st_blocks) == \
        (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_blocks)


def test_ext_other_superblock(ext, tmp_path, tree):
    img = ei.make(tmp_path / "v", "ext4", tree, extra=["-b", "1024"])
    with open(img, "r+b") as f:
        f.seek(1024)
        f.write(bytes(1024))
    assert "EMEDIUMTYPE" in ext(img).raw("", check=False)
    assert ext(img).find("sb=8193") == ei.snapshot(tree)


@pytest.mark.skipif(not ei.can_mount(), reason="needs root and loop devices")
@pytest.mark.parametrize("kind", ["ext4", "ext4-1k", "ext4-inline",
                                  "ext4-bigalloc", "ext3"])
def test_ext_what_linux_wrote(kind, ext, tmp_path):
    """Indexed directories, unwritten extents, deep trees of extents, ACLs."""
    img = ei.make(tmp_path / "v", kind, size="96M")
    with ei.mounted(img) as m:
        ei.populate(m / "top", many=3000)
        with open(m / "fragments", "wb") as f:
            for i in range(0, 4000, 2):
                f.seek(i * 4096)
                f.write(b"%8d" % i)
        if kind.startswith("ext4"):
            with open(m / "unwritten", "wb") as f:
                os.posix_fallocate(f.fileno(), 0, 3_000_000)
                f.seek(1_000_000)
                f.write(b"in the middle")
        subprocess.run(["setfacl", "-m", "u:1234:rw,g:55:r", m / "top/tiny"],
                       check=False)
        acl = None
        if "system.posix_acl_access" in os.listxattr(m / "top/tiny"):
            acl = os.getxattr(m / "top/tiny", "system.posix_acl_access").hex()
        want = ei.snapshot(m)
        files = ei.some_files(want)
        sums = {p: ei.sha256(str(m) + p) for p in files}
    t = ext(img)
    assert t.find() == want
    assert t.sums(files) == sums
    assert t.sums(files, "mapsha256") == sums
    if acl:
        assert t.run("getx /top/tiny system.posix_acl_access\n") == [acl]


@pytest.mark.parametrize("name", ["vhd/dfvfs--ext2.vhd",
                                  "vhdx/dfvfs--ext2.vhdx"])
def test_ext_corpus(name, ext, corpus, peer, tmp_path):
    raw = tmp_path / "raw"
    subprocess.run([peer("qemu-img"), "convert", "-O", "raw",
                    str(corpus / name), str(raw)], check=True)
    found = ext(raw).find()
    assert "/a_directory/a_file" in found and "/passwords.txt" in found
    out = subprocess.run([peer("debugfs"), "-R", "cat /passwords.txt", raw],
                         capture_output=True, check=True).stdout
    got = ext(raw).run(f"cat /passwords.txt 0 {len(out) + 9}\n")[0]
    assert bytes.fromhex(got) == out
