# SPDX-License-Identifier: GPL-3.0-or-later
"""vhdfs where two layers meet: what a review found, and fears beside it."""
import json
import os
import shutil
import signal

import pytest

from conftest import open_up, run
from mounts import (VHDFS, let_go, make_disk, mount, mounted, options_of,
                    pid_of, vhdfs, wait_gone)
from test_vhdfs import check_volume

pytestmark = pytest.mark.mount


def kill_9(image):
    pid = pid_of(image)
    os.kill(pid, signal.SIGKILL)
    wait_gone(pid)


def test_max_read_is_what_the_kernel_was_told(tmp_path):
    image = make_disk(tmp_path / "a.vhdx")
    with mount(image, tmp_path / "m", "max_read=65536") as d:
        assert "max_read=65536" in options_of(d)
        (d / "f").write_bytes(b"f" * 1000000)
        vhdfs("-u", d)
    with mount(image, tmp_path / "m", "ro", "max_read=65536") as d:
        assert (d / "f").read_bytes() == b"f" * 1000000


@pytest.mark.parametrize("name", ["m/", "link", "link/", "../{}/m"])
def test_a_dead_mount_has_more_names_than_one(tmp_path, name):
    image = make_disk(tmp_path / "a.vhdx")
    name = name.format(tmp_path.name)
    (tmp_path / "m").mkdir()
    (tmp_path / "link").symlink_to("m")
    try:
        vhdfs(image, "m", cwd=tmp_path)
        kill_9(image)
        vhdfs(image, name, cwd=tmp_path)
        assert len(mounted(tmp_path / "m")) == 1
        kill_9(image)
        vhdfs("-u", name, cwd=tmp_path, check=False)
        assert not mounted(tmp_path / "m")
    finally:
        let_go(tmp_path / "m")


def test_names_that_are_no_utf8(tmp_path):
    image = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.vhdx")
    m = os.fsdecode(os.fsencode(tmp_path) + b"/\xfe")
    os.rename(make_disk(tmp_path / "a.vhdx"), image)
    os.mkdir(m)
    try:
        vhdfs(image, m)
        with open(m + "/f", "wb") as f:
            f.write(b"f" * 100000)
        pid_of(image)
        vhdfs("-u", m)
        with pytest.raises(AssertionError):
            pid_of(image)
        p = vhdfs("--json", image, m + "/gone", check=False)
        assert json.loads(p.stderr)["code"] == 21
    finally:
        run("umount", "-i", "-q", m, check=False)


def test_ext_blocks_taken_up_to_the_end_of_a_group(tmp_path):
    """The group's bitmap was left behind where a range ended with it."""
    image = make_disk(tmp_path / "a.vhdx", "ext4", "200M")
    with mount(image, tmp_path / "m") as d:
        for i in range(6):
            (d / f"f{i}").write_bytes(bytes([i]) * (3 << 20))
            fd = os.open(d / f"f{i}", os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)
        vhdfs("-u", d)
    check_volume(image, "ext4")


def test_an_entry_of_the_dead_is_not_the_mount(tmp_path):
    """A killed daemon that nobody reaps, or whose number another process has
    by now, was taken for the one that serves."""
    image = make_disk(tmp_path / "a.vhdx")
    for i in range(4):
        with mount(image, tmp_path / "m", "recover") as d:
            (d / "f").write_bytes(b"f" * 100000)
            if i % 2:
                assert vhdfs("-u", d).stderr == ""
                continue
            kill_9(image)
            run("umount", "-i", "-l", d)


@pytest.mark.parametrize("name,fs", [("a.vhdx", "ext4"), ("a.vhd", "ext4"),
                                     ("a.vhdx", "ntfs"), ("a.vhd", "ntfs")])
def test_a_full_host_disk_leaves_a_sound_volume(tmp_path, name, fs):
    """Blocks of a write that failed stayed behind the end of an ext file."""
    small = tmp_path / "small"
    small.mkdir()
    m = tmp_path / "m"
    run("mount", "-t", "tmpfs", "-o", "size=20M", "tmpfs", small)
    try:
        image = make_disk(small / name, fs)
        with mount(image, m) as d:
            (d / "first").write_bytes(b"first")
            run("sync", d / "first")
            with pytest.raises(OSError) as e:
                for i in range(64):
                    with open(d / f"big{i}", "wb") as f:
                        f.write(os.urandom(1 << 20))
                        os.fsync(f.fileno())
            assert e.value.errno in (28, 5)
            pid = pid_of(image)
            vhdfs("-u", "--lazy", d)
            wait_gone(pid)
        if name == "a.vhdx":
            run("qemu-img", "check", "-f", "vhdx", image)
        shutil.copy(image, tmp_path / name)
    finally:
        run("umount", small)
    with mount(tmp_path / name, m, "ro") as d:
        assert (d / "first").read_bytes() == b"first"
        assert len((d / "big0").read_bytes()) == 1 << 20
    check_volume(tmp_path / name, fs)


def test_a_detached_mount_is_not_its_successor(tmp_path):
    """-u waited for the daemon of a mount that was detached while busy."""
    old, new = make_disk(tmp_path / "a.vhdx"), make_disk(tmp_path / "b.vhdx")
    with mount(old, tmp_path / "m") as d:
        with open(d / "f", "wb") as f:
            f.write(b"f" * 100000)
            f.flush()
            vhdfs("-u", "--lazy", d)
            assert pid_of(old)
            with mount(new, d):
                (d / "g").touch()
                assert vhdfs("-u", d, timeout=20).stderr == ""
            f.write(b"f" * 100000)
            pid = pid_of(old)
        wait_gone(pid)
    with mount(old, tmp_path / "m", "ro") as d:
        assert (d / "f").read_bytes() == b"f" * 200000


def test_an_image_is_never_stderr(tmp_path):
    """Without 0, 1 and 2, the image and /dev/fuse got those numbers."""
    image = make_disk(tmp_path / "a.vhdx")
    (tmp_path / "m").mkdir()
    try:
        run("sh", "-c", f"{VHDFS} {image} {tmp_path}/m <&- >&- 2>&-")
        (tmp_path / "m/f").write_bytes(b"f" * 100000)
        vhdfs("-u", tmp_path / "m", timeout=20)
    finally:
        let_go(tmp_path / "m")
    check_volume(image, "ntfs")


def test_mount_point_that_is_an_open_device(tmp_path, peer):
    """drop_privileges: mount.fuse3 mounts, we get /dev/fd/N."""
    helper = peer("mount.fuse3")
    image = make_disk(tmp_path / "a.vhdx")
    open_up(tmp_path)
    m = tmp_path / "m"
    m.mkdir()
    exe = tmp_path / "vhdfs"
    shutil.copy(VHDFS, exe)
    try:
        run(helper, image, m, "-t", "fuse.vhdfs", "-o",
            "drop_privileges,ro", env={"PATH": f"{tmp_path}:{os.defpath}"})
        assert os.listdir(m) == []
        pid = pid_of(image)
        vhdfs("-u", m)
        assert not mounted(m)
        if "fuse_connection" in fdinfo_of_fuse():
            wait_gone(pid, 0)
    finally:
        let_go(m)


def fdinfo_of_fuse():
    fd = os.open("/dev/fuse", os.O_RDWR)
    try:
        with open(f"/proc/self/fdinfo/{fd}") as f:
            return f.read()
    finally:
        os.close(fd)


@pytest.mark.parametrize("fs", ["ext4", "ntfs"])
def test_closing_while_it_is_removed_frees_it_once(tmp_path, fs):
    """close(2) reaches the daemon later: an unlink overtook it."""
    image = make_disk(tmp_path / "a.vhdx", fs)
    with mount(image, tmp_path / "m") as d:
        for i in range(4000):
            path = d / f"f{i % 7}"
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
            os.unlink(path)
        vhdfs("-u", d)
    check_volume(image, fs)
