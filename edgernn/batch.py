"""Many streams of one model, stepped by one call."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn import interpreter
from edgernn.errors import BackendError, FeatureError
from edgernn.native import NativeRuntime
from edgernn.step import StepModel


class BatchStep:
    """Streams that step together; each is a `StepModel` with a state of its own.

    ``batch[i]`` is stream i: its `reset`, `state`, `restore`, `hold` and `set_context` touch
    that stream alone, and its `step` steps it alone.  Every stream gives the bytes that it
    would give by itself.  Not for several threads at once.

    Parameters
    ----------
    model : StepModel
        Of the backend `c`, whose kernels read weights once for several streams.
    streams : int
        How many; begun from reset.

    Raises
    ------
    BackendError
        If the model runs on another backend.
    """

    def __init__(self, model: StepModel, streams: int) -> None:
        runtime = model.runtime
        if not isinstance(runtime, NativeRuntime):
            raise BackendError(f"the model runs on {runtime.name}; many streams at once need the "
                               f"backend c. {_remedy()}")
        if streams < 1:
            raise ValueError(f"{streams} streams were asked for; 1 or more were needed")
        self._memory = runtime.memory(streams)
        self._step = runtime.streams(self._memory, batched=True).step
        self._streams = [StepModel(model.spec, model.graph, runtime, self._memory.stream(i))
                         for i in range(streams)]
        self._shape = (streams, model.width)
        self._dtype = model.graph.tensor(model.spec.input).dtype

    @classmethod
    def open(cls, path: str | Path, streams: int) -> "BatchStep":
        """Open a .tflite written by `edgernn quantize`; see `StepModel.open`."""
        return cls(StepModel.open(path, "c"), streams)

    def __len__(self) -> int:
        """How many streams."""
        return len(self._streams)

    def __getitem__(self, stream: int) -> StepModel:
        """One of the streams."""
        return self._streams[stream]

    def __iter__(self) -> Iterator[StepModel]:
        """Every stream."""
        return iter(self._streams)

    def step(self, frames: NDArray[Any], held: NDArray[np.bool_] | None = None
             ) -> NDArray[np.float32]:
        """Take a frame of every stream and return their scores.

        Parameters
        ----------
        frames : array, shape (streams, width)
            As `StepModel.step` takes them: float32 features, codes, or int32 tokens.
        held : bool array, shape (streams,), optional
            Streams whose frame is masked or missing: they keep their state and repeat their
            scores, and their row of `frames` is not looked at.

        Returns
        -------
        float32 array, shape (streams, labels)
            Overwritten by the next step: copy it to keep it.

        Raises
        ------
        FeatureError
            If the shape or the type is another, or a frame that is not held is none that the
            model takes.  All states are then as they were.
        """
        if held is not None:
            held = self._mask(held)
        if not self._step(frames, held):
            self._step(self._codes(frames, held), held)
        return self._memory.scores

    def reset(self) -> None:
        """Forget everything, in every stream."""
        for stream in self._streams:
            stream.reset()

    def _mask(self, held: Any) -> NDArray[np.bool_]:
        mask = np.ascontiguousarray(held)
        if mask.dtype != np.bool_ or mask.shape != self._shape[:1]:
            raise FeatureError(f"held is {mask.dtype}{list(mask.shape)}; bool[{len(self)}] was "
                               "needed: True for the streams that have no frame")
        return mask

    def _codes(self, frames: Any, held: NDArray[np.bool_] | None) -> NDArray[Any]:
        """Frames that need a second look, as codes; held rows are zeros."""
        rows = np.asarray(frames)
        if rows.shape != self._shape:
            raise FeatureError(f"the frames have shape {rows.shape}; {self._shape} was needed: a "
                               "row for every stream")
        codes = np.zeros(self._shape, self._dtype)
        for i, (stream, row) in enumerate(zip(self._streams, rows, strict=True)):
            if held is None or not held[i]:
                try:
                    codes[i] = stream.accept(row)[0]
                except FeatureError as problem:
                    raise FeatureError(f"stream {i}: {problem}") from problem
        return codes


def _remedy() -> str:
    if "c" in interpreter.available():
        return 'Open it with StepModel.open(path, "c")'
    return "Install edgernn again where there is a C compiler: apt install gcc python3-dev"
