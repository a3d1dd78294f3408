"""Counting what a model answers to whole sequences."""

import dataclasses
import html
import itertools
import json
import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn import bundle
from edgernn.cli.evaluate import command
from edgernn.cli.models import BUNDLED
from edgernn.errors import DataError, ModelError, OutputError
from edgernn.frontend.logmel import LogMel
from edgernn.spec import ModelSpec, StandardizeSpec
from edgernn.step import StepModel
from edgernn.train.answers import Heard, answers, heard_by
from edgernn.train.architecture import Layer
from edgernn.train.dataset import AudioSet, Recording, SensorSet, TextSet
from edgernn.train.evaluate_run import Materials, Means, calibrated
from edgernn.train.paired import binomial_p, mcnemar
from edgernn.train.quantize import quantize_run
from edgernn.train.sequences import Sequences
from tests.sounds import RATE, wandering
from tests.train.test_quantize import write_run

pytestmark = pytest.mark.slow


def evaluate(*arguments):
    return subprocess.run([sys.executable, "-m", "edgernn", "evaluate", *map(str, arguments)],
                          capture_output=True, text=True)


@pytest.fixture
def made(tmp_path):
    """A quantized run of random weights: its report, its folder and its test sequences."""
    run = write_run(tmp_path / "run", Layer("gru", 12))
    report = quantize_run(run, tmp_path / "kws.tflite")
    test = Sequences.load(run / "sequences.npz").of_split("test")
    return report, run, test


def test_shares_are_those_that_quantize_measured_in_float_and_in_integers(made):
    report, run, test = made
    found = answers(StepModel.open(report.path), Heard(test, ("",) * len(test)), run)
    assert {name: found[name]["share"] for name in ("reset", "carried", "float_reset",
                                                    "float_carried")} == pytest.approx(
        {"reset": report.integers["reset"], "carried": report.integers["carry"],
         "float_reset": report.floats["reset"], "float_carried": report.floats["carry"]})
    assert set(found["agreement"]) == {"carried and reset", "reset and float_reset",
                                       "carried and float_carried"}
    assert all(0.5 < share <= 1 for share in found["agreement"].values())


def test_every_sequence_is_in_the_confusion_matrix_once_and_the_diagonal_is_right(made):
    report, _, test = made
    found = answers(StepModel.open(report.path), Heard(test, ("",) * len(test)))
    counts = np.array(found["confusion"])
    np.testing.assert_array_equal(counts.sum(axis=1), np.bincount(test.labels, minlength=4))
    assert counts.trace() == found["carried"]["right"]
    assert [each["right"] for each in found["labels"]] == counts.diagonal().tolist()
    assert [each["given"] for each in found["labels"]] == counts.sum(axis=0).tolist()
    assert not found["speakers"]


def test_speakers_are_told_apart_and_the_least_understood_comes_first(made):
    report, _, test = made
    names = tuple("ann" if i % 3 else "bob" for i in range(len(test)))
    found = answers(StepModel.open(report.path), Heard(test, names))
    assert sorted(each["speaker"] for each in found["speakers"]) == ["ann", "bob"]
    assert sum(each["of"] for each in found["speakers"]) == len(test)
    assert sum(each["right"] for each in found["speakers"]) == found["carried"]["right"]
    shares = [each["share"] for each in found["speakers"]]
    assert shares == sorted(shares)


@pytest.mark.parametrize("labels", [3, 4])
def test_another_runs_floats_are_refused_whatever_its_labels(made, tmp_path, labels):
    report, _, test = made
    other = write_run(tmp_path / "other", Layer("gru", 11), labels=labels)
    with pytest.raises(ModelError, match="that one run was needed"):
        answers(StepModel.open(report.path), Heard(test, ("",) * len(test)), other)


def sensors(labels=("a", "b"), split=("test", "test", "train")):
    rows = np.arange(12, dtype=np.float32).reshape(6, 2)
    return SensorSet(labels, Sequences(rows, np.array([2, 3, 1]), np.array([0, 1, 0]),
                                       np.array(split)))


def spec(**changes):
    return ModelSpec(**({"labels": ("b", "a", "c"), "states": (), "model_sha256": "",
                         "frontend": StandardizeSpec((0.0,) * 2, (1.0,) * 2, (), 0.0),
                         "task": "classify"} | changes))


def test_labels_of_the_data_become_the_models_in_its_order():
    heard = heard_by(spec(), sensors(), "test")
    assert heard.sequences.labels.tolist() == [1, 0]
    np.testing.assert_array_equal(heard.sequences[1], np.arange(4, 10).reshape(3, 2))
    assert heard_by(spec(), sensors(), "all").sequences.labels.tolist() == [1, 0, 1]


@pytest.mark.parametrize(("model", "data", "what"), [
    (spec(), sensors(("a", "x")), "the data has the label 'x', and the model knows b, a, c"),
    (spec(), sensors(split=("train",) * 3), "no sequence is of the split 'test'; there are train"),
    (spec(task="label"), sensors(), "a label on every row was needed"),
    (spec(), TextSet(("a", "b"), ("one",), np.zeros(1, np.int64), np.array(["test"])),
     "the data holds texts, and the model hears sensor rows")])
def test_data_that_is_not_the_models_is_refused_by_what_is_wrong(model, data, what):
    with pytest.raises(DataError, match=what):
        heard_by(model, data, "test")


@pytest.mark.parametrize("backend", ["emulator", "litert"])  # which quantizing needs too
def test_the_interpreter_that_is_asked_for_answers(made, backend):
    report, _, test = made
    model = StepModel.open(report.path, backend)
    found = answers(model, Heard(test, ("",) * len(test)))
    right = 0
    for rows, label in zip(test, test.labels, strict=True):
        model.reset()
        for row in rows:
            scores = model.step(row)
        right += scores.argmax() == label
    assert found["reset"]["right"] == right


def test_a_model_that_detects_is_judged_by_that_where_clips_say_nothing_of_its_task(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    for label in ("speech", "music"):
        (tmp_path / "clips" / label).mkdir(parents=True)
        for i in range(4):
            soundfile.write(tmp_path / "clips" / label / f"{i}.wav", wandering(1.0, i), RATE)
    done = evaluate(BUNDLED.with_name("voice.tflite"), "--positives", tmp_path / "clips",
                    "--split", "all", "--json")
    assert done.returncode == 0, done.stderr
    tree = json.loads(done.stdout)
    assert tree["answers"] is None
    assert "the model knows _other_, speech" in tree["unanswered"]
    assert tree["words"][0]["said"] == 4
    done = evaluate(BUNDLED.with_name("voice.tflite"), "--positives", tmp_path / "clips",
                    "--split", "all")
    assert "Whole sequences: Not asked: the data has the label 'music'" in done.stdout


def test_a_plot_of_false_alarms_without_negatives_is_refused_before_anything_is_heard(tmp_path):
    done = evaluate(BUNDLED, "--positives", tmp_path, "--plot", tmp_path / "det.png")
    assert done.returncode == 2
    assert "--negatives, in which there may be some, were needed" in " ".join(done.stderr.split())


def test_a_report_that_could_not_be_written_is_refused_before_anything_is_heard(tmp_path):
    done = evaluate(BUNDLED, "--positives", tmp_path / "no data", "--html",
                    tmp_path / "none" / "report.html")
    assert done.returncode == 1
    assert "report.html cannot be written" in " ".join(done.stderr.split())


def test_a_disk_that_is_full_at_the_end_costs_nothing_that_was_found(tmp_path, monkeypatch):
    soundfile = pytest.importorskip("soundfile")
    (tmp_path / "clips" / "computer").mkdir(parents=True)
    for i in range(4):
        soundfile.write(tmp_path / "clips" / "computer" / f"{i}.wav", wandering(1.0, i), RATE)

    def full(path, data):
        raise OutputError(f"{path} cannot be written: No space left on device")

    monkeypatch.setattr("edgernn.files.write", full)
    done = CliRunner().invoke(command, [
        str(BUNDLED), "--positives", str(tmp_path / "clips"), "--split", "all", "--json",
        "--html", str(tmp_path / "report.html")])
    assert isinstance(done.exception, OutputError)
    assert json.loads(done.stdout)["answers"]["sequences"] == 4


def test_recordings_that_cannot_be_used_are_told_and_the_rest_is_judged(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    words = tmp_path / "words" / "computer"
    words.mkdir(parents=True)
    soundfile.write(words / "a.wav", wandering(2.0), RATE, subtype="PCM_16")
    (words / "b.wav").write_bytes(b"RIFF")
    done = evaluate("--positives", words.parent, "--split", "all", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["words"][0]["said"] == 1
    assert f"skipped {words / 'b.wav'}: broken" in done.stderr


@pytest.mark.parametrize("asked", ["evaluate", "calibrate"])
def test_a_ratio_over_nothing_is_refused(asked, tmp_path):
    more = ["--negatives", tmp_path] if asked == "calibrate" else []
    done = subprocess.run([sys.executable, "-m", "edgernn", asked, BUNDLED, "--positives", tmp_path,
                           *more, "--snr", "10"], capture_output=True, text=True)
    assert done.returncode == 2
    needed = "--noise or --negatives was needed" if asked == "evaluate" else "--noise was needed"
    assert needed in done.stderr


def test_a_run_cannot_be_told_from_another_by_a_model_without_an_origin(made, tmp_path):
    report, run, test = made
    whole = bundle.read(report.path)
    bundle.write(tmp_path / "bare.tflite", bundle.attach(
        whole.flatbuffer, dataclasses.replace(whole.spec, provenance={})))
    with pytest.raises(ModelError, match="does not say which weights"):
        answers(StepModel.open(tmp_path / "bare.tflite"), Heard(test, ("",) * len(test)), run)


def test_minutes_start_no_cluster_however_many_streams_of_words_there_are(tmp_path, monkeypatch):
    (tmp_path / "clips" / "computer").mkdir(parents=True)
    for i in range(2):
        soundfile.write(tmp_path / "clips" / "computer" / f"{i}.wav", wandering(1.0, i), RATE)
    soundfile.write(tmp_path / "long.wav", wandering(12.0), RATE)

    def started(*arguments):
        raise AssertionError("a cluster was started")

    monkeypatch.setattr("edgernn.train.spread._client", started)
    given = ["--positives", tmp_path / "clips", "--noise", tmp_path / "long.wav", "--negatives",
             tmp_path / "long.wav", "--snr", "0,10", "--split", "all", "--json"]
    done = CliRunner().invoke(command, [str(BUNDLED), *map(str, given)], catch_exceptions=False)
    assert done.exit_code == 0
    assert len(json.loads(done.stdout)["words"]) == 10  # more than are worth a cluster


def test_negatives_that_cannot_be_used_do_not_count_as_seconds_of_drift(tmp_path):
    (tmp_path / "clips" / "computer").mkdir(parents=True)
    (tmp_path / "talk").mkdir()
    for i in range(2):
        soundfile.write(tmp_path / "clips" / "computer" / f"{i}.wav", wandering(1.0, i), RATE)
    soundfile.write(tmp_path / "talk" / "short.wav", wandering(6.0), RATE)
    soundfile.write(tmp_path / "talk" / "silent.wav", np.zeros(12 * RATE, np.int16), RATE)
    done = evaluate(BUNDLED, "--positives", tmp_path / "clips", "--split", "all", "--negatives",
                    tmp_path / "talk", "--drift-hours", 0.01)
    assert done.returncode == 1
    assert "10 s of --negatives were needed, and there are 6.0 that can be used" in done.stderr


def test_noise_and_negatives_that_are_too_short_are_refused_with_their_seconds(tmp_path):
    for i in range(2):
        (tmp_path / "clips" / "computer").mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "clips" / "computer" / f"{i}.wav", wandering(1.0, i), RATE)
    soundfile.write(tmp_path / "short.wav", wandering(3.2), RATE)
    words = (BUNDLED, "--positives", tmp_path / "clips", "--split", "all")
    done = evaluate(*words, "--noise", tmp_path / "short.wav")
    assert done.returncode == 1
    assert "there are 3.2 s of noise; 3.5 s were needed, for a clip of 1.0 s" in done.stderr
    done = evaluate(*words, "--negatives", tmp_path / "short.wav", "--drift-hours", 0.01)
    assert done.returncode == 1
    assert "10 s of --negatives were needed, and there are 3.2" in done.stderr


@pytest.mark.parametrize("snr", ["", "loud", "nan", "10,inf", "-10000"])
def test_a_ratio_that_is_no_number_is_refused(tmp_path, snr):
    done = evaluate("--positives", tmp_path, "--snr", snr)
    assert done.returncode == 2
    assert "numbers between commas were needed" in done.stderr
    assert not done.stdout


def test_what_a_spotter_does_not_listen_for_is_nothing():
    model = bundle.read(BUNDLED)
    data = AudioSet(("alexa", "banana"), (Recording(None, "banana", "ann", "test"),
                                          Recording(None, "alexa", "bob", "test")),
                    (wandering(1.0), wandering(1.0, 1)), RATE)
    heard = heard_by(model.spec, data, "test")
    assert heard.sequences.labels.tolist() == [0, model.spec.labels.index("alexa")]
    assert heard.speakers == ("ann", "bob")


def test_a_spotter_is_given_the_silence_in_which_it_answers_and_a_classifier_is_not():
    spotter = bundle.read(BUNDLED).spec
    data = AudioSet(("alexa",), (Recording(None, "alexa", "", "test"),), (wandering(1.0),), RATE)
    padded = np.pad(wandering(1.0), (0, int(0.4 * RATE)))
    for spec, heard in ((spotter, padded), (dataclasses.replace(spotter, task="classify"),
                                            wandering(1.0))):
        np.testing.assert_array_equal(heard_by(spec, data, "test").sequences[0],
                                      LogMel(spotter.frontend).whole(heard))


def test_numbers_are_judged_by_their_errors(tmp_path):
    run = write_run(tmp_path / "run", Layer("gru", 6), Layer("dense", 2, "number"), labels=2)
    shape = json.loads((run / "architecture.json").read_text())
    shape["task"] = "regress"
    (run / "architecture.json").write_text(json.dumps(shape))
    test = Sequences.load(run / "sequences.npz")
    targets = np.random.default_rng(0).normal(size=(len(test.rows), 2)).astype(np.float32)
    targets[::3] = np.nan
    dataclasses.replace(test, targets=targets).save(run / "sequences.npz")
    report = quantize_run(run, tmp_path / "rul.tflite")
    own = Sequences.load(run / "sequences.npz").of_split("test")
    found = answers(StepModel.open(report.path), Heard(own, ("",) * len(own)), run)
    assert found["reset"]["rmse"] == pytest.approx(report.integers["reset"], abs=1e-5)
    assert found["float_carried"]["rmse"] == pytest.approx(report.floats["carry"], abs=1e-5)
    assert found["reset"]["mae"] < found["reset"]["rmse"]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 12), st.integers(0, 12))
def test_the_paired_test_counts_all_ways_that_are_as_uneven(alone, other):
    first = [True] * alone + [False] * other + [True, False]
    second = [False] * alone + [True] * other + [True, False]
    mine, its, p = mcnemar(first, second)
    assert (mine, its) == (alone, other)
    of = alone + other
    if of <= 10:
        ways = [abs(2 * sum(way) - of) >= abs(alone - other)
                for way in itertools.product((0, 1), repeat=of)]
        assert p == pytest.approx(sum(ways) / len(ways))


def test_the_paired_tests_value_is_that_of_the_tables():
    # R: binom.test(1, 10)$p.value, binom.test(0, 6)$p.value
    assert binomial_p(1, 10) == pytest.approx(0.021484375)
    assert binomial_p(0, 6) == pytest.approx(0.03125)
    assert binomial_p(0, 0) == 1


def test_one_label_alone_can_be_evaluated_on_and_a_report_is_whole(tmp_path):
    pytest.importorskip("matplotlib")
    for i in range(8):
        path = tmp_path / "clips" / "computer" / f"{i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, wandering(1.0, i), RATE)
    soundfile.write(tmp_path / "talk.wav", wandering(30.0, 9), RATE)
    page = tmp_path / "<report>.html"
    done = evaluate(BUNDLED, "--positives", tmp_path / "clips", "--split", "all", "--negatives",
                    tmp_path / "talk.wav", "--against", BUNDLED, "--drift-hours", 0.02, "--json",
                    "--html", page)
    assert done.returncode == 0, done.stderr
    tree = json.loads(done.stdout)
    assert tree["answers"]["sequences"] == 8
    clean, *talked = tree["against"]["words"]
    assert clean["condition"] == "clean"
    assert [each["condition"] for each in talked] == ["over speech", "in speech"]
    assert (clean["found_alone"], clean["found_by_other_alone"], clean["p"]) == (0, 0, 1)
    assert len(tree["drift"]["parts"]) == 4
    assert tree["drift"]["parts"][-1]["hours"] == pytest.approx(0.02, abs=0.01)
    text = page.read_text()
    for said in ("Whole sequences", "Against wakeword.tflite", "sample_rate_hz 16000",
                 "Hours without a reset",
                 "&lt;report&gt;.html", "<svg", tree["sha256"]):
        assert said in text
    assert not re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//""", text)


def test_sensor_sequences_are_evaluated_and_what_needs_audio_is_refused(made, tmp_path):
    report, run, test = made
    data = tmp_path / "rows.npz"
    kept = {name: getattr(test, name) for name in ("rows", "lengths", "labels", "split")}
    # What trains is not looked at, but every label has to be there.
    np.savez(data, **{name: np.concatenate([values, values]) for name, values in kept.items()
                      if name != "split"},
             split=np.array(["test"] * len(test) + ["train"] * len(test)),
             label_names=np.array(bundle.read(report.path).spec.labels))
    done = evaluate(report.path, "--positives", data, "--float", run, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["answers"]
    assert found["sequences"] == len(test)
    assert found["float_reset"]["share"] == pytest.approx(report.floats["reset"])
    done = evaluate(report.path, "--positives", data, "--drift-hours", 1)
    assert done.returncode == 1
    assert "one that does was needed for --negatives, --noise, --against" in done.stderr
    done = evaluate(report.path, "--positives", tmp_path / "none.ts")
    assert done.returncode == 1
    assert "is not there; a data set was needed" in done.stderr


@pytest.fixture
def own(tmp_path):
    """Twenty recordings of nobody in particular, of which no file says what is held out."""
    soundfile = pytest.importorskip("soundfile")
    folder = tmp_path / "own"
    (folder / "computer").mkdir(parents=True)
    for i in range(20):
        soundfile.write(folder / "computer" / f"{i}.wav", wandering(1.0, i), RATE)
    soundfile.write(tmp_path / "talk.wav", wandering(30.0, 99), RATE)
    return folder


HELD = "3 of the 20 that were given: the data has no split {!r} to go by"


def test_how_many_were_judged_is_said_where_the_data_marks_no_split(own, tmp_path):
    pytest.importorskip("matplotlib")
    page = tmp_path / "report.html"
    done = evaluate(BUNDLED, "--positives", own, "--html", page)
    assert done.returncode == 0, done.stderr
    assert HELD.format("test") in " ".join(done.stdout.split())
    assert HELD.format("test") in html.unescape(page.read_text())
    done = evaluate(BUNDLED, "--positives", own, "--json")
    assert json.loads(done.stdout)["judged"] == {"split": "test", "split_here": True, "of": 20,
                                                 "sequences": 3}


def test_nothing_is_said_of_splits_where_all_are_judged_or_the_data_marks_its_own(own):
    lines = [f"computer/{i}.wav,computer,{'test' if i < 4 else 'train'}" for i in range(20)]
    for options in (("--split", "all"), ()):
        if not options:
            (own / "index.csv").write_text("\n".join(["path,label,split", *lines]))
        done = evaluate(BUNDLED, "--positives", own, *options)
        assert done.returncode == 0, done.stderr
        assert "What was judged" not in done.stdout


def test_calibrate_says_how_many_it_heard_where_the_data_marks_no_split(own, tmp_path):
    told = []
    calibrated(BUNDLED, Materials(own, (tmp_path / "talk.wav",), split="validation"), 0.5,
               Means(tell=told.append))
    assert HELD.format("validation") in told[0]
    assert "'validation'" in told[0]
