"""Texts, a line each, and what a model says of them."""

from collections.abc import Iterable, Iterator
from typing import Any

from edgernn.errors import ModelError
from edgernn.frontend.tokens import Tokens
from edgernn.spec import TokenSpec
from edgernn.step import StepModel


def answers(model: StepModel, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """One answer per line that is not empty; the model begins each anew.

    Parameters
    ----------
    model : StepModel
        Of tokens, of task `classify` or `label`.
    lines : iterable of str

    Yields
    ------
    dict
        ``{"label", "score", "text"}``, the score from 0 to 1; or ``{"labels", "units"}``, a
        label for each unit of the line.

    Raises
    ------
    ModelError
        If the model reads no text, or is asked for something else.
    """
    spec = model.spec.frontend
    if not isinstance(spec, TokenSpec) or model.spec.task not in ("classify", "label"):
        raise ModelError(f"the model has the task {model.spec.task}; one that labels texts was "
                         "needed. `edgernn info` shows what it is")
    frontend = Tokens(spec)
    for line in lines:
        text = line.rstrip("\r\n")
        units = frontend.split(text)
        if not units:
            continue
        model.reset()
        found = []
        for row in frontend.whole(units):
            scores = model.step(row)
            found.append(model.labels[int(scores.argmax())])
        if model.spec.task == "label":
            yield {"labels": found, "units": units}
        else:
            yield {"label": found[-1], "score": round(float(scores.max()), 4), "text": text}
