# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounting vhdfs in tests: always unmounted, whatever happens."""
import contextlib
import os
import pathlib
import pwd
import subprocess
import time

from conftest import BUILD, run

VHDFS = BUILD / "fs/vhdfs"
USER = "imgfs-test"


def mounted(path):
    real = os.path.abspath(path)
    with open("/proc/mounts", errors="surrogateescape") as f:
        return [line.split() for line in f
                if line.split()[1].replace("\\040", " ") == real]


def options_of(path):
    return mounted(path)[-1][3].split(",")


def pid_of(image):
    """The daemon that serves image: who has it open and is no test."""
    real = os.path.realpath(image)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if "vhdfs" not in pathlib.Path(f"/proc/{pid}/comm").read_text():
                continue
            for fd in os.listdir(f"/proc/{pid}/fd"):
                if os.readlink(f"/proc/{pid}/fd/{fd}") == real:
                    return int(pid)
    raise AssertionError(f"nobody serves {image}")


def wait_gone(pid, seconds=30):
    end = time.time() + seconds
    while time.time() < end:
        try:
            state = pathlib.Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return
        if state.rsplit(")", 1)[1].split()[0] == "Z":
            return
        time.sleep(0.01)
    raise AssertionError(f"process {pid} does not end")


def vhdfs(*args, check=True, **kw):
    return run(VHDFS, *args, check=check, **kw)


def let_go(path, seconds=20):
    """Unmounts whatever is there, for a test's end."""
    end = time.time() + seconds
    while mounted(path):
        if subprocess.run([VHDFS, "-u", path], capture_output=True).returncode:
            subprocess.run(["umount", "-i", "-l", path], capture_output=True)
        if time.time() > end:
            raise AssertionError(f"{path} cannot be unmounted")


@contextlib.contextmanager
def mount(image, directory, *options):
    """vhdfs IMAGE DIRECTORY -o OPTIONS; the directory is made if needed."""
    directory = pathlib.Path(directory)
    directory.mkdir(exist_ok=True)
    opts = ["-o", ",".join(options)] if options else []
    vhdfs(*opts, image, directory)
    try:
        yield directory
    finally:
        let_go(directory)


def make_raw(path, fs, size="64M", label="TEST"):
    """A file with a bare volume."""
    with open(path, "wb") as f:
        f.truncate(int(size[:-1]) << {"M": 20, "G": 30}[size[-1]])
    if fs == "ntfs":
        run("mkntfs", "-F", "-Q", "-q", "-L", label, path)
    else:
        run("mke2fs", "-q", "-F", "-t", fs, "-L", label, path)
    return path


def make_disk(path, fs="ntfs", size="64M"):
    """A disk with a bare volume, made by mkfs and qemu-img; the kind by the
    suffix of path: .vhdx, .vhd (dynamic), .fixed.vhd."""
    path = pathlib.Path(path)
    raw = make_raw(path.with_suffix(".raw"), fs, size)
    kind = ["-O", "vhdx"]
    if path.suffix == ".vhd":
        sub = "fixed" if ".fixed" in path.name else "dynamic"
        kind = ["-O", "vpc", "-o", f"subformat={sub},force_size=on"]
    run("qemu-img", "convert", "-f", "raw", *kind, raw, path)
    raw.unlink()
    return path


def fingerprint(path):
    """What a mount that nobody writes to must leave alone."""
    st = os.stat(path)
    digest = run("sha256sum", path).stdout.split()[0]
    return digest, st.st_size, st.st_mtime_ns, st.st_ctime_ns


@contextlib.contextmanager
def unprivileged():
    """An ordinary user who may use FUSE; yields (uid, gid)."""
    mode = os.stat("/dev/fuse").st_mode & 0o777
    with contextlib.suppress(KeyError):
        pwd.getpwnam(USER)
        run("userdel", USER, check=False)
    run("useradd", "-M", "-s", "/bin/sh", USER)
    os.chmod("/dev/fuse", 0o666)
    try:
        me = pwd.getpwnam(USER)
        yield me.pw_uid, me.pw_gid
    finally:
        os.chmod("/dev/fuse", mode)
        run("userdel", USER, check=False)


def as_user(ids, *args, check=True, **kw):
    return run("setpriv", "--reuid", ids[0], "--regid", ids[1],
               "--clear-groups", *args, check=check, **kw)
