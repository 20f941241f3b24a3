# SPDX-License-Identifier: GPL-3.0-or-later
"""What the maintenance tests of VHD and VHDX share."""
import random
import subprocess

import crash


class Maint:
    """tests/c/mainttool for one format."""

    def __init__(self, path, kind):
        self.path, self.kind = path, kind

    def run(self, image, *verbs, options=(), parents=()):
        args = [x for p in parents for x in ("--parent", p)]
        words = " , ".join(verbs).split()
        return subprocess.run(
            [self.path, self.kind, *map(str, [*options, *args, image]),
             *words], capture_output=True, text=True, timeout=120)

    def __call__(self, image, *verbs, options=(), parents=()):
        p = self.run(image, *verbs, options=options, parents=parents)
        assert p.returncode == 0, p.stdout + p.stderr
        return p.stdout.splitlines()

    def fails(self, image, *verbs, code, parents=(), options=()):
        p = self.run(image, *verbs, options=options, parents=parents)
        assert p.returncode == 1, p.stdout + p.stderr
        assert f"error {code}" in p.stdout.splitlines(), p.stdout + p.stderr
        return p.stderr

    def crash(self, image, *verbs, parents=(), samples=2, stride=1):
        """Every state that a power cut during the verbs can leave, one after
        the other in the file itself; yields (n, last)."""
        before = image.read_bytes()
        rec = image.with_suffix(".rec")
        self(image, *verbs, parents=parents, options=["--record", rec])
        after = image.read_bytes()
        ops = crash.load(rec)
        points = set(range(0, len(ops) + 1, stride)) | {len(ops)}
        for n, state in crash.states(before, ops, random.Random(7), samples,
                                     points):
            write_sparse(image, state)
            yield n, n == len(ops)
        image.write_bytes(after)


def write_sparse(path, data, step=1 << 16):
    """Only what is not zero is written: most states are mostly holes."""
    path.unlink()
    zeros = bytes(step)
    with open(path, "wb") as f:
        f.truncate(len(data))
        for at in range(0, len(data), step):
            piece = data[at:at + step]
            if piece != zeros[:len(piece)]:
                f.seek(at)
                f.write(piece)


def runs(pieces):
    """[(kind, length)] as mainttool prints them, merged."""
    out = []
    for kind, length in pieces:
        if out and out[-1][0] == kind:
            out[-1][1] += length
        elif length:
            out.append([kind, length])
    return " ".join(f"{k}+{n}" for k, n in out)
