#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the FUSE glue costs: memfs against passfs (reads) and nullfs (find,
tar), alternating, medians of some rounds, one table. Needs root and a build:
IMGFS_BUILD=build tests/bench/glue.py [ROUNDS]"""
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

SRC = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("IMGFS_BUILD", SRC)).resolve()
READER = BUILD / "tests/bench/reader"
SIZE = 1 << 30


def mounted(args):
    """Runs a daemon on a new directory until the caller is done."""
    class Mount:
        def __enter__(self):
            self.dir = tempfile.mkdtemp(prefix="bench.")
            self.proc = subprocess.Popen([str(a) for a in args] + [self.dir],
                                         stdout=subprocess.DEVNULL)
            while not os.path.ismount(self.dir):
                time.sleep(0.01)
            return pathlib.Path(self.dir)

        def __exit__(self, *exc):
            subprocess.run(["umount", self.dir], check=False)
            self.proc.wait()
            os.rmdir(self.dir)
    return Mount()


def reader(*args):
    out = subprocess.run([READER, *map(str, args)], check=True,
                         capture_output=True, text=True).stdout
    return float(out)


def seconds(*args):
    start = time.monotonic()
    subprocess.run(args, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def reads(daemon, name, what):
    with mounted(daemon) as d:
        if what == "seq":
            return reader("seq", d / name, 1 << 20)
        if what == "seq128k":
            return reader("seq", d / name, 128 << 10)
        if what == "seq2":
            ps = [subprocess.Popen([READER, "seq", d / n, str(1 << 20)],
                                   stdout=subprocess.PIPE, text=True)
                  for n in (name,) * 2]
            return sum(float(p.communicate()[0]) for p in ps)
        return reader("rand", d / name, 4096, 60000)


def walk(daemon, what):
    with mounted(daemon) as d:
        if what == "find":
            return seconds("find", str(d), "-ls")
        return seconds("sh", "-c", f"tar cf - -C {d} . | cat >/dev/null")


def table(rounds, rows):
    for title, better, runs in rows:
        got = {k: [] for k in runs}
        for _ in range(rounds):
            for k, f in runs.items():
                got[k].append(f())
        mid = {k: statistics.median(v) for k, v in got.items()}
        ours, ref = mid["memfs"], mid[[k for k in mid if k != "memfs"][0]]
        ratio = ours / ref
        cells = "  ".join(f"{k} {v:12.4g}" for k, v in mid.items())
        print(f"{title:34} {cells}  ratio {ratio:.2f} (bar {better})",
              flush=True)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    memfs = BUILD / "tests/c/memfs"
    with tempfile.NamedTemporaryFile(prefix="bench.", dir="/var/tmp") as f:
        block = os.urandom(1 << 20)
        for _ in range(SIZE >> 20):
            f.write(block)
        f.flush()
        host = [memfs, "-o", f"host={f.name},ro,frozen,seek_list,list_attr,"
                             "parallel"]
        serial = [memfs, "-o", f"host={f.name}"]
        passfs = [BUILD / "tests/bench/passfs", f.name]
        tree = [memfs, "-o", "dirs=200,files=100,file_size=8192,ro,frozen,"
                             "seek_list,list_attr"]
        nullfs = [BUILD / "tests/bench/nullfs", 200, 100, 8192]
        rows = []
        for what, bar in (("seq", ">= 0.9"), ("seq128k", ">= 0.9"),
                          ("seq2", ">= 0.9"), ("rand4k", ">= 0.95")):
            for kind, daemon in (("frozen", host), ("writable", serial)):
                rows.append((f"read {what}, {kind}", bar, {
                    "memfs": lambda d=daemon, w=what: reads(d, "host", w),
                    "passfs": lambda w=what: reads(passfs, "file", w)}))
        for what, bar in (("find", "<= 1.15"), ("tar", "<= 1.15")):
            rows.append((f"{what}, 20,000 files, seconds", bar, {
                "memfs": lambda w=what: walk(tree, w),
                "nullfs": lambda w=what: walk(nullfs, w)}))
        table(rounds, rows)


main()
