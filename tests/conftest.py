"""What all tests share."""

import os
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the recordings the project does not own; a test that needs them skips without."""
    folder = Path(os.environ.get("EDGERNN_SHARED", PROJECT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}: set EDGERNN_SHARED to the shared data")
    return folder


@pytest.fixture(scope="session")
def model_files(tmp_path_factory) -> dict[str, Path]:
    """A small model file of each cell; made once, and kept for environments that cannot."""
    made = os.environ.get("EDGERNN_TEST_MODELS")
    folder = Path(made) if made else tmp_path_factory.mktemp("models")
    if not any(folder.glob("*.tflite")):
        from edgernn.train.architecture import Layer
        from tests.models import write_model

        for cell in ("gru", "lstm", "simple_rnn"):
            write_model(folder / f"{cell}.tflite", Layer(cell, 16))
    return {path.stem: path for path in folder.glob("*.tflite")}
