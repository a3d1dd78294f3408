"""C as text: names, strings, numbers and arrays that say what they are."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import ModelError

CTYPES = {"int8": "int8_t", "int16": "int16_t", "int32": "int32_t", "int64": "int64_t",
          "uint8": "uint8_t", "uint16": "uint16_t"}
"""numpy's names of types, and C's."""

KEYWORDS = frozenset(
    # As one text: a list of 85 strings reads worse.
    re.findall(r"\w+", """
    auto break case char const continue default do double else enum extern float for goto if
    inline int long register restrict return short signed sizeof static struct switch typedef
    union unsigned void volatile while
    asm bool catch class const_cast delete dynamic_cast explicit export false friend mutable
    namespace new operator private protected public reinterpret_cast static_cast template this
    throw true try typeid typename using virtual wchar_t and or not xor main"""))
"""Words of C, and of C++, whose sketches include our headers."""

PER_LINE = {"int64": 4, "int32": 6}
"""Numbers in a line of an array; of other types 16 bytes' worth at least."""


def checked_name(name: str) -> str:
    """`name`, which is to begin the names of functions and files.

    Raises
    ------
    ModelError
        If it is no C identifier, or one with a meaning.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,30}", name) or name.lower() in KEYWORDS or (
            name.startswith("ernn")):
        raise ModelError(f"{name!r} cannot begin the names of C functions; a letter and up to 30 "
                         "letters, digits or underscores were needed, not a word of C or C++, nor "
                         "ernn. Choose another: --name kws")
    return name


class Names:
    """C identifiers for names of tensors, each for one of them."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._given: dict[str, str] = {}

    def __call__(self, name: str) -> str:
        """The identifier of the tensor `name`."""
        if name not in self._given:
            plain = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") or "tensor"
            plain = f"t{plain}" if plain[0].isdigit() else plain
            found, number = plain, 1
            while found.lower() in self._taken or found in KEYWORDS:
                number += 1
                found = f"{plain}_{number}"
            self._taken.add(found.lower())
            self._given[name] = found
        return self._given[name]


def string(text: str) -> str:
    r"""A string literal, whatever the text is: all but plain ASCII as octal escapes.

    Octal, because a hexadecimal escape does not end where it should; and ``?``, because of
    trigraphs.
    """
    plain = {byte for byte in range(32, 127)} - {ord(c) for c in '"\\?'}
    return '"' + "".join(chr(byte) if byte in plain else f"\\{byte:03o}"
                         for byte in text.encode("utf-8")) + '"'


def comment(text: str) -> str:
    """Text that can stand in a comment: one line that ends none, begins none, holds no trigraph."""
    plain = "".join(c if " " <= c <= "~" else "?" for c in " ".join(text.split()))
    return re.sub(r"\*(?=/)|/(?=\*)|\?(?=\?)", r"\g<0> ", plain).rstrip("\\ ")


def real(value: float) -> str:
    """A float literal with nine digits, which give every float32 back."""
    digits = f"{value:.9g}"
    return f"{digits}f" if any(c in digits for c in ".e") else f"{digits}.0f"


def array(name: str, values: NDArray[Any], shape: Iterable[int] = (), what: str = "",
          aligned: str = "") -> str:
    """A constant array, shape and meaning in a comment; `aligned` is a word that aligns it."""
    flat = np.asarray(values).reshape(-1)
    shape = tuple(shape) or np.shape(values)
    words = " x ".join(map(str, shape)) + (f", {comment(what)}" if what else "")
    kind = " ".join(["static const", CTYPES[flat.dtype.name], *([aligned] if aligned else [])])
    return (f"{kind} {name}[{flat.size}] = {{ /* {words} */\n"
            f"{numbers(flat)}\n}};\n")


def numbers(flat: NDArray[Any]) -> str:
    """The inside of an array's braces."""
    texts = [_number(int(value), flat.dtype.name) for value in flat]
    width = max(map(len, texts), default=0)
    per_line = PER_LINE.get(flat.dtype.name, 8 if width > 4 else 16)
    lines = (", ".join(text.rjust(width) for text in texts[i:i + per_line])
             for i in range(0, len(texts), per_line))
    return ",\n".join(f"    {line}" for line in lines)


def _number(value: int, dtype: str) -> str:
    if dtype == "int64":
        return f"INT64_C({value})"
    # -2147483648 is no int32 literal: it is a minus and a number that does not fit.
    return "INT32_MIN" if value == -2**31 else str(value)


def struct(kind: str, name: str, fields: Mapping[str, str | int]) -> str:
    """A constant struct with every field named."""
    lines, line = [], "   "
    for field, value in fields.items():
        text = f" .{field} = {value},"
        if len(line) + len(text) > 96:
            lines.append(line)
            line = "   "
        line += text
    inside = "\n".join([*lines, line.rstrip(",")])
    return f"static const {kind} {name} = {{\n{inside}\n}};\n"
