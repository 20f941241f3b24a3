# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounting, owners, signals, flushing and the end of a mount."""
import contextlib
import errno
import mmap
import os
import pathlib
import signal
import stat
import subprocess
import time

import pytest

from gluemount import memfs, wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts as root")
NOBODY = 65534


@pytest.fixture
def program(tool):
    return tool("memfs")


def as_nobody(*cmd):
    return subprocess.run([str(c) for c in cmd], user=NOBODY, group=NOBODY,
                          extra_groups=[], capture_output=True, text=True)


def mount_line(path):
    for line in pathlib.Path("/proc/mounts").read_text().splitlines():
        if line.split()[1] == str(path):
            return line.split()
    return None


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def test_glue_mount_says_what_it_is(program):
    name = "/srv/my image, 2.vhdx"
    with memfs(program, "noexec", "nosuid") as m:
        line = mount_line(m.dir)
        assert line[0] == "mem" and line[2] == "fuse.memfs"
        words = line[3].split(",")
        assert {"rw", "noexec", "nosuid", "default_permissions"} <= set(words)
    with memfs(program, "fsname=" + name.replace(",", "")) as m:
        assert mount_line(m.dir)[0] == "/srv/my\\040image\\0402.vhdx"


def test_glue_wrong_mount_word_is_one_error(program, tmp_path):
    p = subprocess.run([program, "-o", "no_such_word", str(tmp_path)],
                       capture_output=True, text=True)
    assert p.returncode == 1
    assert "no_such_word" in p.stderr and p.stderr.count("\n") == 1


def test_glue_missing_mount_point_is_an_error(program, tmp_path):
    p = subprocess.run([program, str(tmp_path / "none")], capture_output=True,
                       text=True)
    assert p.returncode == 1 and "none" in p.stderr


def test_glue_tree_without_owners_shows_the_mounters(program):
    with memfs(program, "no_owners", "dirs=1", "files=1") as m:
        assert mode(m.dir / "d000") == 0o777
        assert mode(m.dir / "d000/f000") == 0o777
        assert os.stat(m.dir).st_uid == os.geteuid()
        os.chmod(m.dir / "d000/f000", 0)
        os.chown(m.dir / "d000/f000", 1, 1)
        assert mode(m.dir / "d000/f000") == 0o777
        assert os.stat(m.dir / "d000/f000").st_uid == os.geteuid()


def test_glue_view_of_owners_and_masks(program):
    with memfs(program, "dirs=1", "files=1", "uid=1000", "gid=100",
               "umask=022", "fmask=0133") as m:
        os.symlink("x", m.dir / "s")
        assert mode(m.dir / "d000") == 0o755
        assert mode(m.dir / "d000/f000") == 0o644
        assert mode(m.dir / "s") == 0o777
        assert os.stat(m.dir / "d000").st_uid == 1000
        assert os.stat(m.dir / "d000").st_gid == 100
    with memfs(program, "dirs=1", "files=1", "uid=1000") as m:
        assert mode(m.dir / "d000") == 0o755
        assert mode(m.dir / "d000/f000") == 0o644


def test_glue_other_users_have_their_own_rights(program):
    with memfs(program, "allow_other") as m:
        os.chmod(m.dir, 0o755)
        f = m.dir / "f"
        f.write_text("secret")
        os.chmod(f, 0o600)
        assert as_nobody("cat", f).returncode != 0
        assert as_nobody("touch", m.dir / "new").returncode != 0
        os.chmod(f, 0o644)
        assert as_nobody("cat", f).stdout == "secret"
        assert as_nobody("sh", "-c", f"echo > {f}").returncode != 0
        os.chmod(m.dir, 0o777)
        assert as_nobody("touch", m.dir / "new").returncode == 0
        assert os.stat(m.dir / "new").st_uid == NOBODY


SETX = ("import os,sys; os.setxattr(sys.argv[1], sys.argv[2], b'x')")


def test_glue_system_xattrs_are_for_owners(program):
    with memfs(program, "allow_other") as m:
        os.chmod(m.dir, 0o777)
        f = m.dir / "f"
        f.touch()
        os.chmod(f, 0o666)
        for name, ok in (("system.ntfs_acl", False), ("trusted.x", False),
                         ("user.x", True)):
            p = as_nobody("/usr/bin/python3", "-c", SETX, f, name)
            assert (p.returncode == 0) == ok, name
        os.chown(f, NOBODY, NOBODY)
        p = as_nobody("/usr/bin/python3", "-c", SETX, f, "system.ntfs_acl")
        assert p.returncode == 0
        os.setxattr(f, "system.ntfs_acl", b"root")


def test_glue_fake_permissions_are_not_enforced(program):
    with memfs(program, "allow_other", "fake_perms", "umask=077") as m:
        (m.dir / "f").write_text("x")
        assert as_nobody("cat", m.dir / "f").stdout == "x"


@pytest.fixture
def open_fuse():
    """/dev/fuse is root's here: opened for all while the test runs."""
    old = os.stat("/dev/fuse").st_mode
    os.chmod("/dev/fuse", 0o666)
    yield
    os.chmod("/dev/fuse", old)


def test_glue_mount_by_a_plain_user(program, open_fuse, tmp_path):
    if not os.stat("/usr/bin/fusermount3").st_mode & stat.S_ISUID:
        pytest.skip("fusermount3 is not set-user-ID")
    with memfs(program, "dirs=1", "files=1", "file_size=1000000",
               "no_owners", user=NOBODY) as m:
        f = m.dir / "d000/f000"
        p = as_nobody("sha256sum", f)
        assert p.returncode == 0, p.stderr
        assert as_nobody("stat", "-c", "%u", f).stdout.strip() == "65534"
        assert {"nosuid", "nodev"} <= set(mount_line(m.dir)[3].split(","))
        with pytest.raises(PermissionError):
            os.stat(f)			# root is an other
        assert m.signal() == (0, 0)
        assert not mount_line(m.dir)


def close_dead(h):
    with contextlib.suppress(OSError):		# ENOTCONN from close(2)
        h.close()


@pytest.mark.parametrize("sig", ("SIGTERM", "SIGINT", "SIGHUP"))
def test_glue_signal_unmounts_and_ends_cleanly(program, sig):
    with memfs(program) as m:
        (m.dir / "a").write_text("x")
        code, syncs = m.signal(getattr(signal, sig))
        assert code == 0 and syncs >= 1
        assert not mount_line(m.dir)


@pytest.mark.parametrize("args", ([], ["-s"]))
def test_glue_shared_mmap_survives_sigterm(program, tmp_path, args):
    out = tmp_path / "dump"
    data = os.urandom(1 << 20)
    with memfs(program, f"dump={out}", args=args) as m:
        with open(m.dir / "dump", "w+b") as h:
            h.truncate(len(data))
            mm = mmap.mmap(h.fileno(), len(data))
        mm[:] = data			# still mapped, never synced
        code, _ = m.signal()
        assert code == 0
        assert out.read_bytes() == data
        assert not mount_line(m.dir)


def test_glue_busy_mount_is_detached(program, tmp_path):
    out = tmp_path / "dump"
    with memfs(program, f"dump={out}") as m:
        h = open(m.dir / "dump", "wb", buffering=0)
        h.write(b"all of it")
        start = time.monotonic()
        code, syncs = m.signal()
        assert time.monotonic() - start < 5
        assert code == 0 and syncs >= 1
        assert not mount_line(m.dir)
        with pytest.raises(OSError) as e:
            h.write(b"x")
        assert e.value.errno in (errno.ENOTCONN, errno.ECONNABORTED)
        close_dead(h)
        assert out.read_bytes() == b"all of it"


def test_glue_unlinked_open_file_at_the_end(program):
    with memfs(program) as m:
        h = open(m.dir / "a", "wb", buffering=0)
        h.write(b"x" * 100000)
        os.unlink(m.dir / "a")
        assert m.signal()[0] == 0
        close_dead(h)


def test_glue_plain_umount_flushes(program):
    with memfs(program) as m:
        (m.dir / "a").write_text("x")
        code, syncs = m.unmount()
        assert code == 0 and syncs >= 1


def test_glue_moved_mount_is_found(program, tmp_path):
    to = tmp_path / "moved"
    base = tmp_path / "base"
    to.mkdir()
    base.mkdir()
    run = subprocess.run
    run(["mount", "-t", "tmpfs", "none", str(base)], check=True)
    try:
        run(["mount", "--make-private", str(base)], check=True)
        with memfs(program) as m:
            # Moving is refused below shared mounts: then a second place.
            run(["mount", "--bind", str(m.dir), str(to)], check=True)
            run(["umount", str(m.dir)], check=True)
            (to / "a").write_text("x")
            assert m.signal()[0] == 0
            assert not mount_line(to)
    finally:
        while mount_line(to):
            run(["umount", "-l", str(to)], check=True)
        run(["umount", str(base)], check=True)


def syncs_of(m):
    return int(os.getxattr(m.dir, "user.syncs"))


def test_glue_fsync_of_file_and_directory_reach_the_tree(program):
    with memfs(program, "flush=1000") as m:
        fd = os.open(m.dir / "a", os.O_RDWR | os.O_CREAT)
        os.write(fd, b"x")
        assert syncs_of(m) == 0
        os.fsync(fd)
        assert syncs_of(m) == 1
        os.fdatasync(fd)
        assert syncs_of(m) == 2
        os.close(fd)
        d = os.open(m.dir, os.O_RDONLY)
        os.fsync(d)
        os.close(d)
        assert syncs_of(m) == 3


def test_glue_background_flush_after_writes_only(program):
    with memfs(program, "flush=1") as m:
        (m.dir / "a").write_text("x")
        wait_for(lambda: syncs_of(m) == 1)
        time.sleep(1.5)
        assert syncs_of(m) == 1
        (m.dir / "a").write_text("y")
        wait_for(lambda: syncs_of(m) == 2)


def test_glue_usr1_says_how_it_is(program):
    with memfs(program) as m:
        m.proc.send_signal(signal.SIGUSR1)
        assert "reads" in m.proc.stderr.readline()
        assert m.signal()[0] == 0


def test_glue_ignore_case_has_no_stale_aliases(program):
    with memfs(program, "ignore_case") as m:
        assert not (m.dir / "foo").exists()
        (m.dir / "Foo").write_text("1")
        assert (m.dir / "FOO").read_text() == "1"
        assert (m.dir / "foo").read_text() == "1"
        os.unlink(m.dir / "foo")
        for name in ("Foo", "FOO", "foo"):
            assert not (m.dir / name).exists()
        (m.dir / "bar").write_text("2")
        assert (m.dir / "BAR").exists()
        os.rename(m.dir / "bar", m.dir / "Baz")
        assert not (m.dir / "BAR").exists()
        assert os.listdir(m.dir) == ["Baz"]


def test_glue_mount_on_a_given_dev_fuse(program, tmp_path):
    """As mount.fuse3 does it: the mount is made first, by somebody else."""
    libc = __import__("ctypes").CDLL(None)
    fd = os.open("/dev/fuse", os.O_RDWR)
    words = f"fd={fd},rootmode=40000,user_id=0,group_id=0"
    assert libc.mount(b"x", bytes(tmp_path), b"fuse.memfs", 0,
                      words.encode()) == 0
    try:
        p = subprocess.Popen([program, f"/dev/fd/{fd}"], pass_fds=[fd],
                             stdout=subprocess.PIPE, text=True)
        os.close(fd)
        assert p.stdout.readline() == "ready\n"
        (tmp_path / "a").write_text("x")
        assert (tmp_path / "a").read_text() == "x"
        p.send_signal(signal.SIGTERM)
        assert p.communicate(timeout=10)[0].startswith("end 0 ")
        assert not mount_line(tmp_path)
    finally:
        if mount_line(tmp_path):
            subprocess.run(["umount", "-l", str(tmp_path)], check=False)


def test_glue_bind_mounts_go_as_well(program, tmp_path):
    with memfs(program) as m:
        subprocess.run(["mount", "--bind", str(m.dir), str(tmp_path)],
                       check=True)
        assert m.signal()[0] == 0
        assert not mount_line(m.dir) and not mount_line(tmp_path)


def test_glue_mount_kept_by_another_namespace_ends_anyway(program):
    with memfs(program) as m:
        other = subprocess.Popen(["unshare", "--mount", "sleep", "30"])
        time.sleep(0.3)
        try:
            (m.dir / "a").write_text("x")
            code, syncs = m.signal()
            assert code == 0 and syncs >= 1
        finally:
            other.kill()
            other.wait()


def test_glue_severed_connection_leaves_no_dead_mount(program):
    with memfs(program) as m:
        minor = os.minor(os.stat(m.dir).st_dev)
        abort = pathlib.Path(f"/sys/fs/fuse/connections/{minor}/abort")
        if not abort.exists():
            subprocess.run(["mount", "-t", "fusectl", "none",
                            "/sys/fs/fuse/connections"], check=True)
            abort.write_text("1")
            subprocess.run(["umount", "/sys/fs/fuse/connections"], check=True)
        else:
            abort.write_text("1")
        m.result()
        assert not mount_line(m.dir)


def test_glue_second_signal_does_not_wait(program):
    with memfs(program) as m:
        h = open(m.dir / "a", "wb", buffering=0)
        m.proc.send_signal(signal.SIGTERM)
        m.proc.send_signal(signal.SIGINT)
        assert m.result()[0] == 0
        close_dead(h)
        assert not mount_line(m.dir)


def test_glue_busy_end_spares_what_is_mounted_below(program):
    """Detaching twice would take away the mount that ours stands on."""
    with memfs(program) as lower:
        upper = subprocess.Popen([program, str(lower.dir)], text=True,
                                 stdout=subprocess.PIPE)
        assert upper.stdout.readline() == "ready\n"
        h = open(lower.dir / "a", "wb", buffering=0)	# in the upper one
        upper.send_signal(signal.SIGTERM)
        assert upper.communicate(timeout=10)[0].startswith("end 0")
        close_dead(h)
        assert mount_line(lower.dir)
        assert os.listdir(lower.dir) == []
        assert lower.signal()[0] == 0
