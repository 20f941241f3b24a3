# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes tiny VHDX files, right or wrong in every way a test wants.

Written from formats/vhdx/FORMAT.md. The default layout: log at 1 MiB,
metadata at 2 MiB, BAT at 3 MiB, blocks behind.
"""
import struct
import uuid

MIB = 1 << 20
KIB64 = 64 << 10
PAGE = 4096

NOT_PRESENT, UNDEFINED, ZERO, UNMAPPED, FULL, PARTIAL = 0, 1, 2, 3, 6, 7

BAT = uuid.UUID("2DC27766-F623-4200-9D64-115E9BFD4A08")
META = uuid.UUID("8B7CA206-4790-4B9A-B8FE-575F050F886E")
PARAMS = uuid.UUID("CAA16737-FA36-4D43-B3B6-33F0AA44E76B")
SIZE = uuid.UUID("2FA54224-CD1B-4876-B211-5DBED83BF4B8")
DISK_ID = uuid.UUID("BECA12AB-B2E6-4523-93EF-C309E000C746")
LSS = uuid.UUID("8141BF1D-A96F-4709-BA47-F233A8FAAB5F")
PSS = uuid.UUID("CDA348C7-445D-4471-9CC9-E9885251C556")
LOCATOR = uuid.UUID("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C")
INCOMPLETE = uuid.UUID("71CC85F0-1B69-4E28-9558-C3BF83AE75D3")
LOCATOR_TYPE = uuid.UUID("B04AEFB7-D19E-4A81-B789-25B8E9445913")

NO_GUID = uuid.UUID(int=0)
LOG_GUID = uuid.UUID("11111111-2222-3333-4444-555555555555")
DATA_GUID = uuid.UUID("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee")

_TABLE = []
for _n in range(256):
    for _ in range(8):
        _n = _n >> 1 ^ (0x82F63B78 if _n & 1 else 0)
    _TABLE.append(_n)
_ZERO_CRC = {}


def crc32c(data):
    """CRC-32C; whole tables of zeros are common, so those are remembered."""
    tail = len(data)
    data = bytes(data)
    stripped = data.rstrip(b"\0")
    crc = 0xFFFFFFFF
    for b in stripped:
        crc = crc >> 8 ^ _TABLE[(crc ^ b) & 255]
    key = (crc, tail - len(stripped))
    if key not in _ZERO_CRC:
        for _ in range(key[1]):
            crc = crc >> 8 ^ _TABLE[crc & 255]
        _ZERO_CRC[key] = crc
    return _ZERO_CRC[key] ^ 0xFFFFFFFF


def sealed(raw, at=4):
    """raw with its checksum put in at `at`."""
    raw = bytearray(raw)
    raw[at:at + 4] = bytes(4)
    raw[at:at + 4] = struct.pack("<I", crc32c(raw))
    return bytes(raw)


def header(seq=1, file_write=uuid.UUID(int=1), data_write=DATA_GUID,
           log=NO_GUID, log_version=0, version=1, log_len=MIB, log_off=MIB,
           reserved=b""):
    raw = struct.pack("<4sIQ16s16s16sHHIQ", b"head", 0, seq,
                      file_write.bytes_le, data_write.bytes_le, log.bytes_le,
                      log_version, version, log_len, log_off)
    return sealed((raw + reserved).ljust(PAGE, b"\0"))


def region_table(entries, count=None, reserved=0):
    raw = struct.pack("<4sIII", b"regi", 0,
                      len(entries) if count is None else count, reserved)
    for guid, off, length, flags in entries:
        raw += struct.pack("<16sQII", guid.bytes_le, off, length, flags)
    return sealed(raw.ljust(KIB64, b"\0"))


def locator(pairs, kind=LOCATOR_TYPE, count=None, odd=False):
    """pairs: (key, value) as str, or as bytes for raw UTF-16."""
    pairs = [[t if isinstance(t, bytes) else t.encode("utf-16-le")
              for t in pair] for pair in pairs]
    head = kind.bytes_le + struct.pack("<HH", 0, len(pairs)
                                       if count is None else count)
    at, entries, text = len(head) + 12 * len(pairs) + odd, b"", bytes(odd)
    for key, value in pairs:
        entries += struct.pack("<IIHH", at, at + len(key), len(key), len(value))
        text += key + value
        at += len(key) + len(value)
    return head + entries + text


def linkage(guid=DATA_GUID, path="parent.vhdx"):
    return locator([("parent_linkage", "{%s}" % guid),
                    ("relative_path", ".\\" + path)])


def log_entry(seq, descs=(), tail=0, log=LOG_GUID, flushed=0, last=0, **knob):
    """descs: (file offset, 4096 bytes) or (file offset, length to zero)."""
    desc = b"".join(_desc(seq, off, what) for off, what in descs)
    pages = b"".join(_data(seq, what) for _, what in descs
                     if isinstance(what, (bytes, bytearray)))
    n_desc = max(1, -(-(64 + len(desc)) // PAGE))
    length = knob.get("length", n_desc * PAGE + len(pages))
    raw = struct.pack("<4sIIIQII16sQQ", knob.get("sig", b"loge"), 0, length,
                      tail, seq, knob.get("count", len(descs)), 0,
                      log.bytes_le, flushed, last)
    return sealed((raw + desc).ljust(n_desc * PAGE, b"\0") + pages)


def _desc(seq, off, what):
    if isinstance(what, int):
        return struct.pack("<4sIQQQ", b"zero", 0, what, off, seq)
    return struct.pack("<4s4s8sQQ", b"desc", bytes(what[-4:]), bytes(what[:8]),
                       off, seq)


def _data(seq, page):
    return (b"data" + struct.pack("<I", seq >> 32) + bytes(page[8:-4]) +
            struct.pack("<I", seq & 0xFFFFFFFF))


class Vhdx:
    """A file in the making; change what you like, then build()."""

    def __init__(self, size, block=MIB, lss=512, pss=4096, parent=None,
                 fixed=False):
        self.size, self.block, self.lss = size, block, lss
        self.parent = parent			# locator item or None
        self.chunk = (lss << 23) // block	# blocks of a bitmap block
        self.n_blocks = -(-size // block)
        n_chunks = -(-self.n_blocks // self.chunk)
        self.n_entries = (n_chunks * (self.chunk + 1) if parent else
                          self.n_blocks + (self.n_blocks - 1) // self.chunk)
        self.bat_off = 3 * MIB
        self.bat_len = -(-self.n_entries * 8 // MIB) * MIB
        self.next = self.bat_off + self.bat_len	# free space begins
        self.headers = [header(1), header(2)]
        self.regions = [(BAT, self.bat_off, self.bat_len, 1),
                        (META, 2 * MIB, MIB, 1)]
        self.tables = [None, None]		# raw overrides
        flags = (1 if fixed else 0) | (2 if parent else 0)
        self.items = [
            (PARAMS, struct.pack("<II", block, flags), 4),
            (SIZE, struct.pack("<Q", size), 6),
            (DISK_ID, uuid.UUID(int=7).bytes_le, 6),
            (LSS, struct.pack("<I", lss), 6),
            (PSS, struct.pack("<I", pss), 6)]
        if parent:
            self.items.append((LOCATOR, parent, 4))
        self.meta = None			# raw override
        self.bat = {}				# index -> raw entry
        self.parts = []				# (offset, bytes)
        self.file_size = None
        self.log = []				# (position, bytes)

    def index(self, blk):
        return blk + blk // self.chunk

    def take(self, length):
        off = self.next
        self.next += length
        return off

    def put(self, blk, state, data=b"", off=None):
        """Block blk in state; FULL and PARTIAL get space and data."""
        if off is None:
            off = self.take(self.block) if state >= FULL else 0
        self.bat[self.index(blk)] = off | state
        if data:
            self.parts.append((off, data))
        return off

    def bits(self, chunk, sectors, state=FULL):
        """The bitmap block of a chunk; sectors counted from its begin."""
        off = self.take(MIB)
        raw = bytearray(MIB)
        for s in sectors:
            raw[s // 8] |= 1 << s % 8
        self.bat[chunk * (self.chunk + 1) + self.chunk] = off | state
        self.parts.append((off, bytes(raw)))
        return off

    def item(self, guid, data):
        """Replaces an item's bytes."""
        self.items = [(g, data if g == guid else d, f)
                      for g, d, f in self.items]

    def without(self, guid):
        self.items = [i for i in self.items if i[0] != guid]

    def meta_raw(self):
        """Table and items; an item may be (guid, data, flags, off[, len])."""
        raw = bytearray(KIB64)
        raw[:12] = struct.pack("<8sHH", b"metadata", 0, len(self.items))
        for n, item in enumerate(self.items):
            guid, data, flags = item[:3]
            off = (item[3] if len(item) > 3 else len(raw) if data else 0)
            length = item[4] if len(item) > 4 else len(data)
            if len(item) <= 3:
                raw += data
            raw[32 + 32 * n:64 + 32 * n] = struct.pack(
                "<16sIIII", guid.bytes_le, off, length, flags, 0)
        return bytes(raw)

    def bat_raw(self):
        last = max(self.bat, default=-1) + 1
        raw = bytearray(8 * last)
        for idx, value in self.bat.items():
            struct.pack_into("<Q", raw, idx * 8, value)
        return bytes(raw)

    def bat_page(self, page=0):
        return self.bat_raw()[page * PAGE:(page + 1) * PAGE].ljust(PAGE, b"\0")

    def pieces(self):
        yield 0, b"vhdxfile" + "test".encode("utf-16-le")
        for i in range(2):
            yield KIB64 * (1 + i), self.headers[i] or b""
            yield KIB64 * (3 + i), (self.tables[i] if self.tables[i] is not None
                                    else region_table(self.regions))
        for pos, raw in self.log:
            first = MIB - pos
            yield MIB + pos, raw[:first]
            yield MIB, raw[first:]
        yield 2 * MIB, self.meta or self.meta_raw()
        yield self.bat_off, self.bat_raw()
        yield from self.parts

    def dirty(self, *entries):
        """Puts (position, raw) into the log and marks it as in use."""
        self.log = list(entries)
        self.headers = [header(1, log=LOG_GUID), header(2, log=LOG_GUID)]

    def write(self, path):
        with open(path, "wb") as f:
            f.truncate(self.next)
            for off, raw in self.pieces():
                f.seek(off)
                f.write(raw)
            if self.file_size is not None:
                f.truncate(self.file_size)
        return path
