# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad WIM files: one line each, never a crash, never foreign bytes."""
import hashlib
import struct

import pytest

from conftest import run
from make.wim import (ARCHIVE, ENCRYPTED, REPARSE, Node, build,
                      entry, metadata, pad8, reshdr, sha1)
from wimlib import look, script


def tree():
    return Node(children=[Node("a.txt", b"hi\n"),
                          Node("d", children=[Node("b", b"deep")])])


@pytest.fixture
def put(tmp_path):
    def write(raw):
        path = tmp_path / "bad.wim"
        path.write_bytes(raw)
        return path
    return write


def refuses(tool, path, words, *options):
    p = run(tool("wimtool"), *options, path, stdin="find /\n", check=False)
    assert p.returncode == 1, p.stderr
    assert words in p.stderr, p.stderr
    assert p.stderr.count("\n") == 1


def test_own_writer_is_read(tool, put):
    assert look(tool, put(build(tree()))) == {
        "/a.txt": ("f", hashlib.sha256(b"hi\n").hexdigest()),
        "/d": ("d", None),
        "/d/b": ("f", hashlib.sha256(b"deep").hexdigest())}


@pytest.mark.parametrize("header,words", [
    (dict(magic=b"MSWIX\0\0\0"), "magic"),
    (dict(size=212), "208"),
    (dict(version=0x10C00), "Longhorn"),
    (dict(version=0xD00), "version"),
    (dict(part=0), "part 0"),
    (dict(part=3, parts=2), "part 3"),
    (dict(images=70000), "images"),
    (dict(flags=0x10002, chunk=32768), "unknown compression"),
    (dict(flags=0x20002, chunk=33000), "chunk size"),
    (dict(flags=0x20002, chunk=1 << 30), "chunk size"),
    (dict(table_res=reshdr(100, 1 << 50)), "blob table"),
    (dict(table_res=reshdr(100, 208, 101)), "two sizes"),
    (dict(table_res=bytes(24), xml_res=bytes(24)), "incomplete"),
])
def test_wrong_header(tool, put, header, words):
    refuses(tool, put(build(tree(), **header)), words)


def test_every_truncation(tool, put):
    raw = build(tree())
    for n in list(range(0, 260, 13)) + list(range(260, len(raw), 29)):
        p = run(tool("wimtool"), put(raw[:n]), stdin="find /\n", check=False)
        assert p.returncode == 1 and p.stderr.count("\n") == 1, n


@pytest.mark.parametrize("what,words", [
    ("cycle", "used twice"), ("shared list", "used twice"),
    ("into security", "cannot be at"), ("no end", "without an end"),
    ("root file", "root is no directory"), ("short dentry", "lengths"),
    ("odd name", "lengths"), ("security count", "security data"),
    ("security size", "descriptor 0"), ("huge length", "lengths"),
])
def test_metadata_that_lies(tool, put, what, words):
    root = tree()
    d = root.children[1]
    if what == "cycle":
        d.subdir = 8 + 104 + 8
    elif what == "shared list":
        metadata(root)
        d.subdir = root.subdir
    elif what == "into security":
        d.subdir = 1
    elif what == "root file":
        root.attrs = ARCHIVE
    raw = bytearray(metadata(root))
    first = 8 + 104 + 8
    if what == "no end":
        raw = raw[:-8]
    elif what == "short dentry":
        raw[first:first + 8] = struct.pack("<Q", 96)
    elif what == "huge length":
        raw[first:first + 8] = struct.pack("<Q", 2**64 - 1)
    elif what == "odd name":
        raw[first + 100] += 1
    elif what == "security count":
        raw[4:8] = struct.pack("<I", 2**31)
    elif what == "security size":
        raw = bytearray(metadata(Node(children=[], security=0), [b"x" * 20]))
        raw[8:16] = struct.pack("<Q", 2**63)
    refuses(tool, put(build(root, bytes(raw))), words)


@pytest.mark.parametrize("name", [".", "..", "a/b", "a\0b", b"", "x" * 256])
def test_names_that_no_directory_shows(tool, put, name):
    root = Node(children=[Node("good", b"1"), Node(name, b"2")])
    p = run(tool("wimtool"), put(build(root)), stdin="find /\n")
    assert p.stdout == "f 1 /good\n.\n" and "cannot be shown" in p.stderr


def test_lone_surrogate_survives(tool, put):
    root = Node(children=[Node(b"a\0\x00\xd8", b"1")])
    out = run(tool("wimtool"), put(build(root)), stdin="find /\n",
              encoding="utf-8", errors="surrogateescape").stdout
    assert out.encode("utf-8", "surrogateescape") == \
        b"f 1 /a\xed\xa0\x80\n.\n"


def test_first_of_equal_names_counts(tool, put):
    root = Node(children=[Node("n", b"first"), Node("n", b"second")])
    assert script(tool, put(build(root)), ["cat /n 0 9"]) == [
        b"first".hex()]


def test_metadata_hash_is_checked(tool, put):
    root = tree()
    raw = build(root).replace("a.txt".encode("utf-16le"),
                              "A.txt".encode("utf-16le"))
    refuses(tool, put(raw), "SHA-1")
    assert "/A.txt" in look(tool, put(raw), "-v", "none")


def test_missing_blob_is_an_error_not_zeros(tool, put):
    raw = build(Node(children=[Node("f", b"data"), Node("g", b"")]), blobs=[])
    assert script(tool, put(raw), ["cat /f 0 10", "cat /g 0 10"]) == [
        "error EIO", ""]


@pytest.mark.parametrize("xml", [
    '<!DOCTYPE WIM [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    '<WIM><IMAGE INDEX="1"><NAME>&b;</NAME></IMAGE></WIM>',
    '<!DOCTYPE WIM SYSTEM "file:///etc/passwd"><WIM/>',
    "<WIM>" + "<A>" * 100000, "not xml", "<OTHER/>", "", "<WIM><IMAGE",
    "<WIM>\ud800</WIM" ], ids=range(8))
def test_bad_xml_costs_only_the_names(tool, put, xml):
    p = run(tool("wimtool"), put(build(tree(), xml=xml)), stdin="find /\n")
    assert "/a.txt" in p.stdout
    assert p.stderr.count("\n") == 1 and "XML" in p.stderr


def test_encrypted_esd_is_named(tool, put):
    xml = "<WIM><ESD><ENCRYPTED><KEY/></ENCRYPTED></ESD></WIM>"
    raw = build(tree(), xml=xml, table=lambda t: bytes(50 * 3)[::-1])
    refuses(tool, put(raw), "encrypted")


@pytest.mark.parametrize("size,words", [
    (1 << 40, "cannot be"), (1 << 33, "cannot be")])
def test_metadata_bomb(tool, put, size, words):
    """A few bytes that say they are gigabytes."""
    meta = metadata(tree())
    table = entry(reshdr(len(meta), 208, size, 6), sha1(meta))
    raw = build(tree(), meta, blobs=[], table=lambda _: table,
                flags=0x40082, chunk=32768)
    p = run(tool("wimtool"), put(raw), stdin="find /\n", check=False)
    assert p.returncode == 1 and "metadata" in p.stderr


def chunked(chunks, offsets):
    return struct.pack(f"<{len(offsets)}I", *offsets) + b"".join(chunks)


@pytest.mark.parametrize("offsets,good", [
    ([4096, 8192], True), ([8192, 4096], False), ([4096, 4096], False),
    ([0, 4096], False), ([4096, 2**32 - 1], False), ([4097, 8192], False),
])
def test_chunk_table_that_lies(tool, put, offsets, good):
    data = hashlib.shake_256(b"x").digest(3 * 4096)
    res = chunked([data], offsets)
    blob = entry(reshdr(len(res), 208, len(data), 4), sha1(data))
    meta = metadata(Node(children=[Node("f", data)]))
    table = blob + entry(reshdr(len(meta), 208 + len(res), flags=2),
                         sha1(meta))
    raw = build(blobs=[res], meta=meta, table=lambda _: table,
                flags=0x20002, chunk=4096)
    got = script(tool, put(raw), ["sha256 /f"])
    assert got == ([hashlib.sha256(data).hexdigest()] if good
                   else ["error EIO"])


def solid(parts, data, shift=0, **lie):
    """A run of one solid resource, stored raw in chunks of 4096."""
    n = -(-len(data) // 4096)
    sizes = lie.get("sizes") or [min(4096, len(data) - i * 4096)
                                 for i in range(n)]
    res = struct.pack("<QII", lie.get("usize", len(data)),
                      lie.get("chunk", 4096), lie.get("codec", 1))
    res += struct.pack(f"<{len(sizes)}I", *sizes) + data
    table = entry(reshdr(len(res), 208, 1 << 32, 0x10), bytes(20))
    for off, size in parts:
        table += entry(reshdr(size, off + shift, 0, 0x10),
                       sha1(data[off:off + size]))
    return res, table


def solid_wim(data, parts, **lie):
    res, table = solid(parts, data, **lie)
    meta = metadata(Node(children=[
        Node(f"f{i}", digest=sha1(data[o:o + n]))
        for i, (o, n) in enumerate(parts)]))
    table += entry(reshdr(len(meta), 208 + len(res), flags=2), sha1(meta))
    return build(blobs=[res], meta=meta, table=lambda _: table,
                 version=0xE00, flags=0x80002, chunk=131072)


DATA = hashlib.shake_256(b"solid").digest(10000)
PARTS = [(0, 100), (100, 5000), (5100, 4900)]


def test_solid_by_hand(tool, put):
    raw = solid_wim(DATA, PARTS)
    got = script(tool, put(raw), [f"sha256 /f{i}" for i in range(3)])
    assert got == [hashlib.sha256(DATA[o:o + n]).hexdigest()
                   for o, n in PARTS]


@pytest.mark.parametrize("lie,words", [
    (dict(shift=1), "not inside"), (dict(codec=9), "unknown compression"),
    (dict(chunk=4095), "chunk size"), (dict(chunk=1 << 30), "chunk size"),
    (dict(usize=1 << 60), "cannot hold"), (dict(usize=0), "cannot hold"),
    (dict(sizes=[4096, 4096, 1807]), "chunks end"),
    (dict(sizes=[4096, 0, 1808]), "cannot be"),
    (dict(sizes=[4096, 4097, 1807]), "cannot be"),
])
def test_solid_that_lies(tool, put, lie, words):
    refuses(tool, put(solid_wim(DATA, PARTS, **lie)), words)


def test_table_oddities_are_ignored(tool, put):
    """Zero hashes, duplicates, other parts, a tail."""
    root = tree()
    raw = build(root, table=lambda t: (
        entry(reshdr(5, 208), bytes(20)) + t + t[:50] +
        entry(reshdr(3, 208), sha1(b"hi\n"), part=7) + b"tail"))
    assert script(tool, put(raw), ["cat /a.txt 0 10"]) == [b"hi\n".hex()]


# ---- streams and what else Windows keeps ----

def test_stream_arrangements(tool, put):
    """FORMAT.md 6.4: which hash is what."""
    root = Node(children=[
        Node("main", b"data", streams=[("ads", b"named")]),
        Node("extra", streams=[("x", b"1"), ("", b"unnamed")]),
        Node("both", b"wins", streams=[("", b"loses")]),
        Node("dir", children=[], streams=[("", b""), ("d", b"on dir")])])
    image = put(build(root))
    assert script(tool, image, [
        "cat /main 0 9", "getx /main user.ads", "cat /extra 0 9",
        "getx /extra user.x", "cat /both 0 9", "getx /dir user.d"]) == [
            x.hex() for x in (b"data", b"named", b"unnamed", b"1", b"wins",
                              b"on dir")]
    assert script(tool, image, ["cat /main:ads 0 9", "cat /dir:d 0 9"],
                  "-w") == [b"named".hex(), b"on dir".hex()]
    assert script(tool, image, ["getx /main user.ads"], "-n") == [
        "error ENODATA"]


def symlink(target, relative=True, tag=0xA000000C):
    t = target.encode("utf-16le")
    head = struct.pack("<HHHH", 0, len(t), 0, len(t))
    if tag == 0xA000000C:
        head += struct.pack("<I", int(relative))
    return head + t


def link(name, target, relative=True, tag=0xA000000C, flags=1):
    return Node(name, symlink(target, relative, tag), REPARSE, tag=tag,
                flags=flags)


def test_links_lead_into_the_image(tool, put):
    root = Node(children=[
        Node("Dir", children=[
            link("up", "..\\f"), Node("x", b"x"),
            link("abs", "\\??\\C:\\Dir\\x", False),
            link("root", "\\f")]),
        Node("f", b"f"),
        link("junction", "\\??\\C:\\DIR", False, 0xA0000003, 0)])
    image = put(build(root))
    assert script(tool, image, [
        "readlink /Dir/up", "readlink /Dir/abs", "readlink /Dir/root",
        "readlink /junction"]) == ["../f", "../Dir/x", "../f", "Dir"]
    value = bytes.fromhex(script(
        tool, image, ["getx /junction system.ntfs_reparse_data"])[0])
    assert value[:4] == struct.pack("<I", 0xA0000003)
    assert value[8:] == symlink("\\??\\C:\\DIR", False, 0xA0000003)


@pytest.mark.parametrize("blob", [b"", b"\xff" * 12, b"\0" * 7,
                                  b"\0" * 16377, symlink("x")[:-1]])
def test_broken_links_are_errors(tool, put, blob):
    root = Node(children=[Node("l", blob, REPARSE, tag=0xA000000C)])
    assert script(tool, put(build(root)), ["readlink /l"])[0].startswith(
        "error")


def test_data_elsewhere_and_encrypted(tool, put):
    root = Node(children=[
        Node("wof", b"p" * 16, REPARSE, tag=0x80000017,
             digest=bytes(20), streams=[("", b"p" * 16), ("", b"zeros")]),
        Node("efs", b"raw", ENCRYPTED)])
    assert script(tool, put(build(root)), ["cat /wof 0 9", "cat /efs 0 9"]) \
        == ["error EOPNOTSUPP", "error EACCES"]


def item(tag, data):
    return pad8(struct.pack("<II", tag, len(data)) + data)


def test_windows_metadata_as_xattrs(tool, put):
    acl = b"descriptor of a file"
    ea = struct.pack("<HBB", 6, 8, 0) + b"user.foo\0barbaz"
    root = Node(children=[Node(
        "A long name.txt", b"x", 0x27, short="ALONGN~1.TXT", security=1,
        items=bytes(8) + item(1, bytes(range(64))) + item(2, ea),
        times=(1, 2, 3))])
    raw = metadata(root, [b"first", acl])
    image = put(build(root, raw))
    path = "/A%20long%20name.txt"
    names = ["acl", "attrib", "dos_name", "object_id", "crtime_be", "ea"]
    got = script(tool, image, [f"getx {path} system.ntfs_{n}"
                               for n in names])
    assert [bytes.fromhex(g) for g in got] == [
        acl, struct.pack("<I", 0x27), b"ALONGN~1.TXT", bytes(range(64)),
        struct.pack(">Q", 1),
        struct.pack("<IBBH", 24, 0, 8, 6) + b"user.foo\0barbaz" + b"\0"]
    assert script(tool, image, [f"getx {path} user.foo"], "-u") == [
        b"barbaz".hex()]


@pytest.mark.parametrize("items", [
    struct.pack("<II", 1, 2**32 - 1) + bytes(8),
    item(2, b"\xff\xff\xff\xff"), item(2, struct.pack("<HBB", 0, 0, 0)),
    item(0x337DD873, bytes(3))])
def test_items_that_lie(tool, put, items):
    root = Node(children=[Node("f", b"x", items=items)])
    image = put(build(root))
    assert script(tool, image, ["getx /f system.ntfs_object_id",
                                "getx /f system.ntfs_ea"], "-u") == [
        "error ENODATA"] * 2


def test_inconsistent_link_group_is_split(tool, put):
    root = Node(children=[Node("a", b"1", group=5), Node("b", b"2", group=5),
                          Node("c", b"1", group=5),
                          Node("d", children=[], group=5)])
    a, b, c, d = (line.split() for line in script(
        tool, put(build(root)), [f"stat /{n}" for n in "abcd"]))
    assert a == c and a[3] == "2" and b[3] == "1" and d[0] != a[0]
