"""Files that are no Keras model, or hold what is not to be run: one clear error each."""

import json
import shutil
import zipfile

import numpy as np
import pytest

from edgernn.errors import ModelError, QuantizeError
from edgernn.train import keras_file

keras = pytest.importorskip("keras", reason="the extra `train` is not installed")
pytestmark = pytest.mark.slow  # TensorFlow takes seconds to load

L = keras.layers


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model in both layouts, and its weights alone."""
    folder = tmp_path_factory.mktemp("keras")
    model = keras.Sequential([keras.Input((None, 3)), L.GRU(4, name="memory"), L.Dense(2)])
    for name in ("model.keras", "model.h5"):
        model.save(folder / name)
    model.save_weights(folder / "alone.weights.h5")
    return folder


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_both_layouts_are_read(folder, name):
    assert keras_file.load(folder / name).layers[0].name == "memory"


@pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_a_truncated_file_says_so(folder, tmp_path, name, share):
    data = (folder / name).read_bytes()
    (tmp_path / name).write_bytes(data[:int(len(data) * share)])
    with pytest.raises(ModelError, match=r"truncated or damaged.*save it again"):
        keras_file.load(tmp_path / name)


def test_a_flipped_byte_is_found_and_named(folder, tmp_path):
    data = bytearray((folder / "model.keras").read_bytes())
    data[data.index(b"model.weights.h5") + 500] ^= 0xFF
    (tmp_path / "model.keras").write_bytes(data)
    with pytest.raises(ModelError, match=r"damaged in model\.weights\.h5"):
        keras_file.load(tmp_path / "model.keras")


def test_weights_without_a_model_say_what_to_save(folder):
    with pytest.raises(ModelError, match=r"weights without a model.*load_weights"):
        keras_file.load(folder / "alone.weights.h5")


def test_hdf5_of_something_else_is_refused(tmp_path):
    h5py = pytest.importorskip("h5py")  # comes with Keras
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["numbers"] = [1, 2, 3]
    with pytest.raises(ModelError, match="no Keras model"):
        keras_file.load(tmp_path / "data.h5")


def test_a_zip_of_something_else_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(ModelError, match=r"without config\.json"):
        keras_file.load(tmp_path / "model.keras")


@pytest.mark.parametrize("text", ["not JSON", "[1]", "{}"])
def test_a_config_that_describes_nothing_is_refused(tmp_path, text):
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("config.json", text)
    with pytest.raises(ModelError, match="describes"):
        keras_file.load(tmp_path / "model.keras")


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\x1c\x00\x00\x00TFL3"])
def test_any_other_file_is_refused(tmp_path, content):
    (tmp_path / "model.keras").write_bytes(content)
    with pytest.raises(ModelError, match=r"is no Keras model.*model\.save"):
        keras_file.load(tmp_path / "model.keras")


@pytest.mark.parametrize(("name", "wrong"), [("model.h5", "m.keras"), ("model.keras", "m.h5"),
                                             ("model.keras", "m.bin")])
def test_a_wrong_name_is_told_the_right_one(folder, tmp_path, name, wrong):
    shutil.copy(folder / name, tmp_path / wrong)
    with pytest.raises(ModelError, match=f"Rename it to m.{name.split('.')[1]}"):
        keras_file.load(tmp_path / wrong)


def test_what_keras_itself_cannot_load_is_one_error(folder, tmp_path):
    with zipfile.ZipFile(folder / "model.keras") as old, \
            zipfile.ZipFile(tmp_path / "model.keras", "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "config.json":
                config = json.loads(data)
                config["config"]["layers"][1]["config"]["from_the_future"] = 1
                data = json.dumps(config).encode()
            new.writestr(name, data)
    with pytest.raises(ModelError, match="cannot be loaded by Keras"):
        keras_file.load(tmp_path / "model.keras")


def test_a_file_of_keras_2_is_read(folder, tmp_path):
    h5py = pytest.importorskip("h5py")  # comes with Keras
    shutil.copy(folder / "model.h5", tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        config = json.loads(file.attrs["model_config"])
        given, memory, _ = config["config"]["layers"]
        given["config"] = {"batch_input_shape": [None, None, 3], "dtype": "float32",
                           "sparse": False, "ragged": False, "name": "input_1"}
        memory["config"] |= {"dtype": "float32", "time_major": False, "implementation": 2}
        file.attrs["model_config"] = json.dumps(config)
    old, new = keras_file.load(tmp_path / "model.h5"), keras_file.load(folder / "model.h5")
    assert type(old.layers[0]) is L.GRU
    for a, b in zip(old.get_weights(), new.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@keras.saving.register_keras_serializable("theirs")
class Twice(L.Layer):
    """A layer whose code is not in the file."""

    def call(self, x):
        return 2 * x


@keras.saving.register_keras_serializable("theirs")
class Whole(keras.Model):
    """A model that is a class."""

    def __init__(self, **options):
        super().__init__(**options)
        self.inner = L.Dense(2)

    def call(self, x):
        return self.inner(x)


def custom():
    return keras.Sequential([keras.Input((None, 3)), Twice(name="x1"), L.GRU(4), L.Dense(2)])


def a_lambda():
    return keras.Sequential([keras.Input((None, 3)), L.Lambda(lambda x: 2 * x, name="x1")])


def hidden():
    inner = keras.Sequential([keras.Input((3,)), L.Lambda(lambda x: 2 * x, name="x1")])
    return keras.Sequential([keras.Input((None, 3)), L.TimeDistributed(inner)])


@pytest.mark.parametrize("layout", ["keras", "h5"])
@pytest.mark.parametrize(("make", "message"), [
    (custom, r"Twice 'x1' is no layer of Keras's own"), (a_lambda, "Lambda 'x1' is Python code"),
    (hidden, "Lambda 'x1' is Python code")])
def test_code_is_never_run_and_is_named(tmp_path, layout, make, message):
    path = tmp_path / f"model.{layout}"
    make().save(path)
    with pytest.raises(QuantizeError, match=message):
        keras_file.load(path)


def test_a_model_that_is_a_class_is_refused(tmp_path):
    model = Whole()
    model(keras.ops.zeros((1, 4, 3)))
    model.save(tmp_path / "model.keras")
    with pytest.raises(QuantizeError, match="Whole"):
        keras_file.load(tmp_path / "model.keras")
