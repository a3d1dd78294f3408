"""A file is whole or not there."""

import os

import pytest

from edgernn import files
from edgernn.errors import OutputError


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "model.tflite"
    files.write(path, b"old")

    def fail() -> None:
        with files.replacing(path) as temporary:
            temporary.write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_result_has_the_permissions_of_any_new_file(tmp_path):
    files.write(tmp_path / "ours", b"")
    (tmp_path / "theirs").write_bytes(b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "theirs").stat().st_mode


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OutputError, match="nowhere"):
        files.write(tmp_path / "nowhere" / "model.tflite", b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's /dev/full")
def test_a_full_disk_is_one_clear_error(tmp_path, monkeypatch):
    path = tmp_path / "model.tflite"

    def write_to_a_full_disk(self, data):
        with open("/dev/full", "wb", buffering=0) as disk:
            disk.write(data)

    monkeypatch.setattr(files.Path, "write_bytes", write_to_a_full_disk)
    with pytest.raises(OutputError, match="No space left"):
        files.write(path, b"much")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_told_before_the_work_and_the_rest_leaves_nothing(tmp_path):
    files.wanted(None, tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OutputError, match="nowhere"):
        files.wanted(tmp_path / "report.html", tmp_path / "nowhere" / "plot.png")
