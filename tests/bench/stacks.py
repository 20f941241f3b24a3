# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways to get at the files of an image: ours and the peers'. A stack is a
context manager whose value is the directory with the files."""
import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile
import time

SRC = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("IMGFS_BUILD", SRC / "build")).resolve()
VHDFS = BUILD / "fs/vhdfs"
TOOLS = BUILD / "tests/c"
BENCH = BUILD / "tests/bench"


def run(*args, **kw):
    return subprocess.run([str(a) for a in args], check=True, **kw)


def quiet(*args):
    return run(*args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def is_mounted(path):
    return any(line.split()[1] == str(path) for line in open("/proc/mounts"))


def wait_mounted(path, seconds=10):
    end = time.time() + seconds
    while not is_mounted(path):
        if time.time() > end:
            raise RuntimeError(f"{path} was not mounted")
        time.sleep(0.002)


def holders(image):
    """Processes that still have image open."""
    real, found = os.path.realpath(image), []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                if os.readlink(f"/proc/{pid}/fd/{fd}") == real:
                    found.append(int(pid))
                    break
    return [p for p in found if p != os.getpid()]


def unmount(path, image=None):
    """Unmounts and waits for the end of whoever served it."""
    if is_mounted(path):
        run("umount", "-i", path)
    while image and holders(image):
        time.sleep(0.005)


@contextlib.contextmanager
def directory():
    with tempfile.TemporaryDirectory(prefix="imgfs-bench-") as d:
        yield pathlib.Path(d)


@contextlib.contextmanager
def ours(image, *options):
    """vhdfs, unmounted with -u: returns when all is on disk."""
    with directory() as d:
        opts = ["-o", ",".join(options)] if options else []
        run(VHDFS, *opts, image, d)
        try:
            yield d
        finally:
            run(VHDFS, "-u", d)


@contextlib.contextmanager
def ntfs3g(raw, *options):
    with directory() as d:
        run("ntfs-3g", *(["-o", ",".join(options)] if options else []), raw, d)
        try:
            yield d
        finally:
            unmount(d, raw)


@contextlib.contextmanager
def fuse2fs(raw, *options):
    with directory() as d:
        run("fuse2fs", *(["-o", ",".join(options)] if options else []), raw, d,
            stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_mounted(d)
        try:
            yield d
        finally:
            unmount(d, raw)


@contextlib.contextmanager
def vhdimount(image):
    """Gives the raw disk as a file (read-only)."""
    with directory() as d:
        quiet("vhdimount", image, d)
        wait_mounted(d)
        try:
            yield d / "vhdi1"
        finally:
            unmount(d, image)


@contextlib.contextmanager
def qsd(image, driver, writable):
    """qemu-storage-daemon's FUSE export of the disk over a file."""
    with directory() as d:
        point = d / "disk"
        point.touch()
        ro = "off" if writable else "on"
        p = subprocess.Popen([
            "qemu-storage-daemon",
            "--blockdev", f"driver=file,node-name=f,filename={image},"
            f"read-only={ro}",
            "--blockdev", f"driver={driver},node-name=d,file=f,"
            f"read-only={ro}",
            "--export", f"type=fuse,id=e,node-name=d,mountpoint={point},"
            f"writable={'on' if writable else 'off'}"],
            stderr=subprocess.DEVNULL)
        try:
            wait_mounted(point)
            yield point
        finally:
            p.send_signal(signal.SIGTERM)
            p.wait()


@contextlib.contextmanager
def through(outer, inner, *options):
    with outer as raw, inner(raw, *options) as d:
        yield d


@contextlib.contextmanager
def small_daemon(program, *args):
    """nullfs and passfs: foreground daemons of our own."""
    with directory() as d:
        p = subprocess.Popen([str(BENCH / program), *map(str, args), str(d)])
        try:
            wait_mounted(d)
            yield d
        finally:
            unmount(d)
            p.wait()
