# SPDX-License-Identifier: GPL-3.0-or-later
"""Random differencing chains with a model of what they read as. The files are
written by tests/make, which knows nothing of the C code."""
import random
import subprocess
import uuid

from make import vhd as mkvhd
from make import vhdx as mkvhdx

MIB = 1 << 20
SECTOR = 512


class Link:
    """One file: its path, and what the disk reads as from here down."""
    def __init__(self, path, content):
        self.path, self.content = path, content


def _over(content, parts):
    out = bytearray(content)
    for off, data in parts:
        data = data[:max(0, len(out) - off)]
        out[off:off + len(data)] = data
    return bytes(out)


def _sectors(rng, n):
    """Some runs of sectors, neither aligned nor sorted by size."""
    out = set()
    for _ in range(rng.randrange(1, 5)):
        first = rng.randrange(n)
        out |= set(range(first, min(n, first + rng.choice((1, 3, 8, 200)))))
    return out


def _sizes(rng, depth, unit, low, high):
    """From the base up: children may have grown."""
    size, out = rng.randrange(low, high) * unit, []
    for _ in range(depth + 1):
        out.append(size)
        if rng.random() < 0.3:
            size += rng.randrange(1, 5) * unit
    return out


# ---- VHDX ----

def _vhdx_block(rng, img, blk, child, parent, lss):
    """Puts a random block; (offset, data) runs of the model."""
    at = blk * MIB
    states = [0, 0, 2, 3, 6] + [7, 7, 7] * child
    state = rng.choice(states)
    if state in (0, 7) and not child:
        img.put(blk, 0)
        return [], set()
    if state == 0:
        return [], set()
    if state in (2, 3):
        img.put(blk, state)
        return [(at, bytes(MIB))], set()
    data = rng.randbytes(MIB)
    if rng.random() < 0.3:
        data = bytes(MIB // 2) + data[MIB // 2:]
    img.put(blk, state, data)
    if state == 6:
        return [(at, data)], set()
    some = _sectors(rng, MIB // lss)
    return ([(at + s * lss, data[s * lss:(s + 1) * lss]) for s in some],
            {blk * (MIB // lss) + s for s in some})


def vhdx_chain(rng, where, depth, lss=512):
    links, content, guid = [], b"", None
    for i, size in enumerate(_sizes(rng, depth, lss, 1000, 8000)):
        new = uuid.UUID(int=rng.getrandbits(128))
        parent = mkvhdx.linkage(guid, f"l{i - 1}.vhdx") if i else None
        img = mkvhdx.Vhdx(size, lss=lss, parent=parent)
        img.headers = [mkvhdx.header(s, data_write=new) for s in (1, 2)]
        parts, bits = [], set()
        for blk in range(img.n_blocks):
            more, some = _vhdx_block(rng, img, blk, bool(i), content, lss)
            parts += more
            bits |= some
        if bits:
            img.bits(0, bits)
        content = _over(content.ljust(size, b"\0"), parts)
        path = where / f"l{i}.vhdx"
        img.write(path)
        links.append(Link(path, content))
        guid = new
    return links[::-1]


# ---- VHD ----

def _vhd_blocks(rng, size, block, child):
    out = {}
    for blk in range(-(-size // block)):
        if rng.random() < 0.5:
            continue
        data = bytes(block) if rng.random() < 0.2 else rng.randbytes(block)
        some = _sectors(rng, block // SECTOR) if child else None
        out[blk] = (data, some if rng.random() < 0.8 else None)
    return out


def vhd_chain(rng, where, depth, block=None):
    links, content, uid = [], b"", None
    block = block or rng.choice((4096, 16384, 65536))
    fixed = rng.random() < 0.3
    for i, size in enumerate(_sizes(rng, depth, SECTOR, 200, 2000)):
        new, path = rng.randbytes(16), where / f"l{i}.vhd"
        if not i and fixed:
            content = rng.randbytes(size)
            path.write_bytes(mkvhd.fixed(content, uid=new))
        else:
            img = mkvhd.Image(
                size, mkvhd.DIFF if i else mkvhd.DYNAMIC, block,
                _vhd_blocks(rng, size, block, bool(i)),
                parent_id=uid or bytes(16), footer_args={"uid": new},
                parent_name=f"l{i - 1}.vhd" if i else "",
                locators=[(b"W2ru", f".\\l{i - 1}.vhd".encode("utf-16-le"))]
                if i else ())
            img.write(path)
            content = img.content(content)
        links.append(Link(path, content))
        uid = new
    return links[::-1]


def make(kind, seed, where, depth=None, **kw):
    """Links, the leaf first."""
    rng = random.Random(f"{kind}{seed}")
    depth = depth or rng.randrange(1, 7)
    if kind == "vhd":
        return vhd_chain(rng, where, depth, **kw)
    return vhdx_chain(rng, where, depth, lss=int(kind[4:] or 512), **kw)


def read(program, path, out):
    """What disktool reads through the chain: bytes, or (errno, outcome,
    words)."""
    p = subprocess.run([program, "-q", str(path)], text=True,
                       input="size\n", capture_output=True, timeout=60)
    if p.returncode:
        head, words = p.stdout.split(": ", 1)
        return tuple(head.split()[1:]) + (words,)
    size = int(p.stdout)
    p = subprocess.run([program, "-q", str(path)], text=True,
                       input=f"readf 0 {size} {out}\n", capture_output=True,
                       timeout=60)
    assert p.stdout == "ok\n", p.stdout
    return out.read_bytes()
