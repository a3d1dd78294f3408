"""An exported C project: it builds, proves itself, and survives bad input."""

import dataclasses
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from edgernn import bundle
from edgernn.cli.models import BUNDLED
from edgernn.errors import ModelError, OutputError
from edgernn.plan import layout
from edgernn.train.architecture import Layer
from firmware_export.folder import MANIFEST, write_project
from firmware_export.project import PRODUCTS, Source, c_project
from firmware_export.simulate import Simulation
from tests import models, networks, transducers
from tests.cli import test_cli

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="needs make: apt install make")

WILD = ('say "hi"', "back\\slash", "new\nline", "??/ trigraph", "*/ end /*", "안녕", "%s%n")


def edgernn(*arguments):
    """The command line; what it says as text."""
    done = test_cli.edgernn(*arguments)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(),
                                       done.stderr.decode())


def exported(tmp_path, model, name="kws"):
    out = tmp_path / "firmware"
    write_project(out, c_project(Source.read(model), name, ["tests"]), True, (*PRODUCTS, name))
    return out


def checked(folder):
    """What make check says, and with which code it ends."""
    done = subprocess.run(["make", "-s", "check"], cwd=folder, capture_output=True, text=True,
                          check=False)
    return done.returncode, done.stdout + done.stderr


def changed(path, pattern, new):
    text, count = re.subn(pattern, new, path.read_text(), count=1)
    assert count == 1
    path.write_text(text)


@pytest.mark.slow
def test_a_project_builds_with_make_and_proves_itself(tmp_path):
    assert checked(exported(tmp_path, models.write_model(tmp_path / "m.tflite"))) == (
        0, "selfcheck passed\n")


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("cmake"), reason="needs cmake: apt install cmake")
def test_a_project_builds_with_cmake_and_proves_itself(tmp_path):
    folder = exported(tmp_path, models.write_model(tmp_path / "m.tflite"))
    for command in (["cmake", "-B", "build", "-DCMAKE_BUILD_TYPE=Release"],
                    ["cmake", "--build", "build"], ["ctest", "--test-dir", "build"]):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)


def test_the_selfcheck_finds_a_flipped_bit_of_a_weight(tmp_path):
    folder = exported(tmp_path, models.write_model(tmp_path / "m.tflite"))
    text = (folder / "kws_model.c").read_text()
    found = re.search(r"gru0_z_h\w*_weights\[\d+\] = \{ /\* 16 x 16 \*/\n +(-?\d+)", text)
    flipped = int(found.group(1)) ^ 1
    changed(folder / "kws_model.c",
            r"(gru0_z_h\w*_weights\[\d+\] = \{ /\* 16 x 16 \*/\n +)-?\d+", rf"\g<1>{flipped}")
    # Another layout of the weights may be compiled; then this one is what must be compiled.
    subprocess.run(["make", "-s", "kws", "CFLAGS=-O1 -DERNN_PORTABLE"], cwd=folder, check=True)
    done = subprocess.run([folder / "kws", "--selfcheck"], capture_output=True, text=True,
                          check=False)
    assert (done.returncode, done.stdout) == (1, "selfcheck: the weights are damaged\n")


@pytest.mark.slow
def test_the_selfcheck_finds_a_state_that_is_not_carried(tmp_path):
    folder = exported(tmp_path, models.write_model(tmp_path / "m.tflite"))
    changed(folder / "kws_model.c", r"\n    \(void\)memcpy\(scores, state->scores",
            r"\n    (void)memset(state->gru0_h, 0, sizeof state->gru0_h);\g<0>")
    code, said = checked(folder)
    assert code
    assert "selfcheck: step 2 differs" in said


@pytest.mark.slow
def test_the_selfcheck_finds_a_state_that_is_wrong_only_at_the_end(tmp_path):
    folder = exported(tmp_path, models.write_model(tmp_path / "m.tflite"))
    changed(folder / "kws_model.c", r"\n    \(void\)memcpy\(scores, state->scores",
            r"\n    state->gru0_h[0] ^= 1;\g<0>")
    code, said = checked(folder)
    assert code
    assert re.search(r"selfcheck: step \d differs", said)


@pytest.mark.slow
def test_no_label_breaks_the_c_and_each_is_printed_as_it_is(tmp_path):
    model = tmp_path / "m.tflite"
    parts = bundle.parse(models.model_bytes(labels=len(WILD), features=2))
    spec = dataclasses.replace(parts.spec, labels=WILD,
                               detector=dataclasses.replace(parts.spec.detector, thresholds={}))
    model.write_bytes(bundle.attach(parts.flatbuffer, spec))
    folder = exported(tmp_path, model)
    assert checked(folder) == (0, "selfcheck passed\n")
    done = subprocess.run([folder / "kws", "--scores"], input=b"1,2\n", capture_output=True,
                          check=True)
    assert tuple(json.loads(done.stdout.splitlines()[0])["scores"]) == WILD


@pytest.mark.parametrize("name", ["2kws", "kws-1", "int", "class", "", "ernn", "a b", "k" * 40])
def test_a_name_that_is_no_c_identifier_is_refused(tmp_path, name):
    source = Source.read(models.write_model(tmp_path / "m.tflite"))
    with pytest.raises(ModelError, match="letters, digits or underscores"):
        c_project(source, name, ["tests"])


def test_a_model_of_several_parts_is_refused_by_name(tmp_path):
    model = tmp_path / "m.tflite"
    chosen = transducers.config()
    model.write_bytes(transducers.file(transducers.networks(chosen, transducers.weights(chosen))))
    with pytest.raises(ModelError, match="decoder"):
        Source.read(model)


def test_a_foreign_file_is_left_alone_unless_forced(tmp_path):
    out, model = tmp_path / "firmware", models.write_model(tmp_path / "kws.tflite")
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    done = edgernn("export", model, "--out", out, "--no-measure")
    assert done.returncode == 1
    assert "mine.txt" in done.stderr
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    assert edgernn("export", model, "--out", out, "--no-measure", "--force").returncode == 0
    assert (out / "mine.txt").read_text() == "mine"
    assert (out / "kws_model.h").exists()


@pytest.mark.slow
def test_an_export_replaces_an_export_and_what_was_built_in_it(tmp_path):
    model = models.write_model(tmp_path / "kws.tflite")
    out = exported(tmp_path, model)
    assert checked(out)[0] == 0
    assert (out / "kws_model.o").exists()
    done = edgernn("export", model, "--out", out, "--no-measure")
    assert done.returncode == 0, done.stderr
    assert not (out / "kws_model.o").exists()


def test_an_export_that_was_changed_since_is_not_overwritten(tmp_path):
    out = exported(tmp_path, models.write_model(tmp_path / "m.tflite"))
    (out / "main.c").write_text("/* mine now */\n")
    with pytest.raises(OutputError, match=r"main\.c"):
        write_project(out, {"main.c": "int main(void) { return 0; }\n"})
    assert (out / "main.c").read_text() == "/* mine now */\n"


def test_an_interrupted_export_leaves_nothing_half_written(tmp_path):
    out = exported(tmp_path, models.write_model(tmp_path / "m.tflite"))
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    class Broken(dict):
        def items(self):
            yield "first.c", "int x;\n"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_project(out, Broken())
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_manifest_names_every_file(tmp_path):
    out = exported(tmp_path, models.write_model(tmp_path / "m.tflite"))
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert set(json.loads((out / MANIFEST).read_text())["sha256"]) == files - {MANIFEST}


@pytest.mark.parametrize("order", layout.LAYOUTS)
def test_a_layout_keeps_every_weight_and_adds_only_zeros(order):
    rng = np.random.default_rng(0)
    matrix = rng.integers(-127, 128, (13, 7)).astype(np.int8)
    laid = layout.LAYOUTS[order](matrix)
    if order == "ERNN_PAIRS":  # two weights share 16 bits: b * 256 + a
        halves = laid.view("<i2").astype(np.int32)
        first = halves.astype(np.int8)
        laid = np.concatenate([first, ((halves - first) >> 8).astype(np.int8)])
    assert sorted(laid[laid != 0]) == sorted(matrix[matrix != 0])
    assert laid.size % 4 == 0 or order == "ERNN_ROWS"


@pytest.mark.slow
def test_simulate_says_what_stream_says_of_a_recording(tmp_path):
    out, demo = tmp_path / "firmware", BUNDLED.with_name("demo.wav")
    assert edgernn("export", BUNDLED, "--out", out, "--no-measure").returncode == 0
    simulated = edgernn("simulate", out, "--input", demo, "--scores")
    streamed = edgernn("stream", "--input", demo, "--scores", "--backend", "emulator")
    assert simulated.stdout == streamed.stdout
    assert simulated.stdout.count('"label": ') == 2


@pytest.mark.slow
@pytest.mark.parametrize("rows", [
    "0.5,0.2,0.1\n1,2,-3\n-2,1,5\n",
    "a,b,c\n0.5,0.2,0.1\n\n1,nonsense\n1,2,-3\n-2,1,1e31\n-2,1,5\n1,1,nan\n",
    "0.5,0.2,0.1\n" + "bad\n" * 9 + "0.5,0.2,0.1\n1,2,3\n"])
def test_simulate_says_what_stream_says_of_sensor_rows(tmp_path, rows):
    model = models.write_model(tmp_path / "kws.tflite", Layer("lstm", 8), features=3)
    (tmp_path / "rows.csv").write_text(rows)
    out = exported(tmp_path, model)
    simulated = edgernn("simulate", out, "--input", tmp_path / "rows.csv", "--scores")
    streamed = edgernn("stream", "--model", model, "--input", tmp_path / "rows.csv", "--scores",
                       "--backend", "emulator")
    assert simulated.stdout == streamed.stdout
    assert simulated.stdout


@pytest.mark.slow
def test_simulate_says_the_numbers_that_stream_says(tmp_path):
    model = models.numbers(tmp_path)
    (tmp_path / "rows.csv").write_text("0.5,0.2,0.1\n1,2,-3\n-2,1,5\n")
    out = exported(tmp_path, model)
    simulated = edgernn("simulate", out, "--input", tmp_path / "rows.csv")
    streamed = edgernn("stream", "--model", model, "--input", tmp_path / "rows.csv", "--backend",
                       "emulator")
    assert simulated.stdout == streamed.stdout
    assert simulated.stdout.count("\n") == 3


@pytest.mark.slow
@pytest.mark.parametrize("task", ["classify", "label"])
def test_simulate_labels_texts_given_as_tokens(tmp_path, task):
    model = models.texts(tmp_path, task)
    source = Source.read(model)
    from edgernn.frontend.tokens import Tokens
    frontend = Tokens(source.spec.frontend)
    lines = ["abcd", "dcba", "ab"]
    rows = [frontend.whole(frontend.split(line)) for line in lines]
    (tmp_path / "tokens.txt").write_text(
        "".join(" ".join(map(str, row.reshape(-1))) + "\n" for row in rows))
    simulated = edgernn("simulate", exported(tmp_path, model), "--input", tmp_path / "tokens.txt")
    (tmp_path / "lines.txt").write_text("\n".join(lines) + "\n")
    streamed = edgernn("stream", "--model", model, "--input", tmp_path / "lines.txt",
                       "--backend", "emulator")
    asked = ("text", "units")
    wanted = [{key: value for key, value in json.loads(line).items() if key not in asked}
              for line in streamed.stdout.splitlines()]
    assert [json.loads(line) for line in simulated.stdout.splitlines()] == wanted


@pytest.mark.slow
def test_simulate_refuses_a_project_that_was_damaged(tmp_path):
    folder = exported(tmp_path, models.write_model(tmp_path / "m.tflite"))
    changed(folder / "kws_model.c", r"state->gru0_h\[i\] = 0;", "state->gru0_h[i] = 9000;")
    (tmp_path / "rows.csv").write_text("1" + ",1" * 9 + "\n")
    done = edgernn("simulate", folder, "--input", tmp_path / "rows.csv")
    assert done.returncode == 1
    assert "self-check" in done.stderr


def test_simulate_refuses_a_folder_without_a_project(tmp_path):
    with pytest.raises(ModelError, match="--target c"):
        Simulation(tmp_path)


@pytest.mark.slow
def test_a_transformer_is_exported_too(tmp_path):
    model = models.write_model(tmp_path / "m.tflite", *networks.STACKS["transformer"])
    assert checked(exported(tmp_path, model)) == (0, "selfcheck passed\n")
