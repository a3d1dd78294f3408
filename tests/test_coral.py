"""The backend of a Coral, as far as it goes without one."""

import dataclasses
import os
import shutil
import subprocess
import sys

import pytest

from edgernn import bundle, coral, spec, tflite
from edgernn.errors import BackendError
from edgernn.step import StepModel
from tests.compiled_for_coral import compiled_for_coral

FAKE = """
#include <stddef.h>
void *tflite_plugin_create_delegate(char **keys, char **values, size_t count,
                                    void (*report)(const char *))
{
    (void)keys; (void)values; (void)count;
    report("No Edge TPU device found");
    return NULL;
}
void tflite_plugin_destroy_delegate(void *delegate) { (void)delegate; }
"""


@pytest.fixture(scope="module")
def compiled(model_files, tmp_path_factory):
    """A model such as edgetpu_compiler and `edgernn attach` make."""
    whole = bundle.read(model_files["gru-int8"])
    path = tmp_path_factory.mktemp("coral") / "gru_edgetpu.tflite"
    path.write_bytes(bundle.attach(compiled_for_coral(whole), whole.spec))
    return path


def open_with(path, *, library):
    code = ("import sys; from edgernn.step import StepModel\n"
            f"StepModel.open({str(path)!r}, 'edgetpu')")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env={**os.environ, "LD_LIBRARY_PATH": str(library)})
    assert done.returncode == 1
    return done.stderr


def test_a_model_that_was_not_compiled_says_how_to(model_files):
    with pytest.raises(BackendError, match="was not compiled for it"):
        StepModel.open(model_files["gru-int8"], "edgetpu")


def test_without_the_library_it_says_what_to_install(compiled, tmp_path):
    pytest.importorskip("ai_edge_litert")
    assert "apt install libedgetpu1-std" in open_with(compiled, library=tmp_path)


def test_without_a_coral_it_says_to_plug_one_in(compiled, tmp_path):
    pytest.importorskip("ai_edge_litert")
    if not shutil.which("gcc"):
        pytest.skip("no gcc")
    (tmp_path / "fake.c").write_text(FAKE)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(tmp_path / coral.LIBRARY),
                    str(tmp_path / "fake.c")], check=True)
    said = open_with(compiled, library=tmp_path)
    assert "finds no Coral" in said
    assert "Plug it in" in said


@pytest.mark.parametrize("backend", ["auto", "c", "litert", "emulator"])
def test_a_compiled_model_runs_nowhere_else_and_says_so(compiled, backend):
    with pytest.raises(BackendError, match="Give the model that it was compiled from"):
        StepModel.open(compiled, backend)


def test_the_streams_falls_back_only_if_it_is_asked_to(model_files, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text("0,0,0,0,0,0,0,0,0,0\n" * 3)
    command = [sys.executable, "-m", "edgernn", "stream", "--model", str(model_files["gru-int8"]),
               "--input", str(rows), "--backend", "edgetpu"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "was not compiled" in done.stderr
    done = subprocess.run([*command, "--fallback", "emulator"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--fallback: emulator runs it" in done.stderr


def attach(*arguments):
    return subprocess.run([sys.executable, "-m", "edgernn", "attach", *map(str, arguments)],
                          capture_output=True, text=True)


def test_what_the_compiler_dropped_is_put_back(model_files, tmp_path):
    whole = bundle.read(model_files["gru-int8"])
    bare = tmp_path / "gru_edgetpu.tflite"
    bare.write_bytes(compiled_for_coral(whole))
    done = attach(bare, "--from", model_files["gru-int8"])
    assert done.returncode == 0, done.stderr
    found = bundle.read(bare)
    assert found.flatbuffer == compiled_for_coral(whole)
    assert found.spec.provenance["attached_from_sha256"] == whole.spec.model_sha256
    assert dataclasses.replace(found.spec, provenance=whole.spec.provenance,
                               model_sha256=whole.spec.model_sha256) == whole.spec
    assert [op.name for op in tflite.read(found.flatbuffer).ops] == [coral.OP]


def test_it_can_be_put_back_from_the_file_itself_and_elsewhere(model_files, tmp_path):
    whole, text = bundle.read(model_files["gru"]), tmp_path / "spec.json"
    out = tmp_path / "out.tflite"
    text.write_text(spec.to_json(whole.spec))
    bare = tmp_path / "bare.tflite"
    bare.write_bytes(whole.flatbuffer)
    assert attach(bare, "--spec", text, "--out", out).returncode == 0
    assert bare.read_bytes() == whole.flatbuffer
    StepModel.open(out, "emulator")


def test_what_does_not_fit_is_not_written(model_files, tmp_path):
    bare = tmp_path / "bare.tflite"
    bare.write_bytes(bundle.read(model_files["lstm"]).flatbuffer)
    before = bare.read_bytes()
    for arguments, said in ((("--from", model_files["gru"]), "which the model does not have"),
                            (("--from", tmp_path / "none"), "cannot be read"),
                            (("--spec", bare), "is not JSON")):
        done = attach(bare, *arguments)
        assert (done.returncode, bare.read_bytes()) == (1, before)
        assert said in done.stderr
    assert attach(bare).returncode == 2
