# SPDX-License-Identifier: GPL-3.0-or-later
"""Tiny WIM files by hand, from FORMAT.md alone: what wimlib would not write."""
import hashlib
import struct

DIRECTORY, REPARSE, ENCRYPTED, ARCHIVE = 0x10, 0x400, 0x4000, 0x20
TIME = 0x01DD000000000000


def pad8(b):
    return b + bytes(-len(b) % 8)


def sha1(b):
    return hashlib.sha1(b).digest()


def reshdr(size, off, usize=None, flags=0):
    return struct.pack("<QQQ", size | flags << 56, off,
                       size if usize is None else usize)


def stream(name, digest):
    text = name.encode("utf-16le")
    b = struct.pack("<Q20sH", 0, digest, len(text))
    b += text + bytes(2 if text else 0)
    b = struct.pack("<Q", 8 + len(b) + -(8 + len(b)) % 8) + b
    return pad8(b)


class Node:
    """A directory entry; children make it a directory."""
    def __init__(self, name="", data=b"", attrs=None, children=None,
                 streams=(), group=0, items=b"", short="", tag=0, flags=0,
                 security=-1, digest=None, times=(TIME, TIME, TIME)):
        self.name, self.data, self.children = name, data, children
        self.attrs = attrs if attrs is not None else (
            DIRECTORY if children is not None else ARCHIVE)
        self.streams, self.group, self.items = streams, group, items
        self.short, self.tag, self.flags = short, tag, flags
        self.security, self.times = security, times
        self.digest = digest
        self.subdir = 0

    def main_hash(self):
        if self.digest is not None:
            return self.digest
        return sha1(self.data) if self.data else bytes(20)

    def encode(self):
        name = self.name if isinstance(self.name, bytes) \
            else self.name.encode("utf-16le")
        short = self.short.encode("utf-16le")
        union = struct.pack("<IHH", self.tag, 0, self.flags) \
            if self.attrs & REPARSE else struct.pack("<Q", self.group)
        b = struct.pack("<IiQQQQQQ", self.attrs, self.security, self.subdir,
                        0, 0, *self.times)
        b += self.main_hash() + bytes(4) + union
        b += struct.pack("<HHH", len(self.streams), len(short), len(name))
        b += name + bytes(2 if name else 0)
        b += short + bytes(2 if short else 0)
        b += bytes(-(8 + len(b)) % 8) + self.items
        b = pad8(bytes(8) + b)
        b = struct.pack("<Q", len(b)) + b[8:]
        return b + b"".join(stream(n, sha1(d) if d else bytes(20))
                            for n, d in self.streams)


def metadata(root, security=()):
    sec = struct.pack("<II", 0, len(security))
    sec += b"".join(struct.pack("<Q", len(s)) for s in security)
    sec += b"".join(security)
    sec = pad8(struct.pack("<I", len(sec) + -len(sec) % 8) + sec[4:])
    lists = []

    def place(node, pos):
        if node.children is None:
            return pos
        node.subdir = node.subdir or pos
        lists.append(node)
        pos += sum(len(c.encode()) for c in node.children) + 8
        for c in node.children:
            pos = place(c, pos)
        return pos

    place(root, len(sec) + len(root.encode()) + 8)
    out = sec + root.encode() + bytes(8)
    for node in lists:
        out += b"".join(c.encode() for c in node.children) + bytes(8)
    return out


def contents(node):
    yield node.data
    for _, d in node.streams:
        yield d
    for c in node.children or ():
        yield from contents(c)


def entry(res, digest, refs=1, part=1):
    return res + struct.pack("<HI", part, refs) + digest


def build(root=None, meta=None, blobs=None, table=None, xml=None, **header):
    """A file of one image; every part can be replaced by something wrong."""
    body, entries = b"", b""
    if blobs is None:
        blobs = list(dict.fromkeys(c for c in contents(root) if c))
    if meta is None:
        meta = metadata(root)
    for b in blobs:
        entries += entry(reshdr(len(b), 208 + len(body)), sha1(b))
        body += b
    entries += entry(reshdr(len(meta), 208 + len(body), flags=2), sha1(meta))
    body += meta
    entries = entries if table is None else table(entries)
    if xml is None:
        xml = '<WIM><IMAGE INDEX="1"><NAME>one</NAME></IMAGE></WIM>'
    if isinstance(xml, str):
        xml = b"\xff\xfe" + xml.encode("utf-16le", "surrogatepass")
    h = dict(magic=b"MSWIM\0\0\0", size=208, version=0x10D00, flags=0x80,
             chunk=0, part=1, parts=1, images=1, boot=0)
    h.update(header)
    table_off = 208 + len(body)
    head = struct.pack("<8sIIII16sHHI", h["magic"], h["size"], h["version"],
                       h["flags"], h["chunk"], bytes(range(16)), h["part"],
                       h["parts"], h["images"])
    head += h.get("table_res") or reshdr(len(entries), table_off, flags=2)
    head += h.get("xml_res") or reshdr(len(xml), table_off + len(entries),
                                       flags=2)
    head += bytes(24) + struct.pack("<I", h["boot"]) + bytes(84)
    return head + body + entries + xml
