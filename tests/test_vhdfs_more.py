# SPDX-License-Identifier: GPL-3.0-or-later
"""vhdfs where two layers meet: what a review found, and fears beside it."""
import json
import os
import signal

import pytest

from conftest import run
from mounts import (let_go, make_disk, mount, mounted, options_of, pid_of,
                    vhdfs, wait_gone)
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
