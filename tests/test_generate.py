"""What a model goes on with, and how the dice are thrown."""

import numpy as np
import pytest

from edgernn.errors import ConfigError, ModelError
from edgernn.generate import Generator
from edgernn.sinks import midi
from edgernn.step import StepModel
from tests import models


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    """A model of 12 notes."""
    return StepModel.open(models.next_rows(tmp_path_factory.mktemp("notes")))


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    """A model of four letters."""
    return StepModel.open(models.next_tokens(tmp_path_factory.mktemp("letters")))


BEGIN = np.eye(12, dtype=np.float32)[:3]


def test_the_same_seed_gives_the_same_sequence_and_another_another(notes):
    def made(seed):
        return np.array(list(Generator(notes, seed=seed).rows(BEGIN, 40)))

    np.testing.assert_array_equal(made(1), made(1))
    assert (made(1) != made(2)).any()


def test_no_more_than_top_k_notes_sound(notes):
    rows = np.array(list(Generator(notes, temperature=3.0, top_k=2).rows(BEGIN, 60)))
    assert rows.sum(axis=1).max() <= 2
    assert set(np.unique(rows)) <= {0.0, 1.0}


def test_without_temperature_nothing_is_left_to_chance(notes):
    first, second = (np.array(list(Generator(notes, 0.0, seed=s).rows(BEGIN, 30))) for s in (1, 2))
    np.testing.assert_array_equal(first, second)


def test_what_was_played_before_does_not_reach_the_next_piece(notes):
    generator = Generator(notes, 0.0)
    first = np.array(list(generator.rows(BEGIN, 20)))
    list(generator.rows(1 - BEGIN, 20))
    np.testing.assert_array_equal(first, np.array(list(generator.rows(BEGIN, 20))))


def test_each_step_follows_the_model_fed_with_the_steps_before(notes):
    rows = list(Generator(notes, 0.0).rows(BEGIN, 10))
    stream = notes.fork()
    for frame in BEGIN:
        scores = stream.step(frame)
    for row in rows:
        np.testing.assert_array_equal(row, scores >= 0.5)
        scores = stream.step(row)


def test_a_text_ends_where_the_model_ends_it_or_after_so_many_steps(letters):
    found = "".join(Generator(letters, seed=3).text("ab", 50))
    assert len(found) <= 50
    assert set(found) <= set("abcd")


def test_nothing_to_begin_a_text_with_is_said(letters):
    with pytest.raises(ModelError, match="--begin"):
        list(Generator(letters).text("", 5))


def test_a_classifier_does_not_generate(tmp_path):
    with pytest.raises(ModelError, match="task next"):
        Generator(StepModel.open(models.write_model(tmp_path / 'm.tflite')))


def test_a_midi_file_holds_the_notes_at_their_times(tmp_path):
    mido = pytest.importorskip("mido", reason="the extra `midi` is not installed")
    midi.write(tmp_path / "piece.mid", [[60, 64], [60], [], [67]])
    at, events = 0, []
    for message in mido.MidiFile(tmp_path / "piece.mid").tracks[0]:
        at += message.time
        if message.type in ("note_on", "note_off"):
            events.append((at // midi.TICKS, message.type, message.note))
    assert events == [(0, "note_on", 60), (0, "note_on", 64), (1, "note_off", 64),
                      (2, "note_off", 60), (3, "note_on", 67), (4, "note_off", 67)]


def test_a_note_that_midi_has_not_is_refused(tmp_path):
    pytest.importorskip("mido", reason="the extra `midi` is not installed")
    with pytest.raises(ConfigError, match="note 200"):
        midi.write(tmp_path / "piece.mid", [[200]])
    assert not (tmp_path / "piece.mid").exists()
