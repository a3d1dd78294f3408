"""edgernn.json inside the .tflite.

It rides behind the FlatBuffer as a ZIP archive of one stored member, as TensorFlow
Lite's metadata does with associated files: interpreters do not look there, and
``unzip -p kws.tflite edgernn.json`` shows it.
"""

import dataclasses
import hashlib
import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from edgernn import files, spec
from edgernn.errors import ModelError
from edgernn.spec import ModelSpec

MEMBER = "edgernn.json"
LARGEST_JSON = 4 << 20
REMEDY = "Make the model again: edgernn quantize"


@dataclass(frozen=True)
class Bundle:
    """A model file, taken apart."""

    path: Path
    flatbuffer: bytes
    """What an interpreter reads; its digest was checked."""
    spec: ModelSpec


def attach(flatbuffer: bytes, model: ModelSpec) -> bytes:
    """The FlatBuffer with `model` behind it, its digest filled in.

    Equal arguments give equal bytes.
    """
    model = dataclasses.replace(model, model_sha256=hashlib.sha256(flatbuffer).hexdigest())
    file = io.BytesIO(flatbuffer)
    # Appending makes the offsets count from the start of the file, as unzip wants them.
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:
        member = zipfile.ZipInfo(MEMBER, date_time=(1980, 1, 1, 0, 0, 0))
        member.external_attr = 0o644 << 16
        archive.writestr(member, spec.to_json(model))
    return file.getvalue()


def split(data: bytes, where: str = "the model") -> tuple[bytes, ModelSpec]:
    """Take apart what `attach` joined.

    Raises
    ------
    ModelError
        If there is no edgernn.json, or anything is damaged: the JSON has a checksum in
        the archive, and holds the digest of the FlatBuffer.
    """
    if data[4:8] != b"TFL3":
        raise ModelError(f"{where} is not a TensorFlow Lite model: it begins with {data[:8]!r}, "
                         "and TFL3 was needed at byte 4. Give a .tflite made by edgernn quantize")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            member = archive.getinfo(MEMBER)
            if member.compress_type != zipfile.ZIP_STORED or member.file_size > LARGEST_JSON:
                raise zipfile.BadZipFile(f"{MEMBER} is compressed or too large")
            text = archive.read(member)
    # What zipfile raises on archives with flipped bits, seen by flipping every one.
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, OSError, EOFError, RuntimeError,
            NotImplementedError, OverflowError, IndexError) as problem:
        raise ModelError(f"{where} has no readable {MEMBER} behind the model ({problem}). It may "
                         "be damaged, or come from another tool; copy it again, or make it with "
                         "edgernn quantize") from problem
    model = spec.from_json(text, f"{MEMBER} of {where}")
    flatbuffer = data[: member.header_offset]
    found = hashlib.sha256(flatbuffer).hexdigest()
    if found != model.model_sha256:
        raise ModelError(f"{where} is damaged: its SHA-256 is {found[:12]}..., and "
                         f"{MEMBER} says {model.model_sha256[:12]}... Copy it again, or make it "
                         "again: edgernn quantize")
    return flatbuffer, model


def read(path: Path) -> Bundle:
    """Read a model file; see `split` for what can be wrong with it."""
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise ModelError(f"{path} cannot be read: {problem.strerror}. "
                         "Give a .tflite made by edgernn quantize") from problem
    return Bundle(path, *split(data, str(path)))


def write(path: Path, data: bytes) -> None:
    """Write a model file, whole or not at all."""
    files.write(path, data)
