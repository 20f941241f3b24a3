# SPDX-License-Identifier: GPL-3.0-or-later
"""vhdfs as people use it: mounts, options, errors, unmounting."""
import json
import os
import pathlib
import shutil
import subprocess
import time

import pytest

from conftest import open_up, run
from mounts import (VHDFS, as_user, fingerprint, let_go, make_disk, mount,
                    mounted, options_of, pid_of, unprivileged, vhdfs,
                    wait_gone)

pytestmark = pytest.mark.mount

KINDS = [("a.vhdx", "ntfs"), ("a.vhd", "ntfs"), ("a.fixed.vhd", "ntfs"),
         ("a.vhdx", "ext4"), ("a.vhd", "ext4"), ("a.vhdx", "ext2")]


def make_child(tool, child, parent):
    run(tool("vhdxtool"), "diff", parent, ".\\" + parent.name, "", 0, child)


def check_volume(image, fs):
    """The checkers of others find nothing wrong in the volume."""
    raw = pathlib.Path(str(image) + ".check")
    fmt = "vpc" if str(image).endswith(".vhd") else "vhdx"
    run("qemu-img", "convert", "-f", fmt, "-O", "raw", image, raw)
    if fs == "ntfs":
        run("ntfsresize", "-i", "-f", raw)
        run("ntfsfix", "-n", raw)
    else:
        run("e2fsck", "-fn", raw)
    raw.unlink()


@pytest.mark.parametrize("name,fs", KINDS)
def test_write_unmount_mount_read(tmp_path, name, fs):
    image = make_disk(tmp_path / name, fs)
    block = os.urandom(3 << 20)
    with mount(image, tmp_path / "m") as d:
        (d / "dir").mkdir()
        (d / "dir/file.bin").write_bytes(block)
        (d / "dir/größe.txt").write_text("ä")
        os.rename(d / "dir/größe.txt", d / "moved.txt")
        os.truncate(d / "dir/file.bin", 2 << 20)
        vhdfs("-u", d)
        assert not mounted(d)
    with mount(image, tmp_path / "m", "ro") as d:
        assert (d / "dir/file.bin").read_bytes() == block[:2 << 20]
        assert (d / "moved.txt").read_text() == "ä"
        assert sorted(os.listdir(d / "dir")) == ["file.bin"]
        with pytest.raises(OSError):
            (d / "new").write_text("no")
    check_volume(image, fs)


@pytest.mark.parametrize("name,fs", KINDS)
@pytest.mark.parametrize("options", [[], ["ro"], ["view=raw"], ["view=all"]])
def test_a_mount_nobody_writes_to_changes_nothing(tmp_path, name, fs, options):
    image = make_disk(tmp_path / name, fs)
    before = fingerprint(image)
    with mount(image, tmp_path / "m", *options) as d:
        for top, _, files in os.walk(d):
            for f in files:
                with open(os.path.join(top, f), "rb") as i:
                    i.read(1 << 20)
        os.statvfs(d)
        vhdfs("-u", d)
    assert fingerprint(image) == before


def test_corpus_chains_show_windows_files(tmp_path, corpus):
    for kind in ("vhd", "vhdx"):
        child = corpus / f"chains/ntfs-differential.{kind}"
        with mount(child, tmp_path / "m", "ro") as d:
            names = set(os.listdir(d))
            assert {"a_directory", "passwords.txt"} <= names
            assert "a_file" in os.listdir(d / "a_directory")
            assert (d / "passwords.txt").read_text().startswith("place,user")
            assert os.path.islink(d / "a_link")


def test_parent_elsewhere_names_the_option(tmp_path, corpus):
    for kind in ("vhd", "vhdx"):
        (tmp_path / "base").mkdir(exist_ok=True)
        shutil.copy(corpus / f"chains/ntfs-parent.{kind}", tmp_path / "base")
        child = tmp_path / f"ntfs-differential.{kind}"
        shutil.copy(corpus / f"chains/{child.name}", child)
        m = tmp_path / "m"
        m.mkdir(exist_ok=True)
        p = vhdfs("-r", child, m, check=False)
        assert p.returncode == 32
        assert len(p.stderr.splitlines()) == 1
        assert f"ntfs-parent.{kind}" in p.stderr and "search=" in p.stderr
        with mount(child, m, "ro", f"search={tmp_path / 'base'}") as d:
            assert (d / "passwords.txt").exists()
        with mount(child, m, "ro",
                   f"parent={tmp_path / 'base' / ('ntfs-parent.' + kind)}"):
            pass


def test_wrong_parent_says_both_ids(tmp_path, corpus):
    child = tmp_path / "ntfs-differential.vhdx"
    shutil.copy(corpus / "chains/ntfs-differential.vhdx", child)
    shutil.copy(corpus / "chains/ntfs-dynamic.vhdx",
                tmp_path / "ntfs-parent.vhdx")
    (tmp_path / "m").mkdir()
    p = vhdfs("--json", child, tmp_path / "m", check=False)
    told = json.loads(p.stderr)
    assert p.returncode == 32
    assert told["code"] == 11 and told["msvm"] == 32775
    assert "7584f8fb-36d3-4091-afb5-b1afe587bfa8" in told["message"].lower()


@pytest.mark.parametrize("args,status,words", [
    (["nosuch.vhdx", "m"], 32, "No such file"),
    (["a.vhdx", "nosuch"], 32, "No such file"),
    (["a.vhdx"], 1, "wanted"),
    (["-o", "nonsense", "a.vhdx", "m"], 1, "nonsense"),
    (["-o", "part=9", "a.vhdx", "m"], 32, "9"),
    (["-o", "view=fancy", "a.vhdx", "m"], 1, "fancy"),
    (["-o", "ro,must_rw", "a.vhdx", "m"], 1, "contradict"),
    (["a.vhdx", "full"], 1, "not empty"),
    (["text", "m"], 32, "text"),
])
def test_one_line_and_an_exit_status(tmp_path, args, status, words):
    make_disk(tmp_path / "a.vhdx")
    (tmp_path / "m").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").touch()
    (tmp_path / "text").write_text("no disk at all\n" * 100)
    p = vhdfs(*args, check=False, cwd=tmp_path)
    assert p.returncode == status, p.stderr
    assert len(p.stderr.splitlines()) == 1, p.stderr
    assert words in p.stderr
    assert not mounted(tmp_path / "m")


def test_help_and_version():
    assert "view=tree|raw|all" in vhdfs("--help").stdout
    assert "imgfs" in vhdfs("-V").stdout


def test_nonempty_mounts_over_it(tmp_path):
    image = make_disk(tmp_path / "a.vhdx")
    (tmp_path / "m").mkdir()
    (tmp_path / "m/x").touch()
    with mount(image, tmp_path / "m", "nonempty") as d:
        assert not (d / "x").exists()


def test_options_reach_the_mount(tmp_path):
    image = make_disk(tmp_path / "a b,c.vhdx")
    with mount(image, tmp_path / "m", "noexec", "uid=1234", "gid=99",
               "umask=027") as d:
        source, _, kind, opts = mounted(d)[-1][:4]
        assert kind == "fuse.vhdfs"
        assert source == str(image).replace(" ", "\\040")
        assert {"noexec", "nosuid", "nodev"} <= set(opts.split(","))
        (d / "f").touch()
        st = os.stat(d / "f")
        assert (st.st_uid, st.st_gid, st.st_mode & 0o777) == (1234, 99, 0o750)


def test_relative_paths(tmp_path):
    make_disk(tmp_path / "a.vhdx")
    (tmp_path / "m").mkdir()
    try:
        vhdfs("a.vhdx", "m", cwd=tmp_path)
        (tmp_path / "m/x").write_text("x")
        vhdfs("-u", "m", cwd=tmp_path)
    finally:
        let_go(tmp_path / "m")
    with mount(tmp_path / "a.vhdx", tmp_path / "m", "ro") as d:
        assert (d / "x").read_text() == "x"


def test_second_writer_is_told_who_holds_it(tmp_path):
    image = make_disk(tmp_path / "a.vhdx")
    (tmp_path / "n").mkdir()
    with mount(image, tmp_path / "m") as d:
        (d / "x").write_text("x")
        pid = pid_of(image)
        p = vhdfs("-w", image, tmp_path / "n", check=False)
        assert p.returncode == 32
        assert str(pid) in p.stderr, p.stderr
        p = run("qemu-io", "-f", "vhdx", "-c", "write 0 512", image,
                check=False)
        assert p.returncode or "lock" in p.stderr.lower()


def test_readers_share(tmp_path):
    image = make_disk(tmp_path / "a.vhdx")
    with mount(image, tmp_path / "m", "ro") as d:
        with mount(image, tmp_path / "n", "ro") as e:
            assert os.listdir(d) == os.listdir(e)


def test_a_disk_with_children_is_read_only(tmp_path, tool):
    image = make_disk(tmp_path / "base.vhdx")
    make_child(tool, tmp_path / "child.vhdx", image)
    (tmp_path / "m").mkdir()
    try:
        p = vhdfs(image, tmp_path / "m")
        assert "child.vhdx" in p.stderr and len(p.stderr.splitlines()) == 1
        assert "ro" in options_of(tmp_path / "m")
        vhdfs("-u", tmp_path / "m")
        p = vhdfs("--json", "-w", image, tmp_path / "m", check=False)
        assert p.returncode == 32 and json.loads(p.stderr)["code"] == 20
        vhdfs("-w", "-o", "force_parent_write", image, tmp_path / "m")
        (tmp_path / "m/x").write_text("x")
    finally:
        let_go(tmp_path / "m")


def test_writing_to_a_child_leaves_the_parent(tmp_path, tool):
    image = make_disk(tmp_path / "base.vhdx")
    with mount(image, tmp_path / "m") as d:
        (d / "old").write_bytes(b"o" * 100000)
    before = fingerprint(image)
    child = tmp_path / "child.vhdx"
    make_child(tool, child, image)
    with mount(child, tmp_path / "m", "must_rw") as d:
        (d / "new").write_bytes(b"n" * 5000000)
        os.truncate(d / "old", 10)
    with mount(child, tmp_path / "m", "ro") as d:
        assert (d / "new").read_bytes() == b"n" * 5000000
        assert (d / "old").read_bytes() == b"o" * 10
    assert fingerprint(image) == before
    with mount(image, tmp_path / "m", "ro") as d:
        assert (d / "old").read_bytes() == b"o" * 100000


def test_view_raw_is_a_disk_for_other_tools(tmp_path, tool):
    image = tmp_path / "a.vhdx"
    run(tool("vhdxtool"), "create", "dynamic", "64m", 0, 0, 0, image)
    with mount(image, tmp_path / "m", "view=raw") as d:
        run("sfdisk", "-q", "--no-reread", "--no-tell-kernel", d / "disk.raw",
            stdin="label: gpt\nsize=30M\nsize=20M\n")
    with mount(image, tmp_path / "m", "view=raw") as d:
        assert sorted(os.listdir(d)) == ["disk.raw", "p1.raw", "p2.raw"]
        run("mke2fs", "-q", "-F", "-t", "ext4", "-L", "one", d / "p1.raw")
        run("mkntfs", "-F", "-Q", "-q", "-L", "two", d / "p2.raw")
        run("e2fsck", "-fn", d / "p1.raw")
    for part, label in (("label:two", "two"), ("2", "two"), ("1", "one")):
        with mount(image, tmp_path / "m", f"part={part}", "must_rw") as d:
            (d / f"on-{label}").touch()
    with mount(image, tmp_path / "m", "view=all") as d:
        assert "on-one" in os.listdir(d / "p1")
        assert "on-two" in os.listdir(d / "p2")
        with pytest.raises(OSError):
            (d / "p1/x").touch()
    run("qemu-img", "check", "-f", "vhdx", image)


def test_raw_files_over_the_same_bytes_agree(tmp_path, tool):
    image = tmp_path / "a.vhdx"
    run(tool("vhdxtool"), "create", "dynamic", "64m", 0, 0, 0, image)
    with mount(image, tmp_path / "m", "view=raw") as d:
        run("sfdisk", "-q", "--no-reread", "--no-tell-kernel", d / "disk.raw",
            stdin="label: gpt\nstart=2048, size=30M\n")
    with mount(image, tmp_path / "m", "view=raw") as d:
        for n in range(3):
            (d / "p1.raw").read_bytes()
            with open(d / "disk.raw", "r+b") as f:
                f.seek(2048 * 512)
                f.write(bytes([65 + n]) * 5000)
            with open(d / "p1.raw", "rb") as f:
                assert f.read(5001) == bytes([65 + n]) * 5000 + b"\0"


def test_truncated_under_the_mount_is_eio(tmp_path):
    image = make_disk(tmp_path / "a.fixed.vhd")
    block = os.urandom(1 << 20)
    with mount(image, tmp_path / "m") as d:
        (d / "f").write_bytes(block * 16)
    with mount(image, tmp_path / "m", "ro") as d:
        with open(image, "r+b") as f:
            f.truncate(8 << 20)
        with pytest.raises(OSError) as e:
            got = (d / "f").read_bytes()
            assert len(got) == 16 << 20
        assert e.value.errno == 5


def test_shared_mmap_survives_sigterm(tmp_path):
    import mmap
    import signal
    image = make_disk(tmp_path / "a.vhdx")
    with mount(image, tmp_path / "m") as d:
        with open(d / "f", "w+b") as f:
            f.truncate(1 << 20)
            m = mmap.mmap(f.fileno(), 1 << 20)
            m[:] = b"M" * (1 << 20)
            m.close()
        pid = pid_of(image)
        os.kill(pid, signal.SIGTERM)
        wait_gone(pid)
        assert not mounted(d)
    with mount(image, tmp_path / "m", "ro") as d:
        assert (d / "f").read_bytes() == b"M" * (1 << 20)


def test_busy_unmount_names_the_process(tmp_path):
    image = make_disk(tmp_path / "a.vhdx")
    with mount(image, tmp_path / "m") as d:
        p = subprocess.Popen(["sleep", "60"], cwd=d)
        try:
            q = vhdfs("-u", d, check=False)
            assert q.returncode == 32
            assert str(p.pid) in q.stderr and "sleep" in q.stderr
            assert mounted(d)
        finally:
            p.kill()
            p.wait()
        vhdfs("-u", d)


def test_unmount_of_something_else_is_refused(tmp_path):
    p = vhdfs("-u", tmp_path, check=False)
    assert p.returncode == 32 and "nothing of vhdfs" in p.stderr


def test_after_unmount_the_image_is_free(tmp_path):
    image = make_disk(tmp_path / "a.vhdx")
    for n in range(10):
        with mount(image, tmp_path / "m", "must_rw") as d:
            (d / f"f{n}").write_bytes(os.urandom(300000))
            vhdfs("-u", d)
            run("qemu-img", "check", "-f", "vhdx", image)
    with mount(image, tmp_path / "m", "ro") as d:
        assert len([n for n in os.listdir(d) if n.startswith("f")]) == 10


def test_unprivileged_user(tmp_path):
    open_up(tmp_path)
    with unprivileged() as ids:
        image = make_disk(tmp_path / "a.vhdx")
        m = tmp_path / "m"
        m.mkdir()
        for path in (image, m):
            os.chown(path, *ids)
        exe = tmp_path / "vhdfs"
        shutil.copy(VHDFS, exe)
        try:
            as_user(ids, exe, image, m)
            as_user(ids, "sh", "-c", f"echo hello > {m}/f && ls -la {m}")
            assert "user_id=%d" % ids[0] in options_of(m)
            st = as_user(ids, "stat", "-c", "%u", m / "f").stdout
            assert st.strip() == str(ids[0])
            as_user(ids, exe, "-u", m)
            assert not mounted(m)
        finally:
            let_go(m)
        with mount(image, m, "ro") as d:
            assert (d / "f").read_text() == "hello\n"


@pytest.mark.parametrize("fs", ["ntfs", "ext4"])
def test_kill_9_keeps_what_was_fsynced(tmp_path, fs):
    image = make_disk(tmp_path / "a.vhdx", fs)
    block = os.urandom(1 << 20)
    for n in range(4):
        m = tmp_path / f"m{n}"
        with mount(image, m, "must_rw", "recover") as d:
            with open(d / f"f{n}", "wb") as f:
                f.write(block)
                os.fsync(f.fileno())
            (d / f"unsynced{n}").write_bytes(block)
            os.kill(pid_of(image), 9)
        run("qemu-img", "check", "-r", "all", "-f", "vhdx", image)
        with mount(image, tmp_path / "r", "ro") as d:
            for k in range(n + 1):
                assert (d / f"f{k}").read_bytes() == block
        if fs == "ext4":
            raw = tmp_path / "c.raw"
            run("qemu-img", "convert", "-O", "raw", image, raw)
            p = run("e2fsck", "-fy", raw, check=False)
            assert p.returncode in (0, 1), p.stdout
            run("qemu-img", "convert", "-f", "raw", "-O", "vhdx", raw, image)


def test_after_a_kill_the_volume_says_so(tmp_path):
    image = make_disk(tmp_path / "a.vhdx")
    with mount(image, tmp_path / "m") as d:
        (d / "x").write_text("x")
        fd = os.open(d, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
        os.kill(pid_of(image), 9)
    (tmp_path / "n").mkdir()
    try:
        p = vhdfs(image, tmp_path / "n")
        assert "read-only" in p.stderr and "recover" in p.stderr
        assert "ro" in options_of(tmp_path / "n")
        assert (tmp_path / "n/x").read_text() == "x"
    finally:
        let_go(tmp_path / "n")


def test_installed_helpers_and_fstab(tmp_path):
    """mount and umount by an fstab line, both types, with the helpers as make
    install lays them."""
    image = make_disk(tmp_path / "a.vhdx")
    m = tmp_path / "m"
    m.mkdir()
    links = {"/usr/local/bin/vhdfs": VHDFS, "/sbin/mount.vhdfs": VHDFS,
             "/sbin/umount.fuse.vhdfs": VHDFS}
    made = [p for p in links if not os.path.lexists(p)]
    fstab = pathlib.Path("/etc/fstab")
    before = fstab.read_text() if fstab.exists() else None
    try:
        for p in made:
            os.symlink(links[p], p)
        for kind in ("fuse.vhdfs", "vhdfs"):
            line = (f"{image} {m} {kind} "
                    "rw,nofail,noauto,user,_netdev,x-systemd.automount 0 0\n")
            fstab.write_text((before or "") + line)
            run("mount", m)
            assert mounted(m)[-1][2] == "fuse.vhdfs"
            assert {"nosuid", "nodev", "noexec"} <= set(options_of(m))
            (m / kind).write_bytes(os.urandom(1 << 20))
            pid = pid_of(image)
            run("umount", m)
            assert not os.path.exists(f"/proc/{pid}/fd/0")
            with open(image, "rb"):
                run("qemu-img", "check", "-f", "vhdx", image)
        run("mount", "-t", "fuse.vhdfs", image, m, "-o", "ro")
        assert "vhdfs" in os.listdir(m)
        run("umount", m)
        p = run("mount", "-t", "fuse.vhdfs", tmp_path / "gone.vhdx", m,
                check=False)
        assert p.returncode == 32
    finally:
        let_go(m)
        if before is None:
            fstab.unlink(missing_ok=True)
        else:
            fstab.write_text(before)
        for p in made:
            os.unlink(p)


def test_dirty_vhdx_is_read_without_being_written_to(tmp_path, corpus):
    image = tmp_path / "d.vhdx"
    shutil.copy(corpus / "vhdx/qemu-iotests--iotest-dirtylog-10G-4M.vhdx",
                image)
    os.chmod(image, 0o444)
    before = fingerprint(image)
    with mount(image, tmp_path / "m", "ro", "view=raw") as d:
        with open(d / "disk.raw", "rb") as f:
            assert f.read(18 << 20) == b"\xa5" * (18 << 20)
            assert f.read(1 << 20) == bytes(1 << 20)
    assert fingerprint(image) == before


def test_mount_answers_when_the_command_returns(tmp_path):
    image = make_disk(tmp_path / "a.vhdx")
    for _ in range(20):
        with mount(image, tmp_path / "m", "ro") as d:
            assert mounted(d)
            os.listdir(d)


def test_many_writers_and_readers(tmp_path):
    from concurrent.futures import ThreadPoolExecutor
    image = make_disk(tmp_path / "a.vhdx", size="256M")
    with mount(image, tmp_path / "m") as d:
        def work(n):
            data = bytes([n]) * (1 << 20)
            for k in range(5):
                p = d / f"t{n}-{k}"
                p.write_bytes(data)
                assert p.read_bytes() == data
                if k % 2:
                    p.unlink()
            return n
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(work, range(8))) == list(range(8))
    with mount(image, tmp_path / "m", "ro") as d:
        for n in range(8):
            for k in (0, 2, 4):
                assert (d / f"t{n}-{k}").read_bytes() == bytes([n]) * (1 << 20)
    check_volume(image, "ntfs")


def test_start_is_quick(tmp_path):
    """No figure is promised here (tests/bench has them): only that nothing is
    scanned, on a disk of 2 TB."""
    raw = tmp_path / "b.raw"
    with open(raw, "wb") as f:
        f.truncate(2 << 40)
    run("mkntfs", "-F", "-Q", "-q", raw, timeout=120)
    image = tmp_path / "b.vhdx"
    run("qemu-img", "convert", "-f", "raw", "-O", "vhdx", "-S", "4k", raw,
        image, timeout=280)
    raw.unlink()
    start = time.monotonic()
    with mount(image, tmp_path / "m", "ro") as d:
        os.listdir(d)
        assert time.monotonic() - start < 2
