# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading through the glue: whole, or an error, and never another's bytes."""
import errno
import hashlib
import mmap
import os
import pathlib
import random
import re
import signal
import subprocess
import threading
import time

import pytest

from gluemount import memfs

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts as root")

FROZEN = ("ro", "frozen", "seek_list", "list_attr", "parallel")
KINDS = {
    "frozen": FROZEN,
    "frozen_serial": ("ro", "frozen"),
    "writable": (),
    "nomap": ("no_map",),
    "frozen_nomap": (*FROZEN, "no_map"),
    "direct": ("direct_io",),
    "frozen_direct": (*FROZEN, "direct_io"),
}
SIZE = 40_000_123


@pytest.fixture
def program(tool):
    return tool("memfs")


@pytest.fixture(scope="module")
def data():
    return random.Random(1).randbytes(SIZE)


@pytest.fixture
def host(tmp_path, data):
    path = tmp_path / "host"
    path.write_bytes(data)
    return path


def drop(path):
    with open(path, "rb") as h:
        os.posix_fadvise(h.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_somewhere(path, data, seed, errors):
    rnd = random.Random(seed)
    try:
        fd = os.open(path, os.O_RDONLY)
        for _ in range(150):
            off = rnd.randrange(0, SIZE)
            n = rnd.choice((1, 4096, 30_000, 131_072, 1 << 20, 3 << 20))
            if os.pread(fd, n, off) != data[off:off + n]:
                errors.append(f"wrong at {off}+{n}")
            if rnd.random() < 0.1:
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)
    except OSError as e:
        errors.append(str(e))


@pytest.mark.parametrize("kind", KINDS)
def test_glue_many_readers_see_the_model(program, host, data, kind):
    with memfs(program, f"host={host}", *KINDS[kind]) as m:
        errors = []
        ts = [threading.Thread(target=read_somewhere, args=(
            m.dir / "host", data, i, errors)) for i in range(4)]
        for t in ts:
            t.start()
        for t in ts:
            t.join()
        assert errors == []
        assert (m.dir / "host").read_bytes() == data


def test_glue_slow_answer_keeps_nobody_waiting(program, host, data):
    with memfs(program, f"host={host}", "slow=1500", *FROZEN) as m:
        fd = os.open(m.dir / "host", os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
        slow = threading.Thread(target=os.path.exists, args=(m.dir / "slow",))
        slow.start()
        time.sleep(0.2)
        for off in range(0, 1 << 20, 65536):
            assert os.pread(fd, 4096, off) == data[off:off + 4096]
        assert slow.is_alive()
        slow.join()
        os.close(fd)


def test_glue_stuck_answers_of_all_threads_end_the_mount_cleanly(program,
                                                                 host):
    with memfs(program, f"host={host}", "slow=300", "ro", "parallel") as m:
        dirs = [m.dir / "slow"] * 12
        ts = [threading.Thread(target=os.path.exists, args=(d,))
              for d in dirs]
        for t in ts:
            t.start()
        assert m.signal()[0] == 0
        for t in ts:
            t.join()


def test_glue_single_thread_serves_too(program, host, data):
    with memfs(program, f"host={host}", args=["-s"]) as m:
        assert (m.dir / "host").read_bytes() == data
        assert m.signal()[0] == 0


@pytest.mark.parametrize("kind", ("frozen", "writable"))
def test_glue_large_answers_are_spliced(program, host, data, kind):
    with memfs(program, f"host={host}", *KINDS[kind]) as m:
        fd = os.open(m.dir / "host", os.O_RDONLY)
        assert b"".join(iter(lambda: os.read(fd, 131072), b"")) == data
        os.close(fd)
        m.proc.send_signal(signal.SIGUSR1)
        line = m.proc.stderr.readline()
        spliced = int(re.search(r"(\d+) MiB spliced", line)[1])
        assert spliced > 30, line


def all_or_eio(path, data, step):
    """Reads all of it: what came before the error, and the error."""
    fd = os.open(path, os.O_RDONLY)
    got = bytearray()
    try:
        while True:
            piece = os.pread(fd, step, len(got))
            if not piece:
                return got, 0
            got += piece
    except OSError as e:
        return got, e.errno
    finally:
        os.close(fd)


@pytest.mark.parametrize("step", (4096, 100_000, 1 << 20))
@pytest.mark.parametrize("kind", KINDS)
def test_glue_image_cut_under_the_mount_is_eio(program, host, data, kind,
                                               step):
    with memfs(program, f"host={host}", *KINDS[kind]) as m:
        cut = 12_345_678
        os.truncate(host, cut)
        got, err = all_or_eio(m.dir / "host", data, step)
        assert err == errno.EIO
        assert got == data[:len(got)] and len(got) <= cut
        # The kernel asks ahead, and an answer is whole or nothing.
        assert len(got) > cut - (4 << 20)
        fd = os.open(m.dir / "host", os.O_RDONLY)
        with pytest.raises(OSError) as e:
            os.pread(fd, 4096, SIZE - 5000)
        assert e.value.errno == errno.EIO
        os.close(fd)
        p = subprocess.run(["cat", str(m.dir / "host")], capture_output=True)
        assert p.returncode != 0 and b"Input/output error" in p.stderr
        assert (m.dir / "host").stat().st_size == SIZE


def test_glue_image_cut_under_a_mapping_kills_only_the_mapper(program, host):
    with memfs(program, f"host={host}") as m:
        with open(m.dir / "host", "rb") as h, \
                mmap.mmap(h.fileno(), 0, prot=mmap.PROT_READ):
            os.truncate(host, 4096)
        p = subprocess.run(["cat", str(m.dir / "host")], capture_output=True)
        assert p.returncode != 0
        assert os.listdir(m.dir) == ["host"]
        assert m.unmount()[0] == 0


def test_glue_cut_while_it_is_being_read(program, host, data):
    for i in range(5):
        host.write_bytes(data)
        with memfs(program, f"host={host}", *FROZEN) as m:
            timer = threading.Timer(0.002 * i, os.truncate, (host, 5_000_000))
            timer.start()
            got, err = all_or_eio(m.dir / "host", data, 1 << 20)
            timer.join()
            assert err == errno.EIO or len(got) == SIZE
            assert got == data[:len(got)]


def test_glue_read_error_in_the_middle_is_eio(program, host, data):
    at = 20_000_000
    with memfs(program, f"host={host}", f"eio_at={at}", "no_map") as m:
        got, err = all_or_eio(m.dir / "host", data, 1 << 20)
        assert err == errno.EIO and len(got) <= at
        assert got == data[:len(got)]
        fd = os.open(m.dir / "host", os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
        off = at + 100_000
        assert os.pread(fd, 4096, off) == data[off:off + 4096]
        os.close(fd)


def test_glue_readers_never_see_another_files_bytes(program):
    """A file is cut while it is read; its blocks go to another at once."""
    with memfs(program, "direct_io") as m:
        mine, other = m.dir / "mine", m.dir / "other"
        stop, bad = threading.Event(), []

        def watch():
            with open(mine, "rb", buffering=0) as h:
                while not stop.is_set():
                    got = os.pread(h.fileno(), 1 << 20, 0)
                    if got.strip(b"M\0"):
                        bad.append(got)

        mine.write_bytes(b"M" * (1 << 20))
        ts = [threading.Thread(target=watch) for _ in range(3)]
        for t in ts:
            t.start()
        for _ in range(60):
            os.truncate(mine, 0)
            other.write_bytes(b"O" * (1 << 20))
            os.unlink(other)
            with open(mine, "r+b") as h:
                h.write(b"M" * (1 << 20))
        stop.set()
        for t in ts:
            t.join()
        assert not bad


def test_glue_sparse_files_read_as_zeros(program):
    with memfs(program) as m:
        with open(m.dir / "a", "wb") as h:
            h.truncate(5 << 20)
            h.seek(3 << 20)
            h.write(b"data")
        drop(m.dir / "a")
        want = bytearray(5 << 20)
        want[3 << 20:(3 << 20) + 4] = b"data"
        assert (m.dir / "a").read_bytes() == want


@pytest.mark.parametrize("kind", ("frozen", "frozen_serial", "writable"))
def test_glue_twenty_thousand_files(program, kind):
    with memfs(program, "dirs=200", "files=100", "file_size=10", *KINDS[kind]
               ) as m:
        for _ in range(2):
            p = subprocess.run(["find", str(m.dir), "-type", "f", "-size",
                                "10c"], text=True, check=True,
                               capture_output=True)
            names = p.stdout.split()
            assert len(names) == len(set(names)) == 20000
        tar = subprocess.run(["tar", "cf", "-", "-C", str(m.dir), "."],
                             check=True, capture_output=True).stdout
        names = subprocess.run(["tar", "tf", "-"], input=tar, check=True,
                               capture_output=True).stdout.split()
        assert len(names) == 20201


def test_glue_more_files_open_than_are_kept_open(program):
    with memfs(program, "dirs=4", "files=200", "file_size=5000", *FROZEN
               ) as m:
        files = [open(p, "rb") for p in sorted(m.dir.glob("d*/f*"))]
        assert len(files) == 800
        digest = set()
        for h in files + files:
            h.seek(0)
            digest.add(hashlib.sha256(h.read()).digest())
            assert os.lseek(h.fileno(), 0, os.SEEK_HOLE) == 5000
        assert len(digest) <= 256
        for h in files:
            h.close()


def test_glue_read_only_changes_nothing(program, host):
    for words in (("ro",), ("glue_ro",), FROZEN):
        with memfs(program, f"host={host}", "dirs=1", "files=1",
                   "file_size=5", *words) as m:
            f = m.dir / "d000" / "f000"
            for call in (lambda: f.write_bytes(b"x"),
                         lambda: os.truncate(f, 0),
                         lambda: os.unlink(f), lambda: os.rmdir(m.dir / "d000"),
                         lambda: os.mkdir(m.dir / "x"),
                         lambda: os.rename(f, m.dir / "x"),
                         lambda: os.symlink("a", m.dir / "x"),
                         lambda: os.link(f, m.dir / "x"),
                         lambda: os.utime(f), lambda: os.chmod(f, 0),
                         lambda: os.setxattr(f, "user.a", b""),
                         lambda: os.removexattr(f, "user.a"),
                         lambda: os.open(f, os.O_RDWR | os.O_TRUNC)):
                with pytest.raises(OSError) as e:
                    call()
                assert e.value.errno == errno.EROFS
            line = [w for w in pathlib.Path("/proc/mounts").read_text()
                    .splitlines() if str(m.dir) in w][0]
            assert line.split()[3].split(",")[0] == "ro"
            assert f.stat().st_size == 5
            # Even when the kernel is talked into it.
            subprocess.run(["mount", "-i", "-o", "remount,rw", str(m.dir)],
                           check=False, capture_output=True)
            with pytest.raises(OSError) as e:
                os.mkdir(m.dir / "x")
            assert e.value.errno == errno.EROFS
            code, syncs = m.unmount()
            assert code == 0 and syncs == 0


def test_glue_frozen_tree_is_never_opened_by_the_kernel(program, host, data):
    with memfs(program, f"host={host}", *FROZEN, args=["-d"]) as m:
        got = []
        reader = threading.Thread(
            target=lambda: got.append(m.proc.stderr.read()))
        reader.start()
        for _ in range(3):
            assert (m.dir / "host").read_bytes() == data
            assert os.listdir(m.dir) == ["host"]
        subprocess.run(["umount", str(m.dir)], check=True)
        reader.join()
        m.proc.wait()
        assert got[0].count("OPEN (14)") == 1
        assert got[0].count("OPENDIR") == 1
        assert got[0].count("READDIRPLUS") <= 3
