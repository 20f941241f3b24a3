# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests share: where the build is, the corpus, running helpers."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

SRC = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("IMGFS_BUILD", SRC)).resolve()
SHARED = SRC.parent / "shared"

sys.path.insert(0, str(SRC / "tests"))



@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """The unpacked corpus of real images, or a skip where it is absent."""
    if not (SHARED / "corpus" / "unpack.py").exists():
        pytest.skip("no corpus of real images beside the checkout")
    out = tmp_path_factory.mktemp("corpus")
    subprocess.run([sys.executable, str(SHARED / "corpus" / "unpack.py"),
                    str(out)], check=True)
    return out


@pytest.fixture
def tool():
    """tool("devtool"): path of a helper program of tests/c, or of a program."""
    def find(name):
        for place in ("tests/c", "fs", "tools", "tests/bench"):
            path = BUILD / place / name
            if path.exists():
                return str(path)
        raise AssertionError(f"{name} was not built in {BUILD}")
    return find


@pytest.fixture
def peer():
    """peer("qemu-img"): a program of somebody else, or a skip that names it.
    CI installs them all and fails on a skip (tests/run)."""
    def find(name):
        path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
        if not path:
            pytest.skip(f"{name} is not installed")
        return path
    return find


def open_up(path):
    """Lets other users reach path: pytest makes its directories private."""
    for d in [path, *path.parents]:
        if str(d) == tempfile.gettempdir() or d.stat().st_uid != os.getuid():
            break
        d.chmod(d.stat().st_mode | 0o755)


def run(*args, stdin=None, check=True, timeout=300, **kw):
    """A command's result with text output; stderr is in the error message."""
    p = subprocess.run([str(a) for a in args], input=stdin, text=True,
                       capture_output=True, timeout=timeout, **kw)
    if check and p.returncode:
        raise AssertionError(
            f"{args} exited {p.returncode}\n{p.stdout}\n{p.stderr}")
    return p


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """IMGFS_NO_SKIP=1 (CI): a skip is a failure, unless the corpus of real
    images is what is missing."""
    outcome = yield
    report = outcome.get_result()
    if (os.environ.get("IMGFS_NO_SKIP") and report.skipped
            and not hasattr(report, "wasxfail")
            and "no corpus" not in str(report.longrepr)):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
