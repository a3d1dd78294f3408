"""``--target c``: a small project of C99 that depends on nothing."""

import dataclasses
import hashlib
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

import edgernn
from edgernn import bundle, step
from edgernn.errors import ModelError
from edgernn.graph import Graph
from edgernn.plan import Plan, plan
from edgernn.plan.layout import LAYOUTS
from edgernn.quant import QType
from edgernn.spec import DetectorSpec, LogMelSpec, ModelSpec, StandardizeSpec, TokenSpec
from edgernn.stream import HOLD_S, HOLD_STEPS
from firmware_export import ctext, golden, template
from firmware_export.detector import detector_text
from firmware_export.frontend import frontend_text
from firmware_export.model import ModelText

NUMBERS = ("regress", "next")
"""Tasks whose every score is wanted, and none is a detection."""
PRODUCTS = ("*.o", "*.a", "build/*")
"""What the project's own Makefile and CMakeLists.txt leave behind, and the program."""
C = resources.files("firmware_export") / "c"


@dataclass(frozen=True)
class Source:
    """A model that was read to be exported."""

    path: Path
    sha256: str
    spec: ModelSpec
    graph: Graph
    flatbuffer: bytes
    """What an interpreter reads: the file without edgernn.json."""

    @classmethod
    def read(cls, path: Path) -> "Source":
        """Read and check a model file.

        Raises
        ------
        ModelError
            If it is damaged, or has several parts.
        """
        whole = bundle.read(path)
        if whole.foreign:
            raise ModelError(f"{path} is a model from elsewhere: it has no edgernn.json, and "
                             "exports are of edgernn's own. Train one: edgernn train")
        if whole.parts:
            raise ModelError(f"{path} holds a model of {1 + len(whole.parts)} parts "
                             f"({', '.join(whole.parts)}); one that is a single step was needed. "
                             "Export one that reads in one direction and gives as much as it takes")
        step.check(whole.spec, whole.graph)
        return cls(path, hashlib.sha256(path.read_bytes()).hexdigest(), whole.spec,
                   whole.graph, whole.flatbuffer)

    @cached_property
    def plan(self) -> Plan:
        """The step as calls of the C kernels.

        Raises
        ------
        ModelError
            If it has an op that the kernels lack.
        """
        return plan(self.graph, self.spec)

    @property
    def x(self) -> QType:
        """Type of the model's input; of tokens, without a scale."""
        tensor = self.graph.tensor(self.spec.input)
        return tensor.qtype if tensor.scales else QType(tensor.dtype, 1.0)

    @property
    def scores(self) -> QType:
        """Type of the model's output."""
        return self.graph.tensor(self.spec.output).qtype

    @property
    def step_ms(self) -> float:
        """Milliseconds from one step to the next; 1000 where the data never said."""
        frontend = self.spec.frontend
        if isinstance(frontend, LogMelSpec):
            return frontend.hop_ms
        rate = frontend.rate_hz if isinstance(frontend, StandardizeSpec) else 0.0
        return 1000 / (rate or 1.0)

    @property
    def detector(self) -> DetectorSpec | None:
        """What `edgernn stream` would detect with; None if scores are all that is wanted."""
        if self.spec.task in NUMBERS or isinstance(self.spec.frontend, TokenSpec):
            return None
        found = self.spec.detector or DetectorSpec({})
        if found.thresholds:
            return found
        return dataclasses.replace(found, thresholds=dict.fromkeys(self.spec.labels, 0.5))


def c_project(source: Source, name: str, command: Sequence[str],
              figures: str = "") -> dict[str, str | bytes]:
    """The files of a C99 project.

    Parameters
    ----------
    source : Source
    name : str
        What its functions and files begin with.
    command : sequence of str
        What makes it again, for its first lines.
    figures : str
        What it costs, as Markdown: see `firmware_export.figures`.

    Raises
    ------
    ModelError
        If the name is no C identifier, or the detector cannot be computed in 32 bits.
    """
    ctext.checked_name(name)
    values = {"figures": figures} | shared_values(source, name, command) | _c_values(source, name)
    model_c = template.fill(template.read("model.c"), values)
    main_c = main(source, values)
    used = kernels(model_c + main_c + values["more"] + values["includes"])
    return {f"{name}_model.h": template.fill(template.read("model.h"), values),
            f"{name}_model.c": model_c, "main.c": main_c,
            "Makefile": template.fill(template.read("Makefile"), values),
            "CMakeLists.txt": template.fill(template.read("CMakeLists.txt"), values),
            "README.md": template.fill(template.read("README.md"), values),
            "LICENSE": template.read("LICENSE"),
            **{f"ernn/{file}": text for file, text in used.items()}}


def kernels(text: str) -> Mapping[str, str]:
    """The hand-written files that C text needs, unchanged, by name.

    Needed is a header that is included; and a source that defines what is called, in that
    text or in a file that is needed.
    """
    files = {file.name: file.read_text("utf-8") for file in C.iterdir()}
    needed: dict[str, str] = {}
    while True:
        # Of ernn.h not every kernel that it declares, but those that are called.
        read = text + "".join(body for file, body in needed.items() if file != "ernn.h")
        included, called = set(re.findall(r'#include "(\w+\.h)"', read)), _called(read)
        found = {file: body for file, body in files.items()
                 if file in included or (file.endswith(".c") and _defined(body) & called)}
        if found.keys() == needed.keys():
            return dict(sorted(needed.items()))
        needed = found


def _called(text: str) -> set[str]:
    return set(re.findall(r"\bernn_\w+\b(?=\s*[(\[])", text))


def _defined(text: str) -> set[str]:
    return set(re.findall(r"^(?!static|typedef|#|\s)[\w *]*?\b(ernn_\w+)(?=\(|\[)", text, re.M))


def shared_values(source: Source, name: str, command: Sequence[str]) -> dict[str, Any]:
    """What fills the holes of the templates, whatever runs the step."""
    spec = source.spec
    x, scores = (source.graph.tensor(tensor) for tensor in (spec.input, spec.output))
    front = frontend_text(name, spec.frontend, source.x)
    detector = source.detector and detector_text(name, source.detector, spec.labels,
                                                 source.step_ms, source.scores)
    includes = [f'#include "{header}"' for header in front.includes]
    if detector:
        includes.append('#include "ernn_detect.h"')
    tokens = isinstance(spec.frontend, TokenSpec)
    return {
        "name": name, "version": edgernn.__version__, "model": ctext.comment(source.path.name),
        "sha256": source.sha256, "command": ctext.comment(shlex.join(command)),
        "about": _about(source), "step_ms": f"{source.step_ms:g} ms",
        "includes": "\n".join(includes),
        "features": x.shape[-1], "labels": scores.shape[-1],
        "scales": _scales(name, source), "feature_t": ctext.CTYPES[x.dtype],
        "feature_what": "a token's number" if tokens else "a code: see the scales above",
        "score_t": ctext.CTYPES[scores.dtype],
        "step_errors": (f", or 1 if a token is not 1 to {spec.frontend.numbers - 1};\n"
                        " * the state is then as it was" if isinstance(spec.frontend, TokenSpec)
                        else ""),
        "golden_steps": golden.STEPS,
        "more": front.header + (detector.header if detector else ""),
        "label_strings": ", ".join(ctext.string(label) for label in spec.labels),
        "score_zero": source.scores.zero_point, "score_scale": f"{source.scores.scale:.17g}",
        "checks": _token_check(name, spec),
        "source_more": front.source + (detector.source if detector else ""),
        **_uses(source, name)}


def _c_values(source: Source, name: str) -> dict[str, Any]:
    """What fills those of a step made of our own kernels."""
    steps = source.plan
    text = ModelText(name, steps)
    return {"header": f"{name}_model.h", "weight_bytes": f"{_weight_bytes(steps):,}",
            "state_bytes": f"{_state_bytes(steps):,}", "state": text.state_struct(),
            "resets": text.resets(), "calls": text.calls(), "data": text.data(),
            "damaged": "the weights are damaged", **_golden(source, text)}


def _uses(source: Source, name: str) -> dict[str, str]:
    frontend = source.spec.frontend
    if isinstance(frontend, LogMelSpec):
        reads, example = f"raw s16le mono samples at {frontend.sample_rate_hz} Hz", "input.raw"
    elif isinstance(frontend, StandardizeSpec):
        reads, example = "rows of numbers with commas between", "input.csv"
    else:
        reads, example = "the numbers of tokens, a text a line,", "tokens.txt"
    prints = "detections" if source.detector else "what the model says"
    return {"reads": reads, "prints": prints, "example": example}


def _about(source: Source) -> str:
    tensors = (source.graph.tensor(pair.input) for pair in source.spec.states)
    layers = "; ".join(f"{prod(tensor.shape)} of {tensor.dtype}" for tensor in tensors)
    return ctext.comment(
        f"A model that labels {len(source.spec.labels)} things"
        f" ({', '.join(source.spec.labels[:6])}{', ...' if len(source.spec.labels) > 6 else ''}), "
        f"{source.spec.profile}; its states: {layers or 'none'}.")


def _scales(name: str, source: Source) -> str:
    big, lines = name.upper(), []
    if not isinstance(source.spec.frontend, TokenSpec):
        lines += [f"#define {big}_X_SCALE {ctext.real(source.x.scale)} /* features = (q - "
                  f"{big}_X_ZERO) * {big}_X_SCALE */",
                  f"#define {big}_X_ZERO ({source.x.zero_point})"]
    lines += [f"#define {big}_SCORE_SCALE {ctext.real(source.scores.scale)} /* score = (q - "
              f"{big}_SCORE_ZERO) * {big}_SCORE_SCALE */",
              f"#define {big}_SCORE_ZERO ({source.scores.zero_point})"]
    return "\n".join(lines)


def _weight_bytes(steps: Plan) -> int:
    return sum(value.nbytes for call in steps.calls for value in call.params.values()
               if isinstance(value, np.ndarray))


def _state_bytes(steps: Plan) -> int:
    values = [value for value, _ in steps.states] + [steps.scores]
    return (sum(np.dtype(v.dtype).itemsize * v.count for v in values)
            + sum(np.dtype(dtype).itemsize * n for dtype, n in steps.scratch.items()))


def _token_check(name: str, spec: ModelSpec) -> str:
    if not isinstance(spec.frontend, TokenSpec):
        return ""
    return (f"    int i;\n    for (i = 0; i < {name.upper()}_FEATURES; i++) {{\n"
            f"        if (features[i] < {'1' if spec.frontend.ngrams == 1 else '(i == 0 ? 1 : 0)'}"
            f" || features[i] >= {spec.frontend.numbers}) {{\n"
            "            return 1;\n        }\n    }\n")


def _golden(source: Source, text: ModelText) -> dict[str, str]:
    found = golden.golden(source.graph, source.spec)
    arrays = golden_steps(found)
    compares = []
    for field, (value, _) in zip(text.state_fields(), source.plan.states, strict=True):
        arrays.append(ctext.array(f"golden_{field}", found.states[value.name]))
        compares.append(f" ||\n            (step == {golden.STEPS - 1} && memcmp(state->{field}, "
                        f"golden_{field}, sizeof golden_{field}) != 0)")
    sums = []
    for tensor, field in text.byte_arrays():
        array = f"{tensor}_{field}"
        sums.append(f"    sum = adler({array}, sizeof {array}, sum);")
    checks = [f"#{'if' if not i else 'elif'} ERNN_LAYOUT == {layout}\n"
              f"static const uint32_t checksum = {golden.checksum(source.plan, layout)}u;"
              for i, layout in enumerate(LAYOUTS)]
    return {"golden": "\n".join(arrays) + "\n" + "\n".join(checks) + "\n#endif\n",
            "state_compares": "".join(compares), "sums": "\n".join(sums)}


def golden_steps(found: golden.Golden) -> list[str]:
    """The frames and the scores of a proof, as arrays."""
    return [_rows(f"golden_{what}", values) for what, values in
            (("features", found.features), ("scores", found.scores))]


def _rows(name: str, values: Any) -> str:
    """An array of rows, one for each step."""
    rows = ",\n".join("    {" + ctext.numbers(row).strip().replace("\n", "\n ") + "}"
                      for row in values)
    steps, width = values.shape
    return (f"static const {ctext.CTYPES[values.dtype.name]} {name}[{steps}][{width}] = {{\n"
            f"{rows}}};\n")


def main(source: Source, values: dict[str, Any]) -> str:
    """main.c: the pieces that this model needs.

    Besides `shared_values` it says the `header` of the model, and what a self-check below 0
    means: `damaged`.
    """
    frontend, name = source.spec.frontend, values["name"]
    rate = 1000 / source.step_ms
    if isinstance(frontend, TokenSpec):
        pieces = ["main_tokens.c"]
    else:
        pieces = ["main_detect.c" if source.detector else "main_number.c", "main_take.c",
                  "main_audio.c" if isinstance(frontend, LogMelSpec) else "main_rows.c"]
    time = (f"(double)({name.upper()}_WINDOW + steps_done * {name.upper()}_HOP) / "
            f"{name.upper()}_SAMPLE_RATE" if isinstance(frontend, LogMelSpec)
            else f"(double)(1ul + steps_done) / {rate:.17g}")
    memory = [f"static {name}_logmel frontend;"] * isinstance(frontend, LogMelSpec)
    memory += [f"static {name}_detector detector;"] if source.detector else []
    restart = f"        {name}_detect_reset(&detector);\n" if source.detector else ""
    more = {"time": time, "memory": "\n".join(memory), "restart": restart,
            "start": restart[4:], "whole": int(source.spec.task == "classify"),
            "longest_hold": int(max(HOLD_S * rate, HOLD_STEPS))}
    body = "".join(template.fill(template.read(piece), values | more) for piece in pieces)
    return template.fill(template.read("main.c"), values | more | {"body": body})
