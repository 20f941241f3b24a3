# SPDX-License-Identifier: GPL-3.0-or-later
"""ext volumes for tests: made by mke2fs and by Linux, never by our code."""
import contextlib
import hashlib
import os
import pathlib
import random
import shutil
import subprocess
import tempfile

# What mke2fs is asked for: everything that modern and old tools produce.
FEATURES = {
    "ext2": ["-t", "ext2"],
    "ext2-1k": ["-t", "ext2", "-b", "1024"],
    "ext3": ["-t", "ext3"],
    "ext3-oldinode": ["-t", "ext3", "-I", "128", "-b", "1024"],
    "ext4": ["-t", "ext4"],
    "ext4-1k": ["-t", "ext4", "-b", "1024"],
    "ext4-2k": ["-t", "ext4", "-b", "2048"],
    "ext4-32bit": ["-t", "ext4", "-O", "^64bit,^metadata_csum"],
    "ext4-gdtcsum": ["-t", "ext4", "-O", "^metadata_csum,uninit_bg"],
    "ext4-inline": ["-t", "ext4", "-O", "inline_data", "-I", "256"],
    "ext4-inline-1k": ["-t", "ext4", "-O", "inline_data", "-I", "512",
                       "-b", "1024"],
    "ext4-bigalloc": ["-t", "ext4", "-O", "bigalloc", "-C", "16384"],
    "ext4-metabg": ["-t", "ext4", "-O", "meta_bg,^resize_inode",
                    "-b", "1024", "-g", "1024"],
    "ext4-noextents": ["-t", "ext4", "-O", "^extents,^64bit"],
    "ext4-eainode": ["-t", "ext4", "-O", "ea_inode"],
    "ext4-nojournal": ["-t", "ext4", "-O", "^has_journal"],
    "ext4-seed": ["-t", "ext4", "-O", "metadata_csum_seed,orphan_file"],
    "ext4-sparse2": ["-t", "ext4", "-O", "sparse_super2"],
    "ext4-noindex": ["-t", "ext4", "-O", "^dir_index"],
}


def populate(top, seed=1, many=600):
    """A directory with everything that a volume may hold."""
    rng = random.Random(seed)
    top = pathlib.Path(top)
    top.mkdir(parents=True, exist_ok=True)
    for name, size in [("empty", 0), ("tiny", 20), ("inline60", 60),
                       ("inline100", 100), ("block", 4096), ("odd", 12345),
                       ("big", 3_000_001)]:
        (top / name).write_bytes(rng.randbytes(size))
    with open(top / "sparse", "wb") as f:
        for at in (0, 100_000, 5_000_000, 9_000_000):
            f.seek(at)
            f.write(rng.randbytes(5000))
        f.truncate(12_000_000)
    (top / "dir/sub/deep").mkdir(parents=True)
    (top / "dir/sub/deep/file").write_text("deep")
    (top / "one").mkdir()
    (top / "one/ä name with blanks").write_text("x")
    (top / "many").mkdir()
    for i in range(many):
        (top / "many" / f"file-number-{i:05}").write_bytes(b"%d" % i)
    os.symlink("dir/sub", top / "short-link")
    os.symlink("/very/long/" + "target/" * 20 + "end", top / "long-link")
    os.link(top / "odd", top / "hard")
    os.mkfifo(top / "fifo")
    os.mknod(top / "null", 0o666 | 0o020000, os.makedev(1, 3))
    os.mknod(top / "disk", 0o600 | 0o060000, os.makedev(259, 70000))
    os.chown(top / "tiny", 70000, 123456)
    os.chmod(top / "tiny", 0o4751)
    os.setxattr(top / "tiny", "user.small", b"value")
    os.setxattr(top / "tiny", "security.thing", b"\x01\x02")
    os.setxattr(top / "odd", "user.larger", bytes(range(256)) * 3)
    os.utime(top / "block", ns=(1_234_567_890_123_456_789,
                                2_345_678_901_987_654_321))
    return top


def make(path, kind, tree=None, size="64M", extra=()):
    """A volume with the contents of tree, as mke2fs -d writes it."""
    cmd = ["mke2fs", "-q", "-F", *FEATURES[kind], *extra]
    if tree:
        cmd += ["-d", str(tree)]
    subprocess.run([*cmd, str(path), size], check=True, capture_output=True)
    return path


def fsck(path, flags="-fn"):
    """e2fsck's exit status and words: 0 is clean."""
    p = subprocess.run(["e2fsck", flags, str(path)], capture_output=True,
                       text=True, timeout=300)
    return p.returncode, p.stdout + p.stderr


def assert_clean(path):
    code, text = fsck(path)
    assert code == 0, text


def can_mount():
    return os.geteuid() == 0 and os.path.exists("/dev/loop-control")


@contextlib.contextmanager
def mounted(path, opts="loop"):
    """The volume as Linux shows it."""
    where = tempfile.mkdtemp(prefix="imgfs-ext-")
    p = subprocess.run(["mount", "-t", "ext4", "-o", opts, str(path), where],
                       capture_output=True, text=True)
    if p.returncode:
        os.rmdir(where)
        raise AssertionError(p.stderr)
    try:
        yield pathlib.Path(where)
    finally:
        subprocess.run(["umount", where], check=True)
        os.rmdir(where)


def snapshot(top, skip=("lost+found",)):
    """{path: (type, size or 0 for directories)} of a real directory."""
    out = {}
    for base, dirs, files in os.walk(top):
        for name in dirs + files:
            p = os.path.join(base, name)
            rel = "/" + os.path.relpath(p, top)
            if rel.lstrip("/") in skip:
                continue
            st = os.lstat(p)
            kind = {0o4: "d", 0o10: "f", 0o12: "l", 0o2: "c", 0o6: "b",
                    0o1: "p", 0o14: "s"}[st.st_mode >> 12]
            out[rel] = (kind, 0 if kind == "d" else st.st_size)
    return out


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


class Tool:
    """exttool over one volume: each call runs a script to its end."""

    def __init__(self, exe, image):
        self.exe, self.image = exe, str(image)

    def raw(self, script, mode="ro", *opts, check=True):
        p = subprocess.run([self.exe, self.image, mode, *opts],
                           input=script, text=True, capture_output=True,
                           timeout=300)
        if check and p.returncode:
            raise AssertionError(f"{p.returncode}: {p.stdout}\n{p.stderr}")
        return p.stdout

    def run(self, script, mode="ro", *opts, **kw):
        """The answers, without what opening said."""
        lines = self.raw(script, mode, *opts, **kw).splitlines()
        while lines and lines[0].startswith("warning "):
            lines.pop(0)
        assert lines and lines[0].startswith("open "), lines
        return lines[1:]

    def write(self, *commands):
        """Modifies; every command must succeed."""
        out = self.run("\n".join(commands) + "\n", "rw")
        bad = [(c, o) for c, o in zip(commands, out) if o != "ok"]
        assert not bad and len(out) == len(commands), (bad[:5], len(out))

    def find(self, *opts, mode="ro"):
        out = {}
        for line in self.run("find /\n", mode, *opts):
            if line == ".":
                break
            kind, size, path = line.split(" ", 2)
            assert kind != "error", line
            if path != "/lost+found":
                out[path] = (kind, int(size))
        return out

    def sums(self, paths, word="sha256", *opts):
        script = "".join(f"{word} {p.replace(' ', '%20')}\n" for p in paths)
        return dict(zip(paths, self.run(script, "ro", *opts)))


def copy(src, dst):
    shutil.copyfile(src, dst)
    return dst


def some_files(found):
    """Regular files of a snapshot; of the many small ones, a few."""
    return [p for i, (p, (k, _)) in enumerate(found.items())
            if k == "f" and ("file-number" not in p or i % 50 == 0)]
