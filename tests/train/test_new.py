"""A wake word from nothing, in one command."""

import dataclasses
import os
import subprocess
import sys

import pytest

from edgernn import bundle
from edgernn.errors import DataError, OutputError
from edgernn.step import StepModel
from edgernn.train import new
from tests.sounds import RATE, wandering

pytest.importorskip("espeakng_loader", reason='pip install "edgernn[synth]"')
pytest.importorskip("tensorflow", reason='pip install "edgernn[train]"')


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(new, "RECIPE", dataclasses.replace(
        new.RECIPE, units=8, layers=1, front=8, scenes=30))


def order(tmp_path, **changes):
    return new.Order(**({"phrases": ("hey robot",), "out": tmp_path / "made", "count": 60,
                         "epochs": 1, "rooms": 0} | changes))


@pytest.mark.slow
def test_a_phrase_becomes_a_model_and_a_report_and_is_not_learned_twice(tmp_path):
    stages = []
    wanted = order(tmp_path)
    tree = new.make(wanted, "edgernn new <it>", new.Watch(stages.append))
    assert stages == ["speaking", "training", "quantizing", "choosing thresholds", "evaluating"]
    model = StepModel.open(wanted.model)
    assert model.labels == ("_other_", "hey robot")
    assert model.spec.detector is not None
    assert tree["words"][0]["said"] == 6  # a tenth is spoken by voices that are only tested on
    assert {"float_reset", "float_carried"} <= tree["answers"].keys()
    assert "edgernn new &lt;it&gt;" in (wanted.out / "report.html").read_text()
    assert f"edgernn stream --model {wanted.model}" in (wanted.out / "README.md").read_text()
    assert sorted(os.listdir(wanted.out)) == ["README.md", "data", "hey-robot.tflite",
                                              "order.json", "report.html", "run"]
    trained = (wanted.run / "metrics.json").stat().st_mtime_ns
    assert new.make(wanted, "edgernn new <it>")["words"] == tree["words"]
    assert (wanted.run / "metrics.json").stat().st_mtime_ns == trained
    with pytest.raises(OutputError, match="made with another epochs"):
        new.make(order(tmp_path, epochs=2), "edgernn new <it>")
    assert not bundle.read(wanted.model).foreign


def test_thresholds_are_chosen_on_sentences_and_judged_on_what_sounds_alike_too(tmp_path):
    wanted = order(tmp_path)
    wanted.data.mkdir(parents=True)
    (wanted.data / "index.csv").write_text(
        "path,label,speaker,split,accent,text\n"
        "a.wav,_other_,f1,validation,en,the weather\n"
        "b.wav,_other_,f1,validation,en,[[heI l'oUbO2t]]\n"
        "c.wav,_other_,f2,test,en,good morning\n"
        "d.wav,hey robot,f1,validation,en,hey robot\n")
    names = {alike: [path.name for path in new._materials(wanted, "validation", alike).negatives]
             for alike in (True, False)}
    assert names == {True: ["a.wav", "b.wav"], False: ["a.wav"]}


def recorded(folder, count=8, broken=True):
    """A folder of recordings, one of which may be none."""
    soundfile = pytest.importorskip("soundfile")
    folder.mkdir(parents=True)
    for i in range(count):
        soundfile.write(folder / f"{i}.wav", wandering(1.0, i), RATE)
    if broken:
        (folder / "broken.wav").write_bytes(b"RIFF")
    return folder


@pytest.mark.slow
def test_what_is_left_out_of_what_is_given_is_told_once(tmp_path):
    recorded(tmp_path / "own" / "hey robot")
    wanted = order(tmp_path, positives=tmp_path / "own",
                   negatives=(recorded(tmp_path / "negatives"),),
                   noise=(recorded(tmp_path / "noise"),))
    for again in range(2):  # noise is heard again where thresholds are chosen and judged
        told = []
        new.make(wanted, "edgernn new", new.Watch(tell=told.append))
        names = sorted(line.split(":")[0] for line in told if "broken.wav" in line)
        assert names == [f"skipped {tmp_path / where / 'broken.wav'}" for where in
                         (("noise",) if again else ("negatives", "noise", "own/hey robot"))]


def test_the_command_names_what_it_leaves_out(tmp_path):
    recorded(tmp_path / "own" / "hello robot")
    done = subprocess.run([sys.executable, "-m", "edgernn", "new", "hey robot", "--positives",
                           str(tmp_path / "own"), "--out", str(tmp_path / "made")],
                          capture_output=True, text=True)
    assert f"skipped {tmp_path / 'own' / 'hello robot' / 'broken.wav'}: broken: " in done.stderr
    assert "a folder named 'hey robot' was needed" in done.stderr


@pytest.mark.parametrize("what", ["positives", "negatives", "noise"])
def test_what_cannot_be_learned_from_is_refused_before_the_order_is_kept(tmp_path, what):
    """So that a corrected one is no other order."""
    folder = recorded(tmp_path / "own" / "hey robot", 0)
    changes = tmp_path / "own" if what == "positives" else (folder,)
    wanted = order(tmp_path, **{what: changes})
    with pytest.raises(DataError, match="can be used"):
        new.make(wanted, "edgernn new")
    assert not wanted.out.exists()


@pytest.mark.parametrize("what", ["positives", "negatives", "noise"])
def test_what_was_made_of_other_recordings_is_not_gone_on_with(tmp_path, monkeypatch, what):
    folder = recorded(tmp_path / "own" / "hey robot")
    changes = tmp_path / "own" if what == "positives" else (folder,)
    wanted = order(tmp_path, **{what: changes})
    monkeypatch.setattr(new.corpus, "make", lambda *args, **how: 1 / 0)
    for i in range(3):  # until something was learned of them, they may change
        with pytest.raises(ZeroDivisionError):
            new.make(wanted, "edgernn new")
        (folder / f"{i}.wav").unlink()
    wanted.run.mkdir()
    with pytest.raises(OutputError, match=f"made with another {what} content"):
        new.make(wanted, "edgernn new")


@pytest.mark.slow
def test_recordings_of_something_else_are_refused_before_anything_is_learned(tmp_path):
    recorded(tmp_path / "own" / "hello robot", broken=False)
    wanted = order(tmp_path, positives=tmp_path / "own")
    with pytest.raises(DataError, match="a folder named 'hey robot' was needed"):
        new.make(wanted, "edgernn new")
    assert not wanted.run.exists()
    assert not wanted.out.exists()
