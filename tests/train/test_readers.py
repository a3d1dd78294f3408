"""Every layout is read; what cannot be used is named."""

import csv
import json

import numpy as np
import pytest
import soundfile

from edgernn.errors import DataError
from edgernn.train import splits
from edgernn.train.dataset import AudioSet, Recording, SensorSet
from edgernn.train.readers import load, read

RATE = 16000
OF_TRAIN = {"train", "validation"}


def tone(seconds=0.5, rate=RATE, hz=440):
    return 0.3 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)


def write(path, samples=None, rate=RATE, subtype="PCM_16"):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(rate=rate) if samples is None else samples, rate, subtype=subtype)
    return path


@pytest.fixture
def folder(tmp_path):
    for label in ("yes", "no"):
        for i in range(6):
            write(tmp_path / label / f"{i}.wav")
    return tmp_path


def test_a_folder_of_labels_is_split_into_three(folder):
    found = load(folder)
    assert isinstance(found, AudioSet)
    assert found.labels == ("no", "yes")
    assert {r.split for r in found.recordings} == set(splits.SPLITS)


def test_data_of_any_kind_says_whether_its_split_is_its_own(folder, tmp_path):
    x, y, split = np.ones((9, 3, 2)), list("ab") * 4 + ["a"], np.repeat(splits.SPLITS, 3)
    lines = "".join(f"{i},{i + 1}:1,2:{'ab'[i % 2]}\n" for i in range(9))
    texts = "".join(f"t{i}\t{'ab'[i % 2]}\t{split[i]}\n" for i in range(9))
    own, ours = tmp_path / "own", tmp_path / "ours"
    for place in (own, ours):
        place.mkdir()
    np.savez(own / "a.npz", x=x, y=y, split=split)
    np.savez(ours / "a.npz", x=x, y=y)
    for path in (own / "a_TRAIN.ts", own / "a_TEST.ts", ours / "a.ts"):
        path.write_text("@data\n" + lines)
    (own / "a.tsv").write_text("text\tlabel\tsplit\n" + texts)
    (ours / "a.tsv").write_text("text\tlabel\tof\n" + texts)
    (ours / "a.conllu").write_text("1\ta\ta\tNOUN\n2\tb\tb\tVERB\n\n" * 9)
    # A test set of their own leaves them to draw validation.
    drawn = {"a.npz": set(), "a.tsv": set(), "a_TRAIN.ts": OF_TRAIN, "a_TEST.ts": OF_TRAIN}
    assert {path.name: load(path).drawn for path in own.iterdir()} == drawn
    assert all(load(path).drawn == set(splits.SPLITS) for path in ours.iterdir())
    assert load(folder).drawn == set(splits.SPLITS)
    (folder / "testing_list.txt").write_text("yes/0.wav\nno/0.wav\n")
    assert load(folder).drawn == OF_TRAIN
    (folder / "validation_list.txt").write_text("yes/1.wav\nno/1.wav\n")
    assert load(folder).drawn == set()


@pytest.mark.parametrize(("rate", "subtype", "channels"), [
    (8000, "PCM_16", 1), (44100, "FLOAT", 1), (48000, "PCM_24", 2), (16000, "PCM_16", 2)])
def test_every_rate_format_and_channel_count_sounds_the_same(folder, rate, subtype, channels):
    samples = np.repeat(tone(rate=rate)[:, None], channels, axis=1)
    write(folder / "yes" / "odd.wav", samples, rate, subtype)
    found = load(folder)
    odd = next(s for r, s in zip(found.recordings, found.samples, strict=True)
               if r.path.name == "odd.wav")
    expected = tone() * 32768
    assert len(odd) == len(expected)
    # The ends ring, as any resampler's do; a thousandth of full scale in between.
    np.testing.assert_allclose(odd[400:-400], expected[400:-400], atol=33)


def test_files_that_cannot_be_used_are_named_and_counted(folder):
    (folder / "yes" / "broken.wav").write_bytes(b"RIFF....WAVE")
    write(folder / "yes" / "empty.wav", np.zeros(0))
    write(folder / "yes" / "silent.wav", np.zeros(RATE))
    write(folder / "yes" / "short.wav", tone(0.03))
    said = []
    found = load(folder, tell=said.append)
    assert {s.path.name for s in found.skipped} == {"broken.wav", "empty.wav", "silent.wav",
                                                    "short.wav"}
    for name in ("broken.wav", "empty.wav", "silent.wav", "short.wav", "skipped 4 files"):
        assert any(name in line for line in said)


def test_strict_stops_at_a_file_that_cannot_be_used(folder):
    write(folder / "yes" / "silent.wav", np.zeros(RATE))
    with pytest.raises(DataError, match=r"silent\.wav is silent"):
        load(folder, strict=True)


def test_speech_commands_lists_decide_the_split(folder):
    (folder / "validation_list.txt").write_text("yes/0.wav\nno/1.wav\n")
    (folder / "testing_list.txt").write_text("yes/2.wav\n")
    write(folder / "_background_noise_" / "hum.wav", tone(2))
    found = load(folder)
    split = {f"{r.label}/{r.path.name}": r.split for r in found.recordings}
    assert [k for k, v in split.items() if v == "validation"] == ["no/1.wav", "yes/0.wav"]
    assert [k for k, v in split.items() if v == "test"] == ["yes/2.wav"]
    assert len(found.noises) == 1
    assert found.labels == ("no", "yes")


def test_the_speech_commands_hash_is_the_published_one():
    # From the README's which_set: the name up to _nohash_, SHA-1, modulo 2**27, percent.
    assert splits.speech_commands("0a7c2a8d_nohash_0.wav") == \
        splits.speech_commands("0a7c2a8d_nohash_4.wav")
    counts = [splits.speech_commands(f"{i:08x}_nohash_0.wav") for i in range(5000)]
    assert abs(counts.count("validation") / 5000 - 0.1) < 0.02
    assert abs(counts.count("test") / 5000 - 0.1) < 0.02


def index(folder, rows):
    with (folder / "index.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_no_voice_is_on_both_sides(folder):
    files = sorted(folder.glob("*/*.wav"))
    # A split column that puts every speaker on two sides.
    index(folder, [{"path": f.relative_to(folder), "label": f.parent.name,
                    "speaker": f"s{i % 4}", "split": ("train", "test")[i % 3 == 0]}
                   for i, f in enumerate(files)])
    said = []
    found = load(folder, tell=said.append)
    assert splits.straddling(found.recordings) == []
    assert "more than one split" in said[0]


def test_a_folder_with_a_data_set_in_it_says_which(tmp_path):
    """As `edgernn new` makes it, a run with its history.csv beside the data."""
    for name in ("data", "run"):
        (tmp_path / name).mkdir()
    index(tmp_path / "data", [{"path": "yes/0.wav", "label": "yes"}])
    (tmp_path / "run" / "history.csv").write_text("epoch,loss\n1,0.5\n")
    (tmp_path / "order.json").write_text("{}")
    with pytest.raises(DataError, match=r"no data set, but .*data is one"):
        load(tmp_path)


def test_a_sequence_may_have_the_name_of_an_index(tmp_path):
    for label in ("run", "walk"):
        for name in ("index", "one", "two", "three"):
            (tmp_path / label).mkdir(exist_ok=True)
            (tmp_path / label / f"{name}.csv").write_text("x,y\n1,2\n3,4\n")
    assert load(tmp_path).labels == ("run", "walk")


def test_background_noise_that_an_index_names_is_no_label(folder):
    """As of `edgernn record --background 1 --label _background_noise_`."""
    write(folder / "_background_noise_" / "0000.wav")
    index(folder, [{"path": f.relative_to(folder), "label": f.parent.name}
                   for f in sorted(folder.glob("*/*.wav"))])
    found = load(folder)
    assert found.labels == ("no", "yes")
    assert len(found.noises) == 1


def test_noise_of_an_index_may_lie_anywhere_and_is_taken_once(folder):
    lines = [{"path": f.relative_to(folder), "label": f.parent.name}
             for f in sorted(folder.glob("*/*.wav"))]
    for path, seconds in (("_background_noise_/0000.wav", 1), ("rooms/hum.wav", 2)):
        write(folder / path, tone(seconds))
        lines.append({"path": path, "label": "_background_noise_"})
    index(folder, [*lines, {"path": "rooms/gone.wav", "label": "_background_noise_"}])
    found = load(folder)
    assert found.labels == ("no", "yes")
    assert [len(noise) / RATE for noise in found.noises] == [1, 2]
    assert [(s.path.name, s.reason) for s in found.skipped] == [("gone.wav", "missing")]
    assert len(load(folder, noise=[folder / "rooms"]).noises) == 1


def test_an_index_of_noise_alone_is_refused(folder):
    index(folder, [{"path": "yes/0.wav", "label": "_background_noise_"}])
    with pytest.raises(DataError, match="no label but _background_noise_"):
        load(folder)


def test_a_speaker_held_out_is_only_tested_on(folder):
    files = sorted(folder.glob("*/*.wav"))
    index(folder, [{"path": f.relative_to(folder), "label": f.parent.name, "speaker": f"s{i % 3}"}
                   for i, f in enumerate(files)])
    found = load(folder, hold_out="s1")
    assert {r.speaker for r in found.recordings if r.split == "test"} == {"s1"}
    assert "s1" not in {r.speaker for r in found.recordings if r.split != "test"}
    with pytest.raises(DataError, match="s0, s1, s2"):
        load(folder, hold_out="nobody")


def test_one_label_no_files_and_odd_names_are_refused(tmp_path):
    with pytest.raises(DataError, match="is not there"):
        load(tmp_path / "nothing")
    with pytest.raises(DataError, match="no label/"):
        load(tmp_path)
    for i in range(3):
        write(tmp_path / "only" / f"{i}.wav")
    with pytest.raises(DataError, match="1 label"):
        load(tmp_path)
    write(tmp_path / "a:b" / "0.wav")
    with pytest.raises(DataError, match="'a:b'"):
        load(tmp_path)


def test_sequences_keep_their_lengths_in_every_sensor_layout(tmp_path):
    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(n, 2)).astype(np.float32) for n in (3, 5, 2, 7, 4, 6)]
    labels = ["a", "b", "a", "b", "a", "b"]
    padded = np.zeros((6, 7, 2), np.float32)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    lengths = np.array([len(s) for s in sequences])
    np.savez(tmp_path / "padded.npz", x=padded, y=labels, lengths=lengths)
    np.savez(tmp_path / "flat.npz", rows=np.concatenate(sequences), labels=labels, lengths=lengths)
    with (tmp_path / "long.csv").open("w") as file:
        file.write("sequence,label,u,v\n")
        for i, sequence in enumerate(sequences):
            file.writelines(f"{i},{labels[i]},{u:.9g},{v:.9g}\n" for u, v in sequence)
    for name in ("padded.npz", "flat.npz", "long.csv"):
        found = load(tmp_path / name)
        assert isinstance(found, SensorSet)
        assert found.sequences.lengths.tolist() == lengths.tolist()
        for mine, given in zip(found.sequences, sequences, strict=True):
            np.testing.assert_array_equal(mine, given)
    many = tmp_path / "folder"
    for i, sequence in enumerate(sequences):
        (many / labels[i]).mkdir(parents=True, exist_ok=True)
        np.savetxt(many / labels[i] / f"{i}.csv", sequence, "%.9g", ",", header="u,v", comments="")
    found = load(many)
    assert found.columns == ("u", "v")
    assert sorted(found.sequences.lengths) == sorted(lengths)


@pytest.mark.parametrize("arrays", [{}, {"x": np.zeros((2, 3)), "y": ["a", "b"]},
                                    {"x": np.full((2, 3, 1), np.nan), "y": ["a", "b"]},
                                    {"rows": np.zeros((4, 1)), "lengths": [1, 2],
                                     "labels": ["a", "b"]}])
def test_an_npz_that_does_not_fit_is_refused(tmp_path, arrays):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(DataError):
        load(tmp_path / "bad.npz")


def test_the_shared_sets_are_read(shared_data):
    vowels = load(shared_data / "tsc" / "JapaneseVowels_TRAIN.ts")
    assert (len(vowels.labels), len(vowels.sequences.of_split("test"))) == (9, 370)
    assert vowels.sequences.rows.shape[1] == 12
    assert (vowels.sequences.lengths.min(), vowels.sequences.lengths.max()) == (7, 29)
    words = load(shared_data / "wakewords_picovoice")
    assert words.labels == ("alexa", "computer")
    assert splits.straddling(words.recordings) == []


def test_the_odd_formats_are_read_or_named(shared_data):
    odd = shared_data / "format_samples"
    said = []
    from edgernn.train.readers.audio import usable
    outcome = {p.name: usable(p, RATE) for p in odd.rglob("*") if p.suffix in (".wav", ".flac")}
    assert outcome["truncated_126.flac"].startswith("broken")
    read = [n for n, samples in outcome.items() if not isinstance(samples, str)]
    assert len(read) > 20, json.dumps({n: str(s)[:40] for n, s in outcome.items()}) + str(said)


def test_one_speaker_short_of_three_is_refused(tmp_path):
    with pytest.raises(DataError, match="three or more"):
        splits.by_speaker([Recording(tmp_path / "a.wav", "a", "x"),
                           Recording(tmp_path / "b.wav", "b", "y")])


@pytest.mark.parametrize("split", ["test", "validation"])
def test_data_that_are_only_measured_on_keep_their_split(folder, split):
    files = sorted(folder.glob("*/*.wav"))
    index(folder, [{"path": f.relative_to(folder), "label": f.parent.name, "split": split}
                   for f in files])
    assert {r.split for r in read(folder).recordings} == {split}


def test_a_few_clips_that_cannot_be_split_are_all_measured_on(tmp_path):
    write(tmp_path / "yes" / "a.wav")
    write(tmp_path / "yes" / "b.wav")
    assert [r.split for r in read(tmp_path).recordings] == ["test", "test"]
    with pytest.raises(DataError, match="2 files of a label"):
        load(tmp_path)
