# SPDX-License-Identifier: GPL-3.0-or-later
"""The FUSE glue, op by op, on a tree in memory."""
import ctypes
import errno
import fcntl
import os
import random
import stat
import subprocess

import pytest

from gluemount import memfs

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts as root")

LIBC = ctypes.CDLL(None, use_errno=True)
KINDS = {
    "serial": (),
    "seeking": ("seek_list", "list_attr", "parallel_reads"),
    "nomap": ("no_map", "list_attr"),
}
PUNCH, KEEP, ZERO = 2, 1, 16


@pytest.fixture(params=KINDS)
def fs(request, tool):
    with memfs(tool("memfs"), *KINDS[request.param]) as m:
        yield m.dir


@pytest.fixture
def program(tool):
    return tool("memfs")


def fails(code, call, *args, **kw):
    with pytest.raises(OSError) as e:
        call(*args, **kw)
    assert e.value.errno == code, os.strerror(e.value.errno)


def fallocate(fd, mode, off, length):
    if LIBC.fallocate(fd, mode, ctypes.c_long(off), ctypes.c_long(length)):
        raise OSError(ctypes.get_errno(), "fallocate")


def renameat2(old, new, flags):
    if LIBC.renameat2(-100, bytes(old), -100, bytes(new), flags):
        raise OSError(ctypes.get_errno(), "renameat2")


def test_glue_create_write_read_append(fs):
    f = fs / "a"
    f.write_bytes(b"hello")
    with open(f, "ab") as h:
        h.write(b" world")
    assert f.read_bytes() == b"hello world"
    assert f.stat().st_size == 11
    with open(f, "r+b") as h:
        h.seek(6)
        h.write(b"W")
    assert f.read_bytes() == b"hello World"


def test_glue_o_trunc_really_truncates(fs):
    f = fs / "a"
    f.write_bytes(b"x" * 200000)
    fd = os.open(f, os.O_WRONLY | os.O_TRUNC)
    assert os.fstat(fd).st_size == 0
    os.write(fd, b"new")
    os.close(fd)
    assert f.read_bytes() == b"new"


def test_glue_o_excl_and_missing_names(fs):
    (fs / "a").write_text("1")
    fails(errno.EEXIST, os.open, fs / "a", os.O_CREAT | os.O_EXCL | os.O_RDWR)
    fails(errno.ENOENT, os.open, fs / "b", os.O_RDONLY)
    (fs / "b").write_text("2")
    assert (fs / "b").read_text() == "2"


def test_glue_truncate_by_name_and_handle(fs):
    f = fs / "a"
    f.write_bytes(bytes(range(256)) * 1000)
    os.truncate(f, 100)
    assert f.read_bytes() == bytes(range(100))
    with open(f, "r+b") as h:
        h.truncate(300)
        assert os.fstat(h.fileno()).st_size == 300
    assert f.read_bytes() == bytes(range(100)) + bytes(200)


def test_glue_mkdir_rmdir_and_link_counts(fs):
    (fs / "d" / "e").mkdir(parents=True)
    assert (fs / "d").stat().st_nlink == 3
    fails(errno.ENOTEMPTY, os.rmdir, fs / "d")
    os.rmdir(fs / "d" / "e")
    assert (fs / "d").stat().st_nlink == 2
    os.rmdir(fs / "d")
    assert not (fs / "d").exists()
    (fs / "f").touch()
    fails(errno.ENOTDIR, os.rmdir, fs / "f")


def test_glue_symlink_hardlink_fifo(fs):
    (fs / "a").write_text("x")
    os.symlink("a", fs / "s")
    os.link(fs / "a", fs / "b")
    os.mkfifo(fs / "p")
    assert os.readlink(fs / "s") == "a"
    assert (fs / "s").read_text() == "x"
    assert (fs / "a").stat().st_ino == (fs / "b").stat().st_ino
    assert (fs / "a").stat().st_nlink == 2
    assert stat.S_ISFIFO((fs / "p").stat().st_mode)
    os.unlink(fs / "a")
    assert (fs / "b").stat().st_nlink == 1
    long = "x" * 4000
    os.symlink(long, fs / "long")
    assert os.readlink(fs / "long") == long


def test_glue_device_node(fs):
    os.mknod(fs / "null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    assert (fs / "null").stat().st_rdev == os.makedev(1, 3)


def test_glue_rename_and_its_flags(fs):
    noreplace, exchange, whiteout = 1, 2, 4
    (fs / "a").write_text("a")
    (fs / "b").write_text("b")
    fails(errno.EEXIST, renameat2, fs / "a", fs / "b", noreplace)
    renameat2(fs / "a", fs / "b", exchange)
    assert (fs / "a").read_text() == "b"
    assert (fs / "b").read_text() == "a"
    fails(errno.EINVAL, renameat2, fs / "a", fs / "b", whiteout)
    os.rename(fs / "a", fs / "b")
    assert (fs / "b").read_text() == "b"
    assert os.listdir(fs) == ["b"]
    (fs / "d").mkdir()
    os.rename(fs / "b", fs / "d" / "c")
    assert (fs / "d" / "c").read_text() == "b"


def test_glue_unlinked_file_stays_until_closed(fs):
    f = fs / "a"
    with open(f, "w+b") as h:
        h.write(b"still here" * 1000)
        h.flush()
        os.unlink(f)
        (fs / "other").write_bytes(b"y" * 100000)
        h.seek(0)
        assert h.read() == b"still here" * 1000
        assert os.fstat(h.fileno()).st_nlink == 0
        h.write(b"more")
        h.flush()
        h.truncate(5)
        h.seek(0)
        assert h.read() == b"still"
    assert os.listdir(fs) == ["other"]


def test_glue_times(fs):
    f = fs / "a"
    f.touch()
    os.utime(f, ns=(1_500_000_000_123_456_700, 1_600_000_000_987_654_300))
    st = f.stat()
    assert st.st_atime_ns == 1_500_000_000_123_456_700
    assert st.st_mtime_ns == 1_600_000_000_987_654_300
    subprocess.run(["touch", "-a", str(f)], check=True)	# UTIME_OMIT and NOW
    assert f.stat().st_mtime_ns == 1_600_000_000_987_654_300
    assert f.stat().st_atime > 1_700_000_000
    before = f.stat().st_mtime_ns
    f.write_text("x")
    assert f.stat().st_mtime_ns > before


def test_glue_chmod_chown(fs):
    with open(fs / "a", "wb") as h:
        os.fchmod(h.fileno(), 0o4755)
    assert stat.S_IMODE((fs / "a").stat().st_mode) == 0o4755
    os.chown(fs / "a", 12, 34)
    assert (fs / "a").stat().st_uid == 12
    assert (fs / "a").stat().st_gid == 34
    assert stat.S_IMODE((fs / "a").stat().st_mode) == 0o755


def test_glue_write_by_another_drops_set_uid(fs):
    os.chmod(fs, 0o777)
    f = fs / "a"
    f.write_text("x")
    os.chmod(f, 0o4777)
    # Root keeps the bit (CAP_FSETID); a plain user's write drops it. Without
    # allow_other only root comes in: so root gives the capability up.
    subprocess.run(["setpriv", "--bounding-set=-fsetid", "--inh-caps=-fsetid",
                    "sh", "-c", f"echo y >> {f}"], check=True)
    assert stat.S_IMODE(f.stat().st_mode) == 0o777


def test_glue_xattrs(fs):
    f = fs / "a"
    f.touch()
    os.setxattr(f, "user.one", b"1" * 1000)
    os.setxattr(f, "user.two", b"")
    os.setxattr(f, "trusted.t", b"root")
    os.setxattr(f, "security.mine", b"s")
    assert os.getxattr(f, "user.one") == b"1" * 1000
    assert os.getxattr(f, "user.two") == b""
    assert sorted(os.listxattr(f)) == ["security.mine", "trusted.t",
                                       "user.one", "user.two"]
    fails(errno.EEXIST, os.setxattr, f, "user.one", b"", os.XATTR_CREATE)
    fails(errno.ENODATA, os.setxattr, f, "user.no", b"", os.XATTR_REPLACE)
    os.removexattr(f, "user.one")
    fails(errno.ENODATA, os.getxattr, f, "user.one")
    big = os.urandom(60000)
    os.setxattr(f, "user.big", big)
    assert os.getxattr(f, "user.big") == big


def test_glue_system_xattr_changes_what_stat_says(fs):
    f = fs / "a"
    f.touch()
    assert f.stat().st_mtime != 12345
    os.setxattr(f, "system.mtime", (12345).to_bytes(8, "little"))
    assert f.stat().st_mtime == 12345


def test_glue_statfs(fs):
    st = os.statvfs(fs)
    assert st.f_blocks == 1000000 and st.f_bavail == 400000
    assert st.f_namemax == 255


def test_glue_names_too_long_or_odd(fs):
    fails(errno.ENAMETOOLONG, os.mkdir, fs / ("x" * 1025))
    name = "ä" * 255
    (fs / name).touch()
    (fs / "a\nb c\\040").touch()
    assert sorted(os.listdir(fs)) == sorted([name, "a\nb c\\040"])


def test_glue_holes_fallocate_and_seek(fs):
    fd = os.open(fs / "a", os.O_RDWR | os.O_CREAT)
    block = 65536
    os.pwrite(fd, b"x" * block, 0)
    os.pwrite(fd, b"y" * block, 4 * block)
    assert os.lseek(fd, 0, os.SEEK_HOLE) == block
    assert os.lseek(fd, block, os.SEEK_DATA) == 4 * block
    assert os.lseek(fd, 4 * block, os.SEEK_HOLE) == 5 * block
    fails(errno.ENXIO, os.lseek, fd, 9 * block, os.SEEK_DATA)
    fallocate(fd, PUNCH | KEEP, 4 * block, block)
    assert os.pread(fd, 5 * block, 0) == b"x" * block + bytes(4 * block)
    fallocate(fd, 0, 0, 7 * block)
    assert os.fstat(fd).st_size == 7 * block
    fallocate(fd, KEEP, 0, 9 * block)
    assert os.fstat(fd).st_size == 7 * block
    fallocate(fd, ZERO, 0, 100)
    assert os.pread(fd, 200, 0) == bytes(100) + b"x" * 100
    fails(errno.EOPNOTSUPP, fallocate, fd, 8, 0, block)	# collapse
    os.close(fd)


def test_glue_listing_gives_each_name_once(fs):
    want = {f"file {i} {'n' * (i % 200)}" for i in range(3000)}
    for n in want:
        (fs / n).touch()
    got = os.listdir(fs)
    assert len(got) == len(want) and set(got) == want
    got = subprocess.run(["ls", "-fa", str(fs)], text=True, check=True,
                         capture_output=True).stdout.split("\n")
    assert got.count(".") == 1 and got.count("..") == 1


def test_glue_removing_while_listing_skips_nothing(fs):
    d = fs / "d"
    d.mkdir()
    for i in range(4000):
        (d / f"{i:04d}").touch()
    seen = set()
    with os.scandir(d) as it:
        for e in it:
            assert e.name not in seen
            seen.add(e.name)
            os.unlink(e.path)
            if len(seen) == 1000:
                (d / "new").touch()
    assert len(seen - {"new"}) == 4000
    assert set(os.listdir(d)) <= {"new"}
    subprocess.run(["rm", "-r", str(d)], check=True)


def test_glue_old_listing_does_not_bring_names_back(fs):
    d = fs / "d"
    d.mkdir()
    for i in range(2000):
        (d / f"{i:04d}").touch()
    with os.scandir(d) as it:
        next(it)
        for i in range(2000):
            os.unlink(d / f"{i:04d}")
        for _ in it:
            pass
        assert not (d / "1999").exists()
        fails(errno.ENOENT, os.stat, d / "1900")
    assert os.listdir(d) == []


def test_glue_random_writes_and_reads_match_the_model(fs):
    rnd = random.Random(7)
    model = bytearray()
    fd = os.open(fs / "a", os.O_RDWR | os.O_CREAT)
    for _ in range(300):
        off = rnd.randrange(0, 1_500_000)
        what = rnd.random()
        if what < 0.5:
            data = rnd.randbytes(rnd.choice((1, 4096, 5000, 300_000)))
            os.pwrite(fd, data, off)
            if off > len(model):
                model.extend(bytes(off - len(model)))
            model[off:off + len(data)] = data
        elif what < 0.6:
            os.ftruncate(fd, off)
            del model[off:]
            model.extend(bytes(off - len(model)))
        elif what < 0.7:
            n = rnd.randrange(1, 200_000)
            fallocate(fd, PUNCH | KEEP, off, n)
            end = min(off + n, len(model))
            if off < end:
                model[off:end] = bytes(end - off)
        else:
            n = rnd.choice((1, 4096, 10_000, 700_000))
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            assert os.pread(fd, n, off) == model[off:off + n]
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    assert os.pread(fd, 1 << 23, 0) == model
    os.close(fd)


def test_glue_direct_io_reads_and_writes(program):
    with memfs(program, "direct_io") as m:
        f = m.dir / "a"
        data = os.urandom(3_000_001)
        f.write_bytes(data)
        assert f.read_bytes() == data
        with open(f, "ab") as h:
            h.write(b"tail")
        assert f.read_bytes() == data + b"tail"


def test_glue_mmap_shared_store_is_in_the_file(fs):
    import mmap
    with open(fs / "a", "w+b") as h:
        h.truncate(1 << 20)
        with mmap.mmap(h.fileno(), 1 << 20) as mm:
            mm[5000:5005] = b"hello"
            mm.flush()
    with open(fs / "a", "rb") as h:
        h.seek(5000)
        assert h.read(5) == b"hello"


def test_glue_locks_work_locally(fs):
    with open(fs / "a", "w") as h:
        fcntl.flock(h, fcntl.LOCK_EX)
        fcntl.lockf(h, fcntl.LOCK_EX)


def test_glue_set_gid_directory_is_inherited(program):
    with memfs(program) as m:
        d = m.dir / "d"
        d.mkdir()
        os.chown(d, 0, 1234)
        os.chmod(d, 0o2755)
        (d / "f").touch()
        (d / "sub").mkdir()
        assert (d / "f").stat().st_gid == 1234
        assert not (d / "f").stat().st_mode & stat.S_ISGID
        assert (d / "sub").stat().st_gid == 1234
        assert (d / "sub").stat().st_mode & stat.S_ISGID
