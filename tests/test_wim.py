# SPDX-License-Identifier: GPL-3.0-or-later
"""WIM files that wimlib made, and real ones: every byte and name the same."""
import os

import pytest

from conftest import run
from wimlib import fill, imagex, look, look_dir, script


@pytest.fixture(scope="module")
def src(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("wim") / "src")


@pytest.fixture(autouse=True)
def needs_wimlib(peer):
    peer("wimlib-imagex")


@pytest.mark.parametrize("options", [
    ["--compress=none"],
    ["--compress=xpress"], ["--compress=xpress", "--chunk-size=4096"],
    ["--compress=xpress", "--chunk-size=65536"],
    ["--compress=lzx"], ["--compress=lzx", "--chunk-size=2M"],
    ["--compress=lzms"], ["--compress=lzms", "--chunk-size=32K"],
    ["--solid"], ["--solid", "--solid-chunk-size=128K"],
    ["--solid", "--solid-compress=lzx"],
    ["--solid", "--solid-compress=xpress"],
    ["--compress=lzx", "--pipable"], ["--compress=none", "--pipable"],
    ["--compress=xpress", "--pipable", "--check"],
], ids=" ".join)
def test_every_compression_reads_back(tool, src, tmp_path, options):
    image = tmp_path / "a.wim"
    imagex("capture", src, image, *options)
    assert look(tool, image) == look_dir(src)
    run(tool("wimtool"), "-B", "-c", image)


@pytest.mark.parametrize("options", [["--compress=none"], ["--compress=lzx"],
                                     ["--solid"]], ids=" ".join)
def test_ranges_across_chunks(tool, src, tmp_path, options):
    image = tmp_path / "a.wim"
    imagex("capture", src, image, *options)
    data = (src / "mixed").read_bytes()
    places = [(o + d, n) for o in (0, 32768, 65536, 131072, len(data) - 5)
              for d in (-3, 0, 1) for n in (1, 4096, 70000) if o + d >= 0]
    got = script(tool, image, [f"cat /mixed {o} {n}" for o, n in places],
                 "-s", "65536")
    assert got == [data[o:o + n].hex() for o, n in places]


def test_plain_files_are_ranges_of_the_image(tool, src, tmp_path):
    image = tmp_path / "a.wim"
    imagex("capture", src, image, "--compress=none")
    a, b = script(tool, image, ["sha256 /mixed", "mapsha256 /mixed"])
    assert a == b and len(a) == 64


def test_split_set_from_any_part(tool, src, tmp_path):
    imagex("capture", src, tmp_path / "a.wim", "--compress=none")
    imagex("split", tmp_path / "a.wim", tmp_path / "s.swm", "0.1")
    parts = sorted(tmp_path.glob("s*.swm"))
    assert len(parts) >= 3
    for part in parts:
        assert look(tool, part) == look_dir(src)


def test_split_set_with_a_part_missing(tool, src, tmp_path):
    imagex("capture", src, tmp_path / "a.wim", "--compress=none")
    imagex("split", tmp_path / "a.wim", tmp_path / "s.swm", "0.1")
    (tmp_path / "s2.swm").rename(tmp_path / "elsewhere")
    p = run(tool("wimtool"), tmp_path / "s.swm", stdin="find /\n")
    assert "part 2" in p.stderr
    files = [line.split(" ", 2)[2] for line in p.stdout.splitlines()
             if line.startswith("f ")]
    answers = script(tool, tmp_path / "s.swm",
                     ["sha256 " + f.replace(" ", "%20") for f in files])
    assert "error EIO" in answers
    whole = look(tool, tmp_path / "s.swm", "-r", tmp_path / "elsewhere")
    assert whole == look_dir(src)


def test_part_one_missing_is_said(tool, src, tmp_path):
    imagex("capture", src, tmp_path / "a.wim", "--compress=none")
    imagex("split", tmp_path / "a.wim", tmp_path / "s.swm", "0.1")
    (tmp_path / "s.swm").unlink()
    p = run(tool("wimtool"), tmp_path / "s2.swm", check=False)
    assert p.returncode and "part 1" in p.stderr


def test_delta_needs_its_reference(tool, src, tmp_path):
    base = tmp_path / "base.wim"
    imagex("capture", src, base, "--compress=lzx")
    imagex("capture", src, tmp_path / "d.wim", "--compress=xpress",
           f"--delta-from={base}")
    assert script(tool, tmp_path / "d.wim", ["sha256 /mixed"]) == ["error EIO"]
    assert look(tool, tmp_path / "d.wim", "-r", base) == look_dir(src)


def test_several_images_by_number_and_name(tool, src, tmp_path):
    image = tmp_path / "m.wim"
    imagex("capture", src, image, "first one")
    imagex("append", src / "Directory", image, "second")
    found = look(tool, image)
    tree = look_dir(src)
    assert found["/first one"] == ("l", "1") and found["/second"] == ("l", "2")
    assert {k[2:]: v for k, v in found.items()
            if k.startswith("/1/")} == tree
    for name in ("2", "second"):
        assert look(tool, image, "-i", name) == look_dir(src / "Directory")
    p = run(tool("wimtool"), "-i", "third", image, check=False)
    assert p.returncode and "third" in p.stderr


def test_unix_data_is_an_option(tool, tmp_path):
    top = tmp_path / "src"
    top.mkdir()
    (top / "f").write_text("x")
    os.chown(top / "f", 1234, 5678)
    (top / "f").chmod(0o4751)
    os.mkfifo(top / "fifo")
    os.mknod(top / "null", 0o20666, os.makedev(1, 3))
    image = tmp_path / "a.wim"
    imagex("capture", top, image, "--unix-data")
    f = script(tool, image, ["stat /f"], "-u")[0].split()
    assert f[2:6] == ["104751", "1", "1234", "5678"]
    assert script(tool, image, ["rdev /null"], "-u") == ["1 3"]
    kinds = {line.split()[2]: line[0] for line in
             script(tool, image, ["find /"], "-u") if line != "."}
    assert kinds == {"/f": "f", "/fifo": "p", "/null": "c"}
    assert script(tool, image, ["stat /f"])[0].split()[2] == "100777"


def test_hard_links_are_one_file(tool, src, tmp_path):
    image = tmp_path / "a.wim"
    imagex("capture", src, image)
    a, b = (line.split() for line in script(tool, image, [
        "stat /mixed",
        "stat /Directory/mit%20Ümlaut%20\u20ac%20\U0001F600/second%20name"]))
    assert a == b and a[3] == "2"


def test_times_to_100_nanoseconds(tool, src, tmp_path):
    image = tmp_path / "a.wim"
    imagex("capture", src, image)
    stat = script(tool, image, ["stat /size1"])[0].split()
    assert stat[7] == "1234567890.123456700"


def test_what_wimlib_lists_is_there(tool, src, tmp_path):
    image = tmp_path / "a.wim"
    imagex("capture", src, image)
    names = imagex("dir", image).stdout.split("\n")
    assert set(look(tool, image)) == {n for n in names if n not in ("", "/")}


def test_integrity_table(tool, src, tmp_path):
    image = tmp_path / "a.wim"
    imagex("capture", src, image, "--check", "--compress=none")
    run(tool("wimtool"), "-c", "-I", image)
    with open(image, "r+b") as f:
        f.seek(1000)
        f.write(b"\xff\xfe\xfd")
    p = run(tool("wimtool"), "-c", "-I", image, check=False)
    assert p.returncode and "integrity check failed" in p.stderr


def test_verify_data_gives_no_damaged_byte(tool, tmp_path):
    top = tmp_path / "src"
    top.mkdir()
    (top / "f").write_bytes(b"contents " * 30000)
    (top / "g").write_bytes(b"others")
    image = tmp_path / "a.wim"
    imagex("capture", top, image, "--compress=none")
    raw = image.read_bytes()
    image.write_bytes(raw.replace(b"contents", b"cOntents", 1))
    ask = ["cat /f 100000 9", "cat /f 0 9", "cat /g 0 9"]
    p = run(tool("wimtool"), "-v", "data", image,
            stdin="\n".join(ask) + "\n")
    assert p.stdout.split("\n")[:3] == ["error EIO", "error EIO",
                                        b"others".hex()]
    assert p.stderr.count("/f: its contents are damaged") == 1


def test_eight_readers_agree(tool, src, tmp_path):
    image = tmp_path / "a.esd"
    imagex("capture", src, image, "--solid", "--solid-chunk-size=64K")
    one = run(tool("wimtool"), "-t", "1", image).stdout.split("\n")[0]
    many = run(tool("wimtool"), "-t", "8", "-s", "200000", image).stdout
    assert many.split("\n")[:8] == [one] * 8


@pytest.mark.slow
def test_no_allocation_may_be_the_last(tool, src, tmp_path):
    image = tmp_path / "a.wim"
    imagex("capture", src / "Directory", image, "--compress=lzx")
    assert "allocations" in run(tool("wimtool"), "-m", image).stdout


def test_200000_entries_open_fast(tool, tmp_path):
    """Through our own writer: capturing that many takes minutes."""
    from make.wim import Node, build
    files = [Node(f"a file with a usual name {i}") for i in range(20000)]
    dirs = [Node(f"dir {k}", children=files[k::20]) for k in range(20)]
    image = tmp_path / "a.wim"
    image.write_bytes(build(Node(children=dirs)))
    out = run(tool("wimtool"), "-T", image).stdout
    assert out.startswith("20 entries")
    assert float(out.split()[3]) < 1000


# ---- real images ----

REAL = ["DecryptESD--Win10-RS1-CompressMax.wim",
        "DecryptESD--Win10-RS1-Integrity.wim",
        "LTRData-DiscUtils--TestData.wim", "ManagedWimLib--BootLZX.wim",
        "ManagedWimLib--BootXPRESS.wim", "ManagedWimLib--LZMS.wim",
        "ManagedWimLib--LZX.wim", "ManagedWimLib--Split.swm",
        "ManagedWimLib--VerifySuccess.wim", "ManagedWimLib--XPRESS.wim",
        "wimlib--longpaths.wim", "wimlib--empty_dacl.wim"]


@pytest.mark.parametrize("name", REAL)
def test_real_images_as_wimlib_applies_them(tool, corpus, tmp_path, name):
    image = corpus / "wim" / name
    options = [f"--ref={corpus}/wim/ManagedWimLib--Split*.swm"] \
        if name.endswith(".swm") else []
    out = tmp_path / "out"
    out.mkdir()
    imagex("apply", image, "1", out, *options)
    assert look(tool, image) == look_dir(out)
    run(tool("wimtool"), "-B", "-c", image)


@pytest.mark.parametrize("name,words", [
    ("ManagedWimLib--VerifyFail.wim", "integrity check failed"),
    ("wimlib--cyclic.wim", "used twice"),
])
def test_hostile_images_say_one_line(tool, corpus, name, words):
    p = run(tool("wimtool"), "-c", corpus / "wim" / name, stdin="find /\n",
            check=False)
    assert p.returncode and words in p.stderr
    assert p.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["wimlib--corrupted_file_1.wim",
                                  "wimlib--corrupted_file_2.wim"])
def test_damaged_blobs_are_found(tool, corpus, name):
    p = run(tool("wimtool"), "-B", corpus / "wim" / name, check=False)
    assert p.returncode and "damaged" in p.stdout


@pytest.mark.parametrize("name", ["wimlib--dotdot.wim",
                                  "wimlib--duplicate_names.wim"])
def test_names_that_lead_astray_are_hidden(tool, corpus, name):
    p = run(tool("wimtool"), corpus / "wim" / name, stdin="find /\n")
    assert "cannot be shown" in p.stderr
    names = [line.split(" ", 2)[2] for line in p.stdout.splitlines()
             if line not in (".", "")]
    assert len(names) == len(set(names))
    assert not any(".." in n.split("/") for n in names)
