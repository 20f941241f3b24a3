# SPDX-License-Identifier: GPL-3.0-or-later
"""tests/c/disktool, spoken to from Python."""
import os
import subprocess
import types


def show(path, *args, script="", program, **kw):
    """Opens path; what disktool said, taken apart: error and check are
    (errno, outcome, words) or None, chain is [(format, kind, name)]."""
    p = subprocess.run([program, *map(str, args), str(path)], input=script,
                       text=True, capture_output=True, timeout=120,
                       errors="surrogateescape", **kw)
    assert p.returncode in (0, 1) and not p.stderr.startswith("=="), p.stderr
    d = types.SimpleNamespace(error=None, check=None, chain=[], notes=[],
                              later=[], answers=[], time=None, paths=[],
                              err=p.stderr)
    for line in p.stdout.splitlines():
        word = line.split(" ", 1)[0]
        if word == "error" and ":" in line:
            d.error = failure(line)
        elif word == "check:":
            d.check = None if line == "check: ok" else failure(line)
        elif word == "note:":
            d.notes.append(line[6:])
        elif word == "later:":
            d.later.append(line[7:])
        elif word == "time:":
            d.time = int(line[6:])
        elif word == str(len(d.chain)) and line.count(" ") >= 5:
            w = line.split(" ")
            path = line[line.index("/"):]
            d.chain.append((w[1], w[2], os.path.basename(path)))
            d.paths.append(path)
        else:
            d.answers.append(line)
    return d


def failure(line):
    head, words = line.split(": ", 1) if line.startswith("error") else \
        line[len("check: "):].split(": ", 1)
    if head.startswith("error "):
        head = head[len("error "):]
    name, outcome = head.split(" ")
    return name, outcome, words


def stamp(path):
    """What a mount that writes nothing must leave alone."""
    st = os.stat(path)
    with open(path, "rb", opener=lambda p, fl: os.open(p, fl | os.O_NOATIME)
              ) as f:
        content = f.read()
    return st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_atime_ns, content
