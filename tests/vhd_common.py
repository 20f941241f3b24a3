# SPDX-License-Identifier: GPL-3.0-or-later
"""What the VHD tests share."""
import hashlib
import tempfile

from conftest import run


class Tool:
    """tests/c/vhdtool."""

    def __init__(self, path):
        self.path = path

    def info(self, path, *options, check=True):
        p = run(self.path, "info", *options, path, check=check)
        if p.returncode:
            return p
        out = {}
        for line in p.stdout.splitlines():
            name, _, value = line.partition(" ")
            out.setdefault(name, []).append(value)
        return out

    def script(self, path, lines, *options, check=True, parents=()):
        """The answers to a devscript."""
        args = [x for p in parents for x in ("--parent", p)]
        p = run(self.path, "open", *args, *options, path,
                stdin="\n".join(lines) + "\n", check=check)
        return p if not check else p.stdout.splitlines()

    def fails(self, path, *options, code="EUCLEAN", parents=()):
        """Opening fails with this code and one line that is returned."""
        p = self.script(path, [], *options, check=False, parents=parents)
        assert p.returncode == 1, p.stdout + p.stderr
        assert p.stdout == f"error {code}\n", p.stdout + p.stderr
        assert p.stderr.startswith("vhd") and p.stderr.count("\n") == 1
        return p.stderr

    def read(self, path, *options, parents=()):
        """The whole disk."""
        size = int(self.script(path, ["size"], *options, parents=parents)[0])
        with tempfile.NamedTemporaryFile() as out:
            answer = self.script(path, [f"readf 0 {size} {out.name}"],
                                 *options, parents=parents)
            assert answer == ["ok"], answer
            return out.read()

    def create(self, path, kind, size, *args):
        run(self.path, "create", path, kind, size, *args)
        return path


def sha(data):
    return hashlib.sha256(data).hexdigest()


def runs_of(line):
    """A map answer: [(kind or fd, offset, length)]."""
    out = []
    for word in line.split():
        where, length = word.split("+")
        kind, _, off = where.partition("@")
        out.append((kind, int(off or 0), int(length)))
    return out
