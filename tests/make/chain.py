# SPDX-License-Identifier: GPL-3.0-or-later
"""Tiny VHD and VHDX files whose links are as right or wrong as a test wants.

Written from formats/vhd/FORMAT.md and formats/vhdx/FORMAT.md. Blocks are
1 MiB; `data` maps a block number to the byte that fills it. Files are sparse.
"""
import functools
import os
import struct
import uuid

MIB = 1 << 20
ZERO = bytes(16)

BAT_ID = uuid.UUID("2DC27766-F623-4200-9D64-115E9BFD4A08").bytes_le
META_ID = uuid.UUID("8B7CA206-4790-4B9A-B8FE-575F050F886E").bytes_le
PARAMS = uuid.UUID("CAA16737-FA36-4D43-B3B6-33F0AA44E76B").bytes_le
SIZE = uuid.UUID("2FA54224-CD1B-4876-B211-5DBED83BF4B8").bytes_le
PAGE83 = uuid.UUID("BECA12AB-B2E6-4523-93EF-C309E000C746").bytes_le
SECTOR = uuid.UUID("8141BF1D-A96F-4709-BA47-F233A8FAAB5F").bytes_le
PHYS = uuid.UUID("CDA348C7-445D-4471-9CC9-E9885251C556").bytes_le
LOCATOR = uuid.UUID("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C").bytes_le
VHDX_LOCATOR = uuid.UUID("B04AEFB7-D19E-4A81-B789-25B8E9445913").bytes_le


def new_id():
    return os.urandom(16)


# ---- VHDX ----

def _table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


_CRC = _table()


@functools.lru_cache
def crc32c(data):
    crc = 0xFFFFFFFF
    for b in data:
        crc = crc >> 8 ^ _CRC[(crc ^ b) & 0xFF]
    return crc ^ 0xFFFFFFFF


def sealed(data):
    """data with its CRC in bytes 4..7."""
    return data[:4] + struct.pack("<I", crc32c(data)) + data[8:]


def text_id(guid):
    return "{%s}" % uuid.UUID(bytes_le=guid)


def locator(pairs):
    head = VHDX_LOCATOR + struct.pack("<HH", 0, len(pairs))
    at, entries, heap = 20 + 12 * len(pairs), b"", b""
    for key, value in pairs:
        k, v = key.encode("utf-16-le"), value.encode("utf-16-le",
                                                     "surrogatepass")
        entries += struct.pack("<IIHH", at, at + len(k), len(k), len(v))
        heap += k + v
        at += len(k) + len(v)
    return head + entries + heap


def metadata(items):
    table, heap = b"", b""
    for guid, flags, data in items:
        table += guid + struct.pack("<IIII", 65536 + len(heap), len(data),
                                    flags, 0)
        heap += data
    head = struct.pack("<8sHH20x", b"metadata", 0, len(items))
    return (head + table).ljust(65536, b"\0") + heap


def parent_pairs(linkage, linkage2=None, relative=None, absolute=None,
                 volume=None):
    pairs = [("parent_linkage", text_id(linkage))]
    if linkage2:
        pairs.append(("parent_linkage2", text_id(linkage2)))
    for key, value in (("relative_path", relative), ("volume_path", volume),
                       ("absolute_win32_path", absolute)):
        if value is not None:
            pairs.append((key, value))
    return pairs


def vhdx(path, guid, parent=None, size=4 * MIB, data=None, sector=512):
    """guid: the DataWriteGuid. parent: pairs of the locator, or None."""
    ratio = (1 << 23) * sector // MIB
    bat = bytearray(MIB)
    blocks = sorted((data or {}).items())
    for i, (blk, _) in enumerate(blocks):
        struct.pack_into("<Q", bat, 8 * (blk + blk // ratio),
                         (4 + i) * MIB | 6)
    items = [(PARAMS, 4, struct.pack("<II", MIB, 2 if parent else 0)),
             (SIZE, 6, struct.pack("<Q", size)),
             (PAGE83, 6, b"page83page83page"),
             (SECTOR, 6, struct.pack("<I", sector)),
             (PHYS, 6, struct.pack("<I", 4096))]
    if parent:
        items.append((LOCATOR, 4, locator(parent)))
    head = sealed(struct.pack("<4sIQ16s16s16sHHIQ", b"head", 0, 1, guid, guid,
                              ZERO, 0, 1, MIB, MIB).ljust(4096, b"\0"))
    regions = sealed((struct.pack("<4sIII", b"regi", 0, 2, 0) +
                      BAT_ID + struct.pack("<QII", 3 * MIB, MIB, 1) +
                      META_ID + struct.pack("<QII", 2 * MIB, MIB, 1)
                      ).ljust(65536, b"\0"))
    with open(path, "wb") as f:
        f.write(b"vhdxfile" + "test".encode("utf-16-le"))
        for at, what in ((64 << 10, head), (128 << 10, head),
                         (192 << 10, regions), (256 << 10, regions),
                         (2 * MIB, metadata(items)), (3 * MIB, bytes(bat))):
            f.seek(at)
            f.write(what)
        for i, (_, byte) in enumerate(blocks):
            f.seek((4 + i) * MIB)
            f.write(bytes([byte]) * MIB)
        f.truncate((4 + len(blocks)) * MIB)
    return path


def vhdx_child(path, guid, parent_id, relative=None, absolute=None,
               linkage2=None, volume=None, **kw):
    return vhdx(path, guid, parent_pairs(parent_id, linkage2, relative,
                                         absolute, volume), **kw)


# ---- VHD ----

def checksum(data):
    return ~sum(data) & 0xFFFFFFFF


def footer(guid, kind, size, offset, saved=0):
    def pack(check):
        return struct.pack(">8sIIQI4sI4sQQHBBII16sB", b"conectix", 2, 0x10000,
                           offset, 0, b"win ", 0xA0000, b"Wi2k", size, size,
                           120, 4, 17, kind, check, guid, saved
                           ).ljust(512, b"\0")
    return pack(checksum(pack(0)))


def vhd_fixed(path, guid, size=4 * MIB, byte=0, saved=0):
    with open(path, "wb") as f:
        if byte:
            f.write(bytes([byte]) * size)
        f.seek(size)
        f.write(footer(guid, 2, size, (1 << 64) - 1, saved))
    return path


def vhd(path, guid, parent=None, size=4 * MIB, data=None, name="",
        locators=()):
    """Dynamic, or differencing when parent (16 bytes) is given. name: the
    parent's in the header. locators: (code, bytes) pairs."""
    entries = [0xFFFFFFFF] * (size // MIB)
    blocks = sorted((data or {}).items())
    start = 16384
    for i, (blk, _) in enumerate(blocks):
        entries[blk] = (start + i * (MIB + 512)) // 512
    where, table = 4096, b""
    for code, text in locators:
        table += struct.pack(">4sIIIQ", code, 1024, len(text), 0, where)
        where += 1024

    def header(check):
        return (struct.pack(">8sQQIIII16sII", b"cxsparse", (1 << 64) - 1, 1536,
                            0x10000, len(entries), MIB, check,
                            parent or ZERO, 0, 0) +
                name.encode("utf-16-be")[:512].ljust(512, b"\0") +
                table.ljust(8 * 24, b"\0")).ljust(1024, b"\0")
    foot = footer(guid, 3 if parent is None else 4, size, 512)
    with open(path, "wb") as f:
        f.write(foot + header(checksum(header(0))))
        f.write(b"".join(struct.pack(">I", e) for e in entries
                         ).ljust(512, b"\xff"))
        for i, (_, text) in enumerate(locators):
            f.seek(4096 + i * 1024)
            f.write(text)
        for i, (_, byte) in enumerate(blocks):
            f.seek(start + i * (MIB + 512))
            # 2048 sectors: all bits set, the rest of the bitmap unused.
            f.write((b"\xff" * 256).ljust(512, b"\0") + bytes([byte]) * MIB)
        f.seek(start + len(blocks) * (MIB + 512))
        f.write(foot)
    return path


def vhd_child(path, guid, parent_id, relative=None, absolute=None, name="",
              url=None, **kw):
    found = []
    if absolute is not None:
        found.append((b"W2ku", absolute.encode("utf-16-le")))
    if relative is not None:
        found.append((b"W2ru", relative.encode("utf-16-le")))
    if url is not None:
        found.append((b"MacX", url.encode()))
    return vhd(path, guid, parent_id, name=name, locators=found, **kw)
