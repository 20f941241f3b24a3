# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening a disk with its parents: found, checked, confined."""
import hashlib
import os
import random
import shutil
import subprocess

import pytest

import disks
from make import chain
from make.chain import MIB, new_id


@pytest.fixture
def show(tool):
    program = tool("disktool")

    def run(path, *args, script="", **kw):
        return disks.show(path, *args, script=script, program=program, **kw)
    return run


class Vhdx:
    ext = "vhdx"
    base = staticmethod(chain.vhdx)
    child = staticmethod(chain.vhdx_child)


class Vhd:
    ext = "vhd"
    base = staticmethod(chain.vhd)
    child = staticmethod(chain.vhd_child)


@pytest.fixture(params=[Vhd, Vhdx], ids=["vhd", "vhdx"])
def fmt(request):
    return request.param


def pair(fmt, where, relative=None, **kw):
    """A base and a child in a directory: (base, child, base's id)."""
    guid, ext = new_id(), fmt.ext
    base = fmt.base(where / f"base.{ext}", guid, data={0: 1, 1: 2})
    child = fmt.child(where / f"child.{ext}", new_id(), guid,
                      relative=f".\\base.{ext}" if relative is None
                      else relative, data={1: 3}, **kw)
    return base, child, guid


def names(d):
    assert d.error is None, d.error
    return [name for _, _, name in d.chain]


# ---- what a file is ----

def test_disk_raw(show, tmp_path):
    raw = tmp_path / "x.img"
    raw.write_bytes(b"\x11" * 1024)
    d = show(raw, script="size\nread 512 2\n")
    assert d.chain == [("raw", "raw", "x.img")]
    assert d.answers == ["1024", "1111"] and not d.notes


def test_disk_raw_size_is_whole_sectors(show, tmp_path):
    raw = tmp_path / "x.img"
    raw.write_bytes(bytes(1000))
    d = show(raw, script="size\n")
    assert d.answers == ["512"]
    assert "last 488 bytes" in d.notes[0]


def test_disk_content_counts_not_the_extension(show, tmp_path):
    vhdx = chain.vhdx(tmp_path / "a.vhd", new_id())
    vhd = chain.vhd(tmp_path / "b.vhdx", new_id())
    raw = tmp_path / "c.vhdx"
    raw.write_bytes(bytes(4096))
    assert show(vhdx).chain[0][:2] == ("vhdx", "dynamic")
    assert show(vhd).chain[0][:2] == ("vhd", "dynamic")
    d = show(raw)
    assert d.chain[0][:2] == ("raw", "raw")
    assert "neither VHD nor VHDX" in d.notes[0]


def test_disk_fixed_vhd_by_its_footer(show, tmp_path):
    vhd = chain.vhd_fixed(tmp_path / "a.img", new_id(), byte=5)
    d = show(vhd, script="size\nread 0 1\n")
    assert d.chain[0][:2] == ("vhd", "fixed")
    assert d.answers == [str(4 * MIB), "05"]


@pytest.mark.parametrize("fmt_name, word", [
    ("qcow2", "QCOW"), ("vmdk", "VMDK"), ("vdi", "VDI"), ("qed", "QED"),
    ("parallels", "Parallels")])
def test_disk_names_other_containers(show, peer, tmp_path, fmt_name, word):
    path = tmp_path / "disk.vhdx"
    subprocess.run([peer("qemu-img"), "create", "-q", "-f", fmt_name,
                          path, "8M"], check=True)
    code, outcome, words = show(path).error
    assert (code, outcome) == ("ENOTSUP", "unsupported") or \
        (code, outcome) == ("EOPNOTSUPP", "unsupported")
    assert word in words and str(path) in words


def test_disk_vhd_set_names_the_avhdx(show, tmp_path):
    path = tmp_path / "shared.vhds"
    path.write_bytes(bytes(4096))
    code, outcome, words = show(path).error
    assert outcome == "unsupported"
    assert "shared_*.avhdx" in words


@pytest.mark.parametrize("what", ["missing", "directory", "empty", "fifo"])
def test_disk_no_disk_at_all(show, tmp_path, what):
    path = tmp_path / what
    if what == "directory":
        path.mkdir()
    elif what == "empty":
        path.write_bytes(b"")
    elif what == "fifo":
        os.mkfifo(path)
    code, outcome, words = show(path).error
    assert str(path) in words
    assert words.count(str(path)) == 1
    if what == "missing":
        assert (code, outcome) == ("ENOENT", "not-found")


def test_disk_damaged_vhdx_is_no_raw_disk(show, tmp_path):
    path = chain.vhdx(tmp_path / "a.vhdx", new_id())
    with open(path, "r+b") as f:
        f.seek(64 << 10)
        f.write(bytes(128 << 10))
    code, outcome, words = show(path).error
    assert outcome == "corrupt"


def test_disk_damaged_footer_is_a_note(show, tmp_path):
    path = chain.vhd(tmp_path / "a.vhd", new_id())
    with open(path, "r+b") as f:
        f.seek(-512, 2)
        f.write(bytes(512))
    d = show(path)
    assert d.chain[0][:2] == ("vhd", "dynamic")
    assert any("footer damaged" in n for n in d.notes)


# ---- finding parents ----

def test_disk_chain_reads_through(show, tmp_path, fmt):
    pair(fmt, tmp_path)
    d = show(tmp_path / f"child.{fmt.ext}",
             script=f"read 0 1\nread {MIB} 1\nread {2 * MIB} 1\n")
    assert names(d) == [f"child.{fmt.ext}", f"base.{fmt.ext}"]
    assert d.chain[0][1] == "differencing" and d.chain[1][1] == "dynamic"
    assert d.answers == ["01", "03", "00"] and not d.notes


def test_disk_parent_may_be_fixed(show, tmp_path):
    guid = new_id()
    chain.vhd_fixed(tmp_path / "base.vhd", guid, byte=9)
    child = chain.vhd_child(tmp_path / "c.vhd", new_id(), guid,
                            relative=".\\base.vhd", data={1: 3})
    d = show(child, script=f"read 0 1\nread {MIB} 1\n")
    assert d.answers == ["09", "03"]


def test_disk_three_deep_over_directories(show, tmp_path, fmt):
    a, b, c = new_id(), new_id(), new_id()
    sub = tmp_path / "snap" / "deep"
    sub.mkdir(parents=True)
    fmt.base(sub / "base.x", a, data={0: 1})
    fmt.child(tmp_path / "snap" / "mid.x", b, a, relative="deep\\base.x",
              data={1: 2})
    leaf = fmt.child(tmp_path / "leaf.x", c, b, relative=".\\snap\\mid.x",
                     data={2: 3})
    d = show(leaf, script=f"read 0 1\nread {MIB} 1\nread {2 * MIB} 1\n")
    assert names(d) == ["leaf.x", "mid.x", "base.x"]
    assert d.answers == ["01", "02", "03"]


def test_disk_case_of_names_does_not_count(show, tmp_path, fmt):
    guid = new_id()
    sub = tmp_path / "Virtual Disks"
    sub.mkdir()
    fmt.base(sub / "BÄSE.x", guid)
    child = fmt.child(tmp_path / "c.x", new_id(), guid,
                      relative=".\\virtual DISKS\\bäse.X")
    assert names(show(child)) == ["c.x", "BÄSE.x"]


def test_disk_two_names_that_differ_in_case(show, tmp_path, fmt):
    guid = new_id()
    fmt.base(tmp_path / "Base.x", new_id())
    fmt.base(tmp_path / "BASE.x", guid)
    child = fmt.child(tmp_path / "c.x", new_id(), guid, relative=".\\base.x")
    assert names(show(child)) == ["c.x", "BASE.x"]


def test_disk_moved_together(show, tmp_path, fmt):
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    pair(fmt, old, absolute=f"C:\\old\\base.{fmt.ext}")
    old.rename(new)
    assert len(names(show(new / f"child.{fmt.ext}"))) == 2


def test_disk_absolute_only_uses_the_name_beside(show, tmp_path, fmt):
    pair(fmt, tmp_path, relative="..\\gone\\x",
         absolute=f"C:\\VMs\\base.{fmt.ext}")
    assert len(names(show(tmp_path / f"child.{fmt.ext}"))) == 2


def test_disk_header_name_alone(show, tmp_path):
    guid = new_id()
    chain.vhd(tmp_path / "base.vhd", guid)
    child = chain.vhd_child(tmp_path / "c.vhd", new_id(), guid,
                            name="C:\\far\\away\\base.vhd")
    assert names(show(child)) == ["c.vhd", "base.vhd"]


def test_disk_mac_url(show, tmp_path):
    guid = new_id()
    (tmp_path / "a b").mkdir()
    chain.vhd(tmp_path / "a b" / "base.vhd", guid)
    url = f"file://localhost{tmp_path}/a%20b/base.vhd"
    child = chain.vhd_child(tmp_path / "c.vhd", new_id(), guid, url=url)
    assert names(show(child)) == ["c.vhd", "base.vhd"]


def test_disk_drive_map(show, tmp_path, fmt):
    guid = new_id()
    disks_dir, far = tmp_path / "d", tmp_path / "mnt" / "VMs"
    disks_dir.mkdir()
    far.mkdir(parents=True)
    fmt.base(far / "gold.x", guid)
    child = fmt.child(disks_dir / "c.x", new_id(), guid, relative="..\\no\\x",
                      absolute="\\\\?\\D:\\vms\\GOLD.x")
    code, outcome, words = show(child).error
    assert (code, outcome) == ("ENOENT", "chain-broken")
    assert "add drive=D:=DIR" in words
    for drive in (f"D:={tmp_path}/mnt", f"d:\\={tmp_path}/mnt",
                  f"D:\\VMS={far}", f"\\\\?\\D:={tmp_path}/mnt"):
        assert names(show(child, "-d", drive)) == ["c.x", "gold.x"], drive
    assert show(child, "-d", f"C:={tmp_path}/mnt").error[0] == "ENOENT"
    assert show(child, "-d", f"D:\\VM={far}").error[0] == "ENOENT"


def test_disk_share_map(show, tmp_path, fmt):
    guid = new_id()
    (tmp_path / "d").mkdir()
    (tmp_path / "srv").mkdir()
    fmt.base(tmp_path / "srv" / "b.x", guid)
    child = fmt.child(tmp_path / "d" / "c.x", new_id(), guid, relative="n.x",
                      absolute="\\\\?\\UNC\\nas\\vm\\b.x")
    assert show(child).error[1] == "chain-broken"
    got = show(child, "-d", f"\\\\nas\\vm={tmp_path}/srv")
    assert names(got) == ["c.x", "b.x"]


def test_disk_drive_word_that_is_none(show, tmp_path):
    path = chain.vhdx(tmp_path / "a.vhdx", new_id())
    for word in ("C:", "=/mnt", "C:="):
        code, outcome, words = show(path, "-d", word).error
        assert (code, outcome) == ("EINVAL", "usage"), word
        assert f"drive={word}" in words


def test_disk_search(show, tmp_path, fmt):
    guid = new_id()
    for name in ("d", "one", "two"):
        (tmp_path / name).mkdir()
    fmt.base(tmp_path / "one" / "base.x", new_id())
    fmt.base(tmp_path / "two" / "Base.X", guid)
    child = fmt.child(tmp_path / "d" / "c.x", new_id(), guid,
                      absolute="C:\\base.x", relative="x")
    d = show(child, "-s", tmp_path / "one", "-s", tmp_path / "two")
    assert names(d) == ["c.x", "Base.X"]


def test_disk_search_that_is_not_there_is_a_note(show, tmp_path, fmt):
    pair(fmt, tmp_path)
    d = show(tmp_path / f"child.{fmt.ext}", "-s", tmp_path / "none")
    assert len(names(d)) == 2
    assert f"search={tmp_path}/none" in d.notes[0]


def test_disk_relative_search_counts_from_here(show, tmp_path, fmt):
    guid = new_id()
    (tmp_path / "d").mkdir()
    (tmp_path / "one").mkdir()
    fmt.base(tmp_path / "one" / "b.x", guid)
    child = fmt.child(tmp_path / "d" / "c.x", new_id(), guid, relative="b.x")
    d = show("d/c.x", "-s", "one", cwd=tmp_path)
    assert d.paths == [str(child), str(tmp_path / "one" / "b.x")]


def test_disk_explicit_parents_in_order(show, tmp_path, fmt):
    a, b = new_id(), new_id()
    for name in ("1", "2", "3"):
        (tmp_path / name).mkdir()
    fmt.base(tmp_path / "1" / "x", a, data={0: 1})
    fmt.child(tmp_path / "2" / "y", b, a, relative="gone")
    leaf = fmt.child(tmp_path / "3" / "z", new_id(), b, relative="gone")
    d = show(leaf, "-p", tmp_path / "2" / "y", "-p", tmp_path / "1" / "x",
             script="read 0 1\n")
    assert names(d) == ["z", "y", "x"] and d.answers == ["01"]
    d = show(leaf, "-p", tmp_path / "1" / "x", "-p", tmp_path / "2" / "y")
    assert d.error[:2] == ("ESTALE", "chain-broken")


def test_disk_explicit_parent_is_not_believed_blindly(show, tmp_path, fmt):
    base, child, guid = pair(fmt, tmp_path)
    wrong = fmt.base(tmp_path / "wrong", new_id())
    code, outcome, words = show(child, "-p", wrong).error
    assert (code, outcome) == ("ESTALE", "chain-broken")
    assert str(wrong) in words
    code, outcome, words = show(child, "-p", tmp_path / "none").error
    assert (code, outcome) == ("ENOENT", "chain-broken")
    assert f"parent={tmp_path}/none does not exist" in words


def test_disk_explicit_parent_too_many(show, tmp_path, fmt):
    base, child, guid = pair(fmt, tmp_path)
    code, outcome, words = show(child, "-p", base, "-p", base).error
    assert (code, outcome) == ("EINVAL", "usage")
    assert "has no parent" in words


def test_disk_child_through_a_symlink(show, tmp_path, fmt):
    (tmp_path / "real").mkdir()
    base, child, guid = pair(fmt, tmp_path / "real")
    (tmp_path / "link").symlink_to(child)
    assert len(names(show(tmp_path / "link"))) == 2


def test_disk_second_linkage_is_accepted(show, tmp_path):
    guid = new_id()
    chain.vhdx(tmp_path / "base.vhdx", guid)
    child = chain.vhdx_child(tmp_path / "c.vhdx", new_id(), new_id(),
                             relative="base.vhdx", linkage2=guid)
    assert names(show(child)) == ["c.vhdx", "base.vhdx"]


# ---- wrong, missing, cyclic, resized ----

def guid_text(fmt, guid):
    import uuid
    return str(uuid.UUID(bytes_le=guid) if fmt is Vhdx
               else uuid.UUID(bytes=guid))


def test_disk_wrong_parent_right_name(show, tmp_path, fmt):
    want, have = new_id(), new_id()
    fmt.base(tmp_path / "base.x", have)
    child = fmt.child(tmp_path / "c.x", new_id(), want, relative="base.x")
    code, outcome, words = show(child).error
    assert (code, outcome) == ("ESTALE", "chain-broken")
    assert guid_text(fmt, want) in words and guid_text(fmt, have) in words
    assert str(child) in words and "\n" not in words


def test_disk_wrong_parent_first_right_one_later(show, tmp_path, fmt):
    guid = new_id()
    (tmp_path / "old").mkdir()
    fmt.base(tmp_path / "old" / "base.x", new_id())
    fmt.base(tmp_path / "base.x", guid)
    child = fmt.child(tmp_path / "c.x", new_id(), guid,
                      relative="old\\base.x")
    d = show(child)
    assert d.paths[1] == str(tmp_path / "base.x")
    assert "not taken for its parent" in d.notes[0]
    assert str(tmp_path / "old" / "base.x") in d.notes[0]


def test_disk_right_parent_wrong_name_is_suggested(show, tmp_path, fmt):
    guid = new_id()
    base = fmt.base(tmp_path / "renamed.x", guid)
    child = fmt.child(tmp_path / "c.x", new_id(), guid, relative="base.x")
    code, outcome, words = show(child).error
    assert (code, outcome) == ("ENOENT", "chain-broken")
    assert f"add parent={base}" in words
    assert names(show(child, "-p", base)) == ["c.x", "renamed.x"]


def test_disk_missing_parent_says_where_it_looked(show, tmp_path, fmt):
    base, child, guid = pair(fmt, tmp_path)
    os.unlink(base)
    (tmp_path / "s").mkdir()
    code, outcome, words = show(child, "-s", tmp_path / "s").error
    assert (code, outcome) == ("ENOENT", "chain-broken")
    assert f"base.{fmt.ext}" in words and f"{tmp_path}/s" in words
    assert guid_text(fmt, guid) in words
    assert "add search=DIR or parent=FILE" in words


def test_disk_parent_of_the_other_format(show, tmp_path):
    guid = new_id()
    chain.vhd(tmp_path / "base", guid)
    child = chain.vhdx_child(tmp_path / "c", new_id(), guid, relative="base")
    code, outcome, words = show(child).error
    assert code == "ESTALE" and "is a VHD, not a VHDX" in words


def test_disk_damaged_parent_is_named(show, tmp_path, fmt):
    base, child, guid = pair(fmt, tmp_path)
    if fmt is Vhdx:
        with open(base, "r+b") as f:
            f.seek(64 << 10)
            f.write(bytes(128 << 10))
    else:
        with open(base, "r+b") as f:
            f.seek(512)
            f.write(bytes(1024))
    code, outcome, words = show(child).error
    assert outcome == "corrupt" and str(base) in words


def test_disk_own_parent(show, tmp_path, fmt):
    guid = new_id()
    child = fmt.child(tmp_path / "c.x", guid, guid, relative="c.x")
    code, outcome, words = show(child).error
    assert (code, outcome) == ("ELOOP", "chain-broken")
    assert "circle" in words


def test_disk_circle_of_two(show, tmp_path, fmt):
    a, b = new_id(), new_id()
    fmt.child(tmp_path / "a.x", a, b, relative="b.x")
    fmt.child(tmp_path / "b.x", b, a, relative="a.x")
    code, outcome, words = show(tmp_path / "a.x").error
    assert (code, outcome) == ("ELOOP", "chain-broken")
    assert "circle" in words


def test_disk_circle_of_copies(show, tmp_path, fmt):
    a, b = new_id(), new_id()
    fmt.child(tmp_path / "a.x", a, b, relative="b.x")
    (tmp_path / "sub").mkdir()
    fmt.child(tmp_path / "b.x", b, a, relative="sub\\a.x")
    fmt.child(tmp_path / "sub" / "a.x", a, b, relative="b.x")
    code, outcome, words = show(tmp_path / "a.x").error
    assert (code, outcome) == ("ELOOP", "chain-broken")


def deep(fmt, where, n, **kw):
    """A chain of n files; the leaf's path. Small BATs: few blocks."""
    ids = [new_id() for _ in range(n)]
    fmt.base(where / "0.x", ids[0], data={0: 7}, **kw)
    for i in range(1, n):
        fmt.child(where / f"{i}.x", ids[i], ids[i - 1],
                  relative=f".\\{i - 1}.x", **kw)
    return where / f"{n - 1}.x"


def test_disk_depth_256_yes_257_no(show, tmp_path, fmt):
    leaf = deep(fmt, tmp_path, 257)
    d = show(tmp_path / "255.x", script="read 0 1\n")
    assert len(names(d)) == 256 and d.answers == ["07"]
    code, outcome, words = show(leaf).error
    assert (code, outcome) == ("ELOOP", "chain-broken")
    assert "more than 256" in words


def test_disk_chain_of_30_opens_fast(show, tmp_path, fmt):
    leaf = deep(fmt, tmp_path, 30)
    times = [show(leaf, "-t").time for _ in range(3)]
    # 20 ms on a machine with nothing else to do.
    assert min(times) < 100_000, times


def test_disk_vhdx_parent_resized(show, tmp_path):
    guid = new_id()
    chain.vhdx(tmp_path / "base.vhdx", guid, size=8 * MIB)
    child = chain.vhdx_child(tmp_path / "c.vhdx", new_id(), guid,
                             relative="base.vhdx")
    code, outcome, words = show(child).error
    assert (code, outcome) == ("ESTALE", "chain-broken")
    assert "resized" in words and "8388608" in words and "4194304" in words


def test_disk_vhd_smaller_than_its_parent_is_legal(show, tmp_path):
    guid = new_id()
    chain.vhd(tmp_path / "base.vhd", guid, size=8 * MIB, data={3: 4, 5: 6})
    child = chain.vhd_child(tmp_path / "c.vhd", new_id(), guid,
                            relative="base.vhd")
    d = show(child, script=f"size\nread {3 * MIB} 1\n")
    assert d.answers == [str(4 * MIB), "04"]
    assert "smaller" in d.notes[0]


def test_disk_child_larger_than_its_parent(show, tmp_path, fmt):
    guid = new_id()
    fmt.base(tmp_path / "base.x", guid, size=2 * MIB, data={1: 4})
    child = fmt.child(tmp_path / "c.x", new_id(), guid, relative="base.x")
    d = show(child, script=f"size\nread {2 * MIB - 1} 3\n")
    assert d.answers == [str(4 * MIB), "040000"] and not d.notes


def test_disk_vhdx_sector_sizes_differ(show, tmp_path):
    guid = new_id()
    chain.vhdx(tmp_path / "base.vhdx", guid, sector=4096)
    child = chain.vhdx_child(tmp_path / "c.vhdx", new_id(), guid,
                             relative="base.vhdx")
    code, outcome, words = show(child).error
    assert outcome == "chain-broken"
    assert "512" in words and "4096" in words


def test_disk_raw_parent_only_when_forced(show, tmp_path):
    raw = tmp_path / "base.raw"
    raw.write_bytes(b"\x42" * (4 * MIB))
    child = chain.vhd_child(tmp_path / "c.vhd", new_id(), bytes(16),
                            relative="base.raw", data={1: 3})
    code, outcome, words = show(child).error
    assert outcome == "chain-broken" and "force" in words
    d = show(child, "-f", script=f"read 0 1\nread {MIB} 1\n")
    assert names(d) == ["c.vhd", "base.raw"]
    assert d.answers == ["42", "03"]


# ---- a stranger's path ----

def outside(fmt, tmp_path, relative=None, **kw):
    """A child in in/ whose parent lies in out/."""
    guid = new_id()
    for name in ("in", "out"):
        (tmp_path / name).mkdir(exist_ok=True)
    fmt.base(tmp_path / "out" / "secret.x", guid, data={0: 0x55})
    return fmt.child(tmp_path / "in" / "c.x", new_id(), guid,
                     relative=relative, **kw)


def test_disk_escape_by_dots_names_the_option(show, tmp_path, fmt):
    child = outside(fmt, tmp_path, "..\\out\\secret.x")
    code, outcome, words = show(child).error
    assert (code, outcome) == ("EACCES", "chain-broken")
    assert f"add search={tmp_path}/out" in words
    assert names(show(child, "-s", tmp_path / "out")) == ["c.x", "secret.x"]
    assert names(show(child, "-p", tmp_path / "out" / "secret.x")) \
        == ["c.x", "secret.x"]


def test_disk_escape_through_a_subdirectory(show, tmp_path, fmt):
    child = outside(fmt, tmp_path, ".\\a\\..\\..\\out\\secret.x")
    (tmp_path / "in" / "a").mkdir()
    assert show(child).error[:2] == ("EACCES", "chain-broken")


def test_disk_escape_by_symlink(show, tmp_path, fmt):
    child = outside(fmt, tmp_path, ".\\base.x")
    (tmp_path / "in" / "base.x").symlink_to(tmp_path / "out" / "secret.x")
    code, outcome, words = show(child).error
    assert (code, outcome) == ("EACCES", "chain-broken")
    assert f"add search={tmp_path}/out" in words


def test_disk_other_name_of_a_file_outside(show, tmp_path, fmt):
    child = outside(fmt, tmp_path, "..\\out\\secret.x")
    os.link(tmp_path / "out" / "secret.x", tmp_path / "in" / "secret.x")
    d = show(child)
    assert d.paths[1] == str(tmp_path / "in" / "secret.x")


def test_disk_escape_by_symlinked_directory(show, tmp_path, fmt):
    child = outside(fmt, tmp_path, ".\\sub\\secret.x")
    (tmp_path / "in" / "sub").symlink_to(tmp_path / "out")
    assert show(child).error[0] == "EACCES"


def test_disk_escape_by_absolute_linux_path(show, tmp_path, fmt):
    child = outside(fmt, tmp_path, f"{tmp_path}/out/secret.x")
    assert show(child).error[1] == "chain-broken"


def test_disk_escape_by_url(show, tmp_path):
    child = outside(Vhd, tmp_path, url=f"file://{tmp_path}/out/secret.x")
    code, outcome, words = show(child).error
    assert (code, outcome) == ("EACCES", "chain-broken")
    assert f"add search={tmp_path}/out" in words


def test_disk_directory_with_a_longer_name_is_outside(show, tmp_path, fmt):
    child = outside(fmt, tmp_path, "..\\in2\\secret.x")
    shutil.copytree(tmp_path / "out", tmp_path / "in2")
    assert show(child).error[0] == "EACCES"


def test_disk_drive_map_cannot_be_left_by_dots(show, tmp_path, fmt):
    child = outside(fmt, tmp_path, "no", absolute="C:\\..\\out\\secret.x")
    (tmp_path / "c").mkdir()
    assert show(child, "-d", f"C:={tmp_path}/c").error[0] == "EACCES"


def test_disk_locator_to_a_device_is_not_opened(show, tmp_path, fmt):
    child = outside(fmt, tmp_path, ".\\base.x")
    os.mkfifo(tmp_path / "in" / "base.x")
    code, outcome, words = show(child).error
    assert outcome == "chain-broken" and "no regular file" in words


def test_disk_grandparent_is_confined_to_its_own_child(show, tmp_path, fmt):
    a, b = new_id(), new_id()
    for name in ("leaf", "mid"):
        (tmp_path / name).mkdir()
    fmt.base(tmp_path / "mid" / "base.x", a)
    fmt.child(tmp_path / "mid" / "mid.x", b, a, relative=".\\base.x")
    leaf = fmt.child(tmp_path / "leaf" / "leaf.x", new_id(), b,
                     relative="..\\mid\\mid.x")
    assert show(leaf).error[0] == "EACCES"
    assert len(names(show(leaf, "-p", tmp_path / "mid" / "mid.x"))) == 3


@pytest.mark.parametrize("name", [
    "", ".", "..", "\\", "/", ".\\", "\\\\\\", "..\\..\\..\\..\\..\\..",
    "x" * 300, "a\\" * 200 + "b", "\ud800.x", "..\\" * 150 + "etc\\passwd"],
    ids=range(12))
def test_disk_strange_locators(show, tmp_path, name):
    child = chain.vhdx_child(tmp_path / "c.vhdx", new_id(), new_id(),
                             relative=name or "?", absolute="\\\\?\\")
    assert show(child).error[1] in ("chain-broken", "corrupt")


def test_disk_message_is_one_printable_line(show, tmp_path):
    child = chain.vhdx_child(tmp_path / "c.vhdx", new_id(), new_id(),
                             relative="\x1b[2J\nroot: \x07.x")
    words = show(child).error[2]
    assert words.isprintable() and "?[2J?root" in words


# ---- chains that other code made, written at each level ----

def create(tool, fmt, path, size, parents):
    """Made by the library, a child when parents (leaf first) are given."""
    if fmt is Vhdx and parents:
        args = ["vhdxtool", "diff", parents[0], parents[0].name, "-", "1m",
                path]
        for p in parents[1:]:
            args += ["--parent", p]
    elif fmt is Vhdx:
        args = ["vhdxtool", "create", "dynamic", size, "1m", "512", "4096",
                path]
    elif parents:
        args = ["vhdtool", "create", path, "differencing", size, "512k",
                parents[0], parents[0].name]
    else:
        args = ["vhdtool", "create", path, "dynamic", size, "2m"]
    subprocess.run([tool(args[0]), *map(str, args[1:])], check=True)


def scribble(rng, model, n):
    """n random changes of model and the script that makes them."""
    script = ["begin"]
    for _ in range(n):
        length = 512 * rng.choice([1, 1, 3, 8, 100, 2048, 4500])
        off = 512 * rng.randrange((len(model) - length) // 512)
        what = rng.choice(["write", "write", "write", "zero", "unmap"])
        byte = rng.randrange(1, 256) if what == "write" else 0
        model[off:off + length] = bytes([byte]) * length
        script.append(f"{what} {off} {length}" +
                      (f" {byte}" if what == "write" else ""))
    return "\n".join(script + ["flush"]) + "\n"


@pytest.mark.parametrize("seed", range(3))
def test_disk_chain_written_at_each_level(show, tool, tmp_path, fmt, seed):
    rng = random.Random(seed)
    size = 9 * MIB + 512 * 7
    model, files, states = bytearray(size), [], []
    for level in range(4):
        path = tmp_path / f"level{level}.{fmt.ext}"
        create(tool, fmt, path, size, files)
        files.insert(0, path)
        d = show(path, "-w", "-m", script=scribble(rng, model, 25))
        assert len(d.chain) == level + 1, d.error
        assert set(d.answers[:-1]) == {"ok"} and d.answers[-1] == "map: ok"
        states.append(hashlib.sha256(model).hexdigest())
    for level, want in enumerate(states):
        d = show(files[-1 - level], "-m", script=f"sha256 0 {size}\n")
        assert d.answers == [want, "map: ok"], level


# ---- the corpus ----

def md5_of(show, path, tmp_path, *args):
    out = tmp_path / "out.raw"
    d = show(path, *args, script="size\n")
    assert d.error is None, d.error
    show(path, *args, "-q", script=f"readf 0 {d.answers[0]} {out}\n")
    return hashlib.md5(out.read_bytes()).hexdigest()


@pytest.mark.parametrize("ext, md5", [
    ("vhd", "4241cbc76e0e17517fb564238edbe415"),
    ("vhdx", "a25df0058eecd8aa1975a68eeaa0e178")])
def test_disk_corpus_chain(show, corpus, tmp_path, ext, md5):
    found = list((corpus / "chains").rglob(f"ntfs-differential.{ext}"))
    assert len(found) == 1
    d = show(found[0])
    assert names(d) == [f"ntfs-differential.{ext}", f"ntfs-parent.{ext}"]
    assert not d.notes
    assert md5_of(show, found[0], tmp_path) == md5


@pytest.mark.parametrize("ext", ["vhd", "vhdx"])
def test_disk_corpus_parent_elsewhere(show, corpus, tmp_path, ext):
    found = next((corpus / "chains").rglob(f"ntfs-differential.{ext}"))
    a, b = tmp_path / "a", tmp_path / "b" / "dfvfs" / "test_data"
    a.mkdir()
    b.mkdir(parents=True)
    shutil.copy(found, a / "child")
    shutil.copy(found.parent / f"ntfs-parent.{ext}",
                b / f"NTFS-Parent.{ext.upper()}")
    code, outcome, words = show(a / "child").error
    assert (code, outcome) == ("ENOENT", "chain-broken")
    assert "add drive=C:=DIR" in words
    assert len(names(show(a / "child", "-s", b))) == 2
    assert len(names(show(a / "child", "-d",
                          f"C:\\Projects={tmp_path}/b"))) == 2


@pytest.fixture
def dirty(corpus, tmp_path):
    """A VHDX of 10 GiB whose log makes 0..18 MiB read 0xa5."""
    path = next(corpus.rglob("*iotest-dirtylog*.vhdx"))
    return shutil.copy(path, tmp_path / "dirty.vhdx")


def test_disk_dirty_log_is_replayed_in_memory(show, dirty):
    before = disks.stamp(dirty)
    d = show(dirty, "-w", "-c", script="read 0x11fffff 2\nread 0 1\n")
    assert d.answers == ["a500", "a5"] and d.check is None
    assert any("replayed in memory" in n for n in d.notes)
    assert disks.stamp(dirty) == before


def test_disk_dirty_log_of_a_parent(show, dirty, tmp_path):
    with open(dirty, "rb") as f:
        f.seek(64 << 10)
        heads = [f.read(48), f.seek(128 << 10) and f.read(48)]
    head = max(heads, key=lambda h: int.from_bytes(h[8:16], "little"))
    child = chain.vhdx_child(tmp_path / "c.vhdx", new_id(), head[32:48],
                             relative="dirty.vhdx", size=10 << 30,
                             data={1: 3})
    before = disks.stamp(dirty)
    d = show(child, "-w", script=f"begin\nwrite 0 512 7\nflush\n"
             f"read 511 2\nread {MIB} 1\nread {2 * MIB} 1\n")
    assert names(d) == ["c.vhdx", "dirty.vhdx"]
    assert d.answers[3:] == ["07a5", "03", "a5"]
    assert disks.stamp(dirty) == before


def test_disk_dirty_log_goes_to_the_file_before_writing(show, peer, dirty):
    d = show(dirty, "-w", script="begin\nwrite 0 512 7\nflush\n")
    assert d.answers == ["ok"] * 3
    d = show(dirty, script="read 511 2\nread 0x11fffff 1\n")
    assert not d.notes and d.answers == ["07a5", "a5"]
    subprocess.run([peer("qemu-img"), "check", "-q", "-f", "vhdx", dirty],
                   check=True)


def test_disk_dirty_log_on_a_read_only_file(show, dirty):
    os.chmod(dirty, 0o444)
    d = show(dirty, script="read 0 1\n")
    assert d.answers == ["a5"]


# ---- untouched ----

def test_disk_open_and_read_leave_everything_as_it_was(show, tmp_path, fmt):
    base, child, guid = pair(fmt, tmp_path)
    before = [disks.stamp(p) for p in (base, child)]
    d = show(child, "-w", "-c", script="read 0 1\nread 1m 1\nmap 0 4m\n")
    assert d.check is None and d.answers[:2] == ["01", "03"]
    assert [disks.stamp(p) for p in (base, child)] == before
    assert sorted(os.listdir(tmp_path)) == \
        [f"base.{fmt.ext}", f"child.{fmt.ext}"]


def test_disk_write_goes_to_the_leaf_only(show, tmp_path, fmt):
    base, child, guid = pair(fmt, tmp_path)
    before = disks.stamp(base)
    d = show(child, "-w", script="write 0 512 9\nbegin\nwrite 0 512 9\n"
             "read 511 2\nflush\n")
    assert d.answers == ["error EROFS", "ok", "ok", "0901", "ok"]
    assert disks.stamp(base) == before
    assert show(child, script="read 511 2\n").answers == ["0901"]
