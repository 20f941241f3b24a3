# SPDX-License-Identifier: GPL-3.0-or-later
"""Dirty journals: Linux or debugfs writes them, Linux and e2fsck say what is
right after a replay."""
import os
import random
import subprocess

import pytest

import ext_images as ei

needs_mount = pytest.mark.skipif(not ei.can_mount(),
                                 reason="needs root and loop devices")

JOURNALS = {
    "csum3": (["-t", "ext4"], "loop"),
    "nocsum": (["-t", "ext4", "-O", "^metadata_csum"], "loop"),
    "narrow": (["-t", "ext4", "-O", "^64bit,^metadata_csum"], "loop"),
    "v1": (["-t", "ext4", "-O", "^metadata_csum"], "loop,journal_checksum"),
    "async": (["-t", "ext4"], "loop,journal_async_commit,data=writeback"),
    "ext3": (["-t", "ext3"], "loop"),
    "1k": (["-t", "ext4", "-b", "1024"], "loop"),
    "data": (["-t", "ext4"], "loop,data=journal"),
    "orphans": (["-t", "ext4", "-O", "orphan_file"], "loop"),
}


def sync(top):
    subprocess.run(["sync", "-f", str(top)], check=True)


def busy(top, seed=1):
    """Things that leave revoke records, escaped blocks and many transactions
    behind, each committed but none of them checkpointed."""
    rng = random.Random(seed)
    for turn in range(6):
        d = top / f"dir{turn}"
        d.mkdir()
        for i in range(60):
            (d / f"file{i}-{'n' * 60}").write_bytes(
                rng.randbytes(rng.randrange(6000)))
        sync(top)
        if turn % 2:
            for p in list(d.iterdir())[:50]:
                p.unlink()
            old = top / f"dir{turn - 1}"
            for p in old.iterdir():
                p.unlink()
            old.rmdir()
            sync(top)
            # what was a directory may now be a file's: not to be undone
            (top / f"data{turn}").write_bytes(
                b"\xc0\x3b\x39\x98" * 1024 * 60)
            sync(top)
    with open(top / "appended", "ab") as f:
        f.write(b"last words")
        f.flush()
        os.fsync(f.fileno())


@pytest.fixture
def ext(tool):
    return lambda image: ei.Tool(tool("exttool"), image)


@pytest.fixture
def dirty(tmp_path):
    """A copy of a volume, taken while Linux has it mounted."""
    def make(kind="csum3", work=busy, size="64M", extra=(), held=()):
        args, opts = JOURNALS[kind]
        img, out = tmp_path / "live", tmp_path / "dirty"
        subprocess.run(["mke2fs", "-q", "-F", *args, *extra, str(img), size],
                       check=True, capture_output=True)
        with ei.mounted(img, opts) as top:
            work(top)
            ei.copy(img, out)
            for f in held:
                f.close()
        return out
    return make


def assert_as_linux(ext, image, tmp_path):
    """What we show without changing a byte is what Linux shows."""
    before = ei.sha256(image)
    t = ext(image)
    found = t.find()
    files = [p for i, (p, (k, _)) in enumerate(found.items())
             if k == "f" and ("/file" not in p or i % 7 == 0)]
    sums, mapped = t.sums(files), t.sums(files, "mapsha256")
    assert ei.sha256(image) == before
    twin = ei.copy(image, tmp_path / "twin")
    with ei.mounted(twin) as top:
        assert found == ei.snapshot(top)
        assert sums == {p: ei.sha256(str(top) + p) for p in files}
    assert mapped == sums


def needs_recovery(image):
    out = subprocess.run(["dumpe2fs", "-h", str(image)], text=True,
                         capture_output=True).stdout
    return "needs_recovery" in out


@needs_mount
@pytest.mark.parametrize("kind", JOURNALS)
def test_ext_journal_replayed_as_linux_does(kind, ext, dirty, tmp_path):
    img = dirty(kind)
    assert needs_recovery(img)
    stale = ext(img).run("stat /appended\n", "ro", "norecovery")
    assert_as_linux(ext, img, tmp_path)
    assert stale == ["error ENOENT"]    # so there was something to replay


@needs_mount
@pytest.mark.parametrize("kind", ["csum3", "1k", "data", "v1"])
def test_ext_journal_that_has_wrapped(kind, ext, dirty, tmp_path):
    def work(top):
        for turn in range(40):
            (top / f"t{turn}").write_bytes(os.urandom(50_000))
            for i in range(20):
                (top / f"t{turn}-{i}").write_bytes(b"%d" % turn)
            sync(top)
        busy(top)
    img = dirty(kind, work, extra=["-J", "size=4" if kind != "1k"
                                   else "size=1"])
    assert_as_linux(ext, img, tmp_path)


@needs_mount
@pytest.mark.parametrize("kind", ["csum3", "1k", "ext3", "async"])
def test_ext_journal_applied_before_writing(kind, ext, dirty):
    img = dirty(kind)
    t = ext(img)
    found = t.find()
    before = ei.sha256(img)
    assert t.run("check\nls /\n", "rw")[0] == "ok"
    assert ei.sha256(img) == before
    t.write("mkdir /ours 755", "create /ours/f 644", "write /ours/f 0 9000 5")
    assert not needs_recovery(img)
    ei.assert_clean(img)
    found.update({"/ours": ("d", 0), "/ours/f": ("f", 9000)})
    with ei.mounted(img) as top:
        assert ei.snapshot(top) == found
    ei.assert_clean(img)


@needs_mount
@pytest.mark.parametrize("kind", ["csum3", "orphans"])
def test_ext_journal_orphans_are_freed_before_writing(kind, ext, dirty):
    held = []

    def work(top):
        for i in range(5):
            held.append(open(top / f"gone{i}", "wb"))
            held[-1].write(os.urandom(200_000))
            held[-1].flush()
            os.unlink(top / f"gone{i}")
        (top / "kept").write_text("x")
        sync(top)
    img = dirty(kind, work, held=held)
    t = ext(img)
    t.write("create /new 644")
    ei.assert_clean(img)
    assert set(t.find()) == {"/kept", "/new"}


@needs_mount
def test_ext_journal_torn_tail(ext, dirty, tmp_path):
    """The last commit never reached the disk: the one before is the end."""
    img = dirty()
    out = subprocess.run(["debugfs", "-R", "logdump", str(img)], text=True,
                         capture_output=True).stdout
    commits = [int(line.split("block ")[-1]) for line in out.splitlines()
               if "commit block" in line]
    phys = subprocess.run(["debugfs", "-R", f"bmap <8> {commits[-1]}",
                           str(img)], text=True, capture_output=True).stdout
    bs = 1024 if "1024" in subprocess.run(
        ["dumpe2fs", "-h", str(img)], text=True, capture_output=True
    ).stdout.split("Block size:")[1][:20] else 4096
    with open(img, "r+b") as f:
        f.seek(int(phys) * bs)
        f.write(bytes(bs))
    assert ext(img).run("stat /appended\n") == ["error ENOENT"]
    assert_as_linux(ext, img, tmp_path)


@needs_mount
def test_ext_journal_damaged_block_is_an_error(ext, dirty):
    img = dirty()
    phys = int(subprocess.run(["debugfs", "-R", "bmap <8> 2", str(img)],
                              text=True, capture_output=True).stdout)
    with open(img, "r+b") as f:
        f.seek(phys * 1024 + 100)
        f.write(b"damage")
        f.seek(phys * 4096 + 100)
        f.write(b"damage")
    out = ext(img).raw("", check=False)
    assert out.startswith("failed EUCLEAN: ext4") and "checksum" in out
    out = ext(img).raw("ls /\n", "rw", "norecovery")
    assert "open ro" in out and "journal is not replayed" in out


@needs_mount
def test_ext_journal_fast_commits_are_never_ignored(ext, dirty, tmp_path):
    def work(top):
        (top / "slow").write_text("x")
        sync(top)
        for i in range(5):
            with open(top / f"fast{i}", "w") as f:
                f.write("y")
                f.flush()
                os.fsync(f.fileno())
    img = dirty("csum3", work, extra=["-O", "fast_commit"])
    t = ext(img)
    out = t.raw("ls /\n", "rw")
    if "fast4" in out:
        pytest.skip("this Linux made no fast commit")
    assert "fast commits" in out and "open ro" in out


def test_ext_journal_on_another_device_is_refused(ext, tmp_path):
    img = ei.make(tmp_path / "v", "ext4")
    for cmd in ("feature needs_recovery", "ssv journal_inum 0"):
        subprocess.run(["debugfs", "-w", "-R", cmd, str(img)], check=True,
                       capture_output=True)
    assert "another device" in ext(img).raw("", check=False)
    assert "not replayed" in ext(img).raw("", "ro", "norecovery")


@pytest.mark.parametrize("version", ["", "-c", "-c -v 2", "-c -v 3"])
@pytest.mark.parametrize("wide", ["64bit", "^64bit"])
def test_ext_journal_made_by_debugfs(version, wide, ext, tmp_path, peer):
    """Every tag size; a revoked write must not come back, one after the
    revoke must; an escaped block."""
    csum = "metadata_csum" if version else "^metadata_csum"
    img = tmp_path / "v"
    src = tmp_path / "src"
    src.write_bytes(b"old-" * 3072)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-O",
                    f"{wide},{csum}", str(img), "32M"], check=True)
    dbg = [peer("debugfs"), "-w", str(img)]
    subprocess.run([*dbg, "-R", f"write {src} f"], check=True,
                   capture_output=True)
    blks = [int(subprocess.run([*dbg[::2], "-R", f"bmap f {i}"], text=True,
                               capture_output=True).stdout) for i in range(3)]
    parts = []
    for i, data in enumerate([b"one." * 1024, b"two." * 1024,
                              b"\xc0\x3b\x39\x98" + b"esc." * 1023]):
        parts.append(tmp_path / f"p{i}")
        parts[-1].write_bytes(data)
    script = (f"jo {version}\njw -b {blks[0]} {parts[0]}\n"
              f"jw -b {blks[1]} {parts[1]}\njw -r {blks[0]}\n"
              f"jw -b {blks[2]} {parts[2]}\njc\nq\n")
    subprocess.run(dbg, input=script, text=True, check=True,
                   capture_output=True)
    assert needs_recovery(img)
    got = bytes.fromhex(ext(img).run("cat /f 0 12288\n")[0])
    twin = ei.copy(img, tmp_path / "twin")
    ei.fsck(twin, "-fy")
    want = subprocess.run([peer("debugfs"), "-R", "cat f", str(twin)],
                          capture_output=True).stdout
    assert got == want
    assert got[:4] == b"old-" and got[4096:4100] == b"two."
    assert got[8192:8200] == b"\xc0\x3b\x39\x98esc."
