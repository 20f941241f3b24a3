#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""vhdfs beside its peers: same work, same machine, alternating in each round.

    tests/bench/vhdfs.py [--rounds N] [--dir DIR] [--only WORDS] [--small]

Prints a table of medians and of ratios to the best peer. Needs root, and the
packages of the groups test and bench in tools/packages.
"""
import argparse
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import stacks                                               # noqa: E402
from stacks import BENCH, BUILD, TOOLS, VHDFS, run, quiet   # noqa: E402

FILES, DIRS, FILE_SIZE = 20000, 200, 8192
BIGS, BIG_SIZE = 4, 256 << 20
READER = BENCH / "readers"


# ---- inputs ----

def fill(root, small):
    files, bigs = (2000, 1) if small else (FILES, BIGS)
    block = os.urandom(1 << 20)
    for d in range(DIRS):
        sub = root / f"dir{d:03}"
        sub.mkdir()
        for f in range(files // DIRS):
            (sub / f"file{f:04}.dat").write_bytes(
                block[d * 64 + f:d * 64 + f + FILE_SIZE])
    for b in range(bigs):
        with open(root / f"big{b}.bin", "wb") as out:
            for n in range(BIG_SIZE >> 20):
                out.write(block[n:] + block[:n])


def make_ntfs(raw, small):
    with open(raw, "wb") as f:
        f.truncate(2 << 30)
    quiet("mkntfs", "-F", "-Q", "-L", "BENCH", raw)
    with stacks.ntfs3g(raw, "big_writes") as d:
        fill(d, small)


def make_ext4(raw, small):
    with tempfile.TemporaryDirectory(dir=raw.parent) as src:
        fill(pathlib.Path(src), small)
        quiet("mke2fs", "-t", "ext4", "-d", src, raw, "2G")


def script(tool, args, lines):
    run(TOOLS / tool, *args, input="\n".join(lines) + "\n", text=True,
        stdout=subprocess.DEVNULL)


def make_chain(base, raw, where):
    """Two children over base, each with a third of the 2 MiB blocks that hold
    data, written in full with the same bytes. A child is filled before the
    next is made: writing changes the identity that a child must name."""
    chain = [base]
    for level in (1, 2):
        child = where / f"chain{level}.vhdx"
        run(TOOLS / "vhdxtool", "diff", chain[0], ".\\" + chain[0].name, "",
            0, child, stdout=subprocess.DEVNULL)
        fill_third(raw, child, chain, level, where)
        chain.insert(0, child)
    return chain[0]


def fill_third(raw, child, parents, level, where):
    step, lines = 2 << 20, ["begin"]
    with open(raw, "rb") as f:
        for at in range(level * step, raw.stat().st_size, 3 * step):
            f.seek(at)
            data = f.read(step)
            if data.count(0) == len(data):
                continue
            name = where / f"piece{at}"
            name.write_bytes(data)
            lines.append(f"writef {at} {name}")
    script("vhdxtool", ["open", *(a for p in parents
                                  for a in ("--parent", p)), child],
           lines + ["flush"])
    for name in where.glob("piece*"):
        name.unlink()


class Inputs:
    def __init__(self, where, small):
        self.where = where
        self.raw = where / "ntfs.raw"
        self.ext = where / "ext4.raw"
        make_ntfs(self.raw, small)
        make_ext4(self.ext, small)
        conv = ["qemu-img", "convert", "-f", "raw"]
        self.vhdx = where / "ntfs.vhdx"
        run(*conv, "-O", "vhdx", self.raw, self.vhdx)
        self.vhd = where / "ntfs-dynamic.vhd"
        run(*conv, "-O", "vpc", "-o", "force_size=on", self.raw, self.vhd)
        self.fixed = where / "ntfs-fixed.vhd"
        run(*conv, "-O", "vpc", "-o", "subformat=fixed,force_size=on",
            self.raw, self.fixed)
        self.ext_vhdx = where / "ext4.vhdx"
        run(*conv, "-O", "vhdx", self.ext, self.ext_vhdx)
        # A disk beside its children would only be mounted read-only.
        (where / "chain").mkdir()
        base = where / "chain/base.vhdx"
        run("cp", "--sparse=always", self.vhdx, base)
        self.chain = make_chain(base, self.raw, where / "chain")
        self.big = [f"big{b}.bin" for b in range(1 if small else BIGS)]
        self.first, self.second = where / "host0.bin", where / "host1.bin"
        for path in self.first, self.second:
            path.write_bytes(os.urandom(1 << 20) * 256)
        self.source = where / "copy.bin"
        with open(self.source, "wb") as out:
            out.write(os.urandom(1 << 20) * 250)
        self.tar = where / "small.tar"
        self.make_tar()

    def make_tar(self):
        with tempfile.TemporaryDirectory(dir=self.where) as d:
            for n in range(5000):
                sub = pathlib.Path(d) / f"d{n // 100:02}"
                sub.mkdir(exist_ok=True)
                (sub / f"f{n:04}").write_bytes(os.urandom(64) * 128)
            run("tar", "-C", d, "-cf", self.tar, ".")


def warm(*paths):
    for p in paths:
        with open(p, "rb") as f:
            while f.read(8 << 20):
                pass


# ---- work: each returns a number; bigger or smaller is better as told ----

def number(*args):
    return float(run(*args, capture_output=True, text=True).stdout)


def seq(d, names):
    return number(READER, "seq", *[d / n for n in names])


def seq_one_by_one(d, names):
    """MB/s over all files, one after the other."""
    total, start = 0, time.monotonic()
    for n in names:
        number(READER, "seq", d / n)
        total += (d / n).stat().st_size
    return total / 1e6 / (time.monotonic() - start)


def rand(d, name):
    return number(READER, "rand", 40000, d / name)


def find(d):
    start = time.monotonic()
    run("find", d, "-ls", stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def tar(d):
    start = time.monotonic()
    run("sh", "-c", f"tar -C {d} --exclude='big*' -cf - . | cat >/dev/null")
    return time.monotonic() - start


def fsync_root(d):
    fd = os.open(d, os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError as e:
        if e.errno not in (22, 38):
            raise
    finally:
        os.close(fd)


def fdatasync(path):
    fd = os.open(path, os.O_RDONLY)
    os.fdatasync(fd)
    os.close(fd)


def write_work(image, make_stack, work):
    """Seconds from the first byte until the image is on disk and free."""
    copy = image.parent / "w" / image.name
    copy.parent.mkdir(exist_ok=True)
    run("cp", "--sparse=always", image, copy)
    fdatasync(copy)
    os.sync()
    with make_stack(copy) as d:
        start = time.monotonic()
        work(d)
        fsync_root(d)
    fdatasync(copy)
    took = time.monotonic() - start
    copy.unlink()
    return took


def copy_big(inputs):
    return lambda d: run("cp", inputs.source, d / "copied.bin")


def untar(inputs):
    def work(d):
        (d / "untar").mkdir()
        run("tar", "-C", d / "untar", "--no-same-owner", "-xf", inputs.tar)
    return work


def until_ls(image, *options):
    with stacks.directory() as d:
        opts = ["-o", ",".join(("ro",) + options)]
        start = time.monotonic()
        run(VHDFS, *opts, image, d)
        os.listdir(d)
        took = time.monotonic() - start
        run(VHDFS, "-u", d)
    return took


def resident_after_all(inputs):
    """MiB of the daemon after everything was read."""
    with stacks.ours(inputs.vhdx, "ro") as d:
        seq(d, inputs.big)
        tar(d)
        pid = max(stacks.holders(inputs.vhdx))
        status = open(f"/proc/{pid}/status").read()
    rss = [x for x in status.splitlines() if x.startswith("VmRSS")][0]
    return int(rss.split()[1]) / 1024


# ---- rows ----

def rows(i):
    """(group, name, bigger is better, {stack: function})"""
    ro = "ro"

    def ours(image, *o):
        return stacks.ours(image, ro, *o)

    def peers(image, driver):
        return {
            "vhdimount": lambda: stacks.through(
                stacks.vhdimount(image), stacks.ntfs3g, ro),
            "qsd": lambda: stacks.through(
                stacks.qsd(image, driver, False), stacks.ntfs3g, ro),
        }

    def on(make, work, *args):
        def go():
            with make() as d:
                return work(d, *args)
        return go

    vhdx_peers = peers(i.vhdx, "vhdx")
    raw = lambda: stacks.ntfs3g(i.raw, ro)                     # noqa: E731
    passfs = lambda: stacks.small_daemon(                      # noqa: E731
        "passfs", i.first, i.second)
    null = lambda: stacks.small_daemon("nullfs", DIRS,         # noqa: E731
                                       FILES // DIRS, FILE_SIZE)
    all_stacks = {"vhdfs": lambda: ours(i.vhdx), "ntfs-3g raw": raw,
                  **vhdx_peers}
    one = i.big[:1]
    yield "seq", "sequential 1 MiB reads, MB/s", True, {
        **{n: on(s, seq, one) for n, s in all_stacks.items()},
        "chain of 3": on(lambda: ours(i.chain), seq, one),
        "fixed VHD": on(lambda: ours(i.fixed), seq, one),
        "dynamic VHD": on(lambda: ours(i.vhd), seq, one),
        "passfs": on(passfs, seq, ["file"])}
    if len(i.big) > 1:
        two = i.big[:2]
        yield "seq2", "two readers' sum, MB/s", True, {
            "vhdfs": on(lambda: ours(i.vhdx), seq, two),
            "passfs": on(passfs, seq, ["file", "file1"])}
    yield "rand", "random 4 KiB reads/s", True, {
        **{n: on(s, rand, i.big[0]) for n, s in all_stacks.items()},
        "passfs": on(passfs, rand, "file")}
    yield "find", "find -ls, s", False, {
        **{n: on(s, find) for n, s in all_stacks.items()},
        "vhdfs rw": on(lambda: stacks.ours(i.vhdx), find),
        "nullfs": on(null, find)}
    yield "tar", "tar of the small files, s", False, {
        **{n: on(s, tar) for n, s in all_stacks.items()},
        "vhdfs rw": on(lambda: stacks.ours(i.vhdx), tar),
        "nullfs": on(null, tar)}
    ext = {"vhdfs ext4": lambda: ours(i.ext_vhdx),
           "fuse2fs raw": lambda: stacks.fuse2fs(i.ext, ro)}
    yield "ext", "ext4 sequential, MB/s", True, {
        n: on(s, seq, one) for n, s in ext.items()}
    yield "ext", "ext4 random 4 KiB reads/s", True, {
        n: on(s, rand, i.big[0]) for n, s in ext.items()}
    yield "ext", "ext4 find -ls, s", False, {
        n: on(s, find) for n, s in ext.items()}
    yield "ext", "ext4 tar, s", False, {
        n: on(s, tar) for n, s in ext.items()}
    yield from write_rows(i)


def write_rows(i):
    def w(image, make, work):
        return lambda: write_work(image, make, work(i))

    qsd = lambda c: stacks.through(                            # noqa: E731
        stacks.qsd(c, "vhdx", True), stacks.ntfs3g)
    for name, work in (("copy of 250 MB, s", copy_big),
                       ("untar of 5,000 files, s", untar)):
        yield "write", name, False, {
            "vhdfs": w(i.vhdx, stacks.ours, work),
            "ntfs-3g raw": w(i.raw, stacks.ntfs3g, work),
            "qsd": w(i.vhdx, qsd, work)}
        yield "extwrite", "ext4 " + name, False, {
            "vhdfs": w(i.ext_vhdx, stacks.ours, work),
            "fuse2fs raw": w(i.ext, stacks.fuse2fs, work)}


def measure(rounds, table):
    """{row: {stack: [figures]}}, the stacks alternating within a round."""
    figures = {row[1]: {s: [] for s in row[3]} for row in table}
    for r in range(rounds):
        for _, name, _, work in table:
            order = list(work)
            for s in order if r % 2 == 0 else reversed(order):
                figures[name][s].append(work[s]())
            print(f"round {r + 1}: {name}: " + ", ".join(
                f"{s} {figures[name][s][-1]:.4g}" for s in order),
                file=sys.stderr, flush=True)
    return figures


def report(table, figures):
    for _, name, bigger, work in table:
        print(f"\n{name}")
        mid = {s: statistics.median(v) for s, v in figures[name].items()}
        first = next(iter(work))
        for s, v in mid.items():
            ratio = mid[first] / v if bigger else v / mid[first]
            print(f"  {s:14} {v:12.4g}   {first} is {ratio:5.2f} x")


def starts(i, rounds):
    (i.where / "long").mkdir()
    chain = [i.where / "long/base.vhdx"]
    run("cp", "--sparse=always", i.vhdx, chain[0])
    for n in range(29):
        child = i.where / f"long/{n}.vhdx"
        run(TOOLS / "vhdxtool", "diff", chain[-1],
            ".\\" + chain[-1].name, "", 0, child, stdout=subprocess.DEVNULL)
        chain.append(child)
    huge = i.where / "huge.vhdx"
    run(TOOLS / "vhdxtool", "create", "dynamic", "64t", 0, 0, 0, huge,
        stdout=subprocess.DEVNULL)
    for name, image, options in (
            ("VHDX", i.vhdx, ()), ("chain of 30", chain[-1], ()),
            ("64 TiB sparse, view=raw", huge, ("view=raw",))):
        took = [until_ls(image, *options) for _ in range(max(rounds, 3))]
        print(f"mount until ls, {name}: {statistics.median(took) * 1e3:.1f} ms")
    print(f"resident after reading everything: "
          f"{resident_after_all(i):.1f} MiB")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--dir", default="/var/tmp")
    p.add_argument("--only", default="")
    p.add_argument("--small", action="store_true")
    a = p.parse_args()
    # Ended from outside, it still unmounts what it mounted.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    where = pathlib.Path(tempfile.mkdtemp(prefix="imgfs-bench-", dir=a.dir))
    try:
        print("making the inputs ...", file=sys.stderr)
        inputs = Inputs(where, a.small)
        os.sync()       # or writing the inputs back is measured as well
        warm(*(f for f in where.rglob("*") if f.is_file()))
        only = set(filter(None, a.only.split(",")))
        table = [r for r in rows(inputs) if not only or r[0] in only]
        report(table, measure(a.rounds, table))
        if not only or "start" in only:
            print()
            starts(inputs, a.rounds)
    finally:
        shutil.rmtree(where)


if __name__ == "__main__":
    main()
