# SPDX-License-Identifier: GPL-3.0-or-later
"""NTFS volumes made by mkntfs and filled through an ntfs-3g mount, and an
ntfs-3g mount as the oracle of what they hold."""
import contextlib
import hashlib
import os
import pathlib
import stat
import subprocess

import pytest

from conftest import run


def need_mounts(peer):
    """Skips where ntfs-3g can't mount."""
    if os.geteuid() or not os.path.exists("/dev/fuse"):
        pytest.skip("mounting ntfs-3g needs root and /dev/fuse")
    return peer("ntfs-3g")


def make(peer, path, size, *args):
    with open(path, "wb") as f:
        f.truncate(size)
    run(peer("mkntfs"), "-q", "-F", "-Q", *args, path)
    return path


@contextlib.contextmanager
def mounted(peer, image, opts="streams_interface=xattr"):
    """The volume as ntfs-3g shows it."""
    ntfs3g = need_mounts(peer)
    where = pathlib.Path(str(image) + ".mnt")
    where.mkdir(exist_ok=True)
    run(ntfs3g, "-o", opts, image, where)
    try:
        yield where
    finally:
        for _ in range(50):
            if not subprocess.run(["umount", where]).returncode:
                break
        # ntfs-3g ends a moment after umount returned.
        for _ in range(200):
            busy = subprocess.run(["fuser", "-s", str(image)],
                                  stderr=subprocess.DEVNULL)
            if busy.returncode:
                break


class Tree:
    """ntfstool as a subprocess: ask("stat /x") -> list of answer lines."""
    def __init__(self, tool, image, *args, place=()):
        self.p = subprocess.Popen(
            [tool("ntfstool"), *args, str(image), *map(str, place)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.p.stdin.close()
        self.p.stdout.read()
        code = self.p.wait(60)
        assert exc[0] or code == 0, f"ntfstool exited {code}"

    def line(self):
        raw = self.p.stdout.readline()
        assert raw.endswith(b"\n"), "ntfstool ended early"
        return raw[:-1].decode("utf-8", "surrogateescape")

    def send(self, *words):
        text = " ".join(str(w).replace(" ", "%20") for w in words) + "\n"
        self.p.stdin.write(text.encode("utf-8", "surrogateescape"))
        self.p.stdin.flush()

    def ask(self, *words):
        self.send(*words)
        return self.line()

    def lines(self, *words):
        self.send(*words)
        out = []
        while (line := self.line()) != ".":
            out.append(line)
            if line.startswith("error ") and words[0] != "find":
                break
        return out


def letter(mode):
    for test, char in ((stat.S_ISDIR, "d"), (stat.S_ISREG, "f"),
                       (stat.S_ISLNK, "l"), (stat.S_ISCHR, "c"),
                       (stat.S_ISBLK, "b"), (stat.S_ISFIFO, "p")):
        if test(mode):
            return char
    return "s"


def sha256(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        while block := f.read(1 << 20):
            h.update(block)
    return h.hexdigest()


def find(root):
    """What treescript's find prints, made with os.walk."""
    out = []
    for base, dirs, files in os.walk(root):
        for name in dirs + files:
            path = os.path.join(base, name)
            s = os.lstat(path)
            size = 0 if stat.S_ISDIR(s.st_mode) else s.st_size
            out.append(f"{letter(s.st_mode)} {size} {path[len(str(root)):]}")
    return sorted(out)
