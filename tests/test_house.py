# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the house (HACKING.md 2, 5 and 6) that a program can check."""
import collections
import json
import re
import subprocess

import pytest

from conftest import SRC

pytestmark = pytest.mark.house

TOP = {"configure.ac", "Makefile.am", "README.md", "HACKING.md", "NEWS",
       "COPYING", ".ci", ".gitignore", "fs", "formats", "tools", "tests",
       "man"}
FORMATS = {"vhd", "vhdx", "part", "disk", "ntfs", "view", "volume", "codec",
           "wim", "cim", "fat", "overlay", "jbd2", "ext", "merge"}
# Who may know whom, beyond formats/base and the seam files of formats/.
KNOWS = {
    "disk": {"vhd", "vhdx"},
    "merge": {"disk", "vhd", "vhdx"},
    "volume": {"ntfs", "part", "jbd2", "codec"},
    "view": {"part", "volume", "disk"},
    "ntfs": {"codec"},
    "wim": {"codec"},
}


def tracked():
    out = subprocess.run(["git", "ls-files", "-z"], cwd=SRC,
                         capture_output=True, text=True)
    if out.returncode:      # a tarball: everything that is there
        return [str(p.relative_to(SRC)) for p in SRC.rglob("*")
                if p.is_file() and "build" not in str(p.relative_to(SRC))]
    return [n for n in out.stdout.split("\0") if n and (SRC / n).exists()]


@pytest.fixture(scope="module")
def files():
    return tracked()


def sources(files, *suffixes):
    return [f for f in files if f.endswith(suffixes)]


def test_top_level_is_exactly_what_it_should_be(files):
    assert {f.split("/")[0] for f in files} <= TOP


def test_every_source_names_its_licence(files):
    bad = []
    for f in sources(files, ".c", ".h", ".py", ".mk", ".sh"):
        head = (SRC / f).read_text().split("\n", 2)[:2]
        if not any("SPDX-License-Identifier: GPL-3.0-or-later" in h
                   for h in head):
            bad.append(f)
    assert not bad


def layer(path):
    part = path.split("/")
    if part[0] != "formats" or len(part) == 2:
        return part[0], ""
    return part[0], part[1]


def allowed(src, inc):
    (top, sub), (itop, isub) = layer(src), layer(inc)
    if top == "tests":
        return True
    if inc == "config.h":
        return True
    if top == "formats":
        if itop != "formats":
            return False
        if sub == "base":
            return isub == "base"
        if isub in ("base", "") or sub == isub:
            return True
        own = inc.rsplit("/", 1)[1]
        # Only x.h and x_disk-free public headers leave a folder.
        if own.endswith(("_int.h", "_disk.h")):
            return False
        return isub in KNOWS.get(sub, ())
    if top == "fs":
        if itop == "formats":
            return not inc.endswith(("_int.h", "_disk.h"))
        return itop == "fs"
    if top == "tools":
        return itop in ("formats", "tools") or inc == "fs/session/client.h"
    return False


def test_includes_only_look_down(files):
    bad = []
    for f in sources(files, ".c", ".h"):
        for inc in re.findall(r'^#include "([^"]+)"', (SRC / f).read_text(),
                              re.M):
            if not allowed(f, inc):
                bad.append(f"{f} includes {inc}")
    assert not bad


@pytest.mark.parametrize("pattern,places", [
    (r"fuse_lowlevel\.h|fuse\.h|<fuse3?/", ("fs/glue/", "tests/")),
    (r"ntfs-3g/", ("formats/volume/", "tests/")),
    (r"ext2fs/", ("formats/volume/", "tests/")),
    (r"<archive", ("tools/", "tests/")),
])
def test_library_headers_stay_in_their_place(files, pattern, places):
    bad = [f for f in sources(files, ".c", ".h")
           if re.search(rf"^#include [<\"].*({pattern})",
                        (SRC / f).read_text(), re.M)
           and not f.startswith(places)]
    assert not bad


def test_no_library_prints(files):
    bad = []
    for f in sources(files, ".c"):
        if not f.startswith("formats/"):
            continue
        text = re.sub(r"/\*.*?\*/|\"(\\.|[^\"\\])*\"", "",
                      (SRC / f).read_text(), flags=re.S)
        if re.search(r"\b(printf|fprintf|puts|fputs|perror|vprintf|syslog)\(",
                     text):
            bad.append(f)
    assert not bad


def test_no_machine_paths_and_no_unfinished_marks(files):
    bad = []
    words = ["TO" + "DO", "FIX" + "ME", "X" * 3 + r"\b(?!X)"]
    pattern = re.compile(r"/w[o]rk/|/f[a]rm/|b[a]sh_jobs|\b(" +
                         "|".join(words[:2]) + r")\b")
    for f in files:
        if f.endswith((".c", ".h", ".py", ".md", ".mk", ".1", ".5")):
            for n, line in enumerate((SRC / f).read_text().split("\n"), 1):
                if pattern.search(line):
                    bad.append(f"{f}:{n}: {line.strip()}")
    assert not bad


# ---- the ratchet: these may only become fewer ----

def functions():
    """(file, name, lines) of every function of the product."""
    names = [f for f in tracked() if f.endswith(".c")
             and not f.startswith("tests/")]
    out = subprocess.run(
        ["ctags", "-x", "--c-kinds=f", "--_xformat=%F\t%N\t%n\t%{end}",
         *names], cwd=SRC, capture_output=True, text=True, check=True).stdout
    rows = [line.split("\t") for line in out.splitlines()]
    return [(f, n, int(end) - int(start) + 1)
            for f, n, start, end in rows if end]


def columns(line):
    return len(line.expandtabs(8))


def measure():
    funcs = functions()
    sizes = [n for _, _, n in funcs]
    counts = collections.Counter()
    for f in tracked():
        if not f.endswith((".c", ".h")):
            continue
        lines = (SRC / f).read_text().split("\n")
        counts["lines over 80 columns"] += sum(columns(x) > 80 for x in lines)
        if not f.startswith("tests/"):
            counts["files over 600 lines"] += len(lines) > 601
    counts["functions over 60 lines"] = sum(n > 60 for n in sizes)
    counts["functions over 100 lines"] = sum(n > 100 for n in sizes)
    return counts, funcs


def test_style_ratchet(peer):
    """tests/data/style.json holds the most there may be of each sin; a change
    that removes some lowers the number there in the same commit."""
    peer("ctags")
    most = json.loads((SRC / "tests/data/style.json").read_text())
    counts, funcs = measure()
    over = {k: (v, most[k]) for k, v in counts.items() if v > most[k]}
    longest = sorted(funcs, key=lambda f: -f[2])[:5]
    assert not over, f"found, allowed: {over}; longest: {longest}"
    loose = {k: (v, most[k]) for k, v in counts.items() if v < most[k]}
    assert not loose, f"lower tests/data/style.json: found, allowed: {loose}"


def test_half_of_all_functions_are_short(peer):
    peer("ctags")
    sizes = sorted(n for _, _, n in functions())
    assert sizes[len(sizes) // 2] <= 15
    assert sizes[int(len(sizes) * 0.95)] <= 60


def test_every_package_is_listed_once():
    rows = [line.split() for line in
            (SRC / "tools/packages").read_text().splitlines()
            if line and not line.startswith("#")]
    assert all(len(r) == 2 for r in rows)
    assert {r[0] for r in rows} == {"build", "quickstart", "test", "bench"}
    assert len(rows) == len({tuple(r) for r in rows})


@pytest.mark.parametrize("page", ["vhdfs.1", "vhdmerge.1", "cimfs.1", "wimfs.1",
                                  "imgctl.1", "imgfs.5"])
def test_man_pages_are_clean(peer, page):
    out = subprocess.run([peer("mandoc"), "-T", "lint", "-W", "warning",
                          SRC / "man" / page], capture_output=True, text=True)
    assert not out.stdout, out.stdout
