# SPDX-License-Identifier: GPL-3.0-or-later
"""imgctl map: against what was written where; the picture is XML that shows
every file."""
import json
import xml.etree.ElementTree as ET

import pytest

from conftest import run
from test_imgctl import (CHAIN, EXISTS, MB, NOT_FOUND, ctl,  # noqa: F401
                         ctl_json, put)

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def chain(ctl, tool, tmp_path):
    """chain("vhdx", script...): a base and a child for each further script."""
    def make(suffix, *scripts):
        name = f"base.{suffix}"
        ctl("create", "dynamic", "--size", "64m", name)
        for i, script in enumerate(scripts):
            if i:
                child = f"child{i}.a{suffix}"
                ctl("create", "child", "--parent", name, child)
                name = child
            run(tool("disktool"), "-wq", tmp_path / name,
                stdin="begin\n" + script + "\nflush\n")
        return name
    return make


def ranges(j):
    return [(r["offset"], r["length"], r["state"], r.get("link"))
            for r in j["ranges"]]


def test_map_of_a_vhdx_chain(ctl_json, chain):
    leaf = chain("vhdx", "write 0 4m 1\nwrite 32m 32m 2",
                 "write 2m 2m 3\nzero 34m 2m")
    assert ranges(ctl_json("map", leaf)) == [
        (0, 2 * MB, "data", 1), (2 * MB, 2 * MB, "data", 0),
        (4 * MB, 30 * MB, "data", 1), (34 * MB, 2 * MB, "zero", 0),
        (36 * MB, 28 * MB, "data", 1)]


def test_map_of_a_vhd_chain_within_a_block(ctl_json, chain):
    leaf = chain("vhd", "write 0 2m 1", "write 1m 512 3")
    got = ranges(ctl_json("map", leaf))
    assert (MB, 4096, "data", 0) in got
    assert (0, MB, "data", 1) in got
    assert got[-1] == (2 * MB, 62 * MB, "nothing", None)


@pytest.mark.parametrize("suffix", ["vhd", "vhdx"])
def test_map_covers_all_and_says_what_bytes_are(ctl_json, chain, tool,
                                                tmp_path, suffix):
    leaf = chain(suffix, "write 0 3m 1\nwrite 40m 1m 1",
                 "write 1m 100k 2\nwrite 50m 512 2",
                 "write 41m 1536 3\nwrite 512 512 3")
    j = ctl_json("map", leaf)
    at = 0
    for off, length, state, link in ranges(j):
        assert off == at and length
        at += length
        if state == "nothing":
            continue
        byte = run(tool("disktool"), "-q", tmp_path / leaf,
                   stdin=f"read {off} 1").stdout.strip()
        # The writer may take a page of its parent's along.
        assert int(byte) <= 3 - link
    assert at == 64 * MB
    data = sum(k["data"] + k["zero"] for k in j["links"])
    assert data + j["nothing"] == 64 * MB


def test_map_tells_where_in_the_file(ctl_json, chain, tmp_path):
    leaf = chain("vhdx", "write 0 1m 7")
    first = ctl_json("map", leaf)["ranges"][0]
    raw = (tmp_path / leaf).read_bytes()
    assert raw[first["file_offset"]:][:MB] == b"\7" * MB


def test_map_text_has_a_line_a_range_and_a_sum(ctl, chain):
    leaf = chain("vhd", "write 0 2m 1", "write 4m 2m 3")
    out = ctl("map", leaf).stdout
    assert "base.vhd: 2 MiB" in out and "child1.avhd: 2 MiB" in out
    assert "nothing: 60 MiB" in out


def test_map_of_raw(ctl_json, tmp_path):
    (tmp_path / "a.raw").write_bytes(bytes(MB))
    assert ranges(ctl_json("map", "a.raw")) == [(0, MB, "data", 0)]


def test_picture_shows_every_file(ctl, chain, tmp_path):
    leaf = chain("vhdx", "write 0 4m 1", "write 2m 2m 3", "write 60m 1m 1")
    ctl("map", "--svg", "o.svg", leaf)
    root = ET.parse(tmp_path / "o.svg").getroot()
    words = ["".join(t.itertext()) for t in root.iter(f"{SVG}text")]
    for name in ("base.vhdx", "child1.avhdx", "child2.avhdx", "serves 2 MiB",
                 "64 MiB", "says zeros"):
        assert name in words, words


def test_picture_of_a_name_that_is_markup(ctl, tmp_path):
    ctl("create", "dynamic", "--size", "8m", "a<b>&\"\x01.vhdx")
    ctl("map", "--svg", "o.svg", "a<b>&\"\x01.vhdx")
    root = ET.parse(tmp_path / "o.svg").getroot()
    assert any("a<b>&\"?.vhdx" in "".join(t.itertext())
               for t in root.iter(f"{SVG}text"))


def test_picture_of_64_tib_is_small(ctl, tmp_path):
    ctl("create", "dynamic", "--size", "64t", "a.vhdx")
    ctl("create", "child", "--parent", "a.vhdx", "b.vhdx")
    ctl("map", "--svg", "o.svg", "b.vhdx")
    assert (tmp_path / "o.svg").stat().st_size < 65536


def test_picture_never_overwrites_and_goes_to_stdout(ctl, chain, tmp_path):
    leaf = chain("vhd", "write 0 2m 1")
    (tmp_path / "o.svg").write_text("mine")
    ctl("map", "--svg", "o.svg", leaf, status=EXISTS)
    assert (tmp_path / "o.svg").read_text() == "mine"
    assert ET.fromstring(ctl("map", "--svg", "-", leaf).stdout) is not None


def test_picture_as_a_renderer_sees_it(ctl, chain, peer, tmp_path):
    leaf = chain("vhdx", "write 0 4m 1", "write 2m 2m 3")
    ctl("map", "--svg", "o.svg", leaf)
    run(peer("rsvg-convert"), "-o", tmp_path / "o.png", tmp_path / "o.svg")
    assert (tmp_path / "o.png").read_bytes()[1:4] == b"PNG"


def test_map_of_a_broken_chain(ctl, chain, tmp_path):
    leaf = chain("vhd", "write 0 2m 1", "write 4m 2m 3")
    (tmp_path / "base.vhd").unlink()
    p = ctl("map", "--json", leaf, status=CHAIN)
    assert json.loads(p.stderr)["name"] == "chain-broken"
    ctl("map", "gone.vhd", status=NOT_FOUND)
