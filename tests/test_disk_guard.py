# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard before the first write: alone, no children, no merge, untouched."""
import json
import os
import subprocess

import pytest

import disks
from conftest import open_up, run
from make import chain
from make.chain import MIB, new_id


@pytest.fixture
def show(tool):
    program = tool("disktool")

    def run(path, *args, script="", **kw):
        return disks.show(path, *args, script=script, program=program, **kw)
    return run


class Open:
    """A disktool that keeps a disk open."""
    def __init__(self, program, path, *args):
        self.p = subprocess.Popen([program, "-q", *map(str, args), str(path)],
                                  stdin=subprocess.PIPE, text=True,
                                  stdout=subprocess.PIPE)
        self.pid = self.p.pid
        assert self.say("size").isdigit()

    def say(self, words):
        self.p.stdin.write(words + "\n")
        self.p.stdin.flush()
        return self.p.stdout.readline().strip()

    def close(self):
        if self.p.stdin and not self.p.stdin.closed:
            self.p.stdin.close()
        self.p.wait()
        self.p.stdout.close()


@pytest.fixture
def hold(tool):
    held = []

    def start(path, *args):
        held.append(Open(tool("disktool"), path, *args))
        return held[-1]
    yield start
    for h in held:
        h.close()


MAKERS = {
    "raw": lambda path: path.write_bytes(bytes(MIB)),
    "fixed-vhd": lambda path: chain.vhd_fixed(path, new_id()),
    "vhd": lambda path: chain.vhd(path, new_id(), data={0: 1}),
    "vhdx": lambda path: chain.vhdx(path, new_id(), data={0: 1}),
}


@pytest.fixture(params=MAKERS)
def image(request, tmp_path):
    path = tmp_path / "disk.img"
    MAKERS[request.param](path)
    return path


@pytest.fixture(params=["vhd", "vhdx"])
def pair(request, tmp_path):
    """A base with a child beside it."""
    guid = new_id()
    base, child = tmp_path / "base.x", tmp_path / "child.x"
    if request.param == "vhd":
        chain.vhd(base, guid, data={0: 1})
        chain.vhd_child(child, new_id(), guid, relative="base.x")
    else:
        chain.vhdx(base, guid, data={0: 1})
        chain.vhdx_child(child, new_id(), guid, relative="base.x")
    return base, child


def refused(show, path, *args):
    """Writing is refused by the look and by the deed, alike, and the file is
    as it was. Returns (errno, outcome, words)."""
    before = disks.stamp(path)
    d = show(path, "-w", "-c", *args, script="begin\nwrite 0 512 7\n")
    assert d.error is None and d.check is not None
    assert d.answers == [f"error {d.check[0]}", "error EROFS"]
    assert d.check[2] in d.err
    assert disks.stamp(path) == before
    return d.check


# ---- who else has it ----

def test_guard_two_readers(show, hold, image):
    hold(image)
    assert show(image).error is None


def test_guard_a_writable_open_reads_until_it_writes(show, hold, image):
    a = hold(image, "-w")
    assert show(image).error is None
    assert a.say("begin") == "ok"
    code, outcome, words = show(image).error
    assert (code, outcome) == ("EBUSY", "locked")
    assert f"process {a.pid} (disktool)" in words


def test_guard_reader_keeps_the_writer_out(show, hold, image):
    a = hold(image)
    code, outcome, words = refused(show, image)
    assert (code, outcome) == ("EBUSY", "locked")
    assert f"process {a.pid} (disktool)" in words
    a.close()
    assert show(image, "-w", script="begin\n").answers == ["ok"]


def test_guard_refused_writer_still_reads(show, hold, image):
    a, b = hold(image, "-w"), hold(image, "-w")
    assert a.say("begin") == b.say("begin") == "error EBUSY"
    assert len(a.say("read 0 1")) == 2
    b.close()
    assert a.say("begin") == "ok"


def test_guard_parents_are_locked_for_reading(show, hold, pair):
    base, child = pair
    a = hold(child, "-w")
    assert a.say("begin") == "ok"
    assert show(base).error is None
    code, outcome, words = refused(show, base, "-P")
    assert (code, outcome) == ("EBUSY", "locked")


def test_guard_parent_that_is_written_is_busy(show, hold, pair):
    base, child = pair
    a = hold(base, "-w", "-P")
    assert a.say("begin") == "ok"
    code, outcome, words = show(child).error
    assert (code, outcome) == ("EBUSY", "locked")
    assert str(base) in words and str(a.pid) in words


def test_guard_no_lock_reads_what_is_being_written(show, hold, image):
    a = hold(image, "-w")
    assert a.say("begin") == "ok"
    assert show(image).error[0] == "EBUSY"
    assert show(image, "-n").error is None
    # But two writers never meet.
    assert show(image, "-w", "-n", script="begin\n").answers == ["error EBUSY"]


@pytest.mark.parametrize("flag, ours", [("-r", "ok"), (None, None)])
def test_guard_qemu_has_it_open(show, hold, peer, tmp_path, flag, ours):
    path = chain.vhdx(tmp_path / "d.vhdx", new_id())
    q = subprocess.Popen([peer("qemu-io"), "-f", "vhdx",
                          *([flag] if flag else []), str(path)],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         text=True)
    q.stdin.write("length\n")
    q.stdin.flush()
    assert "MiB" in q.stdout.readline()
    d = show(path, "-w", "-c")
    if ours:
        assert d.error is None and d.check[:2] == ("EBUSY", "locked")
        assert f"process {q.pid} (qemu-io)" in d.check[2]
    else:
        assert d.error[:2] == ("EBUSY", "locked")
        assert f"process {q.pid} (qemu-io)" in d.error[2]
    q.communicate()
    d = show(path, "-w", "-c")
    assert d.error is None and d.check is None


def test_guard_qemu_stays_out(hold, peer, tmp_path):
    path = chain.vhdx(tmp_path / "d.vhdx", new_id())

    def qemu(*flags):
        return subprocess.run([peer("qemu-io"), "-f", "vhdx", *flags, "-c",
                               "length", str(path)], text=True,
                              capture_output=True)
    a = hold(path, "-w")
    assert "lock" in qemu().stderr
    assert qemu("-r").returncode == 0
    assert a.say("begin") == "ok"
    assert "lock" in qemu("-r").stderr
    a.close()
    assert qemu().returncode == 0


def test_guard_block_device_that_is_mounted(show, peer, tmp_path):
    image, at = tmp_path / "fs.img", tmp_path / "mnt"
    with open(image, "wb") as f:
        f.truncate(8 * MIB)
    at.mkdir()
    subprocess.run([peer("mke2fs"), "-q", image], check=True)
    p = subprocess.run([peer("losetup"), "-f", "--show", image], text=True,
                       capture_output=True)
    if p.returncode:
        pytest.skip("no loop devices here")
    loop = p.stdout.strip()
    try:
        assert show(loop, "-w", "-c", script="begin\n").answers == ["ok"]
        if subprocess.run(["mount", "-o", "ro", loop, at]).returncode:
            pytest.skip("cannot mount a loop device here")
        try:
            d = show(loop, "-w", "-c", script="begin\n")
            assert d.check[0] == "EBUSY" and "kernel" in d.check[2]
            assert d.answers == ["error EBUSY"]
        finally:
            subprocess.run(["umount", at], check=True)
    finally:
        subprocess.run(["losetup", "-d", loop], check=True)


LOCKLESS = """
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>
int fcntl64(int fd, int cmd, ...)
{
	va_list ap;
	long arg;
	va_start(ap, cmd);
	arg = va_arg(ap, long);
	va_end(ap);
	if (cmd == F_OFD_GETLK || cmd == F_OFD_SETLK) {
		errno = ENOLCK;
		return -1;
	}
	return syscall(SYS_fcntl, fd, cmd, arg);
}
int fcntl(int, int, ...) __attribute__((alias("fcntl64")));
"""


def test_guard_file_system_without_locks(show, peer, image, tmp_path):
    shim = tmp_path / "s" / "shim.so"
    shim.parent.mkdir()
    subprocess.run([peer("gcc"), "-shared", "-fPIC", "-o", shim, "-x", "c",
                    "-"], input=LOCKLESS, text=True, check=True)
    # A sanitizer wants to come first of all libraries.
    env = dict(os.environ, LD_PRELOAD=str(shim),
               ASAN_OPTIONS="verify_asan_link_order=0")
    d = show(image, "-w", "-c", script="begin\nread 0 1\n", env=env)
    assert d.error is None and any("no locks" in n for n in d.notes)
    assert d.check[0] == "ENOLCK" and "lock=none" in d.check[2]
    assert d.answers[0] == "error ENOLCK" and len(d.answers[1]) == 2
    d = show(image, "-w", "-c", "-n", script="begin\nwrite 0 512 5\n",
             env=env)
    assert d.check is None and d.answers == ["ok", "ok"]


# ---- children ----

def test_guard_parent_with_a_child_beside_it(show, pair):
    base, child = pair
    code, outcome, words = refused(show, base)
    assert (code, outcome) == ("EBUSY", "has-children")
    assert str(child) in words and "force_parent_write" in words
    assert show(child, "-w", script="begin\n").answers == ["ok"]


def test_guard_force_parent_write_says_what_it_does(show, pair):
    base, child = pair
    d = show(base, "-w", "-c", "-P", script="begin\nwrite 0 512 7\nflush\n")
    assert d.check is None and d.answers == ["ok", "ok", "ok"]
    assert any(str(child) in n for n in d.later)


def test_guard_child_in_a_search_directory(show, pair, tmp_path):
    base, child = pair
    (tmp_path / "s").mkdir()
    child.rename(tmp_path / "s" / "any name at all")
    assert show(base, "-w", "-c").check is None
    code, outcome, words = refused(show, base, "-s", tmp_path / "s")
    assert outcome == "has-children" and "any name at all" in words


def test_guard_many_children_are_counted(show, pair, tmp_path):
    base, child = pair
    for i in range(9):
        (tmp_path / f"copy{i}").write_bytes(child.read_bytes())
    words = refused(show, base)[2]
    assert "and 7 more" in words


def test_guard_child_with_two_linkages(show, tmp_path):
    guid = new_id()
    base = chain.vhdx(tmp_path / "b.vhdx", guid)
    chain.vhdx_child(tmp_path / "c.vhdx", new_id(), new_id(), linkage2=guid,
                     relative="b.vhdx")
    assert refused(show, base)[1] == "has-children"


def test_guard_raw_parent_of_a_vhd_by_its_name(show, tmp_path):
    raw = tmp_path / "base.raw"
    raw.write_bytes(bytes(MIB))
    chain.vhd_child(tmp_path / "c.vhd", new_id(), bytes(16),
                    relative=".\\BASE.raw", size=MIB)
    assert refused(show, raw)[1] == "has-children"


def test_guard_other_files_are_no_children(show, pair, tmp_path):
    base, child = pair
    os.unlink(child)
    chain.vhd(tmp_path / "other.vhd", new_id())
    chain.vhdx_child(tmp_path / "nephew.vhdx", new_id(), new_id(),
                     relative="base.x")
    (tmp_path / "copy.x").write_bytes(base.read_bytes())
    (tmp_path / "text").write_text("conectix" * 200)
    (tmp_path / "dir.vhdx").mkdir()
    os.mkfifo(tmp_path / "fifo.vhdx")
    (tmp_path / "dangling.vhdx").symlink_to("nowhere")
    d = show(base, "-w", "-c", script="begin\n")
    assert d.check is None and d.answers == ["ok"]


def test_guard_unreadable_image_is_a_note(show, pair, tmp_path):
    base, child = pair
    os.unlink(child)
    (tmp_path / "broken.vhdx").write_bytes(b"vhdxfile" + bytes(4096))
    d = show(base, "-w", "-c", script="begin\n")
    assert d.answers == ["ok"]
    assert any("broken.vhdx" in n and "not known" in n for n in d.later)


def test_guard_crowded_directory(show, pair, tmp_path):
    base, child = pair
    os.unlink(child)
    for i in range(4200):
        (tmp_path / f"f{i}").write_bytes(bytes(600))
    d = show(base, "-w", "-c")
    assert d.check is None
    assert any("only the first 4096" in n for n in d.later)


def test_guard_scan_leaves_the_neighbours_alone(show, pair):
    base, child = pair
    before = disks.stamp(child)
    refused(show, base)
    assert disks.stamp(child) == before


# ---- merges, sidecars ----

def test_guard_merge_journal(show, tool, pair, tmp_path):
    """The merged child reads what it always did; nobody writes."""
    base, child = pair
    images = json.loads(run(tool("vhdmerge"), "--json", "--tree",
                            tmp_path).stdout)
    ids = {i["path"]: i["id"] for i in images}
    (tmp_path / f".{base.name}.merge").write_text(
        f"imgfs-merge 1\nfile {ids[str(child)]} - 0 {child}\n")
    d = show(child)
    assert d.error is None
    assert any("merge" in n and str(base) in n for n in d.notes)
    code, outcome, words = refused(show, child)
    assert (code, outcome) == ("EBUSY", "busy") and "merge" in words


@pytest.mark.parametrize("link", [0, 1])
def test_guard_merge_of_somebody_else(show, pair, tmp_path, link):
    """What is merged into shows a mixture to all but the merged child."""
    target = pair[1 - link]
    (tmp_path / f".{target.name}.merge").write_text("{}")
    code, outcome, words = show(pair[1]).error
    assert (code, outcome) == ("EBUSY", "busy")
    assert f"vhdmerge --resume {target}" in words


def test_guard_sidecars_are_a_note(show, image):
    for ext in ("rct", "mrt"):
        image.with_name(image.name + "." + ext).write_bytes(b"x")
    assert not [n for n in show(image).notes if "tracking" in n]
    d = show(image, "-w", "-c")
    assert d.check is None
    assert len([n for n in d.notes if "tracking" in n]) == 2


# ---- files that cannot be written ----

@pytest.mark.root
def test_guard_read_only_file_system(show, image, tmp_path):
    if os.geteuid():
        pytest.skip("needs to be root")
    at = tmp_path / "mnt"
    at.mkdir()
    subprocess.run(["mount", "--bind", tmp_path, at], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", at], check=True)
        path = at / image.name
        code, outcome, words = refused(show, path)
        assert (code, outcome) == ("EROFS", "denied")
        assert "Read-only file system" in words
        assert show(path).error is None
    finally:
        subprocess.run(["umount", at], check=True)


@pytest.mark.root
def test_guard_file_of_somebody_else(tool, image, tmp_path):
    if os.geteuid():
        pytest.skip("needs to be root")
    open_up(tmp_path)
    image.chmod(0o644)
    d = disks.show(image, "-w", "-c", program=tool("disktool"), user=65534,
                   script="begin\nread 0 1\n")
    assert d.check[:2] == ("EACCES", "denied")
    assert d.answers[0] == "error EACCES" and len(d.answers[1]) == 2


def test_guard_not_asked_for_writing(show, image):
    before = disks.stamp(image)
    d = show(image, "-c", script="begin\n")
    assert d.check[0] == "EROFS" and d.answers == ["error EROFS"]
    assert disks.stamp(image) == before


def test_guard_saved_state(show, tmp_path):
    path = chain.vhd_fixed(tmp_path / "d.vhd", new_id(), saved=1)
    d = show(path)
    assert any("saved state" in n for n in d.notes)
    refused(show, path)
    assert show(path, "-w", "-f", script="begin\n").answers == ["ok"]


def test_guard_check_changes_nothing(show, image):
    before = disks.stamp(image)
    d = show(image, "-w", "-c", script="read 0 512\n")
    assert d.check is None
    assert disks.stamp(image) == before


def test_guard_write_then_read_again(show, image):
    d = show(image, "-w", script="begin\nwrite 4096 512 0xee\n"
             "unmap 0 512\nflush\nread 4095 2\n")
    assert d.answers == ["ok", "ok", "ok", "ok", d.answers[4]]
    assert d.answers[4].endswith("ee")
    assert show(image, script="read 4096 2\nread 0 1\n").answers == \
        ["eeee", "00"]
