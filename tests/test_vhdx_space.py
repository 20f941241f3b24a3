# SPDX-License-Identifier: GPL-3.0-or-later
"""VHDX: no space left, a file cut under us, sizes that the host refuses."""
import resource
import signal
import subprocess

import pytest

from conftest import run

MIB = 1 << 20


@pytest.fixture
def tiny(tmp_path):
    """A file system of 7 MiB."""
    where = tmp_path / "tiny"
    where.mkdir()
    p = run("mount", "-t", "tmpfs", "-o", "size=7m", "none", where,
            check=False)
    if p.returncode:
        pytest.skip("tmpfs cannot be mounted here")
    yield where
    run("umount", where)


def talk(tool, path, *lines, **kw):
    p = run(tool("vhdxtool"), "open", path, stdin="\n".join(lines) + "\n", **kw)
    return p.stdout.split("\n")[:-1]


@pytest.mark.root
@pytest.mark.mount
def test_vhdx_no_space_is_no_disaster(tool, tiny):
    """What was flushed stays, what is there can be overwritten and read, and
    once there is room the same session goes on."""
    path, hog = tiny / "a.vhdx", tiny / "hog"
    run(tool("vhdxtool"), "create", "dynamic", "64m", "1m", "512", "512", path)
    hog.write_bytes(bytes(3 * MIB))
    p = subprocess.Popen([tool("vhdxtool"), "open", path], text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(line):
        p.stdin.write(line + "\n")
        p.stdin.flush()
        return p.stdout.readline().strip()

    assert [ask(x) for x in ("begin", "write 0 1m 1", "flush")] == ["ok"] * 3
    got = [ask(f"write {n * MIB} 1m {n + 1}") for n in range(1, 9)]
    assert "error ENOSPC" in got
    full = got.index("error ENOSPC") + 1
    assert ask("write 0 1m 7") == "ok"
    assert ask(f"read {full * MIB} 1") == "00"
    ask("flush")
    hog.unlink()
    assert ask(f"write {full * MIB + 5} 10 9") == "ok"
    assert ask("flush") == "ok"
    p.stdin.close()
    assert p.wait(10) == 0
    p.stdout.close()
    assert talk(tool, path, "read 0 1", f"read {full * MIB} 6",
                *(f"read {n * MIB} 1" for n in range(1, full))) == [
        "07", "00" * 5 + "09"] + [f"{n + 1:02x}" for n in range(1, full)]


def test_vhdx_host_refuses_a_larger_file(tool, tmp_path):
    path = tmp_path / "a.vhdx"
    run(tool("vhdxtool"), "create", "dynamic", "64m", "1m", "512", "512", path)

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (7 * MIB, 7 * MIB))

    got = talk(tool, path, "begin", *(f"write {n * MIB} 1 1" for n in range(5)),
               "flush", preexec_fn=limit)
    assert got == ["ok"] * 4 + ["error EFBIG"] * 2 + ["ok"]
    assert talk(tool, path, "read 2m 1", "read 3m 1") == ["01", "00"]


def test_vhdx_cut_under_us_is_an_error(tool, tmp_path):
    path = tmp_path / "a.vhdx"
    run(tool("vhdxtool"), "create", "fixed", "4m", "1m", "512", "512", path)
    p = subprocess.Popen([tool("vhdxtool"), "open", "--ro", path], text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    p.stdin.write("read 0 1\n")
    p.stdin.flush()
    assert p.stdout.readline() == "00\n"
    with open(path, "r+b") as f:
        f.truncate(6 * MIB)
    out, _ = p.communicate("read 3m 1\nread 1m 1\n")
    assert out == "error EIO\n00\n"
