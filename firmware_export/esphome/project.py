"""The files that ESPHome needs for a wake word: model, manifest, and how to use them."""

import json
import math
import shlex
from collections.abc import Sequence
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

import edgernn
from edgernn.detect import smoothed_steps
from edgernn.errors import ModelError
from edgernn.graph import Graph
from edgernn.spec import MicrofrontendSpec
from firmware_export import ctext, template
from firmware_export.esphome.rewrite import FEATURES, rewritten
from firmware_export.project import Source
from firmware_export.tflm import arena
from firmware_export.tflm.arena import ALIGNED, GRAIN, Arena

MINIMUM_VERSION = "2024.7.0"
"""Of ESPHome: the first that reads manifests of version 2 and has the twenty operators."""
CERTAIN = 254
"""The highest cutoff, of 255, that a score can still be above."""
TEMPLATES = resources.files("firmware_export.esphome") / "templates"


def esphome_project(source: Source, name: str, command: Sequence[str], label: str | None = None,
                    author: str = "", website: str = "", languages: Sequence[str] = ("en",),
                    arena_bytes: int = 0) -> dict[str, str | bytes]:
    """The files of a wake word for ESPHome's micro_wake_word, by path.

    Parameters
    ----------
    source : Source
        A model that hears with the microfrontend.
    name : str
        What its files begin with.
    command : sequence of str
        What makes it again.
    label : str, optional
        The wake word; needed where several labels are listened for.
    author, website, languages
        For the manifest; without a website it has none.
    arena_bytes : int
        Of the arena; 0 to measure it.

    Raises
    ------
    ModelError
        If the model hears with another frontend, has an op that the component lacks and that
        cannot be rewritten, or no such label; or if the website is none.
    BackendError
        If the arena cannot be measured.
    """
    ctext.checked_name(name)
    _check_frontend(source)
    label = wake_word(source, label)
    if website and not (urlsplit(website).scheme in ("http", "https") and urlsplit(website).netloc):
        raise ModelError(f"the website {website!r} is no URL; ESPHome takes one with http:// or "
                         "https://, or none. Leave --website out, or write it in full")
    model = rewritten(source, label)
    memory = Arena(0, arena_bytes) if arena_bytes else measured(model, source.graph)
    decision = _decision(source, label)
    manifest = {
        "type": "micro", "wake_word": label, "author": author or "edgernn",
        **({"website": website} if website else {}),
        "model": f"{name}.tflite", "trained_languages": list(languages), "version": 2,
        "micro": {**decision, "feature_step_size": round(source.step_ms),
                  "tensor_arena_size": memory.bytes, "minimum_esphome_version": MINIMUM_VERSION}}
    values = {"name": name, "version": edgernn.__version__, "label": label,
              "model": source.path.name, "sha256": source.sha256, "command": shlex.join(command),
              "model_bytes": f"{len(model):,}", "arena_note": _arena_note(memory),
              "score_note": _others(source, label),
              "linux": _linux(source), "cutoff": decision["probability_cutoff"],
              "window": decision["sliding_window_size"]}
    return {f"{name}.tflite": model,
            f"{name}.json": json.dumps(manifest, indent=2, ensure_ascii=False) + "\n",
            "example.yaml": _filled("example.yaml", values),
            "README.md": _filled("README.md", values), "LICENSE": template.read("LICENSE")}


def wake_word(source: Source, label: str | None) -> str:
    """The label that is to be detected.

    Raises
    ------
    ModelError
        If it is not among the labels, stands for nothing said, or has to be chosen.
    """
    detector, labels = source.detector, source.spec.labels
    if detector is None:
        raise ModelError(f"the model answers {source.spec.task!r}: its scores are no detections. "
                         "Train one of --task spot")
    nothing = labels[:1] if source.spec.task == "spot" else ()
    heard = [one for one in labels if one in detector.thresholds and one not in nothing]
    if label is None and len(heard) == 1:
        return heard[0]
    if label is None or label not in labels or label in nothing:
        found = ("no wake word was chosen" if label is None else
                 f"{label!r} means that nothing was said" if label in nothing else
                 f"the model has no label {label!r}")
        raise ModelError(f"{found}; micro_wake_word listens for one word per model. Choose it: "
                         f"--label {shlex.quote((heard or list(labels))[0])}. The model has "
                         f"{', '.join(one for one in labels if one not in nothing)}")
    return label


def measured(model: bytes, graph: Graph) -> Arena:
    """The arena of a rewritten model on an ESP32: used in tflite-micro, and what ESP-NN adds.

    ESP-NN's CONV_2D wants a scratch that holds weights and input in rows of a multiple of 8, and
    its DEPTHWISE_CONV_2D one of 2 bytes a tap and channel; scratch is shared between ops.  A
    sixteenth of all is for versions to come.

    Parameters
    ----------
    model : bytes
        As rewritten.
    graph : Graph
        As it was before: with matmuls for CONV_2D.

    Raises
    ------
    BackendError
        If tflite-micro is not installed, or does not run the model.
    """
    used, runtime = arena.fewest(model)
    scratch = 0
    for op in graph.ops:
        shape = graph.tensors[op.inputs[1]].shape if len(op.inputs) > 1 else ()
        if op.name == "FULLY_CONNECTED":
            outputs, inputs = shape[0], -(-shape[1] // 8) * 8
            scratch = max(scratch, inputs * (outputs + 1) + 3 * ALIGNED)
        if op.name == "DEPTHWISE_CONV_2D":
            scratch = max(scratch, 2 * shape[1] * shape[3] + 3 * ALIGNED)
    return Arena(used, -(-(scratch + used // 16) // GRAIN) * GRAIN, runtime)


def _check_frontend(source: Source) -> None:
    frontend = source.spec.frontend
    if not isinstance(frontend, MicrofrontendSpec):
        raise ModelError(f"the model hears with the frontend {frontend.kind!r}; micro_wake_word "
                         "has TensorFlow Lite Micro's alone, which hears otherwise: the model "
                         "would be deaf there. Train it with --frontend microfrontend")
    width = source.graph.tensor(source.spec.input).shape[-1]
    if width != FEATURES:
        raise ModelError(f"the model reads {width} features; micro_wake_word gives {FEATURES}. "
                         "Train it with --mels 40")


def _decision(source: Source, label: str) -> dict[str, Any]:
    """When the component says that it heard the word.

    It fires when the mean of the last scores, as integers of 0 to 255, is above the cutoff times
    255, rounded down; edgernn when the mean of such integers reaches 256 times the threshold.
    """
    assert source.detector is not None, "wake_word has looked"
    threshold = source.detector.thresholds.get(label, 0.5)
    above = min(max(math.ceil(256 * threshold) - 1, 0), CERTAIN)
    # A half more, so that rounding down finds it however the product comes out.
    return {"probability_cutoff": round((above + 0.5) / 255, 4),
            "sliding_window_size": smoothed_steps(source.detector, label, source.step_ms)}


def _arena_note(memory: Arena) -> str:
    if not memory.used:
        return f"`tensor_arena_size` is {memory.bytes:,} bytes, as the export was told."
    return (f"`tensor_arena_size` is {memory.bytes:,} bytes: {memory.used:,} were used by "
            f"{memory.runtime} on x86-64, where pointers are\ntwice as large as an ESP32's, and "
            f"{memory.margin:,} are for ESP-NN, whose convolutions want a scratch, and for\n"
            "versions to come.")


def _others(source: Source, label: str) -> str:
    others = [one for one in source.spec.labels if one != label]
    if _head(source) == "LOGISTIC":
        return "Its score is the model's own, a sigmoid."
    if len(others) == 1:
        return ("Its score is the model's own: of two labels, the softmax is the sigmoid of how "
                f"far *{label}*\nleads.")
    return (f"The model has other labels too ({', '.join(others)}). The score is the product of "
            f"how likely\n*{label}* is beside each one alone: at most the softmax, and equal to it "
            "where one rival matters.")


def _head(source: Source) -> str:
    output = source.spec.output
    return next(op.name for op in source.graph.ops
                if source.graph.tensors[op.outputs[0]].name == output)


def _linux(source: Source) -> str:
    wide = {t.dtype for t in source.graph.tensors if t.data is None} != {"int8"}
    if wide:
        return ("pymicro-wakeword, which runs such models on Linux satellites, carries a "
                "TensorFlow Lite that cannot\nwiden int8 to int16, as this model does. For it, "
                "quantize a GRU or a SimpleRNN with `--profile int8`.")
    return "The same two files also run on Linux satellites, in pymicro-wakeword."


def _filled(name: str, values: dict[str, Any]) -> str:
    return template.fill((TEMPLATES / name).read_text("utf-8"), values)
