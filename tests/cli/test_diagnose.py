"""The page that `edgernn diagnose` writes, and what it says of runs that it cannot examine."""

import json
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from edgernn.train.architecture import Layer
from edgernn.train.diagnose import diagnose, summary
from edgernn.train.diagnose.page import page
from edgernn.train.sequences import Sequences
from tests.train.diagnose.runs import GRU, LSTM, RNN, examined, write_run

pytestmark = pytest.mark.slow


class Figures(HTMLParser):
    """Ids of the figures, how many hold a plot, and whatever would be fetched."""

    def __init__(self):
        super().__init__()
        self.ids, self.plots, self.fetched, self.open = [], 0, [], []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if tag not in ("meta", "br", "link", "img"):
            self.open.append(tag)
        if tag == "figure":
            self.ids.append(found["id"])
        if tag == "svg" and "aria-label" in found:
            self.plots += 1
        if tag in ("script", "link", "iframe"):
            self.fetched.append(tag)
        self.fetched += [value for name, value in attributes
                         if name in ("src", "href", "xlink:href")
                         and not value.startswith(("#", "data:"))]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def command(*arguments, blocked=()):
    code = (f"import sys\nfor name in {blocked!r}: sys.modules[name] = None\n"
            f"from edgernn.cli.main import main\nmain({['diagnose', *map(str, arguments)]!r})")
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_the_command_writes_a_page_that_stands_alone_without_tensorflow(tmp_path):
    run = write_run(tmp_path / "run", LSTM, GRU)
    done = command(run, blocked=("tensorflow", "keras"))
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed["report"] == str(run / "diagnose.html")
    assert printed["gradient"]["verdict"] in ("vanishing", "healthy", "exploding")
    assert [state["name"] for state in printed["states"]] == ["lstm0_h", "lstm0_c", "gru1_h"]
    assert "Gradient" in done.stderr
    parsed = Figures()
    parsed.feed((run / "diagnose.html").read_text(encoding="utf-8"))
    assert parsed.open == []
    assert parsed.fetched == []
    states = ("lstm0_h", "lstm0_c", "gru1_h")
    assert set(parsed.ids) == {
        "gradient", "gradient-states", "gates", "stream", "forgetting",
        *(f"gate-{gate['name']}" for gate in printed["gates"]),
        *(f"{kind}-{name}" for kind in ("state", "updates", "worst") for name in states)}
    assert parsed.plots == len(parsed.ids)


def test_the_same_run_gives_the_same_page(tmp_path):
    run = write_run(tmp_path / "run", RNN, count=8)
    assert page(diagnose(run)) == page(diagnose(run))


def test_as_many_sequences_as_asked_for_are_looked_at(tmp_path):
    run = write_run(tmp_path / "run", RNN)
    assert summary(diagnose(run, 3))["sequences"] == 3
    assert summary(diagnose(run, 1000))["sequences"] == 12


def test_one_sequence_of_one_frame_is_enough(tmp_path):
    found = examined(tmp_path, GRU, count=2, longest=1)
    assert found.frames == 1
    assert "<figure" in page(found)


def _no_sequences(run):
    whole = Sequences.load(run / "sequences.npz")
    whole.where(whole.lengths < 0).save(run / "sequences.npz")


def _nan(run):
    with np.load(run / "weights.npz") as file:
        arrays = dict(file)
    arrays["0/kernel"][0, 0] = np.nan
    np.savez(run / "weights.npz", **arrays)


def _no_architecture(run):
    (run / "architecture.json").unlink()


@pytest.mark.parametrize(("harm", "said"), [
    (_no_sequences, "0 sequences"), (_nan, "training diverged"),
    (_no_architecture, "architecture.json is missing")])
def test_a_run_that_cannot_be_examined_is_one_clear_error(tmp_path, harm, said):
    run = write_run(tmp_path / "run", GRU)
    harm(run)
    done = command(run)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (run / "diagnose.html").exists()


def test_a_network_without_a_state_is_one_clear_error(tmp_path):
    run = write_run(tmp_path / "run", Layer("dense", 6, "relu"))
    done = command(run)
    assert done.returncode == 1
    assert "no layer with a state" in done.stderr


def test_a_state_that_grows_without_bound_is_one_clear_error(tmp_path):
    def edit(arrays):
        arrays["0/recurrent_kernel"] = np.eye(8, dtype=np.float32) * 30

    done = command(write_run(tmp_path / "run", Layer("simple_rnn", 8, "relu"), edit=edit))
    assert done.returncode == 1
    assert "simple_rnn0_" in done.stderr
    assert "stays bounded" in done.stderr


def test_missing_matplotlib_is_said_before_the_work(tmp_path):
    done = command(write_run(tmp_path / "run", GRU), blocked=("matplotlib",))
    assert done.returncode == 1
    assert 'pip install "edgernn[train]"' in done.stderr
