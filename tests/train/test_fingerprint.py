"""Data is known by the files that its readers open."""

import os

import pytest

from edgernn.train.fingerprint import fingerprint


@pytest.fixture
def data(tmp_path):
    """A data set with all that readers look for, and what they do not."""
    for name in ("yes/a.wav", "yes/b.flac", "_background_noise_/far/off.wav", "index.csv",
                 "testing_list.txt", "yes/.DS_Store", "run/metrics.json", "made/gru/run/log.csv"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "data"


def known(*given):
    return fingerprint(given, given[0].parent / "out")


@pytest.mark.parametrize("name", ["yes/a.wav", "yes/b.flac", "_background_noise_/far/off.wav",
                                  "index.csv", "testing_list.txt"])
def test_a_file_that_came_went_or_was_written_again_is_noticed(data, name):
    before = known(data)
    os.utime(data / name, ns=(1, 1))
    written = known(data)
    (data / name).unlink()
    assert len({before, written, known(data)}) == 3
    assert before.startswith("5 files (")
    assert known(data).startswith("4 files (")


def test_what_no_reader_opens_and_what_is_made_there_do_not_matter(data):
    before = fingerprint([data], data / "made")
    for name in ("yes/.DS_Store", "run/metrics.json", "made/a.wav", "made/gru/run/log.csv"):
        (data / name).write_text("another")
    assert fingerprint([data], data / "made") == before


def test_it_is_the_same_wherever_the_data_is(data, tmp_path):
    before = known(data)
    (tmp_path / "elsewhere").mkdir()
    data.rename(tmp_path / "elsewhere" / "data")
    assert known(tmp_path / "elsewhere" / "data") == before


def test_an_index_stands_for_its_folder_and_one_of_a_pair_for_both(tmp_path):
    (tmp_path / "a.wav").write_text("a")
    for name in ("index.csv", "x_TRAIN.ts", "x_TEST.ts", "train.tsv", "test.tsv", "x.npz"):
        (tmp_path / name).write_text(name)
    found = {name: known(tmp_path / name).split(" (")[0] for name in
             ("index.csv", "x_TRAIN.ts", "test.tsv", "x.npz", "nothing")}
    assert found == {"index.csv": "6 files", "x_TRAIN.ts": "2 files", "test.tsv": "2 files",
                     "x.npz": "1 file", "nothing": "0 files"}


def test_recordings_of_a_label_that_is_a_link_to_a_folder_are_seen(data, tmp_path):
    (tmp_path / "no").mkdir()
    (tmp_path / "no" / "c.wav").write_text("c")
    before = known(data)
    (data / "no").symlink_to(tmp_path / "no")
    assert known(data) != before


@pytest.mark.parametrize("given", ["a_TRAIN.ts", "a_TEST.ts", "a"])
def test_files_beside_a_pair_that_are_no_half_of_it_do_not_matter(tmp_path, given):
    for name in ("a_TRAIN.ts", "a_TEST.ts", "b_TRAIN.ts"):
        (tmp_path / name).write_text(name)
    before = known(tmp_path / given)
    os.utime(tmp_path / "b_TRAIN.ts", ns=(1, 1))
    assert known(tmp_path / given) == before
    os.utime(tmp_path / "a_TEST.ts", ns=(1, 1))
    assert known(tmp_path / given) != before
