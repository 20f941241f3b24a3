# SPDX-License-Identifier: GPL-3.0-or-later
"""Random modifications of an NTFS volume, mirrored in Python; then ntfs-3g
must see the same names and bytes, and ntfsresize a sound volume."""
import os
import random

import pytest

from ntfsvol import mkntfs, mounted, script, sound

KEEP, PUNCH, ZERO = 1, 2, 16
NAMES = ["a", "b", "long-" + "n" * 200, "ü-ñ-日本", "with.dot", "UPPER",
         "𝄞"]


class Model:
    """Files are [bytearray] shared by hard links; directories are dicts."""

    def __init__(self, rng, tmp):
        self.rng, self.tmp = rng, tmp
        self.root, self.lines, self.want = {}, [], []

    def do(self, line, want="ok"):
        self.lines.append(line)
        self.want.append(want)

    def dirs(self, d=None, path=""):
        d = self.root if d is None else d
        yield path, d
        for n, v in d.items():
            if isinstance(v, dict):
                yield from self.dirs(v, f"{path}/{n}")

    def files(self):
        return [(f"{p}/{n}", d, n) for p, d in self.dirs()
                for n, v in d.items() if isinstance(v, list)]

    def place(self):
        p, d = self.rng.choice(list(self.dirs()))
        return p, d, self.rng.choice(NAMES) + str(self.rng.randrange(4))

    def create(self):
        p, d, n = self.place()
        self.do(f"create {p}/{n} 644", "error EEXIST" if n in d else "ok")
        d.setdefault(n, [bytearray()])

    def mkdir(self):
        p, d, n = self.place()
        if p.count("/") > 3:
            return
        self.do(f"mkdir {p}/{n} 755", "error EEXIST" if n in d else "ok")
        d.setdefault(n, {})

    def any_file(self):
        files = self.files()
        return self.rng.choice(files) if files else None

    def write(self):
        f = self.any_file()
        if not f:
            return
        data = f[1][f[2]][0]
        off = self.rng.choice([0, len(data), self.rng.randrange(300000)])
        n = self.rng.choice([1, 100, 700, 4096, self.rng.randrange(200000)])
        if not n:
            return
        byte = self.rng.randrange(1, 256)
        self.do(f"write {f[0]} {off} {n} {byte}")
        data.extend(bytes(max(0, off + n - len(data))))
        data[off:off + n] = bytes([byte]) * n

    def truncate(self):
        f = self.any_file()
        if not f:
            return
        data = f[1][f[2]][0]
        n = self.rng.choice([0, 10, len(data) // 2, len(data) + 5000])
        self.do(f"truncate {f[0]} {n}")
        data.extend(bytes(max(0, n - len(data))))
        del data[n:]

    def allocate(self):
        f = self.any_file()
        if not f:
            return
        data = f[1][f[2]][0]
        mode = self.rng.choice([0, KEEP, KEEP | PUNCH, ZERO, KEEP | ZERO])
        off = self.rng.randrange(len(data) + 5000)
        n = self.rng.randrange(1, 100000)
        self.do(f"allocate {f[0]} {mode} {off} {n}")
        if not mode & KEEP:
            data.extend(bytes(max(0, off + n - len(data))))
        if mode & (PUNCH | ZERO):
            end = min(off + n, len(data))
            if off < end:
                data[off:end] = bytes(end - off)

    def link(self):
        f = self.any_file()
        p, d, n = self.place()
        if not f:
            return
        self.do(f"link {f[0]} {p}/{n}", "error EEXIST" if n in d else "ok")
        d.setdefault(n, f[1][f[2]])

    def unlink(self):
        f = self.any_file()
        if f and self.rng.random() < 0.6:
            self.do(f"unlink {f[0]}")
            del f[1][f[2]]

    def rmdir(self):
        p, d, n = self.place()
        dirs = [n for n, v in d.items() if isinstance(v, dict)]
        if not dirs:
            return
        n = self.rng.choice(dirs)
        self.do(f"rmdir {p}/{n}", "error ENOTEMPTY" if d[n] else "ok")
        if not d[n]:
            del d[n]

    def rename(self):
        p, d, n = self.place()
        q, e, m = self.place()
        if not d:
            return
        n = self.rng.choice(list(d))
        if e and self.rng.random() < 0.4:
            m = self.rng.choice(list(e))
        src, dst = d[n], e.get(m)
        flag = self.rng.choice([0, 0, 0, 1, 2])
        want = "ok"
        inside = isinstance(src, dict) and (f"{q}/".startswith(f"{p}/{n}/"))
        outside = (flag == 2 and isinstance(dst, dict)
                   and f"{p}/".startswith(f"{q}/{m}/"))
        if flag == 1 and dst is not None:
            want = "error EEXIST"
        elif flag == 2 and dst is None:
            want = "error ENOENT"
        elif inside or outside:
            want = "error EINVAL"
        elif dst is src:
            pass
        elif dst is not None and flag != 2:
            if isinstance(src, dict) and not isinstance(dst, dict):
                want = "error ENOTDIR"
            elif isinstance(dst, dict) and not isinstance(src, dict):
                want = "error EISDIR"
            elif isinstance(dst, dict) and dst:
                want = "error ENOTEMPTY"
        self.do(f"rename {p}/{n} {q}/{m} {flag}", want)
        if want != "ok" or dst is src:
            return
        if flag == 2:
            d[n], e[m] = dst, src
        else:
            del d[n]
            e[m] = src

    def step(self):
        ops = [self.create] * 3 + [self.mkdir, self.write, self.write,
               self.write, self.truncate, self.allocate, self.allocate,
               self.link, self.unlink, self.rmdir, self.rename, self.rename]
        self.rng.choice(ops)()

    def check(self, root, d=None):
        d = self.root if d is None else d
        assert sorted(os.listdir(root)) == sorted(d)
        for n, v in d.items():
            if isinstance(v, dict):
                self.check(f"{root}/{n}", v)
            else:
                with open(f"{root}/{n}", "rb") as f:
                    assert f.read() == bytes(v[0]), n


@pytest.mark.parametrize("seed", range(6))
def test_ntfs_write_model(tool, peer, tmp_path, seed):
    peer("mkntfs")
    peer("ntfs-3g")
    cluster = [4096, 512, 65536][seed % 3]
    img = mkntfs(tmp_path / "v.img", "96M", "-c", str(cluster))
    m = Model(random.Random(seed), tmp_path)
    for part in range(3):
        m.lines, m.want = [], []
        while len(m.lines) < 150:
            m.step()
        got = script(tool, img, "\n".join(m.lines) + "\n")
        wrong = [x for x in zip(m.lines, m.want, got) if x[1] != x[2]]
        assert not wrong, wrong[:5]
        sound(img)
        with mounted(img, "ro") as d:
            m.check(d)
