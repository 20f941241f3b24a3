# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may use an image: locks that QEMU understands too."""
import json
import os
import subprocess

import pytest

from conftest import open_up


class Holder:
    """A locktool that keeps what it took until it is closed."""
    def __init__(self, tool, path, *args, user=None):
        self.p = subprocess.Popen([tool("locktool"), str(path), *map(str, args)],
                                  stdin=subprocess.PIPE, text=True, user=user,
                                  stdout=subprocess.PIPE)
        self.pid = self.p.pid

    def say(self, word):
        self.p.stdin.write(word + "\n")
        self.p.stdin.flush()
        return self.p.stdout.readline().strip()

    def close(self):
        self.p.stdin.close()
        self.p.wait()
        self.p.stdout.close()


class QemuIo:
    """qemu-io with an image open, as long as wanted."""
    def __init__(self, program, path, *flags):
        self.p = subprocess.Popen([program, "-f", "raw", *flags, str(path)],
                                  stdin=subprocess.PIPE, text=True,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
        self.p.stdin.write("length\n")
        self.p.stdin.flush()
        self.first = self.p.stdout.readline()
        self.pid = self.p.pid

    def close(self):
        self.p.communicate()


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(1 << 20))
    return path


@pytest.fixture
def hold(tool):
    held = []

    def start(path, *args, **kw):
        held.append(Holder(tool, path, *args, **kw))
        return held[-1]
    yield start
    for h in held:
        h.close()


@pytest.fixture
def qemu(peer):
    held = []

    def start(path, *flags):
        held.append(QemuIo(peer("qemu-io"), path, *flags))
        return held[-1]
    yield start
    for h in held:
        h.close()


def test_lock_readers_share(hold, image):
    a, b = hold(image), hold(image)
    assert a.say("read") == "ok"
    assert b.say("read") == "ok"


def test_lock_writer_excludes_reader_and_writer(hold, image):
    a, b = hold(image), hold(image)
    assert a.say("write") == "ok"
    for word in ("read", "write", "test-read", "test-write"):
        got = b.say(word)
        assert got.startswith("error EBUSY"), word
        assert f"process {a.pid} (locktool)" in got


def test_lock_reader_keeps_writer_out(hold, image):
    a, b = hold(image), hold(image)
    assert a.say("read") == "ok"
    assert b.say("write").startswith("error EBUSY")
    assert b.say("read") == "ok"


def test_lock_upgrade_waits_for_other_readers(hold, image):
    a, b = hold(image), hold(image)
    assert a.say("read") == b.say("read") == "ok"
    assert a.say("write").startswith("error EBUSY")
    # The failed upgrade left the reader's lock, and only that.
    assert b.say("write").startswith("error EBUSY")
    assert hold(image).say("read") == "ok"


def test_lock_upgrade_alone_and_back(hold, image):
    a, b = hold(image), hold(image)
    assert a.say("read") == "ok"
    assert a.say("write") == "ok"
    assert b.say("read").startswith("error EBUSY")
    assert a.say("read") == "ok"
    assert b.say("read") == "ok"
    assert a.say("none") == "ok"
    assert b.say("write") == "ok"


def test_lock_test_takes_nothing(hold, image):
    a, b = hold(image), hold(image)
    assert a.say("test-write") == "ok"
    assert b.say("write") == "ok"


def test_lock_ends_with_its_process(hold, image):
    a, b = hold(image), hold(image)
    assert a.say("write") == "ok"
    a.p.kill()
    a.p.wait()
    assert b.say("write") == "ok"


def test_lock_works_on_a_read_only_file(hold, image):
    image.chmod(0o444)
    assert hold(image).say("write") == "ok"
    assert hold(image).say("read").startswith("error EBUSY")


def test_lock_qemu_writer_keeps_us_out(hold, qemu, image):
    q = qemu(image)
    got = hold(image).say("read")
    assert got.startswith("error EBUSY")
    assert f"process {q.pid} (qemu-io)" in got


def test_lock_qemu_reader_lets_us_read_not_write(hold, qemu, image):
    qemu(image, "-r")
    a = hold(image)
    assert a.say("read") == "ok"
    assert a.say("write").startswith("error EBUSY")


def test_lock_our_writer_keeps_qemu_out(hold, qemu, image):
    assert hold(image).say("write") == "ok"
    assert "lock" in qemu(image).first
    assert "lock" in qemu(image, "-r").first
    # Not even one that would share with writers: what it saw would be torn.
    assert "lock" in qemu(image, "-r", "-U").first


def test_lock_our_reader_keeps_qemu_from_writing(hold, qemu, image):
    assert hold(image).say("read") == "ok"
    assert "lock" in qemu(image).first
    assert "lock" not in qemu(image, "-r").first


def test_lock_qemu_that_shares_blocks_our_writing(hold, qemu, image):
    qemu(image, "-r", "-U")
    a = hold(image)
    assert a.say("read") == "ok"
    assert a.say("write").startswith("error EBUSY")


def test_lock_old_style_lock_names_its_process(hold, image):
    import fcntl
    with open(image, "r+b") as f:
        fcntl.lockf(f, fcntl.LOCK_EX)
        got = hold(image).say("read")
        assert f"process {os.getpid()} (" in got


def test_lock_registry_tells_the_mount_point(hold, image, tmp_path):
    a = hold(image)
    reg = tmp_path / "reg"
    reg.mkdir()
    (reg / f"vhdfs.{a.pid}").write_text(json.dumps(
        {"image": str(image), "chain": [str(image)], "pid": a.pid,
         "dir": "/mnt/d"}))
    (reg / "vhdfs.1.new").write_text("{ half")
    assert a.say("write") == "ok"
    got = hold(image, reg).say("read")
    assert got.endswith(f"in use by process {a.pid} (locktool), "
                        "mounted at /mnt/d")


def test_lock_registry_of_a_dead_process_is_not_believed(hold, image, tmp_path):
    p = subprocess.Popen(["true"])
    p.wait()
    (tmp_path / f"vhdfs.{p.pid}").write_text(json.dumps(
        {"image": str(image), "chain": [], "pid": p.pid, "dir": "/mnt/old"}))
    a = hold(image)
    assert a.say("write") == "ok"
    assert "/mnt/old" not in hold(image, tmp_path).say("read")


@pytest.mark.root
def test_lock_of_another_user_is_said_to_be_that(hold, image, tmp_path):
    if os.geteuid():
        pytest.skip("needs to be root")
    open_up(tmp_path)
    assert hold(image).say("write") == "ok"
    got = hold(image, user=65534).say("read")
    assert got.endswith("in use by a process of another user")
