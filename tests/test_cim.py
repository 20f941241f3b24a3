# SPDX-License-Identifier: GPL-3.0-or-later
"""The reader of composite images against an independent writer."""
import json
import os
import pathlib
import subprocess
import sys

import pytest

from conftest import SRC, run

GEN = SRC / "tests/make/gen_cim.py"


def build(where, *descs):
    """The images of one directory; their paths."""
    where.mkdir(exist_ok=True)
    text = where / "desc.json"
    text.write_text(json.dumps(descs))
    run(sys.executable, GEN, "build", text, where)
    return [where / d["name"] for d in descs]


def tree(**kids):
    return {"children": kids}


def script(tool, image, *lines, args=()):
    text = "".join(line + "\n" for line in lines)
    return run(tool("cimtool"), "-t", *args, image,
               stdin=text).stdout.splitlines()


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """The generator's corpus: 44 good images, 183 broken in named ways."""
    out = tmp_path_factory.mktemp("cim")
    run(sys.executable, GEN, "corpus", out)
    return out


def test_cim_all_images_of_the_generator(tool, images):
    p = run(sys.executable, GEN, "check", images, tool("cimtool"),
            check=False)
    assert not p.returncode, p.stdout[-3000:]
    last = p.stdout.splitlines()[-1]
    assert last.startswith("44 good images as expected") and "0 wrong" in last


def test_cim_errors_are_one_line(tool, images):
    for image in sorted((images / "bad").glob("*.cim")):
        p = subprocess.run([tool("cimtool"), image], text=True,
                           errors="replace", capture_output=True)
        if p.returncode:
            assert len(p.stderr.splitlines()) == 1, p.stderr


def test_cim_missing_region_is_named(tool, images):
    p = run(tool("cimtool"), images / "bad/region-missing.cim", check=False)
    assert p.stderr.startswith("2 ") and "region_" in p.stderr


@pytest.mark.parametrize("name,word", [
    ("base-region", "merged"), ("version-4", "version 4.0"),
    ("cim-magic", "block CIM")])
def test_cim_what_is_beyond_us_is_named(tool, images, name, word):
    p = run(tool("cimtool"), images / f"bad/{name}.cim", check=False)
    assert p.returncode == 1 and word in p.stderr


def test_cim_tree_maps_what_it_reads(tool, images):
    """Ranges for the kernel and bytes read are the same, PE images too."""
    for name in ("pe", "sizes", "sparse"):
        image = images / "good" / name / f"{name}.cim"
        found = [x.split()[2] for x in script(tool, image, "find /")
                 if x.startswith("f ")]
        assert found
        for f in found:
            a, b = script(tool, image, f"sha256 {f}",
                          f"mapsha256 {f}")
            assert a == b


def test_cim_reads_across_every_boundary_of_a_pe_image(tool, tmp_path):
    maps = [[512, 512], [1024, 1100], [1536, 1900]]
    data = os.urandom(2100)
    image, = build(tmp_path / "c", {"name": "p.cim", "root": tree(
        f={"data": {"hex": data.hex()}, "pe": {"mappings": maps}})})
    cuts = [(off - 3, 7) for off, _ in maps] + [(500, 1600), (2090, 100)]
    got = script(tool, image, *[f"cat /f {o} {n}" for o, n in cuts])
    assert got == [data[o:o + n].hex() for o, n in cuts]


def test_cim_lookup_is_exact_unless_told(tool, tmp_path):
    image, = build(tmp_path / "c", {"name": "n.cim", "root": tree(
        **{"Straße": {"data": "1"}, "B.TXT": {"data": "22"}})})
    assert script(tool, image, "cat /B.TXT 0 9") == ["3232"]
    assert script(tool, image, "cat /b.txt 0 9") == ["error ENOENT"]
    assert script(tool, image, "cat /b.txt 0 9", "cat /STRAßE 0 9",
                  args=["-i"]) == ["3232", "31"]


def test_cim_hidden_files_can_be_left_out(tool, tmp_path):
    image, = build(tmp_path / "c", {"name": "h.cim", "root": tree(
        seen={"data": "1"}, gone={"data": "2", "attrs": ["hidden"]})})
    names = " ".join(script(tool, image, "ls /", args=["-H"]))
    assert "seen" in names and "gone" not in names


def test_cim_every_failed_allocation_is_an_error(tool, images):
    for name in ("entry-60", "reparse"):
        p = run(tool("cimtool"), "-m", images / f"good/{name}/{name}.cim")
        assert "allocations" in p.stdout


def test_cim_big_image_opens_fast_enough_and_small(tool, tmp_path):
    """Generous limits: the machine that runs this is shared."""
    kids = {f"d{i:03d}": tree(**{f"file-{j:03d}.txt": {"data": f"{i}"}
                                 for j in range(200)}) for i in range(250)}
    image, = build(tmp_path / "c", {"name": "b.cim", "root": tree(**kids),
                                    "objectids": False})
    out = run(tool("cimtool"), "-s", image).stdout
    assert "names 50251" in out
    assert float(out.split("opened in ")[1].split()[0]) < 500


def test_cim_shares_regions_with_a_fork_and_locks_them(tool, tmp_path):
    base, fork = build(
        tmp_path / "c",
        {"name": "base.cim", "root": tree(a={"data": "old"})},
        {"name": "fork.cim", "base": "base.cim",
         "root": tree(a={"data": "new"}, b={"data": "more"})})
    assert script(tool, base, "cat /a 0 9") == [b"old".hex()]
    assert script(tool, fork, "cat /a 0 9", "cat /b 0 9") == \
        [b"new".hex(), b"more".hex()]
    p = subprocess.Popen([tool("cimtool"), "-t", fork],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         text=True)
    try:
        p.stdin.write("cat /a 0 9\n")
        p.stdin.flush()
        assert script(tool, base, "cat /a 0 9") == [b"old".hex()]
    finally:
        p.communicate()


def test_cim_truncated_under_the_reader_is_an_error(tool, tmp_path):
    image, = build(tmp_path / "c", {"name": "t.cim", "root": tree(
        f={"data": {"fill": 100000, "seed": "t"}})})
    p = subprocess.Popen([tool("cimtool"), "-t", image],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         text=True)
    p.stdin.write("open /f h r\nhread h 0 4\n")
    p.stdin.flush()
    assert p.stdout.readline().strip() == "ok"
    assert len(p.stdout.readline().strip()) == 8
    for region in pathlib.Path(image).parent.glob("region_*"):
        os.truncate(region, 100)
    out, _ = p.communicate("hread h 50000 4\nls /\nquit\n")
    assert "error EIO" in out and p.returncode >= 0


def test_cim_data_that_is_elsewhere_is_never_zeros(tool, tmp_path):
    wof = {"tag": 0x80000017, "data": {"hex": "0100000002000000"}}
    image, = build(tmp_path / "c", {"name": "w.cim", "root": tree(
        gone={"sparse": 5000, "reparse": wof},
        here={"data": "own", "reparse": wof})})
    assert script(tool, image, "cat /gone 0 4", "cat /here 0 9") == \
        ["error EOPNOTSUPP", b"own".hex()]
