"""Models for ESPHome's micro_wake_word: in its operators, and what it is told of them."""

import json
import subprocess
import sys
from functools import partial

import numpy as np
import pytest

from edgernn import tflite
from edgernn.emulator import Emulator
from edgernn.errors import ModelError
from edgernn.frontend.microfrontend import Microfrontend
from edgernn.quant import dequantize
from edgernn.spec import LogMelSpec, MicrofrontendSpec
from edgernn.train.architecture import Layer
from edgernn.train.emit import emit
from firmware_export.esphome import esphome_project
from firmware_export.esphome.rewrite import FEATURE_SCALE, FEATURE_ZERO, rewritten
from firmware_export.project import Source
from tests import models, networks

pytestmark = pytest.mark.slow

REGISTERED = {
    "CALL_ONCE", "VAR_HANDLE", "RESHAPE", "READ_VARIABLE", "STRIDED_SLICE", "CONCATENATION",
    "ASSIGN_VARIABLE", "CONV_2D", "MUL", "ADD", "MEAN", "FULLY_CONNECTED", "LOGISTIC", "QUANTIZE",
    "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D", "PAD", "PACK", "SPLIT_V"}
"""register_streaming_ops_ in ESPHome 2024.7 to 2026.6, all of the types used here."""
NETWORKS = {name: (layer,) for name, layer in networks.CELLS.items()
            if name not in networks.NORMALIZED} | {
    "two": (Layer("dense", 12), Layer("gru", 16), Layer("lstm", 8)),
    "rings": (Layer("conv1d", 16, "relu", kernel=5), Layer("depthwise", 16, "relu", kernel=3),
              Layer("gru", 16, residual=True))}
PROFILES = ("int8", "int8x16", "int16x8")
STEPS = 150


@pytest.fixture
def source(tmp_path):
    """A model of the given layers that hears as ESPHome does."""
    def make(*layers, frontend=None, **options):
        path = models.write_model(tmp_path / "kws.tflite", *layers, features=40,
                                  frontend=frontend or MicrofrontendSpec(), **options)
        return Source.read(path)
    return make


def frames(count=STEPS, seed=0):
    return np.random.default_rng(seed).integers(-128, 128, (count, 1, 1, 40)).astype(np.int8)


def interpreter(model):
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime",
                                  reason="needs pip install tflite-micro")
    return runtime.Interpreter.from_bytes(model)


def scores(stepper, rows):
    """What TensorFlow Lite Micro makes of rows, one after another."""
    found = []
    for row in rows:
        stepper.set_input(row, 0)
        stepper.invoke()
        found.append(int(stepper.get_output(0)[0, 0]))
    return np.array(found)


def emulated(graph, first, states, output, rows):
    """Scores of a step whose states are inputs and outputs; states begin at 0.0."""
    emulator, found = Emulator(graph), []
    held = {before: np.full(t.shape, t.zero_points[0], t.dtype)
            for before, t in ((before, graph.tensor(before)) for before, _ in states)}
    for row in rows:
        made = emulator.run({first: row, **held})
        held = {before: made[after] for before, after in states}
        found.append(made[output].ravel())
    return np.array(found)


def operators(model):
    """Names of the operators of all subgraphs, each with the tensors that it reads."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    read = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model))
    names = {number: name for name, number in vars(schema.BuiltinOperator).items()
             if isinstance(number, int)}
    return [(names[read.operatorCodes[op.opcodeIndex].builtinCode],
             [graph.tensors[i] for i in (op.inputs if op.inputs is not None else ())])
            for graph in read.subgraphs for op in graph.operators]


# ---- the model ------------------------------------------------------------------------


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("network", NETWORKS)
def test_every_step_is_the_emulators_to_the_byte(source, network, profile):
    made = source(*NETWORKS[network], profile=profile, labels=3)
    twin = tflite.read(rewritten(made, "label1", variables=False))
    names = [[twin.tensors[i].name for i in ends] for ends in (twin.inputs, twin.outputs)]
    want = emulated(twin, names[0][0], list(zip(names[0][1:], names[1][1:], strict=True)),
                    names[1][0], frames())[:, 0].astype(int) + 128
    np.testing.assert_array_equal(scores(interpreter(rewritten(made, "label1")), frames()), want)
    assert len(np.unique(want)) > 10


@pytest.mark.parametrize(("profile", "most"), [
    ("int8", 24),     # tanh and the lead in int8: a few steps, that a random GRU carries on
    ("int8x16", 2),   # and one for the score's rounding
    ("int16x8", 2)])
@pytest.mark.parametrize("network", ["gru", "lstm", "simple_rnn"])
def test_of_two_labels_the_score_is_the_original_models(source, network, profile, most):
    made = source(*NETWORKS[network], profile=profile, labels=2)
    rows = frames()
    states = [(pair.input, pair.output) for pair in made.spec.states]
    codes = rows.reshape(STEPS, 1, 40)
    if made.x.dtype == "int16":
        codes = codes.astype(np.int16) * 32  # 1/32 and 1/1024 a step
    want = dequantize(emulated(made.graph, made.spec.input, states, made.spec.output, codes),
                      made.scores)
    got = scores(interpreter(rewritten(made, "label1")), rows)
    assert np.abs(got - 256 * want[:, 1]).max() <= most
    assert np.ptp(want[:, 1]) > 0.3


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("network", NETWORKS)
def test_only_operators_of_the_stock_component_are_used(source, network, profile):
    used = operators(rewritten(source(*NETWORKS[network], profile=profile), "label1"))
    assert {name for name, _ in used} <= REGISTERED
    # esp-tflite-micro 1.3.1 and 1.3.3 have no FULLY_CONNECTED with a scale per output.
    for name, inputs in used:
        if name == "FULLY_CONNECTED":
            assert len(inputs[1].quantization.scale) == 1


@pytest.mark.parametrize("profile", PROFILES)
def test_input_and_output_are_as_the_component_checks_them(source, profile):
    stepper = interpreter(rewritten(source(profile=profile), "label1"))
    x, y = stepper.get_input_details(0), stepper.get_output_details(0)
    assert (x["dtype"], tuple(x["shape"])) == (np.int8, (1, 1, 40))
    assert (y["dtype"], tuple(y["shape"])) == (np.uint8, (1, 1))


def test_weights_of_one_scale_stay_fully_connected(source, monkeypatch):
    monkeypatch.setattr(models, "emit", partial(emit, per_channel=False))
    names = {name for name, _ in operators(rewritten(source(), "label1"))}
    assert "FULLY_CONNECTED" in names
    assert "CONV_2D" not in names


@pytest.mark.parametrize("network", ["gru", "lstm"])
def test_reset_forgets_everything_and_nothing_else_does(source, network):
    stepper = interpreter(rewritten(source(*NETWORKS[network]), "label1"))
    first = scores(stepper, frames(20))
    assert not np.array_equal(scores(stepper, frames(20)), first)
    stepper.reset()
    np.testing.assert_array_equal(scores(stepper, frames(20)), first)


def test_of_many_labels_the_score_is_a_product_below_the_softmax(source):
    made = source(Layer("gru", 16), labels=5)
    states = [(pair.input, pair.output) for pair in made.spec.states]
    rows = frames(600)
    shares = dequantize(emulated(made.graph, made.spec.input, states, made.spec.output,
                                 rows.reshape(600, 1, 40)), made.scores).astype(float)
    rivals = np.delete(shares, 2, axis=1) / shares[:, 2:3]
    got = scores(interpreter(rewritten(made, "label2")), rows) / 256
    # Each lead over a rival is rounded to its step, which moves the product by half of that
    # where the rival is likely, and less where it is not.
    step = tflite.read(rewritten(made, "label2", variables=False)).tensor("lead_0").scales[0]
    want = 1 / np.prod(1 + rivals, axis=1)
    rounded = want * (rivals / (1 + rivals)).sum(axis=1) * step / 2
    assert (np.abs(got - want) < 1 / 256 + rounded).all()
    assert rounded.max() < 3 / 256
    assert (got <= shares[:, 2] + 1 / 256).all()
    assert np.ptp(got) > 0.1


# ---- what ESPHome is told -------------------------------------------------------------


def project(made, label="label1", **options):
    return esphome_project(made, "kws", ["tests"], label, **({"arena_bytes": 30_000} | options))


def test_the_manifest_has_the_documented_keys_and_their_types(source):
    files = project(source(), author="Ada", website="https://example.org", languages=("en", "ko"))
    manifest = json.loads(files["kws.json"])
    kinds = {"type": str, "wake_word": str, "author": str, "website": str, "model": str,
             "trained_languages": list, "version": int, "micro": dict}
    micro = {"probability_cutoff": float, "sliding_window_size": int, "feature_step_size": int,
             "tensor_arena_size": int, "minimum_esphome_version": str}
    assert {key: type(value) for key, value in manifest.items()} == kinds
    assert {key: type(value) for key, value in manifest["micro"].items()} == micro
    assert manifest["model"] in files
    assert (manifest["type"], manifest["version"], manifest["wake_word"]) == ("micro", 2, "label1")
    assert manifest["micro"]["feature_step_size"] == 10
    assert manifest["micro"]["sliding_window_size"] == 10  # 100 ms
    assert "website" not in json.loads(project(source())["kws.json"])


def test_esphome_takes_the_manifest_and_the_example(source, tmp_path):
    pytest.importorskip("esphome", reason="needs pip install esphome")
    for name, text in project(source()).items():
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    done = subprocess.run([sys.executable, "-m", "esphome", "config", "example.yaml"],
                          cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Configuration is valid" in done.stdout + done.stderr


@pytest.mark.parametrize("threshold", [0.0, 0.004, 0.3, 0.5, 0.73, 0.9, 0.995])
def test_the_component_fires_at_the_scores_at_which_edgernn_does(source, threshold, monkeypatch):
    made = source()
    monkeypatch.setitem(made.spec.detector.thresholds, "label1", threshold)
    cutoff = json.loads(project(made)["kws.json"])["micro"]["probability_cutoff"]
    q = np.arange(1, 256)
    ours = q * 128 >= round(32768 * threshold)
    np.testing.assert_array_equal(q > int(cutoff * 255), ours)             # since 2025
    np.testing.assert_array_equal(np.float32(q) / 255 > np.float32(cutoff), ours)  # before
    assert ours.any()


def test_a_threshold_of_one_can_still_be_reached(source, monkeypatch):
    made = source()
    monkeypatch.setitem(made.spec.detector.thresholds, "label1", 1.0)
    cutoff = json.loads(project(made)["kws.json"])["micro"]["probability_cutoff"]
    assert 253 < cutoff * 255 < 255


def test_the_arena_is_enough_and_leaves_room_for_esp_nn(source):
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime")
    files = project(source(Layer("gru", 64)), arena_bytes=0)
    size = json.loads(files["kws.json"])["micro"]["tensor_arena_size"]
    runtime.Interpreter.from_bytes(files["kws.tflite"], arena_size=size - 64 * 65).invoke()
    assert f"{size:,} bytes" in files["README.md"]


def test_wild_labels_are_the_manifests_as_they_are(source):
    wild = 'say "hi" \\ 안녕\n'
    made = source(labels=2, names=("other", wild))
    assert json.loads(project(made, wild)["kws.json"])["wake_word"] == wild


def test_a_word_that_is_the_only_one_need_not_be_named(source):
    made = source(labels=2, task="spot")
    assert json.loads(project(made, None)["kws.json"])["wake_word"] == "label1"


# ---- refusals -------------------------------------------------------------------------


def test_another_frontend_is_refused_by_name(source):
    with pytest.raises(ModelError, match=r"frontend 'logmel'.*--frontend microfrontend"):
        project(source(frontend=LogMelSpec()))


def test_rows_of_sensors_are_refused_by_name(tmp_path):
    made = Source.read(models.write_model(tmp_path / "m.tflite"))
    with pytest.raises(ModelError, match="frontend 'standardize'"):
        project(made)


@pytest.mark.parametrize(("label", "found"), [
    (None, "no wake word was chosen"), ("hello", "no label 'hello'"),
    ("label0", "'label0' means that nothing was said")])
def test_labels_that_are_no_wake_word_are_refused(source, label, found):
    with pytest.raises(ModelError, match=f"{found}.*--label label1.*label1, label2, label3"):
        project(source(task="spot"), label)


@pytest.mark.parametrize(("layers", "op"), [
    ((Layer("ln_gru", 16),), "RSQRT"),
    ((Layer("gru", 16), Layer("attention_pool", 8, window=10)), "SOFTMAX")])
def test_an_op_that_cannot_be_rewritten_is_refused_with_its_layer(source, layers, op):
    with pytest.raises(ModelError, match=rf"op {op}, .* layer '{layers[-1].kind}\d'"):
        project(source(*layers))


def test_more_states_than_the_component_has_room_for_are_refused(source):
    with pytest.raises(ModelError, match=r"21 states.*room for 20"):
        project(source(*[Layer("simple_rnn", 2)] * 21))


def test_a_website_that_is_no_url_is_refused(source):
    with pytest.raises(ModelError, match=r"'example\.org' is no URL"):
        project(source(), website="example.org")


# ---- end to end -----------------------------------------------------------------------


def test_the_unit_of_the_input_gives_python_the_components_int8():
    feature = np.arange(664)
    by_python = np.round(feature * 0.0390625 / np.float32(FEATURE_SCALE) + FEATURE_ZERO)
    np.testing.assert_array_equal(by_python, (256 * feature + 333) // 666 - 128)


@pytest.mark.parametrize("network", ["gru", "simple_rnn"])
def test_pymicro_wakeword_hears_what_edgernn_does(source, network, tmp_path):
    pymicro = pytest.importorskip("pymicro_wakeword", reason="needs pip install pymicro-wakeword")
    made = source(*NETWORKS[network], profile="int8", labels=2)
    for name, text in project(made).items():
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    samples = np.clip(np.random.default_rng(0).normal(0, 2000, 24000)
                      * np.sin(np.arange(24000) / 900), -32768, 32767).astype(np.int16)

    word = pymicro.MicroWakeWord.from_config(tmp_path / "kws.json")
    word.sliding_window_size = 1
    word.reset()
    word._probabilities = type(word._probabilities)(maxlen=1)
    heard = [word.process_streaming_prob(row) for row in
             pymicro.MicroWakeWordFeatures().process_streaming(samples.tobytes())]

    codes = Microfrontend(MicrofrontendSpec()).whole(samples)
    rows = ((codes - 4096) // 32).astype(np.int8)[:, None, None]
    want = scores(interpreter((tmp_path / "kws.tflite").read_bytes()), rows)
    assert len(heard) == len(want) == 148
    # TensorFlow Lite's optimized kernels round some ties otherwise, and the state carries them.
    assert np.abs(256 * np.array(heard) - want).max() <= 8
    assert np.ptp(want) > 40


def test_the_command_line_writes_a_wake_word_or_nothing(source, tmp_path):
    made, out = source(), tmp_path / "out"

    def export(*more):
        words = ("export", made.path, "--target", "esphome", "--out", out, "--arena", 30000, *more)
        return subprocess.run([sys.executable, "-m", "edgernn", *map(str, words)],
                              capture_output=True, text=True, check=False)

    done = export()
    assert done.returncode != 0
    assert "--label label1" in done.stderr
    assert not out.exists()
    done = export("--label", "label2", "--author", "Ada")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in out.iterdir()} == {
        "kws.tflite", "kws.json", "README.md", "example.yaml", "LICENSE", "edgernn-export.json"}
    assert json.loads((out / "kws.json").read_text("utf-8"))["author"] == "Ada"
