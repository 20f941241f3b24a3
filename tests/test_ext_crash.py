# SPDX-License-Identifier: GPL-3.0-or-later
"""Power cuts and failing disks under a volume that is written to."""
import hashlib
import random

import pytest

import crash
import ext_images as ei
from test_ext_write import state

SCRIPT = ["mkdir /d 755"]
for _i in range(12):
    SCRIPT += [f"create /d/f{_i} 644", f"write /d/f{_i} 0 {3000 + _i * 900} "
               f"{_i + 1}", f"setx /d/f{_i} user.n {_i:02x}"]
    if _i % 3 == 2:
        SCRIPT += [f"fsync /d/f{_i}", f"unlink /d/f{_i - 1}"]


@pytest.fixture
def ext(tool, peer):
    peer("e2fsck")
    return lambda image: ei.Tool(tool("exttool"), image)


def flushes(ops):
    return [n for n, op in enumerate(ops) if op[0] == "F"]


@pytest.mark.parametrize("kind", ["ext4", "ext2"])
def test_ext_power_cut(kind, ext, tmp_path):
    # with a copy of the superblock, should a cut tear the first one
    img = ei.make(tmp_path / "v", kind, size="12M", extra=["-b", "1024"])
    before = img.read_bytes()
    out = ext(img).run("\n".join(SCRIPT) + "\n", "rw",
                       f"record={tmp_path / 'rec'}")
    assert set(out) == {"ok"}
    ops = crash.load(tmp_path / "rec")
    ends = flushes(ops)
    # the first marks the volume, then one for each fsync, two at the end
    assert len(ends) == 1 + 4 + 2
    rng = random.Random(3)
    points = set(rng.sample(range(len(ops) + 1), 10)) | {n + 1 for n in ends}
    for n, data in crash.states(before, ops, rng, 1, points):
        cut = tmp_path / "cut"
        cut.write_bytes(data)
        t = ext(cut)
        done = sum(1 for e in ends[1:5] if e < n)
        if done and n < ends[-1]:
            assert state(str(cut)) == "not clean"
        code, text = ei.fsck(cut, "-fy")
        assert code in (0, 1), text
        ei.assert_clean(cut)
        for k in range(done):
            i = 3 * k + 2
            want = hashlib.sha256(bytes([i + 1]) * (3000 + i * 900))
            assert t.sums([f"/d/f{i}"]) == {f"/d/f{i}": want.hexdigest()}


@pytest.mark.parametrize("after", [1, 2, 3, 5, 8, 13, 21, 34])
def test_ext_failing_disk_is_never_called_clean(after, ext, tmp_path):
    img = ei.make(tmp_path / "v", "ext4", size="8M")
    ext(img).raw("\n".join(SCRIPT) + "\n", "rw",
                 f"record={tmp_path / 'rec'}", f"fail={after}", check=False)
    if state(str(img)) == "clean":
        ei.assert_clean(img)
    code, text = ei.fsck(img, "-fy")
    assert code in (0, 1), text
