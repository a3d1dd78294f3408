"""An evaluation in words and tables, whatever shows them: a terminal, or a page."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgernn.train.lessons import LATE_S
from edgernn.train.positives import IN_SPEECH
from edgernn.train.protocols import MLPERF, RARE_PER_HOUR

Tree = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """Rows of text."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """One thing that was asked of the model."""

    title: str
    text: str
    tables: tuple[Table, ...]


def sections(tree: Tree) -> Iterator[Section]:
    """All there is in what `edgernn.train.evaluate_run.evaluate` returns."""
    if chosen := of_all(tree["judged"]):
        yield Section("What was judged", chosen, ())
    yield _answers(tree["answers"], tree["unanswered"])
    if "words" in tree:
        yield _words(tree)
        yield _alarms(tree)
    if "against" in tree:
        yield _against(tree["against"])
    if "drift" in tree:
        yield _drift(tree["drift"])


def of_all(judged: Tree) -> str:
    """How many of what was given were taken, where that was not the data's choice nor all."""
    if not judged["split_here"] or judged["sequences"] == judged["of"]:
        return ""
    return (f"{judged['sequences']} of the {judged['of']} that were given: the data has no "
            f"split {judged['split']!r} to go by, so these are what edgernn holds out of it, as "
            "training on it does with the same --seed. --split all takes every one, also those "
            "that a model of this data was trained on.")


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    return Table(title, tuple(heads), tuple(tuple(map(str, row)) for row in rows))


def _answers(found: Tree | None, why_not: str) -> Section:
    title = "Whole sequences"
    if found is None:
        return Section(title, f"Not asked: {why_not}", ())
    kinds = [(name.replace("_", ", "), found[name])
             for name in ("reset", "carried", "float_reset", "float_carried") if name in found]
    if found["task"] == "regress":
        errors = _table("Numbers", ("state", "rows", "rms error", "mean absolute",
                                    "rms at the end"),
                        [(name, each["rows"], _figure(each, "rmse"), _figure(each, "mae"),
                          _figure(each["last"], "rmse")) for name, each in kinds])
        return Section(title, "Errors in the number's own unit; at the end: of each sequence's "
                       "last row.", (errors,))
    tables = [
        _table("Answers", ("state", "right", "95 %"),
               [(name, _of(each), _share(each["interval"])) for name, each in kinds]),
        _table("By label, state carried", ("label", "right", "95 %", "said"),
               [(each["label"], _of(each), _share(each["interval"]), each["given"])
                for each in found["labels"]])]
    if found["speakers"]:
        tables.append(_table(
            "By speaker, the least understood first", ("speaker", "right", "95 %"),
            [(each["speaker"], _of(each), _share(each["interval"])) for each in found["speakers"]]))
    tables.append(_table(
        "Frames with the same label on top", ("of", "share"),
        [(name.replace("_", ", "), f"{value:.2%}") for name, value in found["agreement"].items()]))
    after = f" {LATE_S:g} s of silence follow each." if found["task"] == "spot" else ""
    return Section(title, f"{found['sequences']} sequences, the state reset before each, or "
                   f"carried from a random other one.{after}", tuple(tables))


def _words(tree: Tree) -> Section:
    rows = [(each["condition"], each["state"], f"{each['missed']} of {each['said']}",
             _share(each["miss_interval"]), _ms(each["delay_p50_s"]), _ms(each["delay_p90_s"]),
             each["doubles"]) for each in tree["words"]]
    beside = [(each["condition"], each["state"], each["false_alarms"], f"{each['hours']:.2f}",
               f"{each['per_hour']:.2f}", "{:.2f} to {:.2f}".format(*each["interval"]))
              for each in tree["words"]]
    talked = ("; or at random times over speech that goes on, or in speech, which it cuts off"
              if any(each["condition"] == IN_SPEECH for each in tree["words"]) else "")
    return Section(
        "Words in continuous audio", f"Every clip in a pause of its own, clean or in noise{talked}"
        f": each line is one stream. A detection is right until {tree['tolerance_s']:g} s after "
        "the word.",
        (_table("Words missed", ("words", "state", "missed", "95 %", "late p50", "p90", "twice"),
                rows),
         _table("False alarms beside the words",
                ("words", "state", "false alarms", "hours", "an hour", "95 %"), beside),
         *_missed_by(tree)))


def _missed_by(tree: Tree) -> Iterator[Table]:
    """By label and by speaker, where thresholds are tried: the last condition, state carried."""
    last = [each for each in tree["words"] if each["state"] == "carried"][-1]
    for what in ("label", "speaker"):
        if last[f"{what}s"]:
            yield _table(f"Missed by {what}, {last['condition']}, carried",
                         (what, "missed", "95 %"),
                         [(each[what], f"{each['missed']} of {each['said']}",
                           _share(each["interval"])) for each in last[f"{what}s"]])


def _alarms(tree: Tree) -> Section:
    found, title = tree["negatives"], "False alarms"
    if not found:
        return Section(title, "Without --negatives nothing can be said of false alarms.", ())
    rows = [(f"{each['threshold']:g}", f"{each['miss_rate']:.1%}", f"{each['per_hour']:.2f}",
             "{:.2f} to {:.2f}".format(*each["interval"])) for each in tree["thresholds"]]
    low, high = found["interval"]
    return Section(
        title, f"{found['false_alarms']} in {found['hours']:.2f} h of what is no word: "
        f"{found['per_hour']:.2f} an hour, 95 %: {low:.2f} to {high:.2f}. {_picovoice(tree)} "
        f"{_mlperf(tree)}",
        (_table("One threshold for all labels", ("threshold", f"missed, {tree['read_at']}",
                                                 "false alarms an hour", "95 %"), rows),))


def _figure(figures: Tree, name: str) -> str:
    """An error, or nothing where no row was asked about."""
    return f"{figures[name]:.4g}" if name in figures else ""


def _picovoice(tree: Tree) -> str:
    found, hours = tree["picovoice"], tree["negatives"]["hours"]
    title = "Picovoice's protocol (misses at one false alarm in 10 h)"
    if found:
        sure = "" if found["shown"] else (
            f", though the truth may be {found['interval'][1]:.2f} an hour: 37 h without an alarm "
            "would show it")
        return (f"{title}: {found['missed']} words missed in {found['condition']} "
                f"({found['miss_rate']:.1%}) at {found['threshold']:g}, with "
                f"{found['false_alarms']} false alarms in {hours:.2f} h{sure}.")
    if hours * RARE_PER_HOUR < 1:
        return (f"{title}: {hours:.2f} h of negatives cannot show so low a rate; 37 h without an "
                "alarm could.")
    return f"{title}: no threshold that was tried has so few."


def _mlperf(tree: Tree) -> str:
    found = tree["mlperf"]
    if not found:
        return f"MLPerf Tiny's rule allows {MLPERF} misses; more words than that were needed."
    return (f"MLPerf Tiny's rule (at most {MLPERF} misses and {MLPERF} false alarms), on this "
            f"audio, state carried: {'held' if found['held'] else 'not held'} ({found['missed']} "
            f"missed of {found['said']}, {found['condition']}; {found['false_alarms']} false "
            "alarms there and in what is no word).")


def _against(found: Tree) -> Section:
    rows = [(each["condition"], each["said"], each["missed"], each["missed_by_other"],
             each["found_alone"], each["found_by_other_alone"], f"{each['p']:.3g}")
            for each in found["words"]]
    alarms = found["negatives"]
    said = "" if not alarms else (
        f" False alarms in {alarms['hours']:.2f} h: {alarms['false_alarms']} here, "
        f"{alarms['false_alarms_of_other']} there (p {alarms['p']:.3g}).")
    return Section(
        f"Against {Path(found['model']).name}", "The same words and noise for both. p is the "
        "chance of so uneven a result if neither is better (McNemar's exact test; for false "
        f"alarms the exact test of two Poisson rates).{said}",
        (_table(f"By {', '.join(found['labels'])}",
                ("words", "said", "missed here", "missed there", "found here alone",
                 "found there alone", "p"), rows),))


def _drift(found: Tree) -> Section:
    again = found["recovery"]
    return Section(
        "Hours without a reset", "How often the carried state gives the label that a state reset "
        "before every piece gives, by how long it has gone on. After a second of loud noise scores "
        f"are back in {again['p50_s']:g} s in the middle of {again['places']} places, in "
        f"{again['p90_s']:g} s at the 90th percentile; {again['never']} still differed after 10 s.",
        (_table("By time", ("hours", "frames that agree", "rms of scores"),
                [(f"{each['hours']:.2f}", f"{each['agree']:.2%}", f"{each['rms']:.4f}")
                 for each in found["parts"]]),))


def _of(found: Tree) -> str:
    return f"{found['right']} of {found['of']}"


def _share(interval: Sequence[float]) -> str:
    return "{:.1%} to {:.1%}".format(*interval)


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else f"{1000 * seconds:.0f} ms"
