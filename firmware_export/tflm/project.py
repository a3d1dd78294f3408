"""The files of a project that runs a model in TensorFlow Lite Micro."""

import zlib
from collections.abc import Sequence
from math import prod
from typing import Any

from edgernn.errors import ModelError
from edgernn.graph import Tensor
from firmware_export import ctext, golden, template
from firmware_export.project import Source, golden_steps, kernels, main, shared_values
from firmware_export.tflm import arena, layouts, model_data, ops, targets
from firmware_export.tflm.arena import Arena
from firmware_export.tflm.model_data import ModelData, XxdData
from firmware_export.tflm.targets import Target

FIXED_POINTERS, POINTERS_PER_OP = 72, 12
"""Room for MicroInterpreter and MicroMutableOpResolver, in pointers.  Of the four releases
from 2023 to 2026 that were looked at, the largest need 54, and 11 an op."""

PRODUCTS = ("build/*", "*/build/*", "*/managed_components/*", "*/sdkconfig*",
            "*/dependencies.lock", ".pio/*")
"""What CMake, ESP-IDF and PlatformIO leave behind in a project."""


def tflm_project(source: Source, name: str, command: Sequence[str], target: Target,
                 arena_bytes: int = 0, xxd: bool = False) -> dict[str, str | bytes]:
    """The files of a project for TensorFlow Lite Micro, by path.

    Parameters
    ----------
    source : Source
    name : str
        What its functions and files begin with.
    command : sequence of str
        What makes it again, for its first lines.
    target : Target
        One of `targets.TARGETS`: how its files lie, and what builds them.
    arena_bytes : int
        Of the arena; 0 to measure it.
    xxd : bool
        Name the model's array as ``xxd -i`` would: ``kws_tflite``, ``kws_tflite_len``.

    Raises
    ------
    ModelError
        If the name is no C identifier, the target lacks an op of the model, or the detector
        cannot be computed in 32 bits.
    BackendError
        If the arena cannot be measured.
    """
    ctext.checked_name(name)
    adders = ops.adders(source.graph)
    targets.check(target, source.graph)
    memory = Arena(0, arena_bytes) if arena_bytes else arena.measure(source.flatbuffer,
                                                                     source.graph)
    array = XxdData(name, source.path.name) if xxd else ModelData(name)
    if array.array in ctext.KEYWORDS:
        raise ModelError(f"{source.path.name} would be the array {array.array!r}, a word of C or "
                         "C++; another name was needed. Rename the file: kws.tflite")
    values = (shared_values(source, name, command) | _program(source, name)
              | _runtime(target, adders, memory) | _model(source, array))
    files = {f"{name}{part}": _filled(f"model{of}", values) for part, of in (
        (".h", ".h"), (target.suffix, ".cc"), ("_model_data.h", "_data.h"),
        (f"_model_data{target.suffix}", "_data.cc"))}
    files |= {f"{name}_{part}": _filled(part, values) for part in ("signal.c", "golden.h")}
    desktop = main(source, values)
    files |= kernels(files[f"{name}_signal.c"] + files[f"{name}.h"] + desktop)
    return {"LICENSE": template.read("LICENSE"),
            **layouts.laid_out(target, files, desktop, source, values)}


def state_fields(source: Source) -> dict[str, str]:
    """The fields of the struct that remember, by the names of the inputs that they become."""
    names = ctext.Names()
    for word in ("scores", "engine", "differs", "engine memory", "arena"):
        names(f"{word} ")  # are fields already
    return {pair.input: names(pair.input.removesuffix("_in")) for pair in source.spec.states}


def _filled(name: str, values: dict[str, Any]) -> str:
    return template.fill(layouts.read(name), values)


def _runtime(target: Target, adders: list[str], memory: Arena) -> dict[str, Any]:
    """What the files say of TensorFlow Lite Micro."""
    if memory.used:
        note = (f"{memory.used:,} bytes were\n * used by {memory.runtime} on x86-64, where "
                "pointers are twice as large as yours;\n * "
                f"{memory.margin:,} more are for optimized kernels, which keep more than the "
                "reference kernels.")
    else:
        note = "the bytes that the export was told."
    return {"arena_bytes": memory.bytes, "arena_note": note, "op_count": len(adders),
            "engine_pointers": FIXED_POINTERS + POINTERS_PER_OP * len(adders),
            "adders": " &&\n               ".join(f"resolver.{adder}() == kTfLiteOk"
                                                  for adder in adders),
            "runtime_include": f"\n#include <{target.include}>\n" if target.include else "",
            "suffix": target.suffix, "runtime": target.runtime,
            "damaged": "the model is damaged, or TensorFlow Lite Micro refuses it"}


def _model(source: Source, array: ModelData) -> dict[str, Any]:
    return {"array": array.array, "size": array.size, "bytes": model_data.lines(source.flatbuffer),
            "byte_count": len(source.flatbuffer), "model_bytes": f"{len(source.flatbuffer):,}",
            "checksum": zlib.adler32(source.flatbuffer)}


def _program(source: Source, name: str) -> dict[str, Any]:
    """What remembers, gives and takes; all of it in the order of edgernn.json."""
    spec, graph = source.spec, source.graph
    inputs = [graph.tensors[i].name for i in graph.inputs]
    outputs = [graph.tensors[i].name for i in graph.outputs]
    fields = state_fields(source)
    tensors = {field: graph.tensor(tensor) for tensor, field in fields.items()}
    tensors["scores"] = graph.tensor(spec.output)
    state = [(pair, f"state->{fields[pair.input]}") for pair in spec.states]
    gives = [_copy("give", inputs.index(spec.input), "features",
                   f"{name.upper()}_FEATURES * sizeof *features")]
    gives += [_copy("give", inputs.index(pair.input), field) for pair, field in state]
    takes = [_copy("take", outputs.index(spec.output), "state->scores")]
    takes += [_copy("take", outputs.index(pair.output), field) for pair, field in state]
    return {"header": f"{name}.h",
            "state": "\n".join(_field(field, tensor) for field, tensor in tensors.items()),
            "resets": "\n".join(f"    memset(state->{field}, {tensor.qtype.zero_point}, sizeof "
                                f"state->{field}); /* 0.0 */"
                                for field, tensor in tensors.items()),
            "gives": "\n".join(f"{line} ||" for line in gives), "takes": " ||\n".join(takes),
            **_golden(source, fields)}


def _field(field: str, tensor: Tensor) -> str:
    what = "of the last step" if field == "scores" else "remembered from step to step"
    return f"    {ctext.CTYPES[tensor.dtype]} {field}[{prod(tensor.shape)}];".ljust(36) + (
        f" /* {what} */")


def _copy(verb: str, place: int, field: str, size: str = "") -> str:
    return f"        !engine->{verb}({place}, {field}, {size or f'sizeof {field}'})"


def _golden(source: Source, fields: dict[str, str]) -> dict[str, str]:
    found = golden.golden(source.graph, source.spec)
    arrays, compares = golden_steps(found), []
    for tensor, field in fields.items():
        arrays.append(ctext.array(f"golden_{field}", found.states[tensor]))
        compares.append(f"        }} else if (step == {golden.STEPS - 1} &&\n"
                        f"                   memcmp(state->{field}, golden_{field}, "
                        f"sizeof golden_{field}) != 0) {{\n"
                        f'            state->differs = "{field}";\n')
    return {"golden": "\n".join(arrays), "state_compares": "".join(compares)}
