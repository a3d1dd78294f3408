"""Counting what a model misses and mistakes, on tracks whose truth is known."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn import bundle
from edgernn.cli.models import BUNDLED
from edgernn.detect import Detection
from edgernn.errors import DataError
from edgernn.spec import DetectorSpec
from edgernn.step import StepModel
from edgernn.train.calibration import Heard, calibrate
from edgernn.train.dataset import AudioSet, Recording
from edgernn.train.evaluation import Track, compare, detect, hear, words_in
from edgernn.train.intervals import poisson_bound, poisson_interval, wilson_interval
from edgernn.train.spotting import Said
from tests.sounds import RATE, wandering

LABELS = ("_other_", "yes", "no")
STEP_S = 0.02


def track(seconds, said=(), peaks=(), begins=()):
    """Scores that are 0 but for peaks of (label, begin, end, height)."""
    steps = round(seconds / STEP_S)
    scores, times = np.zeros((steps, 3), np.float32), STEP_S * np.arange(1, steps + 1)
    for label, begin, end, height in peaks:
        scores[(times >= begin) & (times <= end), LABELS.index(label)] = height
    return Track(scores, times, tuple(said), frozenset(begins), seconds)


def heard(words, others):
    """What a detector is chosen on."""
    return Heard(words, others, LABELS, 20)


def spec(**changes):
    return DetectorSpec(**({"thresholds": {"yes": 0.5, "no": 0.5}, "smoothing_ms": 40,
                            "hysteresis": 0.1, "refractory_ms": 200} | changes))


def test_hits_misses_doubles_and_false_alarms_are_told_apart():
    said = [Said("yes", 1, 1.5), Said("no", 5, 5.4), Said("yes", 9, 9.5), Said("yes", 13, 13.5)]
    found = [Detection("yes", 0.9, t) for t in (1.6, 2.2, 9.3, 11.5)] + [
        Detection("no", 0.9, 13.6)]
    outcome = compare(track(20, said), sorted(found, key=lambda each: each.time_s))
    assert (outcome.said, outcome.missed, outcome.doubles, outcome.false_alarms) == (4, 2, 1, 2)
    assert dict(outcome.missed_by) == {"no": 1, "yes": 1}
    np.testing.assert_allclose(outcome.delays_s, (0.1, -0.2))


def test_a_track_is_detected_on_as_the_stream_would():
    peaks = [("yes", 1.2, 1.5, 0.9), ("no", 5.1, 5.3, 0.8), ("yes", 8.0, 8.1, 0.4)]
    found = detect(track(10, peaks=peaks), spec(), LABELS, 20)
    assert [each.label for each in found] == ["yes", "no"]
    assert found[0].time_s == pytest.approx(1.22, abs=0.021)
    low = detect(track(10, peaks=peaks), spec(thresholds={"yes": 0.3}), LABELS, 20)
    assert [each.label for each in low] == ["yes", "yes"]


def test_state_that_begins_anew_forgets_smoothed_scores():
    peaks = [("yes", 1.0, 1.7, 0.45)]
    whole = track(3, peaks=peaks)
    slow = spec(smoothing_ms=200, thresholds={"yes": 0.44})
    assert len(detect(whole, slow, LABELS, 20)) == 1
    begun = track(3, peaks=peaks, begins=[round(1.2 / STEP_S)])
    assert len(detect(begun, slow, LABELS, 20)) == 2  # armed again, and full again


def test_hearing_gives_the_scores_of_a_stream_and_the_words_their_times():
    model = StepModel.open(BUNDLED)
    sounds = [wandering(1.5), wandering(2.0, 1)]
    words = [(Said("computer", 0.2, 0.9),), (Said("alexa", 0.5, 1.0),)]
    carried = hear(model, zip(sounds, words, strict=True))
    assert carried.said == (Said("computer", 0.2, 0.9), Said("alexa", 2.0, 2.5))
    assert carried.seconds == 3.5
    whole = hear(model, [(np.concatenate(sounds), ())])
    np.testing.assert_array_equal(carried.scores, whole.scores)
    reset = hear(model, zip(sounds, words, strict=True), carry=False)
    begin = max(reset.begins)
    np.testing.assert_array_equal(carried.scores[:begin], reset.scores[:begin])
    assert not np.array_equal(carried.scores[begin:], reset.scores[begin:])


def recordings(count=3):
    rng = np.random.default_rng(0)
    clips = []
    for _ in range(count):
        clip = rng.normal(0, 30, RATE)
        clip[4000:9000] += rng.normal(0, 5000, 5000)
        clips.append(clip.astype(np.int16))
    split = ("test", "test", "train")
    return AudioSet(("no", "yes"), tuple(Recording(None, "yes", "", split[i])
                                         for i in range(count)), tuple(clips), RATE)


@pytest.mark.parametrize("snr_db", [20.0, 0.0])
def test_words_lie_where_they_are_said_to_be_at_the_snr_asked(snr_db):
    noise = np.random.default_rng(1).normal(0, 1000, 20 * RATE).astype(np.int16)
    pieces = list(words_in(recordings(), ["yes"], "test", noise, snr_db,
                           np.random.default_rng(0)))
    assert len(pieces) == 2
    for samples, (word,) in pieces:
        inside = samples[int(word.start_s * RATE):int(word.end_s * RATE)].astype(float)
        around = samples[:int(0.9 * RATE)].astype(float)
        noisy = 10 * math.log10(np.mean(inside**2) / np.mean(around**2))
        assert noisy == pytest.approx(10 * math.log10(1 + 10 ** (snr_db / 10)), abs=1.0)


def test_without_a_word_that_the_model_knows_it_says_so():
    with pytest.raises(DataError, match="which the model listens for"):
        list(words_in(recordings(), ["never"], "test", None, 0, np.random.default_rng(0)))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 60), st.sampled_from([0.8, 0.9, 0.95]))
def test_the_poisson_interval_is_where_either_tail_is_as_small_as_asked(count, confidence):
    low, high = poisson_interval(count, confidence)
    tail = (1 - confidence) / 2
    below = sum(math.exp(k * math.log(high) - high - math.lgamma(k + 1)) for k in range(count + 1))
    assert below == pytest.approx(tail, abs=1e-6)
    if count:
        above = 1 - sum(math.exp(k * math.log(low) - low - math.lgamma(k + 1))
                        for k in range(count))
        assert above == pytest.approx(tail, abs=1e-6)
    else:
        assert low == 0
    assert poisson_bound(count, 1 - tail) == high


def test_intervals_are_those_of_the_tables():
    np.testing.assert_allclose(poisson_interval(0), (0, 3.6889), atol=1e-4)
    np.testing.assert_allclose(poisson_interval(10), (4.7954, 18.3904), atol=1e-4)
    np.testing.assert_allclose(wilson_interval(0, 10), (0, 0.2775), atol=1e-4)
    np.testing.assert_allclose(wilson_interval(5, 10), (0.2366, 0.7634), atol=1e-4)
    assert wilson_interval(0, 0) == (0, 1)


@pytest.mark.slow
def test_calibration_takes_the_highest_threshold_that_misses_least_and_keeps_to_the_rate():
    said = [Said("yes", t, t + 0.5) for t in range(1, 41, 4)]
    heights = [0.9, 0.8, 0.7, 0.9, 0.8, 0.7, 0.9, 0.8, 0.7, 0.55]
    words = track(45, said, [("yes", word.start_s, word.end_s, height)
                             for word, height in zip(said, heights, strict=True)])
    others = track(3600, peaks=[("yes", 100, 100.5, 0.6), ("yes", 900, 900.5, 0.3)])
    one = DetectorSpec({"yes": 0.5}, smoothing_ms=100, hysteresis=0.1, refractory_ms=200)
    strict = calibrate(heard(words, others), one, 0.5)
    # The false alarm of 0.6 must go, and with it the word of 0.55; 0.7 is said still.
    assert strict.detector.thresholds["yes"] == pytest.approx(0.68, abs=0.021)
    assert (strict.words.missed, strict.others.false_alarms) == (1, 0)
    loose = calibrate(heard(words, others), one, 1.0)
    assert (loose.words.missed, loose.others.false_alarms) == (0, 1)
    assert loose.detector.thresholds["yes"] == pytest.approx(0.54, abs=0.021)
    assert strict.bound_per_hour() == pytest.approx(2.9957, abs=1e-3)


def test_calibration_leaves_a_label_alone_of_which_no_word_was_said():
    words = track(40, [Said("yes", 5, 5.5)], [("yes", 5.2, 5.6, 0.9)])
    found = calibrate(heard(words, track(3600)), spec(), 0.5)
    assert found.detector.watch("no") == spec().watch("no")
    assert found.detector.thresholds["yes"] > 0.5


def test_calibration_takes_the_hysteresis_that_fires_once_a_word_or_keeps_its_own():
    said = [Said("yes", t, t + 1.0) for t in range(1, 41, 4)]
    steady = [("yes", word.start_s, word.end_s, 0.9) for word in said]
    dip = [("yes", word.start_s + 0.4, word.start_s + 0.6, 0.42) for word in said]
    others = track(3600)
    one = DetectorSpec({"yes": 0.5}, smoothing_ms=40, hysteresis=0.1, refractory_ms=0)
    twice = calibrate(heard(track(45, said, steady + dip), others), one, 0.5)
    assert (twice.words.missed, twice.words.doubles) == (0, 0)
    assert (twice.detector.hysteresis, twice.detector.refractory_ms) != (0.1, 0)
    once = calibrate(heard(track(45, said, steady), others), one, 0.5)
    assert (once.detector.hysteresis, once.detector.refractory_ms) == (0.1, 0)


def test_calibration_takes_for_each_label_what_its_own_words_ask_for():
    # "yes" is short: an average over more would miss it.  "no" is long, and what is no word is
    # loud but short: only an average over more tells them apart.
    said = [Said("yes", t, t + 0.3) for t in range(1, 41, 4)]
    said += [Said("no", t, t + 0.8) for t in range(3, 43, 4)]
    words = track(45, sorted(said, key=lambda word: word.start_s),
                  [(word.label, word.start_s, word.start_s + (0.06 if word.label == "yes" else 0.6),
                    0.9) for word in said])
    others = track(3600, peaks=[("no", t, t + 0.1, 0.9) for t in range(10, 3000, 20)])
    found = calibrate(heard(words, others), spec(), 0.5)
    assert (found.words.missed, found.others.false_alarms) == (0, 0)
    assert found.detector.watch("yes").smoothing_ms <= 60
    assert found.detector.watch("no").smoothing_ms >= 160
    assert set(found.detector.smoothing_ms) == {"yes", "no"}
    assert found.detector.hysteresis == 0.1  # nothing here tells one from another


def test_calibration_takes_a_refractory_time_in_which_no_word_is_lost():
    said = [Said("yes", t, t + 0.5) for t in (1.0, 2.0, 3.0, 5.0, 6.0, 7.0)]
    words = track(10, said, [("yes", word.start_s, word.end_s, 0.9) for word in said])
    deaf = DetectorSpec({"yes": 0.5}, smoothing_ms=40, hysteresis=0.1, refractory_ms=3000)
    found = calibrate(heard(words, track(3600)), deaf, 0.5)
    assert found.words.missed == 0
    assert found.detector.refractory_ms < 1000


@pytest.mark.slow
def test_the_bundled_model_is_found_as_good_as_its_card_says(shared_data, tmp_path):
    arguments = ["--positives", shared_data / "wakewords_picovoice", "--negatives",
                 shared_data / "negative_speech", "--noise", shared_data / "background_noise",
                 "--split", "validation"]
    done = subprocess.run([sys.executable, "-m", "edgernn", "evaluate", *map(str, arguments),
                           "--json", "--plot", str(tmp_path / "det.png")],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    tree = json.loads(done.stdout)
    found = {(each["condition"], each["state"]): each for each in tree["words"]}
    assert found["clean", "carried"]["said"] == 96
    assert found["clean", "carried"]["missed"] <= 2
    assert found["10 dB", "carried"]["miss_interval"][0] < 0.03
    assert tree["negatives"]["false_alarms"] == 0
    assert tree["negatives"]["interval"][1] > 10  # a fifth of an hour proves little
    last = found["10 dB", "carried"]
    for what in ("labels", "speakers"):
        assert sum(each["missed"] for each in last[what]) == last["missed"]
        assert sum(each["said"] for each in last[what]) == last["said"]
    for condition in ("clean", "10 dB"):
        assert max(found[condition, "carried"][key] for key in ("missed", "false_alarms")) <= 8
    worst = max(max(each["missed"], each["false_alarms"] + tree["negatives"]["false_alarms"])
                for each in tree["words"] if each["state"] == "carried")
    assert tree["mlperf"]["held"] == (worst <= 8)
    assert tree["picovoice"] is None  # it asks for ten hours
    misses = [each["missed"] for each in tree["thresholds"]]
    assert misses[0] < misses[-1]
    assert (tmp_path / "det.png").stat().st_size > 10_000
    model = tmp_path / "calibrated.tflite"
    done = subprocess.run([sys.executable, "-m", "edgernn", "calibrate", str(BUNDLED),
                           *map(str, arguments), "--out", str(model)],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "cannot promise 0.5" in done.stderr
    assert json.loads(done.stdout)["promised"] is False
    assert bundle.read(model).spec.detector.thresholds == json.loads(done.stdout)["thresholds"]


@pytest.mark.slow
def test_a_rate_that_the_negatives_refute_is_refused_and_the_model_left_alone(
        shared_data, tmp_path):
    model = tmp_path / "kws.tflite"
    model.write_bytes(BUNDLED.read_bytes())
    words = shared_data / "wakewords_picovoice"
    done = subprocess.run([sys.executable, "-m", "edgernn", "calibrate", str(model), "--positives",
                           str(words), "--negatives", str(words / "alexa")],
                          capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "false alarms in" in done.stderr
    assert model.read_bytes() == BUNDLED.read_bytes()


@pytest.mark.parametrize("options", [("--drift-hours", "nan"), ("--drift-hours", "inf"),
                                     ("--seed", "-1"), ("--snr", "-10000"), ("--snr", "nan")])
def test_options_that_mean_nothing_are_refused_before_the_work(options, tmp_path):
    done = subprocess.run([sys.executable, "-m", "edgernn", "evaluate", "--positives",
                           str(tmp_path), *options], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert options[0] in done.stderr


@pytest.mark.parametrize("read", ["model", "--positives", "--negatives", "--noise"])
def test_a_report_does_not_replace_what_is_read(read, tmp_path):
    given = tmp_path / "given"
    given.write_bytes(b"mine")
    options = {"--positives": tmp_path, "--html": given, "--backend": "emulator"} | (
        {} if read == "model" else {read: given})
    done = subprocess.run([sys.executable, "-m", "edgernn", "evaluate",
                           str(given if read == "model" else BUNDLED),
                           *(str(part) for pair in options.items() for part in pair)],
                          capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "would be written over" in done.stderr
    assert given.read_bytes() == b"mine"
