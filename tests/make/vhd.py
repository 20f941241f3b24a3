# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes small VHDs with any fault or quirk, from formats/vhd/FORMAT.md, and
says what a disk must read as. Knows nothing of the C code."""
import struct

SECTOR = 512
NO_OFFSET = 0xFFFFFFFFFFFFFFFF
UNALLOCATED = 0xFFFFFFFF
FIXED, DYNAMIC, DIFF = 2, 3, 4
ID = bytes(range(16))


def up(v, a):
    return -(-v // a) * a


def checksum(raw, at):
    return ~(sum(raw) - sum(raw[at:at + 4])) & 0xFFFFFFFF


def geometry(sectors):
    """FORMAT.md 2.3: (cylinders, heads, sectors per track)."""
    t = min(sectors, 65535 * 16 * 255)
    if t >= 65535 * 16 * 63:
        spt, heads = 255, 16
        cth = t // spt
    else:
        spt = 17
        cth = t // spt
        heads = max((cth + 1023) // 1024, 4)
        if cth >= heads * 1024 or heads > 16:
            spt, heads = 31, 16
            cth = t // spt
        if cth >= heads * 1024:
            spt, heads = 63, 16
            cth = t // spt
    return cth // heads, heads, spt


def footer(size, kind=DYNAMIC, *, data_off=None, creator=b"win ",
           version=0x000A0000, uid=ID, chs=None, features=2, saved=0,
           hidden=0, original=None, time=0, format_version=0x10000,
           cookie=b"conectix", bad_checksum=False):
    if data_off is None:
        data_off = NO_OFFSET if kind == FIXED else 512
    raw = bytearray(struct.pack(
        ">8sIIQI4sI4sQQHBBII16sBB426x", cookie, features, format_version,
        data_off, time, creator, version, b"Wi2k",
        size if original is None else original, size,
        *(chs or geometry(size // SECTOR)), kind, 0, uid, saved, hidden))
    struct.pack_into(">I", raw, 64, checksum(raw, 64) ^ bool(bad_checksum))
    return bytes(raw)


def locator(code, off, data, space=None, length=None):
    return struct.pack(">4sIIIQ", code, len(data) if space is None else space,
                       len(data) if length is None else length, 0, off)


def header(bat_off, n, block, *, parent_id=bytes(16), parent_time=0,
           parent_name=b"", locators=(), next_off=NO_OFFSET,
           version=0x10000, cookie=b"cxsparse", bad_checksum=False):
    """parent_name: UTF-16BE bytes; locators: 24-byte entries."""
    raw = bytearray(struct.pack(
        ">8sQQIIII16sII512s192s256x", cookie, next_off, bat_off, version, n,
        block, 0, parent_id, parent_time, 0, parent_name, b"".join(locators)))
    struct.pack_into(">I", raw, 36, checksum(raw, 36) ^ bool(bad_checksum))
    return bytes(raw)


def bitmap_bytes(block):
    return up(up(block // SECTOR, 8) // 8, SECTOR)


def bitmap(block, sectors=None):
    """The bitmap with these sectors set (None: all)."""
    raw = bytearray(bitmap_bytes(block))
    for i in range(block // SECTOR) if sectors is None else sectors:
        raw[i // 8] |= 0x80 >> i % 8
    return bytes(raw)


class Image:
    """A file that is laid out as it is told.

    blocks: {index: data} or {index: (data, sectors)}; a block's data is padded
    with zeros. Everything else is a knob with a sound default.
    """

    def __init__(self, size, kind=DYNAMIC, block=4096, blocks=(), *,
                 header_off=512, bat_off=None, n=None, bat_pad=b"\xff",
                 locators=(), parent_name="", parent_id=bytes(16),
                 parent_time=0, header_args=None, footer_args=None,
                 front=True, end=True, tail=0, align=0, entries=(),
                 extra=(), bit_order="msb"):
        self.size, self.kind, self.block = size, kind, block
        self.blocks = {i: d if isinstance(d, tuple) else (d, None)
                       for i, d in dict(blocks).items()}
        n = -(-size // block) if n is None else n
        self.footer = footer(size, kind, **{"data_off": header_off,
                                            **(footer_args or {})})
        img = bytearray(self.footer if front is True else front or bytes(512))
        bat_off = header_off + 1024 if bat_off is None else bat_off
        self.bat_off = bat_off
        entry_count = -(-size // block)
        bat = [UNALLOCATED] * entry_count
        put(img, bat_off, bat_pad * up(4 * max(entry_count, 1), SECTOR))
        at = max(len(img), header_off + 1024)
        raw_locators = []
        for code, data, *args in locators:
            at = up(at, SECTOR)
            put(img, at, data)
            raw_locators.append(locator(code, at, data, *args))
            at = up(at + len(data), SECTOR)
        for off, data in extra:
            put(img, off, data)
        at = up(max(at, len(img)), SECTOR)
        for i, (data, sectors) in self.blocks.items():
            if align:
                at = up(at + bitmap_bytes(block), align) - bitmap_bytes(block)
            bat[i] = at // SECTOR
            bits = bitmap(block, sectors)
            if bit_order == "lsb":
                bits = bytes(int(f"{b:08b}"[::-1], 2) for b in bits)
            put(img, at, bits + data.ljust(block, b"\0"))
            at += bitmap_bytes(block) + block
        for i, value in dict(entries).items():
            bat[i] = value
        self.entries = bat
        put(img, bat_off, struct.pack(f">{entry_count}I", *bat))
        put(img, header_off, header(
            bat_off, n, block, parent_id=parent_id, parent_time=parent_time,
            parent_name=parent_name.encode("utf-16-be", "surrogatepass")
            if isinstance(parent_name, str) else parent_name,
            locators=raw_locators, **(header_args or {})))
        img.extend(bytes(tail))
        if end is True:
            end = self.footer
        img.extend(end or b"")
        self.raw = bytes(img)

    def write(self, path):
        path.write_bytes(self.raw)
        return path

    def content(self, parent=b""):
        """What the disk reads as over these bytes of a parent."""
        out = bytearray(self.size)
        if self.kind == DIFF:
            part = parent[:self.size]
            out[:len(part)] = part
        for i, (data, sectors) in self.blocks.items():
            data = data.ljust(self.block, b"\0")
            for s in range(self.block // SECTOR):
                at = i * self.block + s * SECTOR
                if at >= self.size:
                    break
                if sectors is None or s in sectors:
                    out[at:at + SECTOR] = data[s * SECTOR:(s + 1) * SECTOR]
        return bytes(out[:self.size])


def put(img, off, data):
    if len(img) < off + len(data):
        img.extend(bytes(off + len(data) - len(img)))
    img[off:off + len(data)] = data


def fixed(data, *, slack=0, **args):
    """A fixed disk: the data, then a footer."""
    size = args.pop("size", len(data))
    return data + bytes(slack) + footer(size, FIXED, **args)


def pattern(n, seed=1):
    """n bytes that differ from sector to sector and from zero."""
    out = bytearray()
    for i in range(-(-n // SECTOR)):
        out += struct.pack("<IHH", i, seed, 0xA5A5) * (SECTOR // 8)
    return bytes(out[:n])
