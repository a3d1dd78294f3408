"""An evaluation as one HTML page: how good, how sure, by which command, on which model."""

from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from edgernn import __version__
from edgernn.spec import ModelSpec
from edgernn.train import evaluate_plot
from edgernn.train.html import document, facts, table

Tree = dict[str, Any]


def page(tree: Tree, spec: ModelSpec, command: str, protocols: Iterable[str] = ()) -> str:
    """The whole page.

    Parameters
    ----------
    tree : dict
        From `edgernn.train.evaluate_run.evaluate`.
    spec : ModelSpec
        The model's, for its card.
    command : str
        That made it.
    protocols : texts
        What the field's protocols make of it.
    """
    sections = [_answers(tree["answers"], list(spec.labels))]
    if "words" in tree:
        sections += [_words(tree), _alarms(tree, protocols)]
    if "against" in tree:
        sections.append(_against(tree["against"]))
    if "drift" in tree:
        sections.append(_drift(tree["drift"]))
    sections.append(_card(spec, tree, command))
    about = (f"{spec.task}, {spec.profile}, on {tree['backend']}; split {tree['split']}. Every "
             f"interval is of 95 %. edgernn {__version__}.")
    return document(f"Evaluation of {Path(tree['model']).name}", about, "\n".join(sections))


def _section(title: str, what: str, *parts: str) -> str:
    below = "\n".join(part for part in parts if part)
    return f"<h2>{escape(title)}</h2>\n<div>{what}</div>\n{below}"


def _figures(plots: Iterable[str]) -> str:
    drawn = "\n".join(f"<figure>{svg}</figure>" for svg in plots if svg)
    return f'<div class="figures">\n{drawn}\n</div>' if drawn else ""


def share(found: Tree) -> str:
    """A share with its interval."""
    low, high = found["interval"]
    return f"{found['share']:.2%} ({low:.1%} to {high:.1%})"


def _answers(found: Tree, labels: list[str]) -> str:
    title = "Whole sequences"
    kinds = [(name.replace("_", ", "), found[name])
             for name in ("reset", "carried", "float_reset", "float_carried") if name in found]
    if found["task"] == "regress":
        rows = [(name, each["rows"], f"{each['rmse']:.4g}", f"{each['mae']:.4g}",
                 f"{each['last']['rmse']:.4g}") for name, each in kinds]
        return _section(title, "Errors in the number's own unit; the last column at each "
                        "sequence's end.", table(("state", "rows", "rms", "mean absolute",
                                                  "rms at the end"), rows))
    agree = ", ".join(f"{name}: {value:.2%}" for name, value in found["agreement"].items())
    return _section(
        title, f"{found['sequences']} sequences, the state reset before each or carried from a "
        f"random other one. Frames on which two give the same label the highest score: {agree}.",
        table(("state", "right", "of", "share and interval"),
              [(name, each["right"], each["of"], share(each)) for name, each in kinds]),
        _figures([evaluate_plot.confusion(found, labels)]),
        table(("label", "right", "of", "recall", "times said by the model"),
              [(each["label"], each["right"], each["of"], share(each), each["given"])
               for each in found["labels"]]),
        table(("speaker", "right", "of", "recall"),
              [(each["speaker"], each["right"], each["of"], share(each))
               for each in found["speakers"]]) if found["speakers"] else "")


def _words(tree: Tree) -> str:
    rows = [(each["condition"], each["state"], f"{each['missed']} of {each['said']}",
             "{:.1%} to {:.1%}".format(*each["miss_interval"]), _ms(each["delay_p50_s"]),
             _ms(each["delay_p90_s"]), each["doubles"], each["false_alarms"])
            for each in tree["words"]]
    return _section(
        "Words in continuous audio", "Every clip in a pause of its own, clean and laid into noise, "
        f"all one stream. A detection is right until {tree['tolerance_s']:g} s after the word.",
        table(("words", "state", "missed", "interval", "late p50", "late p90", "told twice",
               "false alarms"), rows), _figures(evaluate_plot.curves(tree)))


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else f"{1000 * seconds:.0f} ms"


def _alarms(tree: Tree, protocols: Iterable[str]) -> str:
    found = tree["negatives"]
    said = "".join(f"<li>{escape(line)}</li>" for line in protocols)
    what = "None were given, so nothing can be said." if not found else (
        f"{found['false_alarms']} in {found['hours']:.2f} h of what is no word: "
        f"{found['per_hour']:.2f} an hour ({found['interval'][0]:.2f} to "
        f"{found['interval'][1]:.2f}). None in two hours would not be none an hour.")
    rows = [(each["threshold"], f"{each['miss_rate']:.1%}", f"{each['per_hour']:.2f}",
             "{:.2f} to {:.2f}".format(*each["interval"])) for each in tree["thresholds"]]
    return _section("False alarms", what, f"<ul>{said}</ul>" if said else "",
                    table(("threshold", f"missed, {tree['read_at']}", "false alarms an hour",
                           "interval"), rows) if rows else "")


def _against(found: Tree) -> str:
    rows = [(each["condition"], each["said"], each["missed"], each["missed_by_other"],
             each["found_alone"], each["found_by_other_alone"], f"{each['p']:.3g}")
            for each in found["words"]]
    alarms = found["negatives"]
    said = "" if not alarms else (
        f"<p>False alarms in {alarms['hours']:.2f} h: {alarms['false_alarms']} here, "
        f"{alarms['false_alarms_of_other']} there (p {alarms['p']:.3g}).</p>")
    return _section(
        f"Against {Path(found['model']).name}", "The same words and noise for both. p is the "
        "chance of so uneven a result if neither model is better (McNemar's exact test; for false "
        "alarms the exact test of two Poisson rates).",
        table(("words", "said", "missed here", "missed there", "found here alone",
               "found there alone", "p"), rows), said)


def _drift(found: Tree) -> str:
    again = found["recovery"]
    return _section(
        "Hours without a reset", "How often the carried state gives the label that a state reset "
        "before every piece gives, by how long it has gone on; and how long scores differ after "
        f"a second of loud noise: {again['p50_s']:g} s in the middle of {again['places']} places, "
        f"{again['p90_s']:g} s at the 90th percentile, {again['never']} still differed after 10 s.",
        table(("hours", "frames that agree", "rms of scores"),
              [(each["hours"], f"{each['agree']:.2%}", each["rms"]) for each in found["parts"]]))


def _card(spec: ModelSpec, tree: Tree, command: str) -> str:
    named: Tree = {"sha256": tree["sha256"], "labels": ", ".join(spec.labels),
                   "frontend": spec.frontend}
    if spec.detector:
        named["detector"] = spec.detector
    named |= {f"measured when it was made, {name}": value for name, value in spec.metrics.items()}
    return _section("The model and the command", f"<pre>{escape(command)}</pre>",
                    facts(named | dict(spec.provenance)))
