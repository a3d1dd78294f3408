"""Words alone, and at random times in the middle of speech."""

import json

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.cli.models import BUNDLED
from edgernn.errors import DataError
from edgernn.train.evaluation import BETWEEN_S, laid
from edgernn.train.positives import IN_SPEECH, OVER_SPEECH, TALKS, Words, _Talk, judged
from edgernn.train.words import find_word

RATE = 16000


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    """Three recordings whose samples say where they are from, and a file that is none."""
    folder = tmp_path_factory.mktemp("talk")
    said = []
    for i, seconds in enumerate((0.5, 1.25, 0.7)):
        said.append(np.full(int(seconds * RATE), 100 * (i + 1), np.int16))
        soundfile.write(folder / f"{i}.wav", said[-1], RATE)
    (folder / "3.wav").write_bytes(b"RIFF")
    return sorted(folder.glob("*.wav")), np.concatenate(said)


@settings(deadline=None, max_examples=30)
@given(counts=st.lists(st.integers(0, 3 * RATE), min_size=1, max_size=8))
def test_speech_goes_on_where_a_word_cut_it_off_however_often(talk, counts):
    paths, whole = talk
    source = _Talk(paths, RATE)
    taken = np.concatenate([source.take(count) for count in counts if count] or [whole[:0]])
    assert len(taken) == sum(counts)
    np.testing.assert_array_equal(taken, np.resize(whole, len(taken)))


def test_without_speech_that_can_be_used_it_says_so_and_does_not_go_on_for_ever(tmp_path):
    (tmp_path / "no.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match="--negatives"):
        _Talk([tmp_path / "no.wav"], RATE).take(1)


@pytest.mark.parametrize("noisy", [False, True])
def test_a_word_in_speech_lies_where_it_is_said_to_be(noisy):
    rng = np.random.default_rng(0)
    word = np.pad((9000 * np.sin(np.arange(RATE // 2) * 0.4)).astype(np.int16), RATE // 4)
    speech = rng.integers(-300, 300, 30 * RATE).astype(np.int16)
    at = [0]

    def between(count):
        at[0] += count
        return speech[at[0] - count:at[0]]

    noise = rng.normal(0, 500, 2 * RATE) if noisy else None  # shorter than what it lies under
    for samples, (said,) in laid([("yes", word)] * 3, RATE, noise, (5.0, 20.0), rng, between):
        assert BETWEEN_S[0] <= said.start_s <= BETWEEN_S[1] + 0.3
        power = np.square(samples.astype(float))
        begin, end = int(said.start_s * RATE), int(said.end_s * RATE)
        # 5 dB at least: 1 + 10^0.5 times the noise alone.
        assert power[begin:end].mean() > 4 * power[:begin - RATE // 20].mean()
        assert end - begin == pytest.approx(RATE // 2, abs=RATE // 20)


def test_under_a_word_over_speech_the_speech_goes_on_at_the_snr_that_was_drawn():
    rng = np.random.default_rng(0)
    word = np.pad((9000 * np.sin(np.arange(RATE // 2) * 0.4)).astype(np.int16), RATE // 4)
    speech = rng.normal(0, 300, 60 * RATE).astype(np.int16)
    at, snrs_db = [0], []

    def between(count):
        at[0] += count
        return speech[at[0] - count:at[0]]

    for samples, (said,) in laid([("yes", word)] * 5, RATE, None, (0.0, 20.0), rng, between, True):
        begin, end = int(said.start_s * RATE), int(said.end_s * RATE)
        assert BETWEEN_S[0] <= said.start_s <= BETWEEN_S[1] + 0.3
        assert end - begin == pytest.approx(RATE // 2, abs=RATE // 20)
        own = speech[at[0] - len(samples):at[0]].astype(float)
        silent = np.r_[0:begin - RATE // 4, end + RATE // 2:len(samples)]  # nobody says the word
        gain = samples[silent] @ own[silent] / (own[silent] @ own[silent])
        np.testing.assert_allclose(samples[silent], gain * own[silent], atol=0.51 + 0.01 * gain)
        left = samples - gain * own  # what is not the speech is the word, and nothing else
        first = begin - find_word(word, RATE)[0]
        assert np.corrcoef(left[first:first + len(word)], word)[0, 1] > 0.999
        snrs_db.append(10 * np.log10(np.mean(left[begin:end]**2) / np.mean((gain * own)**2)))
    assert -0.5 < min(snrs_db) < max(snrs_db) < 20.5
    assert len(set(np.round(snrs_db, 2))) == 5


def test_speech_is_a_condition_of_its_own_and_the_loudest_noise_stays_the_last(talk, tmp_path):
    paths, _ = talk
    words = Words((("yes", paths[0]),), seed=1)
    found = words.conditions([paths[1]], (0.0, 20.0), [paths[0].parent])
    assert list(found) == ["clean", OVER_SPEECH, IN_SPEECH, "20 dB", "0 dB"]
    assert found[IN_SPEECH].snrs_db == found[OVER_SPEECH].snrs_db == (0.0, 20.0)
    assert set(found[IN_SPEECH].speech) == set(paths)
    assert found[OVER_SPEECH].over
    assert not found[OVER_SPEECH].noise
    assert not found["0 dB"].speech
    many = [paths[0]] * (TALKS + 5)
    assert len(words.conditions((), (), many)[IN_SPEECH].speech) == TALKS
    assert list(words.conditions((), ())) == ["clean"]


@pytest.mark.parametrize("state", ["carried", "reset"])
def test_a_word_is_heard_out_where_its_recording_ends_with_it(state, tmp_path):
    samples, rate = soundfile.read(BUNDLED.with_name("demo.wav"), dtype="int16")
    said = json.loads(BUNDLED.with_name("demo.json").read_text())
    paths = [tmp_path / f"{i}.wav" for i in range(len(said))]
    for path, word in zip(paths, said, strict=True):
        soundfile.write(path, samples[:int(word["end_s"] * rate)][-rate:], rate)
    words = Words(tuple((word["label"], path) for word, path in zip(said, paths, strict=True)), 0)
    found = judged(BUNDLED, ("computer", "alexa"), words, state, (), "auto")["own"]["found"]
    assert found == (True,) * len(said)
