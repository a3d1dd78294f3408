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
