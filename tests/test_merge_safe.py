# SPDX-License-Identifier: GPL-3.0-or-later
"""Merges that are refused, stopped, killed, resumed and aborted."""
import os
import random
import shutil
import signal
import subprocess
import time

import pytest

import disks
import merges
from conftest import run
from make import chain
from make.chain import MIB, new_id


@pytest.fixture
def vhdmerge(tool):
    def go(*args, check=True, **kw):
        return run(tool("vhdmerge"), *args, check=check, **kw)
    return go


@pytest.fixture
def content(tool, tmp_path):
    def go(path):
        return merges.read(tool("disktool"), path, tmp_path / "read.out")
    return go


# ---- stopped after the n-th change ----

class Crash:
    """A chain of three files and a grandchild, merged and cut short."""
    def __init__(self, tool, kind, seed, where, depth, c):
        self.tool, self.where, self.c = tool, where, c
        self.fresh = where / "fresh"
        self.work = where / "work"
        self.fresh.mkdir()
        self.links = merges.make(kind, seed, self.fresh, depth=depth)
        self.names = [x.path.name for x in self.links]

    def start(self):
        if self.work.exists():
            shutil.rmtree(self.work)
        shutil.copytree(self.fresh, self.work)

    def path(self, i):
        return self.work / self.names[i]

    def merge(self, *args):
        return run(self.tool("mergetool"), *args, self.path(self.c),
                   self.path(-1), check=False)

    def read(self, i):
        return merges.read(self.tool("disktool"), self.path(i),
                           self.where / "out")

    def journal(self):
        return self.work / f".{self.names[-1]}.merge"

    def check_between(self, n):
        """The old content, or the message: for every disk above."""
        for i in range(self.c + 1):
            if not self.path(i).exists():
                continue
            got = self.read(i)
            if not isinstance(got, tuple):
                assert got == self.links[i].content, (n, i)
            elif self.journal().exists():
                assert got[1] == "busy" and "--resume" in got[2], (n, got)
            else:
                assert i == self.c and got[1] == "chain-broken", (n, got)
                self.check_end(n)
        got = self.read(-1)
        if isinstance(got, tuple):
            assert got[1] == "busy", (n, got)

    def check_end(self, n):
        assert self.read(-1) == self.links[self.c].content, n
        for i in range(self.c):
            assert self.read(i) == self.links[i].content, (n, i)
        assert not list(self.work.glob(".*.merge")), n
        return True

    def resume(self, n):
        if self.journal().exists():
            run(self.tool("vhdmerge"), "--resume", self.path(-1))
        elif self.read(-1) != self.links[self.c].content:
            assert self.read(self.c) == self.links[self.c].content, n
            p = self.merge("-d") if n % 2 else self.merge()
            assert p.returncode == 0, (n, p.stderr)


def every_stop(crash, args, step=1, limit=2000):
    crash.start()
    p = crash.merge(*args)
    assert p.returncode == 0, p.stderr
    total = int(p.stdout.split()[1])
    crash.check_end(0)
    points = range(1, total + 1)
    if total > limit:
        points = sorted(random.Random(1).sample(points, limit))
    for n in points[::step]:
        for lost in ([], ["-l", "0"], ["-l", str(n)]):
            crash.start()
            p = crash.merge(*args, "-n", n, *lost)
            crash.check_between(n)
            crash.resume(n)
            crash.check_end(n)


@pytest.mark.parametrize("args", [[], ["-d"]], ids=["keep", "delete"])
@pytest.mark.parametrize("kind", ["vhd", "vhdx"])
def test_merge_stopped_at_every_change(tool, tmp_path, kind, args):
    depth = 3 if kind == "vhd" else 2
    crash = Crash(tool, kind, "crash0", tmp_path, depth, c=1)
    every_stop(crash, args, step=9 if kind == "vhdx" else 5)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0] + [
    pytest.param(n, marks=pytest.mark.byhand) for n in (1, 2, 3)])
@pytest.mark.parametrize("args", [[], ["-d"]], ids=["keep", "delete"])
@pytest.mark.parametrize("kind", ["vhd", "vhdx", "vhdx4096"])
def test_merge_stopped_at_every_change_slow(tool, tmp_path, kind, args, seed):
    depth = 2 + seed % 3
    crash = Crash(tool, kind, f"crash{seed}", tmp_path, depth,
                  c=seed % depth)
    every_stop(crash, args)


@pytest.mark.parametrize("kind", ["vhd", "vhdx"])
def test_resume_that_is_stopped_again(tool, tmp_path, kind):
    crash = Crash(tool, kind, "again", tmp_path, 2, c=1)
    crash.start()
    total = int(crash.merge().stdout.split()[1])
    for n in range(3, total, 7):
        crash.start()
        crash.merge("-n", n, "-l", "0")
        for again in range(2, total, 11):
            if not crash.journal().exists():
                break
            run(tool("mergetool"), "-r", "-n", again, "-l", again,
                crash.path(-1), check=False)
            crash.check_between((n, again))
        crash.resume(n)
        crash.check_end(n)


@pytest.mark.parametrize("kind", ["vhd", "vhdx"])
def test_abort_leaves_the_chain(tool, vhdmerge, tmp_path, kind):
    """Wherever it was: either the chain as it was, or only forward."""
    crash = Crash(tool, kind, "abort", tmp_path, 2, c=1)
    crash.start()
    total = int(crash.merge().stdout.split()[1])
    aborted = 0
    for n in range(1, total + 1, 3):
        crash.start()
        crash.merge("-n", n, "-l", n)
        if not crash.journal().exists():
            continue
        p = vhdmerge("--abort", crash.path(-1), check=False)
        if p.returncode == 0:
            aborted += 1
            for i in range(2):
                assert crash.read(i) == crash.links[i].content, n
            # And it can be merged again.
            assert crash.merge().returncode == 0
        else:
            assert p.returncode == 2 and "--resume" in p.stderr
            vhdmerge("--resume", crash.path(-1))
        crash.check_end(n)
    assert aborted


# ---- refusals change nothing ----

@pytest.fixture
def refused(vhdmerge, tmp_path):
    def check(code, *args, words=""):
        before = {p: disks.stamp(p) for p in sorted(tmp_path.rglob("*"))
                  if p.is_file()}
        p = vhdmerge(*args, check=False)
        assert p.returncode == code, (p.returncode, p.stderr)
        assert words in p.stderr, p.stderr
        assert {p: disks.stamp(p) for p in sorted(tmp_path.rglob("*"))
                if p.is_file()} == before
    return check


def pair(where, kind, **kw):
    ids = new_id(), new_id()
    make, child = ((chain.vhd, chain.vhd_child) if kind == "vhd" else
                   (chain.vhdx, chain.vhdx_child))
    base = make(where / f"base.{kind}", ids[0], data={0: 1, 1: 2},
                size=kw.pop("base_size", 4 * MIB))
    leaf = child(where / f"leaf.{kind}", ids[1], ids[0],
                 relative=f".\\base.{kind}", data={1: 7}, **kw)
    return ids, base, leaf


@pytest.mark.parametrize("kind", ["vhd", "vhdx"])
def test_refuse_wrong_parent(refused, tmp_path, kind):
    _, base, leaf = pair(tmp_path, kind)
    other = (chain.vhd if kind == "vhd" else chain.vhdx)(
        tmp_path / f"other.{kind}", new_id())
    refused(11, leaf, other, words="not an ancestor")
    refused(1, leaf, leaf)
    refused(11, base, leaf, words="not an ancestor")


@pytest.mark.parametrize("kind", ["vhd", "vhdx"])
def test_right_parent_under_another_name(vhdmerge, content, tmp_path, kind):
    _, base, leaf = pair(tmp_path, kind)
    moved = tmp_path / f"moved.{kind}"
    base.rename(moved)
    p = vhdmerge(leaf, moved, check=False)
    assert p.returncode == 11 and "parent" in p.stderr
    vhdmerge("--parent", moved, leaf, moved)
    assert content(moved)[MIB:MIB + 1] == b"\x07"


@pytest.mark.parametrize("kind", ["vhd", "vhdx"])
def test_refuse_siblings(refused, vhdmerge, content, tmp_path, kind):
    ids, base, leaf = pair(tmp_path, kind)
    child = chain.vhd_child if kind == "vhd" else chain.vhdx_child
    child(tmp_path / f"sister.{kind}", new_id(), ids[0],
          relative=f".\\base.{kind}")
    refused(20, leaf, base, words=f"sister.{kind}")
    assert "LOST" in vhdmerge("-n", leaf, base).stdout
    vhdmerge("--orphan-others", leaf, base)
    assert content(tmp_path / f"sister.{kind}")[1] == "chain-broken"


@pytest.mark.parametrize("kind", ["vhd", "vhdx"])
def test_refuse_sibling_in_search_directory(refused, tmp_path, kind):
    ids, base, leaf = pair(tmp_path, kind)
    far = tmp_path / "far"
    far.mkdir()
    child = chain.vhd_child if kind == "vhd" else chain.vhdx_child
    child(far / f"sister.{kind}", new_id(), ids[0])
    refused(20, "--search", far, leaf, base, words="sister")


@pytest.mark.parametrize("which", ["base", "leaf"])
@pytest.mark.parametrize("kind", ["vhd", "vhdx"])
def test_refuse_what_is_open_elsewhere(refused, tool, tmp_path, kind, which):
    _, base, leaf = pair(tmp_path, kind)
    p = subprocess.Popen([tool("disktool"), "-q",
                          {"base": base, "leaf": leaf}[which]], text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        p.stdin.write("size\n")
        p.stdin.flush()
        p.stdout.readline()
        refused(15, leaf, base, words="in use by")
    finally:
        p.stdin.close()
        p.wait()


@pytest.mark.parametrize("kind", ["vhd"])
def test_refuse_smaller_child(refused, tmp_path, kind):
    _, base, leaf = pair(tmp_path, kind, size=2 * MIB)
    refused(13, leaf, base, words="less than")


@pytest.mark.parametrize("kind", ["vhd", "vhdx"])
def test_larger_child_grows_the_parent(vhdmerge, content, tmp_path, kind):
    _, base, leaf = pair(tmp_path, kind, size=9 * MIB)
    want = content(leaf)
    vhdmerge(leaf, base)
    assert content(base) == want and len(want) == 9 * MIB


def test_refuse_unfinished_merge(refused, tool, vhdmerge, tmp_path):
    _, base, leaf = pair(tmp_path, "vhdx")
    run(tool("mergetool"), "-n", 12, leaf, base, check=False)
    assert (tmp_path / ".base.vhdx.merge").exists()
    refused(2, leaf, base, words="--resume")
    p = vhdmerge("--status", base)
    assert "leaf.vhdx" in p.stdout and "--resume" in p.stdout
    vhdmerge("--resume", base)
    assert vhdmerge("--status", base, check=False).returncode == 21


def test_refuse_when_there_is_no_room(refused, vhdmerge, tmp_path, peer):
    if os.geteuid():
        pytest.skip("needs root to mount")
    where = tmp_path / "small"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=14m", "none", where],
                   check=True)
    try:
        ids = new_id(), new_id()
        base = chain.vhdx(where / "base.vhdx", ids[0], size=8 * MIB)
        leaf = chain.vhdx_child(where / "leaf.vhdx", ids[1], ids[0],
                                relative=".\\base.vhdx", size=8 * MIB,
                                data={i: i + 1 for i in range(5)})
        refused(16, leaf, base, words="needed")
    finally:
        subprocess.run(["umount", where], check=True)


def test_damaged_journal_is_not_believed(tool, vhdmerge, tmp_path):
    _, base, leaf = pair(tmp_path, "vhd")
    run(tool("mergetool"), "-n", 12, leaf, base, check=False)
    journal = tmp_path / ".base.vhd.merge"
    text = journal.read_text()
    journal.write_text(text.replace("step ", "step  "))
    p = vhdmerge("--resume", base, check=False)
    assert p.returncode == 14 and "checksum" in p.stderr
    journal.write_text(text)
    vhdmerge("--resume", base)


# ---- signals ----

def big(where, mib):
    ids = new_id(), new_id()
    base = chain.vhdx(where / "base.vhdx", ids[0], size=mib * MIB)
    leaf = chain.vhdx_child(where / "leaf.vhdx", ids[1], ids[0],
                            relative=".\\base.vhdx", size=mib * MIB,
                            data={i: i % 250 + 1 for i in range(mib)})
    return base, leaf


def check_big(data, mib):
    assert all(data[i * MIB:(i + 1) * MIB] == bytes([i % 250 + 1]) * MIB
               for i in range(mib))


def test_sigint_stops_and_says_how_to_resume(tool, vhdmerge, content,
                                             tmp_path):
    base, leaf = big(tmp_path, 32)
    p = subprocess.Popen([tool("vhdmerge"), "--limit-rate", "8m", leaf, base],
                         stderr=subprocess.PIPE, text=True)
    time.sleep(1)
    p.send_signal(signal.SIGINT)
    _, err = p.communicate(timeout=20)
    assert p.returncode == 4 and f"--resume {base}" in err
    check_big(content(leaf), 32)
    p = vhdmerge("--status", base)
    assert " 0%" not in p.stdout
    vhdmerge("--resume", base)
    check_big(content(base), 32)


def test_sigint_removes_the_new_file(tool, tmp_path):
    base, leaf = big(tmp_path, 32)
    out = tmp_path / "o.vhdx"
    p = subprocess.Popen([tool("vhdmerge"), "--limit-rate", "8m", "-o", out,
                          leaf], stderr=subprocess.PIPE, text=True)
    time.sleep(1)
    p.send_signal(signal.SIGINT)
    p.communicate(timeout=20)
    assert p.returncode == 4
    assert sorted(os.listdir(tmp_path)) == ["base.vhdx", "leaf.vhdx"]


@pytest.mark.parametrize("rounds", [
    5, pytest.param(20, marks=pytest.mark.slow)])
def test_kill_and_resume(tool, vhdmerge, content, tmp_path, rounds):
    base, leaf = big(tmp_path, 48)
    rng = random.Random(rounds)
    args = [tool("vhdmerge"), "--limit-rate", "40m", leaf, base]
    for _ in range(rounds):
        p = subprocess.Popen(args, stderr=subprocess.DEVNULL)
        time.sleep(rng.random() * 0.6)
        p.kill()
        p.wait()
        if (tmp_path / ".base.vhdx.merge").exists():
            check_big(content(leaf), 48)
            args = [tool("vhdmerge"), "--limit-rate", "40m", "--resume", base]
    if (tmp_path / ".base.vhdx.merge").exists():
        vhdmerge("--resume", base)
    elif not (tmp_path / ".base.vhdx.merged").exists():
        vhdmerge(leaf, base)
    check_big(content(base), 48)
