#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast chains are flattened, beside dd, cp and qemu-img in the same run.

    IMGFS_BUILD=build tests/bench/vhdmerge.py [--rounds N] [--mib M] [--dir D]

M MiB of a child over a parent of the same blocks; the page cache is dropped
before each, an fsync at the end counts. Medians of the rounds. The rows with
reflink need root and mkfs.xfs; without, they are left out.
"""
import argparse
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from make import vhdx as mk     # noqa: E402

BUILD = pathlib.Path(os.environ.get("IMGFS_BUILD", "build")).resolve()
MERGE = BUILD / "tools/vhdmerge"
MIB = 1 << 20
BLOCK = 2 * MIB


def drop():
    os.sync()
    try:
        with open("/proc/sys/vm/drop_caches", "w") as f:
            f.write("1")
    except OSError:
        pass


def sync(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def image(path, size, blocks, seed, parent=None, guid=mk.DATA_GUID):
    """A disk whose blocks are random bytes; where they lie in the file."""
    img = mk.Vhdx(size, block=BLOCK, parent=parent)
    img.headers = [mk.header(s, data_write=guid) for s in (1, 2)]
    where = [img.put(b, mk.FULL) for b in blocks]
    img.write(path)
    data = random.Random(seed).randbytes(64 * MIB)
    with open(path, "r+b") as f:
        for i, off in enumerate(where):
            f.seek(off)
            f.write(data[i % 32 * BLOCK:(i % 32 + 1) * BLOCK])
    return where


def timed(what):
    drop()
    start = time.monotonic()
    what()
    return time.monotonic() - start


def run(*args):
    subprocess.run([str(a) for a in args], check=True,
                   stdout=subprocess.DEVNULL)


class Bench:
    def __init__(self, where, mib, rounds):
        self.where, self.rounds = where, rounds
        n = mib * MIB // BLOCK
        size = 4 * mib * MIB
        self.base, self.child = where / "base.vhdx", where / "child.vhdx"
        image(self.base, size, range(2 * n), 1)
        child_id = mk.uuid.UUID(int=77)
        image(self.child, size, range(0, 2 * n, 2), 2,
              mk.linkage(path="base.vhdx"), child_id)
        self.bytes = n * BLOCK
        # Not beside them: copies of a child would be lost by a merge.
        self.keep = where / "keep"
        self.keep.mkdir()
        self.fresh = self.keep / "base.vhdx"
        shutil.copy(self.child, self.keep)
        shutil.copy(self.base, self.fresh)
        self.out = where / "out"

    def again(self):
        """The parent as it was: the same blocks in the same places."""
        shutil.copyfile(self.fresh, self.base)
        for p in self.where.glob(".base.vhdx*"):
            p.unlink()
        sync(self.base)

    def merge(self):
        self.again()
        t = timed(lambda: run(MERGE, "-q", self.child, self.base))
        shutil.copyfile(self.keep / "child.vhdx", self.child)
        return t

    def dd(self):
        """The same bytes to the same places: every second block."""
        self.again()

        def go():
            src = os.open(self.child, os.O_RDONLY)
            dst = os.open(self.base, os.O_WRONLY)
            for off in range(0, self.bytes, BLOCK):
                data = os.pread(src, BLOCK, 4 * MIB + off)
                os.pwrite(dst, data, 4 * MIB + 2 * off)
            os.fsync(dst)
            os.close(src)
            os.close(dst)
        return timed(go)

    def fresh_out(self):
        self.out.unlink(missing_ok=True)

    def flatten(self):
        self.fresh_out()
        return timed(lambda: run(MERGE, "-q", "--format", "vhdx", "-o",
                                 self.out, self.child))

    def qemu(self, path):
        self.fresh_out()

        def go():
            run("qemu-img", "convert", "-f", "vhdx", "-O", "vhdx", "-o",
                "block_size=2M", path, self.out)
            sync(self.out)
        return timed(go)

    def cp(self, path, *args):
        self.fresh_out()

        def go():
            run("cp", *args, path, self.out)
            sync(self.out)
        return timed(go)

    def median(self, what):
        return statistics.median(what() for _ in range(self.rounds))


def chain_of_30(where):
    """64 TiB of mostly nothing, thirty deep: time and memory of a plan."""
    guid, size = mk.DATA_GUID, 64 << 40
    for i in range(30):
        img = mk.Vhdx(size, block=32 * MIB, parent=mk.linkage(
            guid, f"c{i - 1}.vhdx") if i else None)
        guid = mk.uuid.UUID(int=1000 + i)
        img.headers = [mk.header(s, data_write=guid) for s in (1, 2)]
        img.put(i * 1000, mk.FULL)
        img.write(where / f"c{i}.vhdx")
    start = time.monotonic()
    p = subprocess.Popen([MERGE, "-n", where / "c29.vhdx", where / "c0.vhdx"],
                         stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(p.pid, 0)
    p.returncode = status
    return time.monotonic() - start, usage.ru_maxrss / 1024, status


def row(name, ours, theirs, bar):
    ratio = theirs / ours
    print(f"| {name} | {ours:.2f} s | {theirs:.2f} s | {ratio:.2f} x "
          f"(bar {bar}) |", flush=True)


def reflink(args):
    """On XFS in a file: nothing is copied."""
    with tempfile.TemporaryDirectory(dir=args.dir) as top:
        img, mnt = pathlib.Path(top, "xfs"), pathlib.Path(top, "mnt")
        mnt.mkdir()
        with open(img, "wb") as f:
            f.truncate(max(args.mib * 10, 512) * MIB)
        try:
            run("mkfs.xfs", "-q", img)
            run("mount", "-o", "loop", img, mnt)
        except (OSError, subprocess.CalledProcessError):
            print("| reflink | no XFS to be had | | |")
            return
        try:
            b = Bench(mnt, args.mib, args.rounds)
            row("reflink: flatten / cp of the base", b.median(b.flatten),
                b.median(lambda: b.cp(b.fresh, "--reflink=never")), 5)
        finally:
            run("umount", mnt)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--mib", type=int, default=2048)
    p.add_argument("--dir", default=os.environ.get("TMPDIR", "/tmp"))
    args = p.parse_args()
    print("| work | vhdmerge | peer | |\n| --- | --- | --- | --- |")
    # First: a child's peak counts what its parent held when it forked.
    with tempfile.TemporaryDirectory(dir=args.dir) as top:
        secs, mib, status = chain_of_30(pathlib.Path(top))
        print(f"| plan of 30 x 64 TiB | {secs * 1000:.0f} ms, {mib:.0f} MiB "
              f"| (bar 200 ms, 32 MiB) | {'' if not status else 'FAILED'} |")
    with tempfile.TemporaryDirectory(dir=args.dir) as top:
        b = Bench(pathlib.Path(top), args.mib, args.rounds)
        row("merge in place / dd of the bytes", b.median(b.merge),
            b.median(b.dd), 0.8)
        flat = b.median(b.flatten)
        row("flatten / qemu-img convert of one disk", flat,
            b.median(lambda: b.qemu(b.fresh)), 1.2)
        row("flatten / cp of the bytes", flat,
            b.median(lambda: b.cp(b.fresh)), 0.8)
    reflink(args)


if __name__ == "__main__":
    main()
