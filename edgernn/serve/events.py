"""Wyoming's events off the wire, within bounds.

A line of JSON with `type`, perhaps `data`, `data_length` and `payload_length`; then so many
bytes of JSON, which add to `data`, and so many bytes of payload.  The package's own reader
gives None for what is no event as for the end, trusts both lengths, and lets other damage
escape as whatever error it causes.
"""

import asyncio
import json
from typing import Any

from edgernn.errors import SourceError

MOST_DATA, MOST_PAYLOAD = 1 << 20, 1 << 24
"""Bytes: 16 MB are three minutes of audio in one piece."""


async def read_event(reader: asyncio.StreamReader) -> Any:
    """The next event as a `wyoming.event.Event`, or None at the end.

    Raises
    ------
    SourceError
        If what comes is no event; where the next one begins is then unknown.
    asyncio.IncompleteReadError
        If the stream ends within an event.
    """
    from wyoming.event import Event

    try:
        line = await reader.readline()
    except ValueError as problem:  # longer than the reader's limit
        raise _no_event("a line that does not end", "a line of JSON") from problem
    if not line:
        return None
    if not line.endswith(b"\n"):
        raise asyncio.IncompleteReadError(line, None)
    header = _object(line)
    kind = header.get("type")
    if not isinstance(kind, str):
        raise _no_event(line, 'JSON with a "type"')
    data = header.get("data")
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise _no_event(line, '"data" that is an object')
    length = _length(header, "data_length", MOST_DATA)
    if length:
        data = {**data, **_object(await reader.readexactly(length))}
    payload = await reader.readexactly(_length(header, "payload_length", MOST_PAYLOAD))
    return Event(type=kind, data=data, payload=payload or None)


def _object(text: bytes) -> dict[str, Any]:
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise _no_event(text, "a JSON object") from problem
    if not isinstance(tree, dict):
        raise _no_event(text, "a JSON object")
    return tree


def _length(header: dict[str, Any], name: str, most: int) -> int:
    found = header.get(name)
    if found is None:
        return 0
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found <= most:
        raise _no_event(f"{name} {found!r:.40}", f"0 to {most} bytes")
    return found


def _no_event(found: Any, needed: str) -> SourceError:
    shown = f"{found[:40]!r}" if isinstance(found, bytes) else found
    return SourceError(f"what was sent is no Wyoming event: {shown}; {needed} was needed. "
                       "Speak Wyoming, such as by its Python package")
