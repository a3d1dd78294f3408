"""What models and frontends compute on the machine that runs this; for tools/pi.py.

    python pi_steps.py FOLDER OUT [frontend] BACKEND=STEPS ...

FOLDER has models, NAME.tflite, and frames for each, NAME.npy, codes of its own type.  OUT gets
NAME.BACKEND.npz: the codes of scores and states after every step.  A backend that refuses a model
leaves NAME.BACKEND.txt, which says why.  `frontend` leaves what frontends make of *.wav in FOLDER.
Needs edgernn[device] alone, and for recordings soundfile.
"""

import platform
import sys
from pathlib import Path

import numpy as np

from edgernn import bundle, interpreter
from edgernn.errors import BackendError
from edgernn.frontend import make_frontend
from edgernn.sources.wav import WavSource
from edgernn.step import StepModel

FRONTEND = "frontend"


def walk(path: Path, backend: str, steps: int) -> dict[str, np.ndarray]:
    """Codes of scores and states after every step, by tensor."""
    model = StepModel.open(path, backend)
    made: dict[str, list[np.ndarray]] = {}
    for frame in np.load(path.with_suffix(".npy"))[:steps]:
        model.step(frame)
        state = model.state()
        for name, codes in {**state, model.spec.output: model.codes}.items():
            made.setdefault(name, []).append(codes.reshape(-1))
    return {name: np.array(rows) for name, rows in made.items()}


def heard(wav: Path, model: Path) -> dict[str, np.ndarray]:
    """Rows of a recording: by the kernels if there are any, hop by hop, and by numpy, at once."""
    spec = bundle.read(model).spec.frontend
    frontend = make_frontend(spec)
    samples = np.concatenate([frame.samples for frame in
                              WavSource(str(wav), spec.sample_rate_hz, 16000, model.name)])
    pushed = [frontend.push(samples[at:at + 320]) for at in range(0, len(samples), 320)]
    return {"pushed": np.concatenate(pushed), "whole": frontend.whole(samples)}


def main(folder: Path, out: Path, *wanted: str) -> None:
    """Write everything."""
    out.mkdir(parents=True, exist_ok=True)
    for word in (one for one in wanted if one != FRONTEND):
        backend, _, steps = word.partition("=")
        for path in sorted(folder.glob("*.tflite")):
            try:
                np.savez(out / f"{path.stem}.{backend}.npz", **walk(path, backend, int(steps)))
            except BackendError as problem:
                (out / f"{path.stem}.{backend}.txt").write_text(str(problem), encoding="utf-8")
    for wav in folder.glob("*.wav") if FRONTEND in wanted else ():
        np.savez(out / f"{wav.stem}.frontend.npz", **heard(wav, folder / f"{wav.stem}.tflite"))
    found = ", ".join(f"{name} {version}" for name, version in interpreter.available().items())
    print(f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}, "
          f"{found}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
