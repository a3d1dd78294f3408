"""Features come from the cache as they went in, and only for the audio and frontend they are of."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.errors import DataError
from edgernn.frontend.logmel import LogMel
from edgernn.spec import LogMelSpec, StandardizeSpec
from edgernn.train.answers import heard_by
from edgernn.train.features import FeatureCache, extract, plain
from edgernn.train.readers import read
from tests.cli.test_cli import edgernn, fails
from tests.sounds import wandering

SPEC = LogMelSpec()
EAR = LogMel(SPEC)


class Counting(LogMel):
    """A frontend that counts how often it is asked."""

    asked = 0

    def whole(self, samples):
        self.asked += 1
        return super().whole(samples)


@given(st.integers(0, 3000), st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_features_are_the_frontend_s_own_and_memory_mapped(tmp_path_factory, count, seed):
    cache = FeatureCache(tmp_path_factory.mktemp("cache"))
    samples = wandering(0.2, seed=seed)[:count]
    found = cache.whole(EAR, samples)
    assert isinstance(found, np.memmap) or not found.size
    assert found.dtype == np.int16
    assert np.array_equal(found, EAR.whole(samples))


def test_what_is_there_is_not_computed_again_and_what_is_damaged_is(tmp_path):
    cache, ear, samples = FeatureCache(tmp_path), Counting(SPEC), wandering(0.5)
    first = np.array(cache.whole(ear, samples))
    assert np.array_equal(cache.whole(ear, samples), first)
    assert ear.asked == 1
    path = cache.path(ear, samples)
    path.write_bytes(path.read_bytes()[:100])
    assert np.array_equal(cache.whole(ear, samples), first)
    assert ear.asked == 2


def test_another_sample_or_setting_is_another_entry(tmp_path):
    cache, samples = FeatureCache(tmp_path), wandering(0.5)
    other = samples.copy()
    other[77] += 1
    paths = {cache.path(EAR, samples), cache.path(EAR, other),
             cache.path(LogMel(replace(SPEC, low_hz=100)), samples)}
    assert len(paths) == 3


def test_a_folder_is_extracted_and_evaluated_with_the_same_answers(tmp_path):
    data = tmp_path / "data"
    for label in ("computer", "alexa"):
        (data / label).mkdir(parents=True)
        for i in range(3):
            soundfile.write(data / label / f"{i}.wav", wandering(0.6, seed=i + len(label)), 16000)
    (data / "alexa" / "broken.wav").write_bytes(b"RIFF")
    done = edgernn("features", data, "--cache", tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["recordings"] == 6
    assert b"broken.wav" in done.stderr
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.npy")}
    from edgernn import bundle
    from edgernn.cli.models import BUNDLED

    spec = bundle.read(BUNDLED).spec
    heard = [heard_by(spec, read(data), "all", cache)
             for cache in (None, FeatureCache(tmp_path / "cache"))]
    assert np.array_equal(heard[0].sequences.rows, heard[1].sequences.rows)
    assert before == {path: path.stat().st_mtime_ns
                      for path in (tmp_path / "cache").rglob("*.npy")}


def test_recordings_none_of_which_can_be_used_are_an_error_that_names_one(tmp_path):
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(b"RIFF")
    for _ in range(2):  # what is kept of the first time is no answer either
        done = edgernn("features", tmp_path, "--cache", tmp_path / "cache")
        fails(done, 1, "a.wav is broken: ")
        assert not done.stdout


def test_a_job_gives_its_frames_and_names_what_it_left_out(tmp_path):
    soundfile.write(tmp_path / "a.wav", wandering(1.0), 16000)
    (tmp_path / "b.wav").write_bytes(b"")
    found = extract([tmp_path / "a.wav", tmp_path / "b.wav"], plain(SPEC), tmp_path / "cache")
    assert found["frames"] == len(EAR.whole(wandering(1.0)))
    assert [why.split(":")[0] for _, why in found["skipped"]] == ["broken"]


def test_a_frontend_of_sensor_rows_is_refused():
    with pytest.raises(DataError, match="standardize"):
        plain(StandardizeSpec((0.0,), (1.0,)))
