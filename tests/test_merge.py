# SPDX-License-Identifier: GPL-3.0-or-later
"""Chains merged in all ways, compared with a model sector by sector."""
import hashlib
import json
import os
import random
import shutil
import subprocess

import pytest

import disks
import merges
from conftest import run
from make import chain
from make.chain import MIB, new_id

KINDS = ["vhd", "vhdx", "vhdx4096"]


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


def qemu_reads(peer, path, size, tmp_path):
    raw = tmp_path / "qemu.raw"
    fmt = "vpc" if path.suffix == ".vhd" else "vhdx"
    run(peer("qemu-img"), "convert", "-f", fmt, "-O", "raw", path, raw)
    return raw.read_bytes()[:size]


def tree(vhdmerge, where):
    rows = json.loads(vhdmerge("--json", "--tree", where).stdout)
    return {os.path.basename(r["path"]): r for r in rows}


# ---- in place ----

@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", KINDS)
def test_merge_whole_chain_into_base(vhdmerge, content, peer, tmp_path, kind,
                                     seed):
    links = merges.make(kind, seed, tmp_path)
    vhdmerge(links[0].path, links[-1].path)
    assert content(links[-1].path) == links[0].content
    if kind != "vhdx4096":      # which qemu-img does not read
        assert qemu_reads(peer, links[-1].path, len(links[0].content),
                          tmp_path) == links[0].content


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", KINDS)
def test_merge_part_of_a_chain(vhdmerge, content, tmp_path, kind, seed):
    """Any link into any ancestor: what hangs above reads the same."""
    rng = random.Random(seed)
    links = merges.make(kind, 100 + seed, tmp_path,
                        depth=rng.randrange(2, 6))
    c = rng.randrange(len(links) - 1)
    a = rng.randrange(c + 1, len(links))
    if len(links[c].content) < len(links[a].content):
        pytest.skip("smaller child")
    vhdmerge("--delete" if seed % 2 else "--keep", links[c].path,
             links[a].path)
    assert content(links[a].path) == links[c].content
    for link in links[:c]:
        assert content(link.path) == link.content, link.path
    for link in links[c:a]:
        assert link.path.exists() != bool(seed % 2)
    for link in links[a + 1:]:
        assert content(link.path) == link.content
    assert not list(tmp_path.glob(".*.merge"))


@pytest.mark.parametrize("kind", ["vhd", "vhdx"])
def test_merge_kept_children_are_merged(vhdmerge, content, tool, tmp_path,
                                        kind):
    """They do not open on the wrong base, and do not block writing to it."""
    links = merges.make(kind, 7, tmp_path, depth=3)
    copy = tmp_path / "old"
    copy.mkdir()
    shutil.copy(links[-1].path, copy)
    vhdmerge(links[0].path, links[-1].path)
    rows = tree(vhdmerge, tmp_path)
    assert [rows[x.path.name]["state"] for x in links] == \
        ["merged"] * 3 + ["base"]
    for link in links[:-1]:
        assert content(link.path)[1] == "chain-broken"
    d = disks.show(links[-1].path, "-w", "-c", program=tool("disktool"))
    assert d.check is None
    # With a copy of the old base they are what they were.
    p = run(tool("disktool"), "-q", "-p", links[1].path, "-p", links[2].path,
            "-p", copy / links[-1].path.name, links[0].path,
            stdin=f"sha256 0 {len(links[0].content)}\n")
    assert p.stdout.split()[-1] == \
        hashlib.sha256(links[0].content).hexdigest()


@pytest.mark.parametrize("kind", ["vhd", "vhdx"])
def test_merge_twice_remembers_both(vhdmerge, content, tmp_path, kind):
    links = merges.make(kind, 21, tmp_path, depth=2)
    vhdmerge(links[1].path, links[2].path)
    assert content(links[0].path) == links[0].content
    vhdmerge(links[0].path, links[2].path)
    assert content(links[2].path) == links[0].content
    rows = tree(vhdmerge, tmp_path)
    assert [rows[x.path.name]["state"] for x in links] == \
        ["merged", "merged", "base"]


# ---- to a new file ----

@pytest.mark.parametrize("how", ["--fixed", "--dynamic", "--prealloc"])
@pytest.mark.parametrize("suffix", ["vhd", "vhdx"])
@pytest.mark.parametrize("kind", KINDS)
def test_flatten(vhdmerge, content, peer, tmp_path, kind, suffix, how):
    links = merges.make(kind, f"f{suffix}{how}", tmp_path)
    before = [disks.stamp(x.path) for x in links]
    out = tmp_path / f"flat.{suffix}"
    p = vhdmerge("--verify", how, "--output", out, links[0].path, check=False)
    if kind == "vhdx4096" and suffix == "vhd":
        assert p.returncode == 13 and not out.exists()
        assert "sectors of 4096" in p.stderr
        return
    assert p.returncode == 0, p.stderr
    assert content(out) == links[0].content
    if kind != "vhdx4096":
        assert qemu_reads(peer, out, len(links[0].content), tmp_path) == \
            links[0].content
    if how == "--prealloc":
        assert out.stat().st_blocks * 512 >= out.stat().st_size
    assert [disks.stamp(x.path) for x in links] == before


def test_flatten_7z_reads_it(vhdmerge, content, peer, tmp_path):
    # It refuses sizes that are no multiple of 4096.
    ids = new_id(), new_id()
    chain.vhdx(tmp_path / "base.vhdx", ids[0], data={0: 1, 2: 3})
    leaf = chain.vhdx_child(tmp_path / "leaf.vhdx", ids[1], ids[0],
                            relative=".\\base.vhdx", data={1: 7, 2: 8})
    out = tmp_path / "flat.vhdx"
    vhdmerge("-o", out, leaf)
    data = subprocess.run([peer("7z"), "e", "-so", "-tVHDX", out],
                          capture_output=True, check=True).stdout
    assert data == content(leaf)


def test_flatten_drops_zero_blocks(vhdmerge, tmp_path):
    chain.vhdx(tmp_path / "b.vhdx", new_id(), size=64 * MIB,
               data={i: 0 for i in range(60)})
    out = tmp_path / "o.vhdx"
    vhdmerge("-o", out, tmp_path / "b.vhdx")
    assert out.stat().st_size <= 6 * MIB


def test_flatten_never_overwrites(vhdmerge, tmp_path):
    base = chain.vhdx(tmp_path / "b.vhdx", new_id(), data={1: 5})
    out = tmp_path / "o.vhdx"
    out.write_bytes(b"mine")
    assert vhdmerge("-o", out, base, check=False).returncode == 22
    assert out.read_bytes() == b"mine"
    assert vhdmerge("-o", base, base, check=False).returncode == 1
    vhdmerge("--replace", "-o", out, base)
    assert out.stat().st_size > MIB
    assert sorted(os.listdir(tmp_path)) == ["b.vhdx", "o.vhdx"]


def test_flatten_reports_what_cannot_be_read(vhdmerge, tmp_path):
    """A file that ends early: the ranges are told, no file appears."""
    base = chain.vhdx(tmp_path / "b.vhdx", new_id(), data={1: 5, 2: 6})
    os.truncate(base, 5 * MIB + 4096)
    out = tmp_path / "o.vhdx"
    p = vhdmerge("-o", out, base, check=False)
    assert p.returncode != 0 and not out.exists()
    assert sorted(os.listdir(tmp_path)) == ["b.vhdx"]


# ---- the corpus ----

EXPECT = {"vhd": "4241cbc76e0e17517fb564238edbe415",
          "vhdx": "a25df0058eecd8aa1975a68eeaa0e178"}


@pytest.mark.parametrize("kind", ["vhd", "vhdx"])
def test_merge_windows_chain(vhdmerge, content, corpus, tmp_path, kind):
    for src, dst in (("ntfs-parent", "ntfs-parent"),
                     ("ntfs-differential", "child")):
        shutil.copy(corpus / kind / f"dfvfs--{src}.{kind}",
                    tmp_path / f"{dst}.{kind}")
    child, base = tmp_path / f"child.{kind}", tmp_path / f"ntfs-parent.{kind}"
    out = tmp_path / "flat.vhdx"
    vhdmerge("--verify", "-o", out, child)
    assert hashlib.md5(content(out)).hexdigest() == EXPECT[kind]
    vhdmerge("--delete", child, base)
    assert hashlib.md5(content(base)).hexdigest() == EXPECT[kind]
    assert not child.exists()


# ---- graph, plan, status ----

def test_tree_by_identity_not_by_name(vhdmerge, tmp_path):
    ids = [new_id() for _ in range(6)]
    chain.vhdx(tmp_path / "zz.vhdx", ids[0])
    chain.vhdx_child(tmp_path / "aa.vhdx", ids[1], ids[0])
    chain.vhdx_child(tmp_path / "leaf.vhdx", ids[2], ids[1])
    chain.vhdx_child(tmp_path / "lost.vhdx", ids[3], ids[4])
    chain.vhd(tmp_path / "v.vhd", ids[5])
    shutil.copy(tmp_path / "v.vhd", tmp_path / "twin.vhd")
    (tmp_path / "bad.vhdx").write_bytes(b"vhdxfile" + bytes(2000))
    rows = tree(vhdmerge, tmp_path)
    assert {n: r["state"] for n, r in rows.items()} == {
        "zz.vhdx": "base", "aa.vhdx": "branch", "leaf.vhdx": "leaf",
        "lost.vhdx": "orphan", "v.vhd": "base", "twin.vhd": "base",
        "bad.vhdx": "unreadable"}
    assert rows["v.vhd"]["duplicate"] and rows["twin.vhd"]["duplicate"]
    text = vhdmerge("--tree", tmp_path).stdout
    assert text.index("zz.vhdx") < text.index("aa.vhdx") < \
        text.index("leaf.vhdx")


@pytest.mark.parametrize("kind", ["vhd", "vhdx"])
def test_dry_run_changes_nothing(vhdmerge, tmp_path, kind):
    links = merges.make(kind, 5, tmp_path)
    before = {p: disks.stamp(p) for p in tmp_path.iterdir()}
    p = vhdmerge("--json", "-n", links[0].path, links[-1].path)
    plan = json.loads(p.stdout)
    assert plan["size"] == len(links[0].content) and plan["copy"] > 0
    assert [f["role"] for f in plan["files"]] == \
        ["merged"] * (len(links) - 1) + ["target"]
    assert {p: disks.stamp(p) for p in tmp_path.iterdir()} == before


def test_json_job_events(vhdmerge, tmp_path):
    links = merges.make("vhdx", 5, tmp_path)
    p = vhdmerge("--json", links[0].path, links[-1].path)
    events = [json.loads(line) for line in p.stdout.splitlines()]
    assert [e["state"] for e in events][0] == "starting"
    assert events[-1]["state"] == "completed"
    assert events[-1]["percent"] == 100
    p = vhdmerge("--json", links[0].path, links[-1].path, check=False)
    last = json.loads(p.stdout.splitlines()[-1])
    assert last["state"] == "exception" and last["code"] == p.returncode
    assert last["error"] == "chain-broken" and last["text"]


def test_rate_is_limited(vhdmerge, tmp_path):
    import time
    base = chain.vhdx(tmp_path / "b.vhdx", new_id(),
                      data={i: i + 1 for i in range(4)})
    start = time.monotonic()
    vhdmerge("--limit-rate", "4m", "-o", tmp_path / "o.vhdx", base)
    assert time.monotonic() - start > 0.8
