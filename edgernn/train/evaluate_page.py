"""An evaluation as one HTML page: how good, how sure, by which command, on which model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

from edgernn import __version__
from edgernn.spec import ModelSpec
from edgernn.train import evaluate_plot
from edgernn.train.evaluate_report import Section, Tree, sections
from edgernn.train.html import document, facts, table


def page(tree: Tree, spec: ModelSpec, command: str) -> str:
    """The whole page.

    Parameters
    ----------
    tree : dict
        From `edgernn.train.evaluate_run.evaluate`.
    spec : ModelSpec
        The model's, for its card.
    command : str
        That made it.
    """
    about = (f"{spec.task}, {spec.profile}, on {tree['backend']}; split {tree['split']}. Every "
             f"interval is of 95 %. edgernn {__version__}.")
    shown = "\n".join([*_shown(tree, spec), _card(spec, tree, command)])
    return document(f"Evaluation of {Path(tree['model']).name}", about, shown)


def _shown(tree: Tree, spec: ModelSpec) -> Iterator[str]:
    plots = evaluate_plot.drawn(tree, spec.labels)
    for section in sections(tree):
        yield _section(section, plots.get(section.title, []))


def _section(section: Section, plots: list[str]) -> str:
    figures = "\n".join(f"<figure>{svg}</figure>" for svg in plots)
    tables = "\n".join(f"<h3>{escape(each.title)}</h3>\n{table(each.heads, each.rows)}"
                       for each in section.tables)
    return (f"<h2>{escape(section.title)}</h2>\n<p>{escape(section.text)}</p>\n"
            f'<div class="figures">\n{figures}\n</div>\n{tables}')


def _facts(part: Any) -> str:
    """A part of the model's description, as name and value."""
    def said(value: Any) -> str:
        if isinstance(value, Mapping):
            return ", ".join(f"{name} {each}" for name, each in value.items())
        if isinstance(value, Sequence) and not isinstance(value, str):
            return ", ".join(map(str, value))
        return str(value)

    return "; ".join(f"{name} {said(value)}" for name, value in asdict(part).items())


def _card(spec: ModelSpec, tree: Tree, command: str) -> str:
    named: Tree = {"sha256": tree["sha256"], "labels": ", ".join(spec.labels),
                   "frontend": _facts(spec.frontend)}
    if spec.detector:
        named["detector"] = _facts(spec.detector)
    named |= {f"measured when it was made, {name}": value for name, value in spec.metrics.items()}
    return (f"<h2>The model and the command</h2>\n<pre>{escape(command)}</pre>\n"
            f"{facts(named | dict(spec.provenance))}")
