# SPDX-License-Identifier: GPL-3.0-or-later
"""Random operations on a volume and on a model of it in Python."""
import random


class Model:
    def __init__(self, seed, files=(), dirs=()):
        self.rng = random.Random(seed)
        self.data = {f: bytearray() for f in files}     # path -> bytes
        self.dirs = {"": set()}                         # path -> names
        self.links = {}                                 # path -> target
        self.out = []

    def _new(self):
        d = self.rng.choice(list(self.dirs))
        name = "n%d%s" % (self.rng.randrange(10 ** 6),
                          "x" * self.rng.randrange(40))
        return d, name

    def _pick(self, what):
        return self.rng.choice(sorted(what)) if what else None

    def _enter(self, d, name):
        self.dirs[d].add(name)

    def _leave(self, path):
        d, name = path.rsplit("/", 1)
        self.dirs[d].discard(name)

    def create(self):
        d, name = self._new()
        self.out.append(f"create {d}/{name} 644")
        self.data[f"{d}/{name}"] = bytearray()
        self._enter(d, name)

    def mkdir(self):
        d, name = self._new()
        if d.count("/") > 4:
            return
        self.out.append(f"mkdir {d}/{name} 755")
        self.dirs[f"{d}/{name}"] = set()
        self._enter(d, name)

    def symlink(self):
        d, name = self._new()
        target = "t" * self.rng.choice([3, 59, 60, 61, 200, 900])
        self.out.append(f"symlink {d}/{name} {target}")
        self.links[f"{d}/{name}"] = target
        self._enter(d, name)

    def write(self):
        p = self._pick(self.data)
        if not p:
            return
        off = self.rng.choice([0, 1, 100, 4095, 5000, 70_000, 300_000,
                               len(self.data[p])])
        n = self.rng.choice([1, 10, 100, 1024, 4096, 5000, 65_536, 200_000])
        byte = self.rng.randrange(1, 256)
        self.out.append(f"write {p} {off} {n} {byte}")
        self._put(p, off, bytes([byte]) * n)

    def _put(self, p, off, data):
        b = self.data[p]
        if len(b) < off + len(data):
            b.extend(bytes(off + len(data) - len(b)))
        b[off:off + len(data)] = data

    def truncate(self):
        p = self._pick(self.data)
        if not p:
            return
        n = self.rng.choice([0, 1, 50, 4096, 4097, 100_000, 400_000])
        self.out.append(f"truncate {p} {n}")
        b = self.data[p]
        if len(b) > n:
            del b[n:]
        else:
            b.extend(bytes(n - len(b)))

    def punch(self):
        p = self._pick(self.data)
        if not p or not self.data[p]:
            return
        off = self.rng.randrange(len(self.data[p]))
        n = self.rng.choice([10, 4096, 9000, 150_000])
        self.out.append(f"allocate {p} 3 {off} {n}")
        end = min(off + n, len(self.data[p]))
        self.data[p][off:end] = bytes(end - off)

    def unlink(self):
        p = self._pick(list(self.data) + list(self.links))
        if p:
            self.out.append(f"unlink {p}")
            self.data.pop(p, None)
            self.links.pop(p, None)
            self._leave(p)

    def rmdir(self):
        p = self._pick([d for d, names in self.dirs.items()
                        if d and not names])
        if p:
            self.out.append(f"rmdir {p}")
            del self.dirs[p]
            self._leave(p)

    def rename(self):
        p = self._pick(list(self.data) + list(self.links) +
                       [d for d in self.dirs if d])
        if not p:
            return
        d, name = self._new()
        if (d + "/").startswith(p + "/"):
            return
        new = f"{d}/{name}"
        self.out.append(f"rename {p} {new} 0")
        self._leave(p)
        self._enter(d, name)
        for table in (self.data, self.links, self.dirs):
            for old in [k for k in table
                        if k == p or k.startswith(p + "/")]:
                table[new + old[len(p):]] = table.pop(old)

    def replace(self):
        if len(self.data) < 2:
            return
        a, b = self.rng.sample(sorted(self.data), 2)
        self.out.append(f"rename {a} {b} 0")
        self.data[b] = self.data.pop(a)
        self._leave(a)

    def exchange(self):
        if len(self.data) < 2:
            return
        a, b = self.rng.sample(sorted(self.data), 2)
        self.out.append(f"rename {a} {b} 2")
        self.data[a], self.data[b] = self.data[b], self.data[a]

    def attrs(self):
        p = self._pick(self.data)
        if p:
            self.out += [f"chmod {p} 600", f"chown {p} 70000 5",
                         f"setx {p} user.a {'ab' * self.rng.choice([2, 90])}",
                         f"utime {p} 1234567890"]

    def sync(self):
        self.out.append("sync")

    def steps(self, n, extents=True):
        ops = [self.create] * 6 + [self.mkdir] * 2 + [self.symlink] * 2 + \
            [self.write] * 8 + [self.truncate] * 3 + [self.unlink] * 2 + \
            [self.rmdir, self.rename, self.rename, self.replace,
             self.exchange, self.attrs, self.sync, self.punch]
        for _ in range(n):
            self.rng.choice(ops)()
        return self.out

    def tree(self):
        out = {p: ("f", len(b)) for p, b in self.data.items()}
        out.update({p: ("l", len(t)) for p, t in self.links.items()})
        out.update({p: ("d", 0) for p in self.dirs if p})
        return out
