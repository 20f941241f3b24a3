# SPDX-License-Identifier: GPL-3.0-or-later
"""Making WIM files with wimlib-imagex, and looking at them with wimtool."""
import hashlib
import os

from conftest import run


def imagex(*args):
    return run("wimlib-imagex", *args)


def fill(top):
    """Files of every size that chunks care about, links, names, times."""
    top.mkdir(parents=True)
    text = b"".join(b"line %d of a text that compresses\n" % i
                    for i in range(6000))
    for n in (0, 1, 24, 25, 63, 64, 4095, 4096, 32767, 32768, 32769, 65536,
              98304, 98305):
        (top / f"size{n}").write_bytes(text[:n])
    rnd = hashlib.shake_256(b"seed").digest(200000)
    (top / "random").write_bytes(rnd)
    (top / "mixed").write_bytes(text + rnd[:70000] + text[:9999])
    sub = top / "Directory" / "mit Ümlaut \u20ac \U0001F600"
    sub.mkdir(parents=True)
    (sub / "deep.txt").write_bytes(b"deep\n")
    (top / "empty dir").mkdir()
    os.link(top / "mixed", sub / "second name")
    os.symlink("../mixed", top / "Directory" / "relative")
    os.symlink("nowhere", top / "dangling")
    os.utime(top / "size1", ns=(10**18, 1234567890123456700))
    (top / "size24").chmod(0o600)
    return top


def script(tool, image, lines, *options, check=True):
    p = run(tool("wimtool"), *options, image, check=check,
            stdin="".join(line + "\n" for line in lines))
    return p.stdout.splitlines()


def quote(path):
    return path.replace("%", "%25").replace(" ", "%20")


def look(tool, image, *options, at="/"):
    """path -> (type, hash or target) of everything in an image."""
    found = {}
    lines = script(tool, image, [f"find {quote(at)}"], *options)
    ask, order = [], []
    for line in lines:
        if line == ".":
            break
        kind, _, path = line.split(" ", 2)
        found[path] = (kind, None)
        if kind in ("f", "l"):
            verb = "sha256" if kind == "f" else "readlink"
            ask.append(f"{verb} {quote(path)}")
            order.append((path, kind))
    answers = script(tool, image, ask, *options) if ask else []
    for (path, kind), answer in zip(order, answers, strict=True):
        found[path] = (kind, answer)
    return found


def look_dir(top):
    """The same of a directory of this machine."""
    found = {}
    for base, dirs, files in os.walk(top):
        for name in dirs + files:
            path = os.path.join(base, name)
            rel = "/" + os.path.relpath(path, top)
            if os.path.islink(path):
                found[rel] = ("l", os.readlink(path))
            elif os.path.isdir(path):
                found[rel] = ("d", None)
            else:
                with open(path, "rb") as f:
                    found[rel] = ("f", hashlib.sha256(f.read()).hexdigest())
    return found
