"""What all tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A check in CI says the same twice; elsewhere every run tries something new.
settings.register_profile("ci", derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

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
    """A small model file of each cell and profile: `lstm` is int8x16, `lstm-int8` says it.
    `kws` hears log-mel frames.

    In EDGERNN_TEST_MODELS, if set, for the environment of tflite-runtime, which cannot
    make any: `make test` has them made first.
    """
    made = os.environ.get("EDGERNN_TEST_MODELS")
    folder = Path(made) if made else tmp_path_factory.mktemp("models")
    if not any(folder.glob("*.tflite")):
        from edgernn.spec import LogMelSpec
        from edgernn.train.architecture import Layer
        from tests import networks
        from tests.models import write_model

        folder.mkdir(parents=True, exist_ok=True)
        write_model(folder / "kws.tflite", Layer("gru", 8), frontend=LogMelSpec())
        stacks = {name: (layer,) for name, layer in networks.CELLS.items()} | networks.STACKS
        for name, layers in stacks.items():
            write_model(folder / f"{name}.tflite", *layers)
            for profile in ("int8", "int16x8"):
                write_model(folder / f"{name}-{profile}.tflite", *layers, profile=profile)
    return {path.stem: path for path in folder.glob("*.tflite")}


@pytest.fixture(scope="module", params=["compiled", "numpy"])
def compiled_or_numpy(request):
    """Run a module's tests with the compiled frontend and detector, and again without."""
    from edgernn.native import kernels

    if request.param == "compiled":
        try:
            kernels.best()
        except ImportError:
            pytest.skip("edgernn was installed without a compiler")
        yield
        return

    def none():
        raise ImportError("this test has none")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "best", none)
        yield


@pytest.fixture
def broker(tmp_path):
    """A mosquitto of the test's own."""
    from tests.broker import Broker

    broker = Broker(tmp_path)
    yield broker
    broker.kill()


@pytest.fixture
def watcher(broker):
    """A client of that broker, that is not ours."""
    from tests.broker import Watcher

    watcher = Watcher(broker)
    yield watcher
    watcher.close()
