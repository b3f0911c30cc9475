from __future__ import annotations

import numpy as np
import pytest

from benchmark.training import checkpoint

IDENTITY = {"key": "0123", "variables": [[[2, 3], "float32"]]}
ARRAYS = {
    "model": [np.arange(6, dtype=np.float32).reshape(2, 3), np.array(7, np.int64)],
    "seeds": [np.array([2**32 - 1, 0], np.uint32), np.zeros((0, 4), np.float16)],
    "none": [],
}


@pytest.fixture
def path(tmp_path):
    path = checkpoint.path_of(tmp_path, 3)
    checkpoint.write(path, IDENTITY, {"epoch": 3, "dice": 0.1 + 0.2}, ARRAYS)
    return path


def test_what_was_written_is_read(path):
    found = checkpoint.read(path, IDENTITY)
    assert found.progress == {"epoch": 3, "dice": 0.1 + 0.2}
    assert list(found.arrays) == list(ARRAYS)
    for name, group in ARRAYS.items():
        assert len(found.arrays[name]) == len(group)
        for one, two in zip(found.arrays[name], group, strict=True):
            assert (one.dtype, one.shape) == (two.dtype, two.shape)
            np.testing.assert_array_equal(one, two)


def test_every_damaged_byte_and_every_length_is_noticed(path):
    content = path.read_bytes()
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 0x10
        path.write_bytes(bytes(changed))
        with pytest.raises(checkpoint.Rejected):
            checkpoint.read(path, IDENTITY)
        path.write_bytes(content[:position])
        with pytest.raises(checkpoint.Rejected):
            checkpoint.read(path, IDENTITY)
    path.write_bytes(content + b"0")
    with pytest.raises(checkpoint.Rejected, match="checksum"):
        checkpoint.read(path, IDENTITY)


def test_other_format_and_other_owner_are_refused(path):
    with pytest.raises(checkpoint.Rejected, match="key is '0123', this run's is 'abcd'"):
        checkpoint.read(path, {**IDENTITY, "key": "abcd"})
    with pytest.raises(checkpoint.Rejected, match="variables"):
        checkpoint.read(path, {**IDENTITY, "variables": []})
    path.write_bytes(path.read_bytes().replace(b"checkpoint 1 ", b"checkpoint 0 ", 1))
    with pytest.raises(checkpoint.Rejected, match="format 0, this version reads 1"):
        checkpoint.read(path, IDENTITY)
    path.unlink()
    path.mkdir()
    with pytest.raises(checkpoint.Rejected, match="cannot be read"):
        checkpoint.read(path, IDENTITY)


def test_two_are_kept_and_all_are_removed(path, tmp_path):
    for epoch in (4, 5):
        checkpoint.write(checkpoint.path_of(tmp_path, epoch), IDENTITY, {"epoch": epoch}, {})
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ["checkpoint-000004.bin", "checkpoint-000005.bin"]
    (tmp_path / names[1]).write_bytes(b"x")
    (tmp_path / ".checkpoint-000006.bin.77.tmp").write_bytes(b"unfinished")
    told = []
    found = checkpoint.newest(tmp_path, IDENTITY, lambda file, why: told.append((file.name, why)))
    assert found is not None
    assert found.progress == {"epoch": 4}
    assert [name for name, _ in told] == ["checkpoint-000005.bin"]
    checkpoint.remove(tmp_path)
    assert not list(tmp_path.iterdir())
    assert checkpoint.newest(tmp_path, IDENTITY, lambda *_: None) is None


def test_full_disk_leaves_the_checkpoint_before(path, tmp_path, monkeypatch):
    import os

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.write(checkpoint.path_of(tmp_path, 4), IDENTITY, {}, ARRAYS)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert checkpoint.read(path, IDENTITY).progress["epoch"] == 3
