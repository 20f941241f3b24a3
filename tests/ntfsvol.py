# SPDX-License-Identifier: GPL-3.0-or-later
"""NTFS volumes for the write tests: making, driving, checking with peers."""
import contextlib
import hashlib
import os
import subprocess
import tempfile
import time

from conftest import run


def mkntfs(path, size="64M", *args):
    """A fresh volume; the marks that mkntfs leaves are what Windows expects."""
    run("truncate", "-s", size, path)
    run("/usr/sbin/mkntfs", "-F", "-Q", "-q", "-p", "0", "-H", "16", "-S", "63",
        "-s", "512", *args, path)
    return path


def script(tool, img, text, *args, check=True):
    """The answers of a treescript, a line each."""
    p = run(tool("ntfswtool"), *args, img, stdin=text, check=check)
    assert not p.stderr, p.stderr
    return p.stdout.splitlines()


def sound(img):
    """ntfsresize walks all of $MFT and compares it with $Bitmap; it also
    refuses a volume that is marked dirty."""
    p = run("ntfsresize", "-i", "-f", "--no-action", img, check=False)
    assert p.returncode == 0, p.stdout + p.stderr
    p = run("ntfsfix", "-n", img, check=False)
    assert p.returncode == 0, p.stdout + p.stderr


def sha(path):
    """Of a host file."""
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


@contextlib.contextmanager
def mounted(img, options=""):
    """The volume as ntfs-3g shows it."""
    d = tempfile.mkdtemp(prefix="imgfs-peer-")
    options = "no_detach,streams_interface=xattr," + options
    p = subprocess.Popen(["ntfs-3g", "-o", options, img, d],
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        for _ in range(500):
            if os.path.ismount(d) or p.poll() is not None:
                break
            time.sleep(0.01)
        assert p.poll() is None, p.stderr.read()
        yield d
    finally:
        for _ in range(50):
            if p.poll() is not None or not subprocess.run(
                    ["umount", d], capture_output=True).returncode:
                break
            time.sleep(0.1)
        p.wait()
        p.stderr.close()
        os.rmdir(d)
