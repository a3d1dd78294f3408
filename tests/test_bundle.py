"""A model file is read whole, or refused."""

import dataclasses
import io
import shutil
import subprocess
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn import bundle, spec
from edgernn.errors import ModelError
from edgernn.train.architecture import Layer
from tests.models import model_bytes

WHOLE = model_bytes(Layer("simple_rnn", 4), features=3)


def test_what_was_attached_is_read_back():
    flatbuffer, found = bundle.split(WHOLE)
    assert bundle.attach(flatbuffer, found) == WHOLE
    assert found.labels == ("label0", "label1", "label2", "label3")


@pytest.mark.slow
def test_any_flipped_bit_is_found_or_harmless():
    _, expected = bundle.split(WHOLE)
    flatbuffer_end = len(bundle.split(WHOLE)[0])
    for at in range(len(WHOLE)):
        damaged = bytearray(WHOLE)
        damaged[at] ^= 1 << (at % 8)
        try:
            flatbuffer, found = bundle.split(bytes(damaged))
        except ModelError:
            continue
        # Only bits that the archive itself does not use, such as its dates, may pass.
        assert at >= flatbuffer_end
        assert (flatbuffer, found) == (WHOLE[:flatbuffer_end], expected)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(WHOLE) - 1))
def test_every_truncation_is_refused(length):
    with pytest.raises(ModelError):
        bundle.split(WHOLE[:length])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_a_file_that_is_no_model_is_refused(data):
    with pytest.raises(ModelError):
        bundle.split(data)


def test_a_model_without_edgernn_json_says_what_to_do():
    flatbuffer, _ = bundle.split(WHOLE)
    with pytest.raises(ModelError, match="edgernn quantize"):
        bundle.split(flatbuffer)


def repacked(text: bytes) -> bytes:
    """The same FlatBuffer with another edgernn.json."""
    file = io.BytesIO(bundle.split(WHOLE)[0])
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("edgernn.json", text)
    return file.getvalue()


def test_a_newer_format_says_to_update():
    newer = spec.to_json(bundle.split(WHOLE)[1]).replace(f'"format": {spec.FORMAT}', '"format": 99')
    with pytest.raises(ModelError, match=r"format 99.*pip install --upgrade"):
        bundle.split(repacked(newer.encode()))


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"{", b'{"labels": 3}', b"[" * 100_000,
                                  b'{"labels": [], "colour": 1}'])
def test_a_json_that_is_none_of_ours_is_refused(text):
    with pytest.raises(ModelError):
        bundle.split(repacked(text))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4, unique=True),
       st.floats(0, 1), st.integers(0, 5000))
def test_a_spec_survives_json(labels, threshold, refractory_ms):
    first = bundle.split(WHOLE)[1]
    changed = dataclasses.replace(
        first, labels=tuple(labels),
        detector=spec.DetectorSpec(dict.fromkeys(labels, threshold), refractory_ms=refractory_ms))
    assert spec.from_json(spec.to_json(changed)) == changed


@pytest.mark.skipif(not shutil.which("unzip"), reason="unzip is not installed")
def test_unzip_shows_edgernn_json(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(WHOLE)
    done = subprocess.run(["unzip", "-p", path, "edgernn.json"], capture_output=True, check=True)
    assert spec.from_json(done.stdout) == bundle.split(WHOLE)[1]
    assert done.stderr == b""


@pytest.mark.parametrize("kind", ["{}", "[]", "null", "7", '"other"'])
def test_a_kind_that_is_no_kind_is_refused(kind):
    text = spec.to_json(bundle.split(WHOLE)[1])
    assert '"kind": "standardize"' in text
    with pytest.raises(ModelError, match="kind is"):
        spec.from_json(text.replace('"kind": "standardize"', f'"kind": {kind}'))


def test_an_integer_that_no_float_holds_is_refused():
    text = spec.to_json(bundle.split(WHOLE)[1])
    assert '"period_s": 60.0' in text
    with pytest.raises(ModelError, match="period_s is 10"):
        spec.from_json(text.replace('"period_s": 60.0', f'"period_s": 1{"0" * 400}'))
