"""Data from nothing, by the real espeak-ng."""

import csv
import ctypes
import errno
import json
import subprocess
import sys
import wave
from collections import defaultdict

import numpy as np
import pytest

from edgernn import files
from edgernn.errors import DataError, OutputError
from edgernn.synth import rooms
from edgernn.synth.corpus import make
from edgernn.synth.espeak import the_espeak
from edgernn.synth.folder import begin
from edgernn.synth.phonemes import heard_in, plain
from edgernn.synth.plan import OTHER, Wish, recipes

pytestmark = pytest.mark.slow

try:
    import espeakng_loader  # noqa: F401
    import soxr  # noqa: F401
    HERE = True
except ImportError:
    HERE = False
needs_espeak = pytest.mark.skipif(not HERE, reason='pip install "edgernn[synth]"')
WISH = Wish(("hey robot",), count=10, others=20, seed=3, rooms=10)


def rows(folder):
    with (folder / "index.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def audio(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.glob("audio/*/*.wav")}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synth") / "data"
    return folder, make(WISH, folder, processes=1)


@needs_espeak
def test_every_row_names_a_recording_of_16_khz_with_sound_in_it(made):
    folder, told = made
    assert told["recordings"] == told["made"] == len(rows(folder)) == 30
    for row in rows(folder):
        with wave.open(str(folder / row["path"])) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2)
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)
        assert 0.1 * 16000 < len(samples) < 6 * 16000, row["text"]
        assert 3000 < np.abs(samples).max() < 32767


@needs_espeak
def test_a_voice_is_in_one_split_only_and_every_split_has_every_kind(made):
    where = defaultdict(set)
    kinds = defaultdict(set)
    for row in rows(made[0]):
        where[row["speaker"]].add(row["split"])
        kinds[row["split"]].add((row["label"], row["text"].startswith("[[")))
    assert all(len(splits) == 1 for splits in where.values())
    assert kinds == {split: {("hey robot", False), (OTHER, False), (OTHER, True)}
                     for split in ("train", "validation", "test")}


@needs_espeak
def test_training_reads_the_folder_as_it_is(made):
    pytest.importorskip("soundfile")
    from edgernn.train.readers import load

    found = load(made[0])
    assert found.labels == (OTHER, "hey robot")
    assert not found.skipped
    assert [r.split for r in found.recordings] == [row["split"] for row in rows(made[0])]


@needs_espeak
def test_the_seed_decides_who_says_what_in_any_number_of_processes(made, tmp_path, monkeypatch):
    from edgernn.synth import corpus

    monkeypatch.setattr(corpus, "JOB", 15)
    make(WISH, tmp_path / "two", processes=2)
    assert rows(tmp_path / "two") == rows(made[0])
    assert audio(tmp_path / "two") == audio(made[0])


@needs_espeak
@pytest.mark.parametrize("speaker", ["Reed", "f2"])
def test_a_seed_gives_the_same_samples_whatever_else_drew_random_numbers(speaker):
    def said():
        return the_espeak().say("hey robot", f"en-us+{speaker}", seed=7).samples

    first = said()
    ctypes.CDLL(None).srand(12345)  # as pedalboard does when it is imported, by the clock
    np.testing.assert_array_equal(said(), first)
    breath = the_espeak().say("hey robot", "en-us+Reed", seed=8).samples
    assert not np.array_equal(breath, the_espeak().say("hey robot", "en-us+Reed", seed=7).samples)


@needs_espeak
def test_what_was_interrupted_is_gone_on_with(made, tmp_path, monkeypatch):
    from edgernn.synth import corpus

    folder = tmp_path / "data"
    write, written = corpus.write_wav, []

    def full(path, samples, rate_hz):
        if len(written) == 12:
            raise OutputError("no room")
        written.append(path)
        write(path, samples, rate_hz)

    monkeypatch.setattr(corpus, "write_wav", full)
    with pytest.raises(OutputError):
        make(WISH, folder, processes=1)
    assert not (folder / "index.csv").exists()
    monkeypatch.setattr(corpus, "write_wav", write)
    assert make(WISH, folder, processes=1)["made"] == 18
    assert rows(folder) == rows(made[0])
    assert audio(folder) == audio(made[0])


@needs_espeak
def test_more_of_it_begins_with_the_same(made, tmp_path):
    folder = tmp_path / "data"
    make(Wish(("hey robot",), count=10, others=10, seed=3, rooms=10), folder, processes=1)
    assert make(WISH, folder, processes=1)["made"] == 10
    assert rows(folder) == rows(made[0])
    assert audio(folder) == audio(made[0])


@needs_espeak
def test_rooms_are_of_one_split_each_and_half_of_the_recordings_are_in_one():
    planned = recipes(Wish(("hey robot",), count=200, others=200, rooms=20), the_espeak())
    where = {}
    for each in planned:
        if each.room:
            where.setdefault(each.room, set()).add(each.split)
    assert len(where) == 20
    assert all(len(splits) == 1 for splits in where.values())
    assert 0.4 < sum(each.room is not None for each in planned) / len(planned) < 0.6


@needs_espeak
@pytest.mark.parametrize("accent", ["cmn", "ru"])
def test_a_phrase_of_another_language_is_confused_by_its_sounds_alone(accent):
    """These voices say it by (en), and cmn pauses behind each word."""
    wish = Wish(("hey robot",), count=10, others=200, accents=(accent,), nearest=2)
    drawn = [each.text[2:-2] for each in recipes(wish, the_espeak()) if "[[" in each.text]
    assert len(drawn) > 50
    said = ["h", "eI", "r", "oU", "b", "0", "t"]
    for text in drawn:
        sounds = [plain(p) for word in text.split() for p in word.split("|")]
        assert "(" not in text
        assert heard_in(said, sounds) >= 2


def test_a_room_echoes_as_long_as_rooms_do_and_a_seed_makes_it_again():
    pytest.importorskip("pyroomacoustics")
    for number in range(4):
        click = rooms.response(0, number, 16000)
        assert click.max() == 1
        assert click.argmax() < 16
        energy = np.cumsum(click[::-1] ** 2)[::-1]
        decay = 10 * np.log10(energy / energy[0])
        # Schroeder 1965: the slope from -5 to -25 dB, as over 60.
        seconds = (np.argmax(decay < -25) - np.argmax(decay < -5)) / 16000 * 3
        assert 0.1 < seconds < 0.9
        rooms.response.cache_clear()
        np.testing.assert_array_equal(rooms.response(0, number, 16000), click)
    voice = np.zeros(1600, np.float32)
    voice[100:200] = 1000
    wet = rooms.heard(voice, click)
    assert np.abs(wet).max() == pytest.approx(1000, rel=1e-3)
    assert np.abs(wet[1700:]).max() > 1


@needs_espeak
def test_a_folder_of_other_things_is_left_alone(made, tmp_path):
    (tmp_path / "mine.txt").write_text("dear diary")
    with pytest.raises(OutputError, match="not empty"):
        make(WISH, tmp_path)
    with pytest.raises(OutputError, match="another seed"):
        make(Wish(("hey robot",), count=10, others=20, seed=4, rooms=10), made[0])


def test_a_setting_that_was_not_kept_when_a_folder_was_begun_is_not_another(tmp_path):
    begin(tmp_path, {"seed": 1}, "order.json")
    begin(tmp_path, {"seed": 1, "content": "3 files"}, "order.json")
    with pytest.raises(OutputError, match="another content: 3 files, and now it is 4 files"):
        begin(tmp_path, {"seed": 1, "content": "4 files"}, "order.json")


@needs_espeak
def test_a_full_disk_is_said_and_leaves_no_half_file(tmp_path, monkeypatch):
    real = files.os.replace

    def replace(source, target):
        if str(target).endswith(".wav"):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    monkeypatch.setattr(files.os, "replace", replace)
    with pytest.raises(OutputError, match=r"No space left on device.*make room"):
        make(WISH, tmp_path / "data", processes=1)
    assert not audio(tmp_path / "data")


@needs_espeak
def test_the_licence_of_the_speaker_is_in_the_folder(made):
    text = (made[0] / "README.md").read_text(encoding="utf-8")
    assert "GPL-3.0" in text
    assert '--keywords "hey robot"' in text


@needs_espeak
@pytest.mark.parametrize(("wish", "why"), [
    (Wish(("hey robot",), 10, 10, accents=("xx-nowhere",)), "no voice 'xx-nowhere'"),
    (Wish(("a",), 10, 10), "less than two sounds"),
    (Wish(("robot",), 10, 10, sentences=("my robot is here",)), "sentences"),
])
def test_what_cannot_be_said_is_told_before_anything_is_written(wish, why, tmp_path):
    with pytest.raises(DataError, match=why):
        make(wish, tmp_path / "data")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("options", [("--phrase", "and/or"), ("--phrase", "!!!"),
                                     ("--phrase", "what's up?"), ("--phrase", OTHER),
                                     ("--phrase", "_background_noise_"),
                                     ("--phrase", "robot", "--accent", "en-us+f3")])
def test_what_would_be_no_label_or_one_voice_in_all_splits_is_refused(options, tmp_path):
    done = subprocess.run([sys.executable, "-m", "edgernn", "synth", *options, "--out",
                           str(tmp_path / "data")], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "needed" in done.stderr
    assert not (tmp_path / "data").exists()


@needs_espeak
def test_a_line_of_dots_is_no_sentence(tmp_path):
    (tmp_path / "sentences").write_text("what time is it\n...\n\n")
    done = subprocess.run(
        [sys.executable, "-m", "edgernn", "synth", "--phrase", "hey robot", "--count", "10",
         "--others", "20", "--rooms", "0", "--processes", "1", "--sentences",
         str(tmp_path / "sentences"), "--out", str(tmp_path / "data")],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {row["text"] for row in rows(tmp_path / "data") if "[[" not in row["text"]} == \
        {"hey robot", "what time is it"}


def test_a_missing_espeak_says_what_to_install(tmp_path):
    code = ("import sys; sys.modules['espeakng_loader'] = None\n"
            "from edgernn.cli.main import main\n"
            f"main(['synth', '--phrase', 'hey robot', '--out', {str(tmp_path / 'data')!r}])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert 'pip install "edgernn[synth]"' in done.stderr
    assert "Traceback" not in done.stderr


@needs_espeak
def test_the_command_prints_one_line_of_json(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "edgernn", "synth", "--phrase", "Hey  Robot", "--count", "10",
         "--processes", "1", "--out", str(tmp_path / "data")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["splits"] == {"train": 16, "validation": 2, "test": 2}
    assert {row["label"] for row in rows(tmp_path / "data")} == {"hey robot", OTHER}
