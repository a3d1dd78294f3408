"""Clips of one's own: found, judged, trimmed, kept."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.errors import OutputError
from edgernn.recording.clips import Clips
from edgernn.recording.takes import LONGEST_S, MARGIN_S, Takes

RATE = 16000


def room(seconds, level=30.0, seed=0):
    return np.random.default_rng(seed).normal(0, level, int(seconds * RATE))


def said(seconds=0.5, level=4000.0, seed=1):
    """A word: noise that swells and falls."""
    count = int(seconds * RATE)
    return np.random.default_rng(seed).normal(0, level, count) * np.hanning(count + 2)[1:-1] ** 0.3


def audio(*parts):
    return np.clip(np.concatenate(parts), -32768, 32767).astype(np.int16)


def taken(samples, cuts=()):
    takes = Takes(RATE)
    return [take for piece in np.split(samples, sorted(cuts)) for take in takes.push(piece)]


def test_words_are_found_trimmed_and_told_apart_from_the_room():
    found = taken(audio(room(1), said(), room(1), said(0.8, seed=2), room(1)))
    assert [take.fault for take in found] == ["", ""]
    for take, seconds in zip(found, (0.5, 0.8), strict=True):
        assert len(take.samples) / RATE == pytest.approx(seconds + 2 * MARGIN_S, abs=0.1)
        assert take.loud_dbfs - take.floor_dbfs > 30
    quiet = found[0].samples[:int(0.1 * RATE)].astype(float)
    assert np.sqrt(np.mean(quiet**2)) < 100


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 3 * RATE), max_size=8))
def test_how_audio_is_cut_into_pieces_changes_nothing(cuts):
    samples = audio(room(1), said(), room(0.7), said(0.3, seed=3), room(0.8))
    whole, pieces = taken(samples), taken(samples, cuts)
    assert len(whole) == len(pieces) == 2
    for a, b in zip(whole, pieces, strict=True):
        np.testing.assert_array_equal(a.samples, b.samples)
        assert (a.fault, a.floor_dbfs) == (b.fault, b.floor_dbfs)


def test_a_word_that_the_end_of_the_audio_cuts_short_of_quiet_is_still_found():
    takes = Takes(RATE)
    assert not takes.push(audio(room(1), said(), room(0.1)))
    (take,) = takes.end()
    assert not take.fault
    assert not takes.end()


def test_a_word_in_whose_middle_the_audio_ends_is_not_kept():
    takes = Takes(RATE)
    assert not takes.push(audio(room(1), said()[:RATE // 4]))
    (take,) = takes.end()
    assert "in the middle of it" in take.fault


def test_clips_without_an_index_stay_known_and_deleted_ones_are_not_counted(tmp_path):
    clips = Clips(tmp_path, RATE)
    (tmp_path / "yes").mkdir()
    (tmp_path / "yes" / "mine.wav").write_bytes(b"RIFF")
    kept = [clips.add("yes", "me", audio(said())) for _ in range(2)]
    assert [line["path"] for line in clips.lines()] == [
        "yes/mine.wav", "yes/0000.wav", "yes/0001.wav"]
    kept[0].unlink()
    assert clips.count("yes", "me") == 1


@pytest.mark.parametrize(("sound", "what"), [
    (audio(room(1), said(level=400), room(1)), "Speak up"),
    (audio(room(1), said(level=60000), room(1)), "full scale: too loud"),
    (audio(room(1, 900), said(level=3400), room(1, 900, 5)), "dB over the room"),
    (audio(room(1), said(0.08), room(1)), "a click"),
    (audio(room(1), said(LONGEST_S + 1), room(1)), "one word at a time")])
def test_a_bad_clip_says_what_is_wrong_and_what_to_do(sound, what):
    found = taken(sound)
    assert found
    assert what in found[0].fault


def test_nothing_is_found_in_a_room_that_slowly_grows_louder():
    assert not taken(audio(*(room(1, 30 * 1.4**i, i) for i in range(10))))


def record(*arguments):
    return subprocess.run([sys.executable, "-m", "edgernn", "record", *map(str, arguments)],
                          capture_output=True, text=True)


@pytest.fixture
def spoken(tmp_path):
    return session(tmp_path / "session.wav", range(9))


def session(path, seeds):
    """A recording of words, one a seed."""
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(path, audio(room(1), *(part for i in seeds for part in
                                           (said(seed=i), room(1, seed=i)))), RATE)
    return path


def kept(out):
    """The samples of all clips in a folder."""
    import soundfile

    return [soundfile.read(path, dtype="int16")[0] for path in sorted(out.glob("*/*.wav"))]


def test_a_session_is_kept_and_the_next_one_goes_on(spoken, tmp_path):
    out = tmp_path / "clips"
    done = record("--label", "computer", "--count", 3, "--out", out, "--input", spoken)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"out": str(out), "label": "computer", "kept": 3, "there": 3}
    assert "[1/3] say 'computer'" in done.stderr
    done = record("--label", "computer", "--count", 5, "--out", out, "--input", spoken)
    assert json.loads(done.stdout)["there"] == 5
    done = record("--label", "computer", "--count", 30, "--out", out, "--input", spoken)
    assert "the audio ended with 9 of 30" in done.stderr
    done = record("--label", "alexa", "--count", 3, "--out", out, "--input",
                  session(tmp_path / "other.wav", range(20, 24)))
    assert done.returncode == 0
    with (out / "index.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["path"] for line in lines[:2]] == ["computer/0000.wav", "computer/0001.wav"]
    from edgernn.train.readers import read

    data = read(out)
    assert data.labels == ("alexa", "computer")
    assert len(data.recordings) == 12


def test_a_word_of_a_recording_is_taken_once_however_often_it_is_gone_on_with(spoken, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "clips"
    record("--label", "computer", "--count", 9, "--out", whole, "--input", spoken)
    for label, speaker, count in (("computer", "", 2), ("computer", "ann", 3), ("alexa", "", 3)):
        done = record("--label", label, "--speaker", speaker, "--count", count, "--out", out,
                      "--input", spoken)
        assert done.returncode == 0, done.stderr
    assert "s of this recording before" in done.stderr
    moved = spoken.rename(tmp_path / "moved.wav")
    assert record("--label", "computer", "--count", 3, "--out", out, "--input",
                  moved).returncode == 0
    assert len(kept(out)) == 9
    assert {one.tobytes() for one in kept(out)} == {one.tobytes() for one in kept(whole)}
    done = record("--label", "computer", "--count", 4, "--out", out, "--input", moved)
    assert done.returncode == 1
    assert "Give another recording" in done.stderr
    assert len(kept(out)) == 9


def test_clips_that_were_deleted_are_taken_again(spoken, tmp_path):
    found = []
    for _ in range(2):
        done = record("--label", "computer", "--count", 2, "--out", tmp_path / "clips", "--input",
                      spoken)
        assert done.returncode == 0, done.stderr
        found.append([one.tobytes() for one in kept(tmp_path / "clips")])
        for path in (tmp_path / "clips").glob("*/*.wav"):
            path.unlink()
    assert found[0] == found[1]


def test_a_room_in_a_recording_is_kept_once_to_its_end(spoken, tmp_path):
    import soundfile

    out, codes = tmp_path / "clips", []
    for _ in range(4):
        codes.append(record("--label", "room", "--background", 0.1, "--out", out, "--input",
                            spoken).returncode)
    assert codes == [0, 0, 0, 1]
    np.testing.assert_array_equal(np.concatenate(kept(out)),
                                  soundfile.read(spoken, dtype="int16")[0])


def test_an_index_from_before_recordings_were_known_again_is_gone_on_with(spoken, tmp_path):
    out = tmp_path / "clips"
    (out / "computer").mkdir(parents=True)
    (out / "computer" / "0000.wav").write_bytes(b"RIFF")
    (out / "index.csv").write_text("path,label,speaker\ncomputer/0000.wav,computer,\n")
    done = record("--label", "computer", "--count", 3, "--out", out, "--input", spoken)
    assert json.loads(done.stdout)["there"] == 3
    assert len((out / "index.csv").read_text().splitlines()) == 4


def forget_sources(out):
    """As an index was before it said of what recording a clip is."""
    with (out / "index.csv").open(newline="") as file:
        lines = [f"{line['path']},{line['label']},{line['speaker']}\n"
                 for line in csv.DictReader(file)]
    (out / "index.csv").write_text("".join(["path,label,speaker\n", *lines]))


def test_clips_of_an_older_index_are_known_again_by_their_samples(spoken, tmp_path):
    out = tmp_path / "clips"
    record("--label", "computer", "--count", 3, "--out", out, "--input", spoken)
    forget_sources(out)
    for label, count in (("computer", 4), ("alexa", 1), ("computer", 30)):
        done = record("--label", label, "--count", count, "--out", out, "--input", spoken)
        assert done.returncode == 0, done.stderr
        assert "s of this recording before" in done.stderr
    assert len(kept(out)) == len({one.tobytes() for one in kept(out)}) == 9
    forget_sources(out)
    done = record("--label", "computer", "--count", 30, "--out", out, "--input", spoken)
    assert done.returncode == 1
    assert "Give another recording" in done.stderr
    assert record("--label", "computer", "--count", 9, "--out", out, "--input",
                  session(tmp_path / "other.wav", [20])).returncode == 0


def test_a_room_of_an_older_index_is_known_again_by_its_samples(spoken, tmp_path):
    import soundfile

    out = tmp_path / "clips"
    for minutes in (0.1, 0.05, 1):
        done = record("--label", "room", "--background", minutes, "--out", out, "--input", spoken)
        assert done.returncode == 0, done.stderr
        forget_sources(out)
    np.testing.assert_array_equal(np.concatenate(kept(out)),
                                  soundfile.read(spoken, dtype="int16")[0])


@pytest.mark.parametrize("rate", [8000, 22050])
def test_the_same_words_are_found_whatever_rate_is_kept(spoken, tmp_path, rate):
    import soundfile

    def lengths(rate):
        out = tmp_path / str(rate)
        done = record("--label", "computer", "--count", 4, "--out", out, "--input", spoken,
                      "--rate", rate)
        assert done.returncode == 0, done.stderr
        found = [soundfile.info(path) for path in sorted(out.glob("computer/*.wav"))]
        assert {one.samplerate for one in found} == {rate}
        return [one.duration for one in found]

    assert lengths(rate) == pytest.approx(lengths(RATE), abs=0.04)  # two blocks of loudness


def test_speakers_are_counted_apart(tmp_path):
    clips = Clips(tmp_path, RATE)
    for speaker in ("ann", "bob", "ann"):
        clips.add("computer", speaker, audio(room(0.5)))
    assert (clips.count("computer", "ann"), clips.count("computer", "bob")) == (2, 1)
    assert (clips.count("alexa", "ann"), clips.count("computer", "")) == (0, 0)


def test_a_room_is_kept_whole(spoken, tmp_path):
    done = record("--label", "room", "--background", 0.05, "--out", tmp_path / "clips", "--input",
                  spoken)
    assert done.returncode == 0, done.stderr
    import soundfile

    samples, rate = soundfile.read(tmp_path / "clips" / "room" / "0000.wav", dtype="int16")
    assert len(samples) == 3 * rate


def test_a_room_too_short_to_learn_from_is_refused(spoken, tmp_path):
    done = record("--label", "room", "--background", 1e-7, "--out", tmp_path / "clips", "--input",
                  spoken)
    assert done.returncode == 2
    assert "x>=0.02" in done.stderr
    assert not (tmp_path / "clips").exists()


def test_no_sliver_of_a_room_is_kept(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    out, minute = tmp_path / "clips", audio(room(60.001))
    soundfile.write(tmp_path / "room.wav", minute, RATE)
    soundfile.write(tmp_path / "tiny.wav", minute[-16:], RATE)
    given = "--label", "room", "--out", out, "--background"
    assert record(*given, 1, "--input", tmp_path / "room.wav").returncode == 0
    for minutes, name, what in ((1, "room.wav", "nothing to keep was found behind the first 60.00"),
                                (0.02, "tiny.wav", "nothing was heard, or less than 1 s")):
        done = record(*given, minutes, "--input", tmp_path / name)
        assert done.returncode == 1
        assert what in done.stderr
    assert [len(one) for one in kept(out)] == [60 * RATE]


class UnpluggedError(Exception):
    pass


def test_a_microphone_that_goes_away_costs_none_of_the_room_before_it(tmp_path):
    from edgernn.cli.record import _room
    from edgernn.frames import Frame

    def heard():
        for second in range(130):
            yield Frame(audio(room(1, seed=second)), float(second))
        raise UnpluggedError

    clips = Clips(tmp_path, RATE)
    with pytest.raises(UnpluggedError):
        _room(clips, "room", "", heard(), 10)
    kept = sorted(path.stat().st_size for path in (tmp_path / "room").glob("*.wav"))
    assert [round(size / 2 / RATE) for size in kept] == [10, 60, 60]


def test_silence_is_an_error_that_says_what_to_do(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "quiet.wav", audio(room(3)), RATE)
    done = record("--label", "computer", "--out", tmp_path / "clips", "--input",
                  tmp_path / "quiet.wav")
    assert done.returncode == 1
    assert "Say the word alone" in done.stderr
    assert record("--label", "../x", "--out", tmp_path).returncode == 2
    # As a folder's name `edgernn train` would refuse it.
    assert record("--label", "yes.", "--out", tmp_path / "clips", "--input",
                  tmp_path / "quiet.wav").returncode == 2


@pytest.mark.parametrize(("text", "what"), [
    ("", "columns none"), ("path,label,speaker\na.wav,yes,,me\n", "line 2"),
    ("path,label,speaker\na.wav\n", "line 2"),
    *((f'path,label,speaker,source,until_s\na.wav,yes,me,0a,1.5\na.wav,yes,me,0a,{until}\n',
       "line 3 .* until_s .* Repair the line")
      for until in ("abc", "", '"31,54"', "nan", "inf", "-1"))])
def test_a_damaged_index_is_named_and_left_alone(tmp_path, text, what):
    (tmp_path / "index.csv").write_text(text)
    with pytest.raises(OutputError, match=what):
        Clips(tmp_path, RATE).count("yes", "")
    assert (tmp_path / "index.csv").read_text() == text


def test_an_index_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "index.csv").write_text("file,text\na.wav,hello\n")
    with pytest.raises(OutputError, match="path, label, speaker were needed"):
        Clips(tmp_path, RATE).add("computer", "", audio(room(1)))
    assert (tmp_path / "index.csv").read_text() == "file,text\na.wav,hello\n"
