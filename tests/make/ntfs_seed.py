# SPDX-License-Identifier: GPL-3.0-or-later
"""ntfs_seed.py IMAGE SEED: a seed for fuzz_ntfs out of a small volume with
512-byte clusters: its first 64 file records, with the clusters of attributes
up to 16 KiB moved to where the fuzz target's volume has them."""
import struct
import sys

CLUSTER, RECORD, N, DATA_LCN, N_DATA = 512, 1024, 64, 416, 192


def runs(raw):
    lcn, out, pos = 0, [], 0
    while pos < len(raw) and raw[pos]:
        n, o = raw[pos] & 15, raw[pos] >> 4
        length = int.from_bytes(raw[pos + 1:pos + 1 + n], "little")
        if o:
            lcn += int.from_bytes(raw[pos + 1 + n:pos + 1 + n + o], "little",
                                  signed=True)
        out.append((lcn if o else None, length))
        pos += 1 + n + o
    return out


def unprotect(rec):
    off, count = struct.unpack_from("<HH", rec, 4)
    for i in range(1, count):
        rec[i * 512 - 2:i * 512] = rec[off + 2 * i:off + 2 * i + 2]


def content(image, pairs):
    return b"".join(bytes(n * CLUSTER) if lcn is None else
                    image[lcn * CLUSTER:(lcn + n) * CLUSTER]
                    for lcn, n in pairs)


def move(image, rec, data):
    """Rewrites the record's mapping pairs; appends their clusters to data."""
    pos = struct.unpack_from("<H", rec, 20)[0]
    while (kind := struct.unpack_from("<I", rec, pos)[0]) != 0xffffffff:
        size = struct.unpack_from("<I", rec, pos + 4)[0]
        if not size:
            return
        if rec[pos + 8] and kind != 0xffffffff:
            at = pos + struct.unpack_from("<H", rec, pos + 32)[0]
            old = runs(rec[at:pos + size])
            n = sum(x[1] for x in old)
            room = N_DATA - len(data) // CLUSTER
            if 0 < n <= min(32, room) and pos + size - at >= 6:
                lcn = DATA_LCN + len(data) // CLUSTER
                raw = struct.pack("<BHH", 0x22, n, lcn)
                rec[at:pos + size] = raw + bytes(pos + size - at - len(raw))
                data += content(image, old)
        pos += size


def seed(image):
    sector, spc = struct.unpack_from("<HB", image, 11)
    assert sector * spc == CLUSTER
    lcn = struct.unpack_from("<Q", image, 48)[0]
    mft = bytearray(image[lcn * CLUSTER:lcn * CLUSTER + RECORD])
    unprotect(mft)
    pos = 56
    while struct.unpack_from("<I", mft, pos)[0] != 0x80:
        pos += struct.unpack_from("<I", mft, pos + 4)[0]
    at = pos + struct.unpack_from("<H", mft, pos + 32)[0]
    table = content(image, runs(mft[at:]))
    out, data = bytearray(), bytearray()
    for i in range(N):
        rec = bytearray(table[i * RECORD:(i + 1) * RECORD].ljust(RECORD,
                                                                 b"\0"))
        if rec[:4] == b"FILE":
            unprotect(rec)
            if i not in (0, 3, 10):
                move(image, rec, data)
        out += rec
    # Index blocks keep their update sequences: the target makes them good.
    for at in range(0, len(data), 1024):
        if data[at:at + 4] == b"INDX":
            block = data[at:at + 1024]
            unprotect(block)
            data[at:at + 1024] = block
    return bytes(out) + bytes(data)


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as f:
        result = seed(f.read())
    with open(sys.argv[2], "wb") as f:
        f.write(result)
