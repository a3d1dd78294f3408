"""`edgernn info`: what a model is."""

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Any

import click

from edgernn.cli.models import BUNDLED, ModelPath, state_option

MOST = 16
"""Of a longer list the table shows the beginning and the end; --json shows all."""


@click.command()
@click.argument("model", required=False, type=ModelPath())
@state_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(model: Path | None, states: dict[str, str], as_json: bool) -> None:
    """Show what a MODEL is: labels, frontend, states, ops, sizes, detector, origin.

    Without MODEL, the bundled one. Needs no interpreter.
    """
    tree = describe(model or BUNDLED, states)
    if as_json:
        click.echo(json.dumps(tree, indent=2, ensure_ascii=False))
    else:
        _print_table(tree)


def describe(path: Path, states: dict[str, str] | None = None) -> dict[str, Any]:
    """All that a model file says of itself, as plain JSON values.

    `states` are those of a model from elsewhere, as `edgernn.bundle.read` has them.
    """
    from edgernn import bundle, step

    whole = bundle.read(path, states)
    read = whole.graph
    step.check(whole.spec, read, whole.foreign)
    spec = dataclasses.asdict(whole.spec)
    constants = [t.data.nbytes for t in read.tensors if t.data is not None]
    held = [_tensor(read.tensor(pair.input)) for pair in whole.spec.states]
    if whole.foreign:
        for tensor, pair in zip(held, whole.spec.states, strict=True):
            tensor["next"] = _tensor(read.tensor(pair.output))
    return {
        "model": str(path), "profile": spec["profile"], "labels": list(spec["labels"]),
        "frontend": spec["frontend"], "input": _tensor(read.tensor(spec["input"])),
        "output": _tensor(read.tensor(spec["output"])), "states": held,
        "ops": dict(Counter(op.name for op in read.ops).most_common()),
        "bytes": {"file": path.stat().st_size, "weights": sum(constants),
                  "state": sum(state["bytes"] for state in held)},
        "detector": spec["detector"], "drift": spec["drift"], "metrics": spec["metrics"],
        "task": spec["task"], "longest": spec["longest"], "chunk": spec["chunk"],
        "ahead": spec["ahead"], "latency_ms": _latency_ms(whole),
        "context": [_tensor(read.tensor(name)) for name in whole.spec.context.values()],
        "parts": {name: _part(part) for name, part in whole.parts.items()},
        "provenance": spec["provenance"], "model_sha256": spec["model_sha256"],
        "format": spec["format"]}


def _latency_ms(whole: Any) -> float | None:
    """Longest that a frame waits for later ones; None if frames have no time, or to the end."""
    from edgernn.bidirectional import frame_ms

    spec = whole.spec
    if "head" not in whole.parts:
        return 0.0
    return (spec.chunk - 1 + spec.ahead) * frame_ms(spec) or None if spec.chunk else None


def _part(part: Any) -> dict[str, Any]:
    """What another part of the file is."""
    from edgernn import step

    read = part.graph
    step.check(part.spec, read)
    return {
        "input": _tensor(read.tensor(part.spec.input)),
        "output": _tensor(read.tensor(part.spec.output)),
        "states": [_tensor(read.tensor(pair.input)) for pair in part.spec.states],
        "context": [_tensor(read.tensor(name)) for name in part.spec.context.values()],
        "longest": part.spec.longest,
        "ops": dict(Counter(op.name for op in read.ops).most_common()),
        "weights": sum(t.data.nbytes for t in read.tensors if t.data is not None)}


def _tensor(tensor: Any) -> dict[str, Any]:
    import numpy as np

    scale, zero = (tensor.qtype.scale, tensor.qtype.zero_point) if tensor.scales else (None, None)
    return {"name": tensor.name, "dtype": tensor.dtype, "shape": list(tensor.shape),
            "scale": scale, "zero_point": zero,
            "bytes": int(np.prod(tensor.shape)) * np.dtype(tensor.dtype).itemsize}


def _print_table(tree: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")

    def pairs(values: dict[str, Any]) -> str:
        return "\n".join(f"{key}: {_text(value)}" for key, value in values.items())

    table.add_row("model", tree["model"])
    table.add_row("labels", _text(tree["labels"]))
    table.add_row("task", tree["task"] + (f", at most {tree['longest']} tokens at a time"
                                          if tree["longest"] else ""))
    if "head" in tree["parts"]:
        waits = f", {tree['latency_ms']:g} ms" if tree["latency_ms"] else ""
        table.add_row("latency", f"a chunk of {tree['chunk']} frames, {tree['ahead']} ahead{waits}"
                      if tree["chunk"] else "the whole sequence")
    table.add_row("profile", tree["profile"])
    table.add_row("frontend", pairs(tree["frontend"]))
    for kind in ("input", "output"):
        table.add_row(kind, _tensor_text(tree[kind]))
    table.add_row("states", "\n".join(map(_tensor_text, tree["states"])) or "none")
    for name, part in tree["parts"].items():
        table.add_row(f"part {name}", "\n".join([
            *(f"{kind} {_tensor_text(part[kind])}" for kind in ("input", "output")),
            *(f"state {_tensor_text(state)}" for state in part["states"]),
            *(f"context {_tensor_text(one)}" for one in part["context"]),
            f"{sum(part['ops'].values())} ops, {part['weights']:,} bytes of weights"]))
    table.add_row("ops", f"{sum(tree['ops'].values())}: "
                  + ", ".join(f"{n} {op}" for op, n in tree["ops"].items()))
    table.add_row("bytes", pairs({k: f"{v:,}" for k, v in tree["bytes"].items()}))
    table.add_row("detector", pairs(tree["detector"]) if tree["detector"] else "none")
    table.add_row("state reset", tree["drift"]["policy"])
    table.add_row("measured", pairs(tree["metrics"]) or "nothing")
    table.add_row("origin", pairs(tree["provenance"]) or "unknown")
    table.add_row("sha256", tree["model_sha256"])
    Console(soft_wrap=False).print(table)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        shown = [f"{v:.4g}" if isinstance(v, float) else str(v) for v in value]
        if len(shown) > MOST:
            shown[MOST - 1:-1] = ["..."]
        return ", ".join(shown) + (f" ({len(value)})" if len(value) > MOST else "")
    return str(value)


def _tensor_text(tensor: dict[str, Any]) -> str:
    kind = f"{tensor['name']}  {tensor['dtype']}{tensor['shape']}"
    if tensor["scale"] is not None:
        kind += f"  scale {tensor['scale']:.9g}  zero point {tensor['zero_point']}"
    # Of a model from elsewhere, whose pairs were found out.
    return f"{kind}\n  next {_tensor_text(tensor['next'])}" if "next" in tensor else kind
