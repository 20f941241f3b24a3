# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on disk when: marks, kills, power cuts, volumes in a bad state."""
import os
import random
import shutil
import struct

import pytest

import crash
from conftest import run
from ntfsvol import mkntfs, mounted, script, sha, sound


@pytest.fixture
def img(tmp_path, peer):
    peer("mkntfs")
    return str(mkntfs(tmp_path / "v.img", "16M"))


def record_of(data, number, table=48):
    """Where a low MFT record lies in the image (table 56: in the mirror)."""
    cluster = struct.unpack_from("<H", data, 11)[0] * data[13]
    return struct.unpack_from("<Q", data, table)[0] * cluster + number * 1024


def flags_at(rec):
    """Where $Volume's flags are in its record."""
    at = struct.unpack_from("<H", rec, 20)[0]
    while struct.unpack_from("<I", rec, at)[0] != 0x70:
        at += struct.unpack_from("<I", rec, at + 4)[0]
    return at + struct.unpack_from("<H", rec, at + 20)[0] + 10


def dirty(img):
    with open(img, "rb") as f:
        data = f.read(1 << 20)
    rec = data[record_of(data, 3):][:1024]
    return bool(rec[flags_at(rec)] & 1)


def put_flags(img, value):
    """Sets $Volume's flags in $MFT and $MFTMirr, like a crash of Windows."""
    with open(img, "r+b") as f:
        data = f.read()
        for table in (48, 56):
            base = record_of(data, 3, table)
            at = base + flags_at(data[base:base + 1024])
            f.seek(at)
            f.write(struct.pack("<H", value))


def test_ntfs_write_kill_leaves_mark_and_fsynced_data(tool, img, tmp_path):
    big = tmp_path / "big"
    big.write_bytes(random.Random(3).randbytes(1_500_000))
    script(tool, img, f"""
        mkdir /d 755
        put {big} /d/kept
        setx /d/kept user.s 616263
        fsync /d/kept
        put {big} /lost
        create /lost2 644
        kill
        """, check=False)
    assert dirty(img)
    out = script(tool, img, "check\ncreate /x 644\nsha256 /d/kept\n"
                 "getx /d/kept user.s\n")
    assert out[0].startswith("warning: ntfs: ") and "recover" in out[0]
    assert out[1].startswith("error EROFS")
    assert out[2:] == ["error EROFS", sha(big), "616263"]
    run("ntfsresize", "-i", "-f", "-f", "--no-action", img)
    assert script(tool, img, "create /x 644\n", "-o", "recover") == ["ok"]
    assert not dirty(img)
    sound(img)


def test_ntfs_write_clean_end_takes_the_mark_off(tool, img):
    script(tool, img, "create /a 644\n")
    assert not dirty(img)


@pytest.mark.parametrize("value", [1, 0x4001])
def test_ntfs_write_dirty_volume_is_read_only(tool, img, value):
    put_flags(img, value)
    before = sha(img)
    out = script(tool, img, "create /a 644\nls /\n")
    assert "dirty" in out[0] and "-o recover" in out[0]
    assert out[1:] == ["error EROFS", "."]
    assert sha(img) == before
    assert script(tool, img, "create /a 644\n", "-o", "recover") == ["ok"]
    sound(img)


def test_ntfs_write_unclean_log_is_read_only(tool, img):
    """A restart page that is neither empty nor clean."""
    with open(img, "r+b") as f:
        data = f.read()
        rec = data[record_of(data, 2):][:1024]
        at = struct.unpack_from("<H", rec, 20)[0]
        while struct.unpack_from("<I", rec, at)[0] != 0x80:
            at += struct.unpack_from("<I", rec, at + 4)[0]
        runs = at + struct.unpack_from("<H", rec, at + 32)[0]
        n, o = rec[runs] & 15, rec[runs] >> 4
        lcn = int.from_bytes(rec[runs + 1 + n:runs + 1 + n + o], "little")
        f.seek(lcn * 4096)
        f.write(b"RSTR" + bytes(4092))
    out = script(tool, img, "create /a 644\n")
    assert "$LogFile" in out[0] and "-o recover" in out[0]
    assert out[1] == "error EROFS"
    assert script(tool, img, "create /a 644\n", "-o", "recover") == ["ok"]
    assert script(tool, img, "create /b 644\n") == ["ok"]
    sound(img)


def test_ntfs_write_hibernated_is_read_only(tool, img, tmp_path):
    hiber = tmp_path / "hiber"
    hiber.write_bytes(b"hibr" + bytes(8188))
    script(tool, img, f"put {hiber} /hiberfil.sys\n")
    before = sha(img)
    out = script(tool, img, "create /a 644\n", "-o", "recover")
    assert "hibernated" in out[0] and "-o remove_hiberfile" in out[0]
    assert out[1] == "error EROFS"
    assert sha(img) == before
    out = script(tool, img, "create /a 644\nls /\n", "-o", "remove_hiberfile")
    assert out[0] == "ok" and "hiberfil.sys" not in " ".join(out)
    sound(img)


def test_ntfs_write_end_anywhere_keeps_what_was_synced(tool, img, tmp_path):
    """With all writes so far on disk, or with only the flushed ones: the
    volume says that it is unclean, the fsynced files are whole, and -o recover
    goes on with it."""
    rng = random.Random(5)
    before = open(img, "rb").read()
    work, record = tmp_path / "w.img", tmp_path / "rec"
    shutil.copy(img, work)
    lines, files = [], []
    for i in range(6):
        f = tmp_path / f"f{i}"
        f.write_bytes(rng.randbytes([100, 5000, 70000][i % 3]))
        files.append(f)
        lines += [f"mkdir /d{i} 755", f"put {f} /d{i}/f", f"fsync /d{i}/f",
                  f"create /d{i}/later 644", f"write /d{i}/later 0 9000 7"]
    script(tool, work, "\n".join(lines) + "\n", "-W", str(record))
    ops = crash.load(record)
    flushes = [n for n, op in enumerate(ops) if op[0] == "F"]
    # First the mark and nothing else, each time durable before data.
    assert ops[0][0] == "W" and flushes[0] <= 3
    points = {rng.randrange(flushes[0] + 1, flushes[-3]) for _ in range(14)}
    state = tmp_path / "s.img"
    for n, image in crash.states(before, ops, rng, 0, points):
        state.write_bytes(image)
        assert dirty(state), n
        # The first flush was the mark's, then one for every fsync.
        done = min(sum(f < n for f in flushes) - 1, len(files))
        ask = "".join(f"sha256 /d{i}/f\n" for i in range(done))
        want = [sha(f) for f in files[:done]]
        assert script(tool, state, ask, "-r") == want, n
        assert script(tool, state, "create /new 644\n" + ask, "-o",
                      "recover") == ["ok"] + want, n
        assert not dirty(state)


def test_ntfs_write_read_only_dev_says_so(tool, img):
    os.chmod(img, 0o444)
    assert script(tool, img, "check\ncreate /a 644\n", "-r")[1] == "error EROFS"


def test_ntfs_write_full_volume_stays_sound(tool, img, tmp_path):
    big = tmp_path / "big"
    big.write_bytes(os.urandom(30_000_000))
    small = "".join(f"create /f{i} 644\nwrite /f{i} 0 3000 1\n"
                    for i in range(3000))
    out = script(tool, img, f"put {big} /big\n{small}mkdir /d 755\n"
                 "rename /f1 /f2 0\nunlink /big\ncreate /again 644\n"
                 "write /again 0 100000 5\n")
    assert out[0] == "error ENOSPC"
    assert "error ENOSPC" in out[1:-4] and out[-3:] == ["ok"] * 3
    assert set(out) == {"ok", "error ENOSPC", "error ENOENT"}
    sound(img)
    with mounted(img, "ro") as d:
        assert open(f"{d}/again", "rb").read() == b"\5" * 100000


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 13, 21])
def test_ntfs_write_error_is_told_and_the_mark_stays(tool, img, tmp_path, n):
    """The n-th write and all after it fail: no success is reported for what
    is not there, and the volume does not look clean."""
    big = tmp_path / "big"
    big.write_bytes(os.urandom(400_000))
    out = script(tool, img, f"""
        mkdir /d 755
        put {big} /d/one
        fsync /d/one
        put {big} /d/two
        fsync /d/two
        put {big} /d/three
        fsync /d/three
        """, "-W", str(tmp_path / "rec"), "-F", str(n))
    assert out[-1] in ("error EIO", "error ENOENT")
    kept = sum(out[i] == "ok" for i in (2, 4, 6))
    assert n < 3 or dirty(img)
    if kept:
        got = script(tool, img, "sha256 /d/one\n", "-r")
        assert got == [sha(big)]
