# SPDX-License-Identifier: GPL-3.0-or-later
"""memfs on a temporary directory, for the tests of the glue."""
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time


class Memfs:
    """A running daemon. result() waits for its end: (code, syncs)."""

    def __init__(self, program, words, args=(), user=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="glue."))
        cmd = [program, *args]
        if words:
            cmd += ["-o", ",".join(words)]
        kw = {}
        if user is not None:
            os.chown(self.dir, user, user)
            kw = {"user": user, "group": user, "extra_groups": []}
        self.proc = subprocess.Popen([*cmd, str(self.dir)], text=True,
                                     stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, **kw)
        line = self.proc.stdout.readline()
        if line != "ready\n":
            err = self.proc.stderr.read()
            self.close()
            raise AssertionError(f"memfs did not start: {err}")

    def result(self, timeout=20):
        out, self.err = self.proc.communicate(timeout=timeout)
        word, code, syncs = out.split()
        assert word == "end"
        return int(code), int(syncs)

    def signal(self, sig=signal.SIGTERM):
        self.proc.send_signal(sig)
        return self.result()

    def unmount(self):
        subprocess.run(["umount", str(self.dir)], check=True)
        return self.result()

    def close(self):
        for _ in range(3):
            if not os.path.ismount(self.dir):
                break
            subprocess.run(["umount", "-l", str(self.dir)], check=False)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.proc.wait(10)
        if self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()
        self.proc.stdout.close()
        self.proc.stderr.close()
        shutil.rmtree(self.dir, ignore_errors=True)


@contextlib.contextmanager
def memfs(program, *words, args=(), user=None):
    m = Memfs(program, words, args, user)
    try:
        yield m
    finally:
        m.close()


def wait_for(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
