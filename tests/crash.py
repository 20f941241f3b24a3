# SPDX-License-Identifier: GPL-3.0-or-later
"""States that a power cut can leave, from a record of tests/c/dev_record.

Only what was flushed is certain. Of the writes after the last flush, any
subset of their 512-byte sectors may have reached the disk, and the file may
or may not have grown.
"""
import random

SECTOR = 512


def load(path):
    """The operations: ("W", off, bytes), ("Z", off, len), ("S", size), ("F",)."""
    ops = []
    with open(path, "rb") as f:
        while line := f.readline():
            word = line.split()
            kind = word[0].decode()
            if kind == "W":
                ops.append(("W", int(word[1]), f.read(int(word[2]))))
            elif kind == "Z":
                ops.append(("Z", int(word[1]), int(word[2])))
            elif kind == "S":
                ops.append(("S", int(word[1])))
            else:
                ops.append(("F",))
    return ops


def apply(img, op):
    """Applies one operation to a bytearray in full."""
    if op[0] == "S":
        if op[1] < len(img):
            del img[op[1]:]
        else:
            img.extend(bytes(op[1] - len(img)))
    elif op[0] in "WZ":
        data = op[2] if op[0] == "W" else bytes(op[2])
        if len(img) < op[1] + len(data):
            img.extend(bytes(op[1] + len(data) - len(img)))
        img[op[1]:op[1] + len(data)] = data


def states(before, ops, rng=None, samples=2, points=None):
    """Yields (n, image): after ops[:n], for n in points (default: every n),
    the state with everything written, with nothing unflushed, and `samples`
    random survivals."""
    rng = rng or random.Random(1)
    durable, pending = bytearray(before), []
    for n in range(len(ops) + 1):
        if points is None or n in points:
            yield from _survivals(n, durable, pending, rng, samples)
        if n == len(ops):
            break
        if ops[n][0] == "F":
            for op in pending:
                apply(durable, op)
            pending = []
        else:
            pending.append(ops[n])


def _survivals(n, durable, pending, rng, samples):
    if not pending:
        yield n, bytes(durable)
        return
    yield n, bytes(durable)
    everything = bytearray(durable)
    for op in pending:
        apply(everything, op)
    yield n, bytes(everything)
    for _ in range(samples):
        img = bytearray(durable)
        whole = rng.random() < 0.5
        for op in pending:
            if op[0] == "S" or whole:
                if rng.random() < 0.5:
                    apply(img, op)
                continue
            length = len(op[2]) if op[0] == "W" else op[2]
            at = 0
            while at < length:      # sectors of the disk, not of the write
                k = min(SECTOR - (op[1] + at) % SECTOR, length - at)
                if rng.random() < 0.5:
                    part = op[2][at:at + k] if op[0] == "W" else bytes(k)
                    apply(img, ("W", op[1] + at, part))
                at += k
        yield n, bytes(img)
