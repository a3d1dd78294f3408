"""Whatever is in the files, the reader names it or reads it; nothing else escapes."""

import contextlib
import io

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgernn.errors import DataError
from edgernn.train.readers import audio, load

RATE = 16000
TONE = 0.3 * np.sin(np.arange(4000) / 5)
SHARED_TMP = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def file_bytes(kind):
    held = io.BytesIO()
    if kind == "npz":
        np.savez_compressed(held, x=np.random.default_rng(0).normal(size=(12, 3, 2)),
                            y=list("abcabcabcabc"), lengths=[1, 2, 3] * 4)
    else:
        soundfile.write(held, TONE, RATE, format=kind)
    return held.getvalue()


WHOLE = {kind: file_bytes(kind) for kind in ("wav", "flac", "npz")}
damage = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4)


def spoiled(kind, flips, kept):
    data = bytearray(WHOLE[kind])
    for at, value in flips:
        # Headers are where damage hurts: half of the flips are there.
        data[int(at * (128 if value % 2 else len(data)))] = value
    return bytes(data[: int(kept * len(data))])


@SHARED_TMP
@given(st.sampled_from(["wav", "flac"]), damage, st.floats(0, 1))
def test_a_damaged_recording_is_read_or_named(tmp_path, kind, flips, kept):
    path = tmp_path / f"one.{kind}"
    path.write_bytes(spoiled(kind, flips, kept))
    found = audio.usable(path, RATE)
    if isinstance(found, str):
        assert found.split(":")[0] in ("broken", "empty", "too short", "silent")
    else:
        assert found.dtype == np.int16
        # At most the samples there were, at the lowest rate a header may claim.
        assert 0 < len(found) <= 16 * 2 * len(TONE)


@SHARED_TMP
@given(damage, st.floats(0, 1))
def test_a_damaged_npz_is_read_or_named(tmp_path, flips, kept):
    path = tmp_path / "one.npz"
    path.write_bytes(spoiled("npz", flips, kept))
    with contextlib.suppress(DataError):
        found = load(path)
        assert found.sequences.lengths.sum() == len(found.sequences.rows)


X, Y = np.ones((4, 3, 2)), list("abab")


@pytest.mark.parametrize(("arrays", "said"), [
    (dict(x=X, y=Y, lengths=[1, -1, 2, 3]), "1 or more"),
    (dict(x=X, y=Y, lengths=[1, 0, 2, 3]), "1 or more"),
    (dict(x=X, y=Y, lengths=[1, 4, 2, 3]), "1 or more"),
    (dict(x=X, y=Y, lengths=[1.0, 1.0, 2.0, 3.0]), "float64 lengths"),
    (dict(x=X[:0], y=np.zeros(0)), "0 labels"),
    (dict(x=X, y=3), "shape ()"),
    (dict(x=np.full((4, 3, 2), "q"), y=Y), "U1 values"),
    (dict(x=X, y=Y, split=["train", "test"]), "one for each"),
    (dict(x=X, y=Y, split=["train", "test", "exam", "train"]), "'exam'"),
    (dict(x=X, y=Y, columns=["one"]), "names 1 columns"),
    (dict(x=X, y=Y, rate_hz=-1), "rate_hz"),
    (dict(x=X, y=[0, 1, 2, 0], label_names=["up", "down"]), "no index"),
    (dict(x=X, y=Y, split=["train", "test"] * 2), "nothing labelled 'b' to train on"),
])
def test_arrays_that_do_not_fit_are_said_to(tmp_path, arrays, said):
    np.savez(tmp_path / "odd.npz", **arrays)
    with pytest.raises(DataError) as caught:
        load(tmp_path / "odd.npz")
    assert said in str(caught.value)


@pytest.mark.parametrize(("text", "said"), [
    ("", "columns none"),
    ("u,v\n1,2\n", "sequence, label"),
    ("sequence,label,target,u\n0,a,1,1\n", "label or target"),
    ("sequence,target,u\n0,high,1\n", "no number"),
    ("sequence,target,u\n0,,1\n", "none at all"),
    ("sequence,label,u\n0,a,1\n1,b\n", "no number"),
    ("u,sequence,label\n1,0,a\n2,1\n", "without a label"),
    ("u,sequence,label,split\n1,0,a,train\n2,0,b,test\n", "one for all its rows"),
    ("sequence,label,u\n0,a,nan\n1,b,2\n", "NaN"),
    ("sequence,label,u\n1,a," + "1" * 200_000, "field"),
])
def test_a_long_csv_that_makes_no_sense_is_refused(tmp_path, text, said):
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        load(path)
    assert said in str(caught.value)


@pytest.mark.parametrize(("text", "said"), [
    ("@data\n", "no sequence"),
    ("@classLabel false\n@data\n1,2:3,4\n", "@classLabel"),
    ("@data\n1,2:3,4,5:a\n", "line 2"),
    ("@data\n1,?:3,4:a\n", "line 2"),
    ("@data\n1,nan:3,4:a\n", "missing value"),
    ("@data\n1,2:a\n1,2:3,4:b\n", "dimensions"),
    ("@data\n1,2:a\n3,4:a\n", "1 label"),
])
def test_a_ts_file_that_makes_no_sense_is_refused(tmp_path, text, said):
    path = tmp_path / "odd.ts"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        load(path)
    assert said in str(caught.value)


@pytest.fixture
def folder(tmp_path):
    for label in ("yes", "no"):
        (tmp_path / label).mkdir()
        for i in range(6):
            soundfile.write(tmp_path / label / f"{label}{i}.wav", TONE, RATE)
    return tmp_path


@pytest.mark.parametrize(("index", "said"), [
    (b"", "columns none"),
    (b"file,class\na,b\n", "path and label"),
    (b"path,label\nyes/yes0.wav\n", "line 2"),
    (b"path,label\nyes/yes0.wav,\xe9\n", "UTF-8"),
    (b"path,label,split\nyes/yes0.wav,yes,exam\n", "'exam'"),
])
def test_an_index_that_makes_no_sense_is_refused(folder, index, said):
    (folder / "index.csv").write_bytes(index)
    with pytest.raises(DataError) as caught:
        load(folder)
    assert said in str(caught.value)


def test_an_index_saved_by_a_spreadsheet_is_read(folder):
    lines = [f"{label}/{label}{i}.wav,{label}" for label in ("yes", "no") for i in range(6)]
    (folder / "index.csv").write_text("path,label\r\n" + "\r\n".join(lines), encoding="utf-8-sig")
    assert len(load(folder).recordings) == 12


def test_a_file_the_index_names_but_is_not_there_is_missing(folder):
    lines = [f"{label}/{label}{i}.wav,{label}" for label in ("yes", "no") for i in range(7)]
    (folder / "index.csv").write_text("path,label\n" + "\n".join(lines))
    assert [(s.path.name, s.reason) for s in load(folder).skipped] == [
        ("yes6.wav", "missing"), ("no6.wav", "missing")]


def test_background_that_cannot_be_used_is_named_too(folder):
    (folder / "_background_noise_").mkdir()
    hum = folder / "_background_noise_" / "hum.wav"
    hum.write_bytes(b"no wav")
    assert [s.path for s in load(folder).skipped] == [hum]
    with pytest.raises(DataError, match=r"hum\.wav is broken"):
        load(folder, strict=True)
    for given_path, why in ((hum, "can be used"), (folder / "nowhere", "nowhere is not there")):
        with pytest.raises(DataError, match=why):
            audio.read_sounds([given_path], RATE)
        with pytest.raises(DataError, match=why):
            load(folder, noise=[given_path])


@pytest.mark.parametrize(("kind", "said"), [("wav", "is cut short: its header promises"),
                                            ("flac", "broken: ")])
def test_a_recording_that_is_cut_off_is_left_out_and_told(folder, kind, said):
    half = folder / "yes" / f"half.{kind}"
    half.write_bytes(WHOLE[kind][:len(WHOLE[kind]) // 2])
    told = []
    found = load(folder, tell=told.append)
    assert [s.path for s in found.skipped] == [half]
    assert said in told[0]
    assert len(found.recordings) == 12
    with pytest.raises(DataError, match=said):
        audio.read_sounds([half], RATE)


@pytest.mark.parametrize(("riff", "data"), [(0xFFFFFFFF, 0xFFFFFFFF), (0x7FFFF024, 0x7FFFF000),
                                            (8, 0)])
def test_a_wav_that_was_written_to_a_pipe_or_still_is_written_is_read_to_its_end(
        tmp_path, riff, data):
    streamed = bytearray(WHOLE["wav"])
    streamed[4:8], streamed[40:44] = riff.to_bytes(4, "little"), data.to_bytes(4, "little")
    (tmp_path / "one.wav").write_bytes(streamed)
    assert len(audio.usable(tmp_path / "one.wav", RATE)) == len(TONE)


def test_a_flac_that_does_not_say_how_long_it_is_is_named(tmp_path):
    streamed = bytearray(WHOLE["flac"])
    streamed[21] &= 0xF0  # 36 bits in which 0 is no length
    streamed[22:26] = bytes(4)
    (tmp_path / "one.flac").write_bytes(streamed)
    assert "does not say how long it is" in audio.usable(tmp_path / "one.flac", RATE)


def test_a_label_whose_recordings_are_all_unusable_is_told(folder):
    (folder / "maybe").mkdir()
    soundfile.write(folder / "maybe" / "0.wav", 0 * TONE, RATE)
    told = []
    assert load(folder, tell=told.append).labels == ("no", "yes")
    assert "labelled maybe" in told[-1]


def test_a_header_of_one_hertz_does_not_fill_the_memory(folder):
    path = folder / "yes" / "yes0.wav"
    data = bytearray(path.read_bytes())
    data[24:28] = (1).to_bytes(4, "little")
    path.write_bytes(data)
    assert "1 Hz" in audio.usable(path, RATE)


def test_two_voices_are_enough_to_hold_one_out(folder):
    lines = [f"{label}/{label}{i}.wav,{label},s{i % 2}" for label in ("yes", "no")
             for i in range(6)]
    (folder / "index.csv").write_text("path,label,speaker\n" + "\n".join(lines))
    found = load(folder, hold_out="s1")
    assert {r.speaker for r in found.recordings if r.split == "test"} == {"s1"}
    with pytest.raises(DataError, match="s0, s1"):
        load(folder)


def test_who_speaks_must_be_known_to_hold_somebody_out(folder):
    with pytest.raises(DataError, match="nobody knows who speaks"):
        load(folder, hold_out="ann")


def test_a_given_test_stays_and_other_voices_validate(folder):
    lines = [f"{label}/{label}{i}.wav,{label},s{i % 3},{'test' if i % 3 == 0 else 'train'}"
             for label in ("yes", "no") for i in range(6)]
    (folder / "index.csv").write_text("path,label,speaker,split\n" + "\n".join(lines))
    split = {r.speaker: r.split for r in load(folder).recordings}
    assert split["s0"] == "test"
    assert sorted((split["s1"], split["s2"])) == ["train", "validation"]


def test_a_ts_pair_is_found_by_its_common_start(shared_data):
    by_start = load(shared_data / "tsc" / "BasicMotions")
    by_file = load(shared_data / "tsc" / "BasicMotions_TEST.ts")
    np.testing.assert_array_equal(by_start.sequences.rows, by_file.sequences.rows)
    assert (by_start.sequences.split == "test").sum() == 40
    with pytest.raises(DataError, match="2 files"):
        load(shared_data / "tsc")


def test_label_names_and_rate_are_read_from_an_npz(tmp_path):
    path = tmp_path / "named.npz"
    np.savez(path, x=np.ones((6, 3, 2)), y=[0, 1] * 3, label_names=["up", "down"], rate_hz=50,
             columns=["ax", "ay"])
    found = load(path)
    assert (found.labels, found.rate_hz, found.columns) == (("down", "up"), 50.0, ("ax", "ay"))
    assert found.sequences.labels.tolist() == [1, 0] * 3


def test_a_ts_file_on_its_own_is_split_into_three(tmp_path):
    path = tmp_path / "all.ts"
    path.write_text("@data\n" + "".join(f"{i},{i + 1}:1,2:{'ab'[i % 2]}\n" for i in range(20)))
    found = load(path).sequences
    for label in (0, 1):
        assert set(found.split[found.labels == label]) == {"train", "validation", "test"}
