"""The models of pymicro-wakeword, beside that package itself."""

import json
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn import bundle, interpreter
from edgernn.errors import ModelError
from edgernn.foreign import manifest
from edgernn.frames import Frame
from edgernn.frontend import make_frontend
from edgernn.graph import Tensor
from edgernn.sources.wav import WavSource
from edgernn.step import StepModel
from edgernn.stream import Listener, listen

pymicro = pytest.importorskip("pymicro_wakeword", reason="needs pip install pymicro-wakeword")
MODELS = Path(pymicro.__file__).parent / "models"
WORDS = sorted(path.stem for path in MODELS.glob("*.json"))
DEMO = Path(bundle.__file__).parent / "models" / "demo.wav"
needs_litert = pytest.mark.skipif("litert" not in interpreter.available(),
                                  reason="needs pip install ai-edge-litert")


def audio():
    """Two speakers and noise, in 16-bit samples at 16 kHz."""
    return np.concatenate([frame.samples for frame in WavSource(str(DEMO), 16000, 16000, "test")])


def with_cutoff(word, cutoff, folder):
    """The manifest and the model of a word, with another cutoff."""
    shutil.copy(MODELS / f"{word}.tflite", folder)
    tree = json.loads((MODELS / f"{word}.json").read_bytes())
    tree["micro"]["probability_cutoff"] = cutoff
    path = folder / f"{word}.json"
    path.write_text(json.dumps(tree))
    return path


def package(path, samples):
    """Codes of every step, and whether the package's rule says that the word was said."""
    model = pymicro.MicroWakeWord.from_config(path)
    codes, fires = [], []
    for row in pymicro.MicroWakeWordFeatures().process_streaming(samples.tobytes()):
        is_step = len(model._features) == model.stride - 1
        fired = model.process_streaming(row)
        if is_step:
            codes.append(round(256 * model._probabilities[-1]))
            fires.append(fired)
    return codes, fires


def ours(path, samples, backend="auto", block=1600, **options):
    """Codes and times of every step, and detections."""
    model = StepModel.open(path, backend, **options)
    codes, times = [], []

    def keep(scores, time_s):
        codes.append(round(256 * float(scores[0])))
        times.append(time_s)

    listener = Listener(model, on_scores=keep)
    frames = (Frame(samples[at:at + block], at / 16000) for at in range(0, len(samples), block))
    return codes, times, list(listen(frames, listener))


@needs_litert
@pytest.mark.parametrize("word", WORDS)
def test_every_score_is_the_packages_own(word):
    path, samples = MODELS / f"{word}.json", audio()
    want, _ = package(path, samples)
    assert len(want) == 237
    assert ours(path, samples)[0] == want


@needs_litert
@pytest.mark.parametrize(("word", "cutoff"), [("alexa", 0.05), ("alexa", 0.1), ("okay_nabu", 0.1)])
def test_it_fires_at_the_steps_at_which_the_package_begins_to(word, cutoff, tmp_path):
    path, samples = with_cutoff(word, cutoff, tmp_path), audio()
    _, fires = package(path, samples)
    _, times, found = ours(path, samples)
    # The package says so at every step above the cutoff; a detector once, when it begins.
    begins = [t for t, before, now in zip(times, [False, *fires], fires, strict=False)
              if now and not before]
    assert begins
    assert [one.time_s for one in found] == begins


@needs_litert
@given(st.integers(1, 4000))
@settings(max_examples=8, deadline=None)
def test_scores_do_not_depend_on_how_audio_is_cut(block):
    samples = audio()[:32000]
    want = ours(MODELS / "alexa.json", samples)
    assert ours(MODELS / "alexa.json", samples, block=block) == want


@needs_litert
def test_states_can_be_saved_held_and_reset():
    model = StepModel.open(MODELS / "alexa.json")
    rows = model.encode(make_frontend(model.spec.frontend).whole(audio()))

    def scores(some):
        return [float(model.step(row)[0]) for row in some]

    whole = scores(rows)
    middle = int(np.argmax(whole)) - 1
    model.reset()
    assert scores(rows[:middle]) == whole[:middle]
    saved = model.state()
    assert model.hold()[0] == whole[middle - 1]
    assert scores(rows[middle:]) == whole[middle:]
    assert scores(rows[middle:]) != whole[middle:]
    model.restore(saved)
    assert scores(rows[middle:]) == whole[middle:]


@pytest.mark.parametrize("backend", sorted({"litert", "tflite-runtime", "tflm"}
                                           & set(interpreter.available())))
def test_other_interpreters_round_a_step_or_two_otherwise(backend):
    samples = audio()
    want, _ = package(MODELS / "alexa.json", samples)
    got = ours(MODELS / "alexa.json", samples, backend)[0]
    assert np.abs(np.array(got) - want).max() <= 4
    assert max(want) > 40


def test_the_model_beside_its_manifest_is_described_by_it(tmp_path):
    for name in ("alexa.json", "alexa.tflite"):
        shutil.copy(MODELS / name, tmp_path)
    by_json, by_model = (bundle.read(tmp_path / f"alexa.{kind}").spec
                         for kind in ("json", "tflite"))
    assert by_json == by_model
    assert by_json.labels == ("Alexa",)


def test_the_model_without_its_manifest_takes_rows(tmp_path):
    shutil.copy(MODELS / "alexa.tflite", tmp_path)
    spec = bundle.read(tmp_path / "alexa.tflite").spec
    assert (spec.frontend.kind, spec.frontend.width, spec.labels) == (
        "standardize", 120, ("score0",))


# ---- the rule ---------------------------------------------------------------------------

SCORES = Tensor("scores", (1, 1), "uint8", (1 / 256,), (0,), 0, None)


@given(st.floats(0.01, 0.99) | st.integers(1, 255).map(lambda q: q / 256)
       | st.integers(1, 99).map(lambda p: p / 100), st.integers(1, 128))
@settings(max_examples=300)
def test_the_threshold_parts_the_sums_that_the_cutoff_parts(cutoff, window):
    fire = window * round(32768 * manifest.threshold(cutoff, window, SCORES))
    for total in range(max(0, int(cutoff * 256 * window) - 3),
                       min(255 * window, int(cutoff * 256 * window) + 3)):
        assert (128 * total >= fire) == (float(Fraction(total, 256 * window)) > cutoff)


# ---- refusals ---------------------------------------------------------------------------


@pytest.mark.parametrize(("damage", "found"), [
    ({"version": 1}, "version 1; 2 was needed"), ({"type": "snowboy"}, "'snowboy'"),
    ({"micro": None}, "micro None; a dict"), ({"wake_word": 3}, "wake_word 3; a str"),
    ({"feature_step_size": 20}, "feature_step_size 20"), ({"probability_cutoff": 0}, "cutoff 0"),
    ({"sliding_window_size": "5"}, "'5'; a int"), ({"model": "no.tflite"}, "'no.tflite'.*beside")])
def test_a_manifest_that_cannot_be_followed_is_refused(damage, found, tmp_path):
    shutil.copy(MODELS / "alexa.tflite", tmp_path)
    tree = json.loads((MODELS / "alexa.json").read_bytes())
    for key, value in damage.items():
        (tree["micro"] if key in tree["micro"] else tree)[key] = value
    path = tmp_path / "word.json"
    path.write_text(json.dumps(tree))
    with pytest.raises(ModelError, match=found):
        bundle.read(path)


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"3", b"[" * 100_000])
def test_a_json_that_is_no_manifest_is_refused(text, tmp_path):
    path = tmp_path / "word.json"
    path.write_bytes(text)
    with pytest.raises(ModelError, match="manifest of version 2"):
        bundle.read(path)


# ---- the command line -------------------------------------------------------------------


def run(*words):
    return subprocess.run([sys.executable, "-m", "edgernn", *map(str, words)],
                          capture_output=True, text=True, check=False)


@needs_litert
def test_the_command_line_hears_the_word(tmp_path):
    with_cutoff("alexa", 0.1, tmp_path)
    done = run("stream", "--model", tmp_path / "alexa.tflite", "--input", DEMO)
    assert json.loads(done.stdout)["label"] == "Alexa", done.stderr
    assert "litert-builtin, listening for Alexa at 0.1" in done.stderr


def test_info_shows_states_labels_and_origin():
    done = run("info", MODELS / "okay_nabu.json", "--json")
    tree = json.loads(done.stdout)
    assert tree["labels"] == ["Okay Nabu"]
    assert len(tree["states"]) == 6
    assert tree["provenance"]["author"] == "Kevin Ahrendt"
    assert done.returncode == run("info", MODELS / "okay_nabu.json").returncode == 0
