"""The device side is tiny: who imports what."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import edgernn

PACKAGE = Path(edgernn.__file__).parent
DEVICE = sorted(p for p in PACKAGE.rglob("*.py")
                if "train" not in p.relative_to(PACKAGE).parts and "cli" not in p.parts)


def imported(path, inside_functions):
    """Names of the packages a file imports."""
    tree = ast.parse(path.read_text())
    nodes = ast.walk(tree) if inside_functions else tree.body
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("path", DEVICE, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_device_modules_import_numpy_and_the_standard_library_at_the_top(path):
    allowed = {*sys.stdlib_module_names, "numpy", "edgernn", "__future__"}
    assert set(imported(path, inside_functions=False)) <= allowed


def test_tensorflow_is_imported_in_train_alone():
    for path in PACKAGE.rglob("*.py"):
        if set(imported(path, inside_functions=True)) & {"tensorflow", "keras"}:
            assert "train" in path.relative_to(PACKAGE).parts, path


def test_the_device_side_never_imports_train():
    for path in DEVICE:
        for line in path.read_text().splitlines():
            assert not line.lstrip().startswith(("import edgernn.train", "from edgernn.train"))


def test_streaming_works_where_nothing_but_numpy_and_an_interpreter_is_installed(model_files):
    blocked = ("tensorflow", "keras", "click", "rich", "yaml", "soundfile", "soxr", "sounddevice")
    code = f"""
import sys
for name in {blocked!r}:
    sys.modules[name] = None
import numpy as np
from edgernn.frames import Frame
from edgernn.step import StepModel
from edgernn.stream import Listener, listen
model = StepModel.open({str(model_files["gru"])!r})
listener = Listener(model)
list(listen([Frame(np.zeros((5, model.width), np.float32), 0.0)], listener))
print(listener.summary.steps)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "5", done.stderr
