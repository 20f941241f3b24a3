# SPDX-License-Identifier: GPL-3.0-or-later
"""Partition tables, written from the UEFI specification and from what the PC
has always done; every field can be wrong on purpose."""
import struct
import uuid
import zlib

LINUX = "0fc63daf-8483-4772-8e79-3d69d8477de4"
BASIC = "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"


def mbr_entry(kind, first, count, boot=0):
    return struct.pack("<B3sB3sII", boot, b"\xfe\xff\xff", kind,
                       b"\xfe\xff\xff", first, count)


def mbr(entries=(), sig=0x12345678, magic=b"\x55\xaa", code=b""):
    """512 bytes; entries are results of mbr_entry, or None."""
    body = b"".join(e or bytes(16) for e in entries)
    return (code.ljust(440, b"\0")[:440] + struct.pack("<IH", sig, 0) +
            body.ljust(64, b"\0") + magic)


def gpt_entry(first, last, name="", kind=LINUX, ident=None):
    """Inclusive sectors."""
    ident = ident or uuid.uuid5(uuid.NAMESPACE_OID, f"{first}-{last}-{name}")
    return (uuid.UUID(str(kind)).bytes_le + uuid.UUID(str(ident)).bytes_le +
            struct.pack("<QQQ", first, last, 0) +
            name.encode("utf-16-le").ljust(72, b"\0")[:72])


def gpt_header(my, alt, first, last, entries_lba, array, n, entry_size=128,
               header_size=92, array_crc=None, crc=None, revision=0x10000,
               sig=b"EFI PART"):
    def pack(checksum):
        return struct.pack("<8sIIIIQQQQ16sQIII", sig, revision, header_size,
                           checksum, 0, my, alt, first, last,
                           uuid.UUID(int=7).bytes_le, entries_lba, n,
                           entry_size, zlib.crc32(array)
                           if array_crc is None else array_crc)
    raw = pack(0)
    return pack(zlib.crc32(raw[:header_size].ljust(header_size, b"\0"))
                if crc is None else crc)


def gpt(sectors, entries, sector=512, n=128, entry_size=128, first=None,
        backup=None, hybrid=(), protective=True):
    """[(offset, bytes)] of a whole GPT on a disk of that many sectors. first
    and backup: dicts of gpt_header's knobs, or False to leave a header out."""
    array = b"".join(e.ljust(entry_size, b"\0") for e in entries)
    array = array.ljust(n * entry_size, b"\0")
    room = -(-len(array) // sector)
    usable = (2 + room, sectors - 2 - room)
    out = []
    if protective:
        out.append((0, mbr([mbr_entry(0xee, 1, min(sectors - 1, 0xffffffff)),
                            *hybrid], sig=0)))
    for knobs, my, alt, at in ((first, 1, sectors - 1, 2),
                               (backup, sectors - 1, 1, sectors - 1 - room)):
        if knobs is False:
            continue
        args = dict(my=my, alt=alt, first=usable[0], last=usable[1],
                    entries_lba=at, array=array, n=n, entry_size=entry_size)
        args.update(knobs or {})
        out.append((my * sector, gpt_header(**args)))
        out.append((at * sector, array))
    return out


def write(path, size, pieces):
    """A sparse raw file."""
    with open(path, "wb") as f:
        f.truncate(size)
        for off, data in pieces:
            f.seek(off)
            f.write(data)
    return path
