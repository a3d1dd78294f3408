"""Models that change while they run."""

import dataclasses
import threading
import time

import pytest

from edgernn import bundle
from edgernn.errors import ModelError
from edgernn.frames import Frame
from edgernn.reload import Reloader
from edgernn.spec import DetectorSpec
from edgernn.step import StepModel
from edgernn.stream import Listener, listen
from tests.sounds import RATE, wandering


@pytest.fixture(scope="module")
def model(model_files):
    return StepModel.open(model_files["kws"])


def wait_for(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("waited in vain")


def with_thresholds(path, **thresholds):
    whole = bundle.read(path)
    spec = dataclasses.replace(whole.spec, detector=DetectorSpec(thresholds))
    return bundle.attach(whole.flatbuffer, spec)


@pytest.mark.parametrize("watch", [True, False])
def test_a_changed_file_is_opened_in_another_thread(model_files, tmp_path, watch):
    path = tmp_path / "m.tflite"
    path.write_bytes(model_files["kws"].read_bytes())
    threads = []

    def opened(path):
        threads.append(threading.current_thread())
        return bundle.read(path).spec.detector.thresholds

    reloader = Reloader(path, opened, watch=watch)
    assert reloader.take() is None
    bundle.write(path, with_thresholds(path, label1=0.25))
    if not watch:
        reloader.ask()
    assert wait_for(reloader.take) == {"label1": 0.25}
    assert threads != [threading.current_thread()]
    reloader.close()
    assert reloader.take() is None


@pytest.mark.slow
def test_a_broken_file_is_an_error_and_the_next_good_one_is_taken(model_files, tmp_path):
    path = tmp_path / "m.tflite"
    good = model_files["kws"].read_bytes()
    path.write_bytes(good)
    reloader = Reloader(path, StepModel.open, watch=True)
    path.write_bytes(good[:1000])

    def refused():
        try:
            return reloader.take() and pytest.fail("a broken file was opened")
        except ModelError:
            return True

    wait_for(refused)
    bundle.write(path, good)
    assert isinstance(wait_for(reloader.take), StepModel)
    path.unlink()
    time.sleep(1.2)
    assert reloader.take() is None  # a file that is gone for a moment is no change
    reloader.close()


def steps(listener_of, pieces, change):
    """Scores with their times, `change` being made after the first piece."""
    found = []
    listener = listener_of(lambda s, t: found.append((t, *s.tolist())))
    for number, (samples, at) in enumerate(pieces):
        list(listener.push(Frame(samples, at)))
        if not number:
            change(listener)
    list(listener.flush())
    return found, listener


def test_a_new_threshold_changes_neither_state_nor_clock(model):
    sound = wandering(2.0)
    pieces = [(sound[:RATE + 77], 0.0), (sound[RATE + 77:], 1.0)]
    same = StepModel(dataclasses.replace(model.spec, detector=DetectorSpec({"label2": 0.01})),
                     model.graph, model.runtime)
    found, listener = steps(lambda tell: Listener(model.fork(), on_scores=tell), pieces,
                            lambda listener: listener.replace(same.fork()))
    whole = []
    list(listen([Frame(sound, 0.0)], Listener(model.fork(), on_scores=lambda s, t: whole.append(
        (t, *s.tolist())))))
    assert found == whole
    assert listener.detector.spec.thresholds == {"label2": 0.01}


def test_another_model_begins_from_reset_and_hears_every_sample(model, tmp_path):
    pytest.importorskip("tensorflow", reason="makes a model")
    from edgernn.spec import LogMelSpec
    from edgernn.train.architecture import Layer
    from tests.models import write_model

    path = write_model(tmp_path / "n.tflite", Layer("lstm", 8), frontend=LogMelSpec())
    other = StepModel.open(path)
    sound = wandering(2.0)
    pieces = [(sound[:16000], 0.0), (sound[16000:], 1.0)]
    found, _ = steps(lambda tell: Listener(model.fork(), on_scores=tell), pieces,
                     lambda listener: listener.replace(other.fork()))
    alone = []
    # The 49 steps whose windows ended in the first second were the old model's.
    list(listen([Frame(sound[49 * 320:], 0.0)], Listener(other.fork(), on_scores=lambda s, t: (
        alone.append((round(t + 49 * 0.02, 6), *s.tolist()))))))
    assert [(round(row[0], 6), *row[1:]) for row in found[49:]] == alone
    assert len(found) == len(alone) + 49


def test_a_model_of_another_input_is_refused(model, model_files):
    listener = Listener(model.fork())
    with pytest.raises(ModelError, match="Start the stream again"):
        listener.replace(StepModel.open(model_files["gru"]))
