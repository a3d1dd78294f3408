"""Thresholds that were chosen while a model ran, put into its file."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from edgernn import bundle
from edgernn.errors import ModelError
from edgernn.spec import FORMAT, DetectorSpec


def store(path: Path, thresholds: Mapping[str, float], model_sha256: str) -> None:
    """Write a model file anew, with other thresholds, whole or not at all.

    Parameters
    ----------
    path : Path
        Made by ``edgernn quantize``.
    thresholds : mapping of str to float
        By label; labels left out keep theirs.
    model_sha256 : str
        Of the model that they were chosen for.

    Raises
    ------
    ModelError
        If the file cannot be read, or holds another model or one of several parts.
    OutputError
        If it cannot be written; it is then as it was.
    """
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise ModelError(f"{path} cannot be read: {problem.strerror}. The thresholds are not "
                         "saved") from problem
    # Never by `read`, which may open other kinds of file than it could write.
    found = bundle.parse(data, str(path), path)
    if found.spec.model_sha256 != model_sha256:
        raise ModelError(f"{path} holds another model than the one that runs. The thresholds are "
                         "not saved; start the stream again")
    if found.parts:
        raise ModelError(f"{path} has the parts {', '.join(found.parts)}; a model of one part was "
                         "needed. The thresholds are not saved")
    detector = found.spec.detector or DetectorSpec({})
    spec = dataclasses.replace(found.spec, format=FORMAT, detector=dataclasses.replace(
        detector, thresholds={**detector.thresholds, **thresholds}))
    bundle.write(path, bundle.attach(found.flatbuffer, spec))
