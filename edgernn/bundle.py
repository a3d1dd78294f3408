"""edgernn.json inside the .tflite.

It rides behind the FlatBuffer in a ZIP archive of stored members, as TensorFlow
Lite's metadata does with associated files: interpreters do not look there, and
``unzip -p kws.tflite edgernn.json`` shows it.

A model of several parts has the others as further members, each a whole model file:
``unzip g2p.tflite decoder.tflite`` takes one out, and it can be opened alone.
"""

import dataclasses
import io
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edgernn import files, spec, tflite
from edgernn.errors import ModelError
from edgernn.graph import Graph
from edgernn.spec import ModelSpec

# hashlib's own loads all of OpenSSL, a tenth of what a device spends on edgernn.
try:
    from _sha2 import sha256
except ImportError:
    try:
        from _sha256 import sha256  # until Python 3.11
    except ImportError:
        from hashlib import sha256

MEMBER = "edgernn.json"
SUFFIX = ".tflite"
"""What follows a part's name in its member's."""
LARGEST_JSON = 4 << 20
REMEDY = "Make the model again: edgernn quantize"


@dataclass(frozen=True)
class Bundle:
    """A model file, taken apart."""

    path: Path
    flatbuffer: bytes
    """What an interpreter reads; its digest was checked."""
    spec: ModelSpec
    parts: Mapping[str, "Bundle"] = field(default_factory=dict)
    """The other models in the file, by name; their digests were checked too."""
    foreign: bool = False
    """Whether it has no edgernn.json, and `spec` is what `edgernn.foreign` found out."""
    begins: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """See `Graph.begins`."""

    @cached_property
    def graph(self) -> Graph:
        """The FlatBuffer, read and verified.

        Raises
        ------
        ModelError
            If it is damaged.
        """
        return dataclasses.replace(tflite.read(self.flatbuffer), begins=self.begins)

    def part(self, name: str) -> "Bundle":
        """The other model of that name.

        Raises
        ------
        ModelError
            If there is none.
        """
        if name not in self.parts:
            raise ModelError(f"{self.path} has no part {name!r}; it has "
                             f"{', '.join(self.parts) or 'no parts'}. {REMEDY}")
        return self.parts[name]


def attach(flatbuffer: bytes, model: ModelSpec, parts: Mapping[str, bytes] | None = None) -> bytes:
    """The FlatBuffer with `model` and the files of other parts behind it, digests filled in.

    Equal arguments give equal bytes.
    """
    parts = parts or {}
    model = dataclasses.replace(
        model, model_sha256=sha256(flatbuffer).hexdigest(),
        parts={name: sha256(data).hexdigest() for name, data in parts.items()})
    file = io.BytesIO(flatbuffer)
    # Appending makes the offsets count from the start of the file, as unzip wants them.
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:
        # edgernn.json first: the FlatBuffer ends where it begins.
        for name, text in ((MEMBER, spec.to_json(model).encode()),
                           *((f"{name}{SUFFIX}", data) for name, data in parts.items())):
            member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            member.external_attr = 0o644 << 16
            archive.writestr(member, text)
    return file.getvalue()


def split(data: bytes, where: str = "the model") -> tuple[bytes, ModelSpec]:
    """FlatBuffer and spec of the main part alone; see `parse`."""
    found = parse(data, where)
    return found.flatbuffer, found.spec


def parse(data: bytes, where: str = "the model", path: Path = Path()) -> Bundle:
    """Take apart what `attach` joined.

    Raises
    ------
    ModelError
        If there is no edgernn.json, a part is missing, or anything is damaged: the JSON has
        a checksum in the archive, and holds the digests of the FlatBuffer and of the parts.
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
            model = spec.from_json(text, f"{MEMBER} of {where}")
            others = {name: _part(archive, name, digest, where)
                      for name, digest in model.parts.items()}
    # What zipfile raises on archives with flipped bits, seen by flipping every one.
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, OSError, EOFError, RuntimeError,
            OverflowError, IndexError) as problem:
        raise ModelError(f"{where} has no readable {MEMBER} behind the model ({problem}). It may "
                         "be damaged, or come from another tool; copy it again, or make it with "
                         "edgernn quantize") from problem
    flatbuffer = data[: member.header_offset]
    found = sha256(flatbuffer).hexdigest()
    if found != model.model_sha256:
        raise ModelError(f"{where} is damaged: its SHA-256 is {found[:12]}..., and "
                         f"{MEMBER} says {model.model_sha256[:12]}... Copy it again, or make it "
                         "again: edgernn quantize")
    return Bundle(path, flatbuffer, model, {
        name: parse(part, f"the part {name!r} of {where}", path)
        for name, part in others.items()})


def _part(archive: zipfile.ZipFile, name: str, digest: str, where: str) -> bytes:
    """A member that holds another model; its digest is in edgernn.json."""
    try:
        data = archive.read(f"{name}{SUFFIX}")
    except KeyError:
        raise ModelError(f"{where} lacks its part {name!r}: {MEMBER} names it, but the file holds "
                         f"{', '.join(archive.namelist())}. Copy it again, or make it again: "
                         "edgernn quantize") from None
    found = sha256(data).hexdigest()
    if found != digest:
        raise ModelError(f"the part {name!r} of {where} is damaged: its SHA-256 is {found[:12]}"
                         f"..., and {MEMBER} says {digest[:12]}... Copy it again, or make it "
                         "again: edgernn quantize")
    return data


def read(path: Path, states: Mapping[str, str] | None = None) -> Bundle:
    """Read a model file, ours or one from elsewhere.

    Parameters
    ----------
    path : path
    states : mapping, optional
        See `edgernn.foreign.read`; ours name their states themselves.

    Raises
    ------
    ModelError
        See `parse` for what can be wrong with ours, `edgernn.foreign.read` with others.
    """
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise ModelError(f"{path} cannot be read: {problem.strerror}. "
                         "Give a .tflite made by edgernn quantize") from problem
    if path.suffix == ".json" or MEMBER.encode() not in data:  # a device of ours stops here
        from edgernn import foreign

        if foreign.is_foreign(path, data):
            return foreign.read(path, data, states or {})
    if states:
        raise ModelError(f"{path} has an {MEMBER} that names its states. Leave --state out")
    return parse(data, str(path), path)


def flatbuffer(path: Path) -> bytes:
    """What an interpreter reads of any .tflite, whatever rides behind it, or nothing.

    Raises
    ------
    ModelError
        If the file cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise ModelError(f"{path} cannot be read: {problem.strerror}. Give a .tflite") from problem
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return data[:min(member.header_offset for member in archive.infolist())]
    except (zipfile.BadZipFile, ValueError):
        return data


def write(path: Path, data: bytes) -> None:
    """Write a model file, whole or not at all."""
    files.write(path, data)
