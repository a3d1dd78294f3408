"""A model as an array of C++."""

import re
from dataclasses import dataclass

PER_LINE = 12


@dataclass(frozen=True)
class ModelData:
    """What its array and the number of its bytes are called.

    Parameters
    ----------
    name : str
        What all names of the project begin with.
    """

    name: str

    @property
    def array(self) -> str:
        """As TensorFlow Lite Micro's own examples call it."""
        return f"g_{self.name}_model_data"

    @property
    def size(self) -> str:
        """The number of bytes."""
        return f"{self.array}_size"


@dataclass(frozen=True)
class XxdData(ModelData):
    """The same as ``xxd -i`` names it.

    Parameters
    ----------
    file : str
        Name of the file that xxd would be given.
    """

    file: str = ""

    @property
    def array(self) -> str:
        """See `ModelData.array`."""
        plain = re.sub(r"[^A-Za-z0-9]", "_", self.file)
        return f"__{plain}" if plain[:1].isdigit() else plain

    @property
    def size(self) -> str:
        """See `ModelData.size`."""
        return f"{self.array}_len"


def lines(flatbuffer: bytes) -> str:
    """The inside of the array's braces."""
    return "\n".join("    " + " ".join(f"0x{byte:02x}," for byte in flatbuffer[i:i + PER_LINE])
                     for i in range(0, len(flatbuffer), PER_LINE))
