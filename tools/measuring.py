"""What the measuring tools do alike: quantize a run and read off what it reaches."""

from pathlib import Path
from typing import Any

from edgernn.train.quantize import quantize_run

PROFILES = ("int8x16", "int8")


def reached(run: Path, out: Path, digits: int = 4) -> dict[str, Any]:
    """Quantize a run in both profiles, to `out` with the profile's name added.

    Returns
    -------
    dict
        The task's metric as `float_reset`, `float_carry`, `int8_reset`...; `int8_bytes`...;
        and `split` and `sequences`, what it was measured on.
    """
    line: dict[str, Any] = {}
    for profile in PROFILES:
        report = quantize_run(run, out.with_name(f"{out.name}-{profile}.tflite"), profile)
        for kind, values in (("float", report.floats), (profile, report.integers)):
            line |= {f"{kind}_{name}": round(value, digits) for name, value in values.items()}
        line |= {f"{profile}_bytes": report.bytes, "split": report.split,
                 "sequences": report.sequences}
    return line
